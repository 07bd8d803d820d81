# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's devices, and the contenders for each on its kernels.

In results, IDs and classes are hexadecimal text without a prefix (`10de`, `030200`), as selectors take them.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import NATIVE, VARIANT, VFIO_PCI, Contender, contenders
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.variant_offers import missing_variants

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory


@dataclasses.dataclass(frozen=True)
class Context:
    """The host that the devices belong to.  ``loaded`` are the modules in sysfs, including built-in ones with parameters."""

    inventory: Inventory
    kernels: tuple[Kernel, ...]
    running: str | None
    config: ModprobeConfig
    loaded: frozenset[str]
    configuration: t.Callable[[str], str | None]
    """What a kernel was built with, which is read for those devices only that Linux has a variant for."""


@dataclasses.dataclass(frozen=True)
class BestVariant:
    """The best variant driver of the running kernel for a device; ``wildcards`` counts the wildcard fields of its alias."""

    module: str
    driver: str
    alias: str
    wildcards: int

    def result(self) -> Result:
        return {"module": self.module, "driver": self.driver, "alias": self.alias, "wildcards": self.wildcards}


@dataclasses.dataclass(frozen=True)
class RunningContender:
    """A contender on the running kernel."""

    contender: Contender
    is_loaded: bool

    def result(self) -> Result:
        contender = self.contender
        return {
            "module": contender.module,
            "kind": contender.kind,
            "alias": contender.alias,
            "source": contender.source,
            "loaded": self.is_loaded,
            "built_in": contender.built_in,
            "blacklisted_by": list(contender.blacklisted_by),
        }


@dataclasses.dataclass(frozen=True)
class DeviceModules:
    """The modules of one kernel for a device: native drivers in udev's order, variant drivers best first."""

    natives: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset((*self.natives, *self.variants))

    def result(self) -> Result:
        return {"natives": list(self.natives), "variants": list(self.variants), "variant": next(iter(self.variants), None)}


@dataclasses.dataclass(frozen=True)
class DeviceContenders:
    """The contenders for a device: those of the running kernel, and the names for each kernel."""

    variant: BestVariant | None
    running: tuple[RunningContender, ...]
    kernels: t.Mapping[str, DeviceModules]
    missing: tuple[str, ...] = ()
    """Sentences on variants that Linux has and these kernels lack."""

    def result(self) -> Result:
        return {
            "variant": None if self.variant is None else self.variant.result(),
            "contenders": [contender.result() for contender in self.running],
            "kernels": {release: modules.result() for release, modules in self.kernels.items()},
            **({"missing_variants": list(self.missing)} if self.missing else {}),
        }


@dataclasses.dataclass(frozen=True)
class ConfiguredModule:
    """A line of modprobe.d, or a command line argument, about a module that drives PCI functions."""

    command: str
    module: str
    arguments: tuple[str, ...]
    source: str

    def result(self) -> Result:
        return {"command": self.command, "module": self.module, "arguments": list(self.arguments), "source": self.source}


@dataclasses.dataclass(frozen=True)
class InstalledKernel:
    """A kernel, and the package that brings its headers."""

    release: str
    is_running: bool
    has_headers: bool
    headers_package: str | None

    def result(self) -> Result:
        return {
            "release": self.release,
            "running": self.is_running,
            "headers": self.has_headers,
            "headers_package": self.headers_package,
        }


@dataclasses.dataclass(frozen=True)
class ShownDevice:
    """A device as sysfs shows it; ``group`` are the functions of its IOMMU group, including itself."""

    device: Device
    group: tuple[Device, ...]

    def result(self) -> Result:
        device = self.device
        return {
            "address": device.address,
            "id": device.id,
            "vendor": f"{device.vendor:04x}",
            "device": f"{device.device:04x}",
            "subsystem_vendor": f"{device.subsystem_vendor:04x}",
            "subsystem_device": f"{device.subsystem_device:04x}",
            "class": f"{device.class_code:06x}",
            "revision": f"{device.revision:02x}",
            "modalias": device.modalias,
            "bridge": device.is_bridge,
            "boot_vga": device.boot_vga,
            "numa_node": device.numa_node,
            "parent": device.parent,
            "physical_function": device.physical_function,
            "virtual_functions": list(device.virtual_functions),
            "max_virtual_functions": device.max_virtual_functions,
            "driver": device.driver,
            "driver_override": device.driver_override,
            "iommu_group": device.iommu_group,
            "group_devices": [other.address for other in self.group],
            "nodes": list(device.nodes),
            "handed_out": device.handed_out,
        }


def device_contenders(devices: t.Sequence[Device], context: Context) -> dict[str, DeviceContenders]:
    """The contenders for devices, by modalias: hundreds of virtual functions may share one, and with it the contenders."""
    return {modalias: _contenders(modalias, context) for modalias in dict.fromkeys(device.modalias for device in devices)}


def configured_modules(
    config: ModprobeConfig, kernels: t.Sequence[Kernel], chosen: t.Iterable[DeviceContenders] | None
) -> tuple[ConfiguredModule, ...]:
    """The lines about modules that drive PCI functions, in kmod's order; with ``chosen`` only those that concern their modules."""
    concerned = frozenset[str]().union(*(kernel.index.modules(bus) for kernel in kernels for bus in ("pci", "vfio_pci")))
    if chosen is not None:
        own = {VFIO_PCI} if (chosen := tuple(chosen)) else set()
        concerned &= own.union(*(modules.names for contenders in chosen for modules in contenders.kernels.values()))
    found = []
    for directive in config.directives:
        first, *others = directive.arguments
        # `alias` has the module second.
        module, arguments = (others[0], (first,)) if directive.command == "alias" else (first, tuple(others))
        if module in concerned or (directive.command == "softdep" and not concerned.isdisjoint(map(normalize_module_name, others))):
            found.append(ConfiguredModule(directive.command, module, arguments, str(directive.source)))
    return tuple(found)


def _contenders(modalias: str, context: Context) -> DeviceContenders:
    by_kernel = {kernel.release: contenders(modalias, kernel, context.config) for kernel in context.kernels}
    now = by_kernel.get(context.running or "", ())
    return DeviceContenders(
        _variant(modalias, context),
        tuple(RunningContender(contender, contender.built_in or contender.module in context.loaded) for contender in now),
        {release: _modules(found) for release, found in by_kernel.items()},
        missing_variants(modalias, context.kernels, context.configuration),
    )


def _variant(modalias: str, context: Context) -> BestVariant | None:
    kernel = next((kernel for kernel in context.kernels if kernel.release == context.running), None)
    best = None if kernel is None else kernel.best_present(modalias, (VFIO_PCI,))
    if best is None:
        return None
    registered = context.inventory.drivers_of_module(best.module)
    driver = registered[0] if registered else KNOWN_DRIVERS.get(best.module, best.module)
    return BestVariant(best.module, driver, best.alias, best.wildcards)


def _modules(found: t.Sequence[Contender]) -> DeviceModules:
    return DeviceModules(
        tuple(contender.module for contender in found if contender.kind == NATIVE),
        tuple(contender.module for contender in found if contender.kind == VARIANT),
    )
