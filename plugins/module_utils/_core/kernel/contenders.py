# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that could bind to a device on one kernel: native drivers, and VFIO drivers with an alias for it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

NATIVE = "native"
VARIANT = "variant"
GENERIC = "generic"
"""vfio_pci, which takes any device and knows none."""
STUB = "stub"
VFIO_PCI, VFIO_CORE = "vfio_pci", "vfio_pci_core"
ANY_DEVICE = frozenset(("pci_stub", "pci_pf_stub", "uio_pci_generic", "uio_pci_generic_sva", "igb_uio", "xen_pciback"))
"""Modules that have no alias and drive each device that is given to them."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """A module, why it is a contender (its alias, and the file that has it), and the lines that blacklist it."""

    module: str
    kind: str
    alias: str
    source: str
    built_in: bool
    blacklisted_by: tuple[str, ...]


def kind_of(module: str, kernel: Kernel) -> str:
    """`variant` for a VFIO driver for certain devices, `generic` for vfio_pci, `stub` for a driver of any device, else `native`."""
    if module == VFIO_PCI:
        return GENERIC
    if module in ANY_DEVICE:
        return STUB
    return VARIANT if kernel.index.is_variant(module) or VFIO_CORE in kernel.dependencies(module) else NATIVE


def foreign_variants(chosen: t.Iterable[tuple[Device, str]], kernel: Kernel) -> t.Iterator[str]:
    """A warning for each function whose module, by its normalized name, has aliases of VFIO, and none for it.

    An override binds it all the same (pci_match_device() in drivers/pci/pci-driver.c).
    """
    for device, module in chosen:
        if kernel.index.is_variant(module) and module not in {match.module for match in kernel.variants(device.modalias)}:
            yield (
                f"{module} is a variant driver for other devices: none of its aliases on kernel {kernel.release} matches "
                f"{device.address} ({device.id}). `driver: auto` takes the best one that does."
            )


def contenders(modalias: str, kernel: Kernel, config: ModprobeConfig) -> tuple[Contender, ...]:
    """Native drivers in the order in which udev loads them, then VFIO drivers, best first."""
    natives = _from_config(modalias, config) or [
        (match.module, match.alias, _source(kernel, match.order)) for match in kernel.natives(modalias)
    ]
    variants = [(match.module, match.alias, _source(kernel, match.order)) for match in kernel.variants(modalias)]
    return tuple(
        Contender(
            module=module,
            kind=GENERIC if kind == VARIANT and module == VFIO_PCI else kind,
            alias=alias,
            source=source,
            built_in=module in kernel.builtins,
            blacklisted_by=tuple(str(found) for found in config.blacklisted(module)),
        )
        for kind, found_modules in ((NATIVE, natives), (VARIANT, variants))
        for module, alias, source in found_modules
    )


def _from_config(modalias: str, config: ModprobeConfig) -> list[tuple[str, str, str]]:
    """Native drivers by aliases in modprobe.d: if one matches, kmod does not read modules.alias (kmod_module_new_from_lookup())."""
    found: dict[str, tuple[str, str, str]] = {}
    for directive in config.aliases(modalias):
        pattern, module = directive.arguments
        found.setdefault(module, (module, pattern, str(directive.source)))
    return list(found.values())


def _source(kernel: Kernel, order: int) -> str:
    return f"{MODULES}/{kernel.release}/{'modules.builtin.modinfo' if order < 0 else 'modules.alias'}"
