# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strategy `ids`: what goes into a module's `ids=` parameter, and when that would be wrong."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PENDING

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts

OFFER = "Use the strategy override, which is per device."
# `static char ids[1024]` in drivers/vfio/pci/vfio_pci.c, filled by module_param_string().
LONGEST = 1023


def ids_by_module(decisions: t.Iterable[Decision]) -> dict[str, tuple[str, ...]]:
    """The IDs (vendor:device, with the subsystem where the claim names it) of each module that takes them."""
    found: dict[str, set[str]] = {}
    for decision in decisions:
        if decision.strategy == "ids":
            found.setdefault(decision.default.module, set()).add(_id(decision))
    return {module: _without_covered(ids) for module, ids in sorted(found.items())}


def _id(decision: Decision) -> str:
    device = decision.device
    if all(selector.subsystem_vendor is not None and selector.subsystem_device is not None for selector in decision.selectors):
        return f"{device.id}:{device.subsystem_vendor:04x}:{device.subsystem_device:04x}"
    return device.id


def _without_covered(ids: t.Collection[str]) -> tuple[str, ...]:
    """Without the entries with a subsystem that one without covers."""
    return tuple(sorted(entry for entry in ids if entry.count(":") == 1 or entry.rsplit(":", 2)[0] not in ids))


def check_ids(decisions: t.Sequence[Decision], facts: PolicyFacts) -> None:
    """Raises HostError where `ids=` has no effect, or takes more than the claims name."""
    modules_by_device = {decision.device.address: decision for decision in decisions}
    for decision in decisions:
        if decision.strategy == "ids":
            _check_module(decision, facts)
    for module, ids in ids_by_module(decisions).items():
        if len(",".join(ids)) > LONGEST:
            raise HostError(f"The ids of {module} are longer than the {LONGEST} characters that the kernel takes.", OFFER)
        for device in facts.inventory.devices:
            entry = next((entry for entry in ids if _takes(entry, device)), None)
            claimed = modules_by_device.get(device.address)
            if entry is not None and not device.is_bridge and (claimed is None or module not in claimed.modules):
                whose = "no claim names it" if claimed is None else f"{claimed.claim.option('driver')} gives it to {claimed.default.module}"
                raise HostError(
                    f"The strategy ids gives every {entry} of this host to {module}, also {device.address}, but {whose}.",
                    OFFER,
                )


def _takes(entry: str, device: Device) -> bool:
    whole = f"{device.id}:{device.subsystem_vendor:04x}:{device.subsystem_device:04x}"
    return whole == entry or whole.startswith(f"{entry}:")


def _check_module(decision: Decision, facts: PolicyFacts) -> None:
    option = decision.claim.option("strategy")
    if len(decision.modules) > 1:
        which = ", ".join(f"{choice.module} on {choice.release}" for choice in decision.choices)
        raise HostError(
            f"{option}: the best driver of {decision.device.address} is not the same on every kernel ({which}), "
            "and ids hold for all of them.",
            f"Name the driver, or choose the kernels. {OFFER}",
        )
    module = decision.default.module
    for kernel in facts.kernels:
        if module in kernel.builtins:
            raise HostError(
                f"{option}: {module} is built into kernel {kernel.release}, which reads no options from modprobe.d.",
                f"{OFFER} Or give {module}.ids= on the kernel's command line.",
            )
        if kernel.modules.get(module, PENDING) != PENDING and (kernel.release, module) not in facts.ids_modules:
            raise HostError(f"{option}: {module} of kernel {kernel.release} has no parameter ids.", OFFER)
