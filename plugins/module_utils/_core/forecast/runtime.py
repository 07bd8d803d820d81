# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What driverctl does after a device's event has been processed (its unit driverctl@pci-….service)."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import Job
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import NewId, ProbeNow, SetOverride, Unbind
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Later
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

NO_DRIVER = "none"


def may_fail(later: Later, modprobe: Modprobe, address: str) -> tuple[Influence, ...]:
    """Commands of `install` lines whose exit status decides whether driverctl goes on."""
    assigned = later.driverctl[address].driver
    requests = () if assigned in ("", NO_DRIVER) else modprobe.ask(assigned, False, None)
    return tuple(one for request in requests if not request.failed for one in request.influences)


def why_failed(later: Later, modprobe: Modprobe, address: str) -> tuple[Reason, ...]:
    """Why driverctl ends before it has done anything; empty if it does not."""
    assigned = later.driverctl[address]
    if assigned.driver in ("", NO_DRIVER):
        return ()
    requests = modprobe.ask(assigned.driver, False, None)
    if requests and not any(request.failed for request in requests):
        return ()
    said = Reason(assigned.source, f"driverctl cannot load {assigned.driver}, and leaves the device as it is")
    return (said, *dict.fromkeys(refused.why for request in requests for refused in request.refused))


def jobs_of(later: Later, modprobe: Modprobe, devices: t.Mapping[str, Device]) -> list[Job]:
    """driverctl's units, one for each device: load the driver by name, unbind, set the override, probe.

    If modprobe fails, driverctl ends (set_override() in its script), and the device stays bound as it is.
    """
    found = []
    for address, assigned in later.driverctl.items():
        if address not in devices:
            continue
        because = Reason(assigned.source, f"driverctl binds {address} to {assigned.driver or 'any driver'}")
        loads = assigned.driver not in ("", NO_DRIVER)
        requests = modprobe.ask(assigned.driver, False, because) if loads else ()
        effects: list[Effect] = list(requests)
        if loads and (not requests or any(request.failed for request in requests)):
            found.append(Job(tuple(effects)))
            continue
        # A file of empty lines has it write an empty override, which the kernel takes for none.
        effects += [Unbind(address, because), SetOverride(address, assigned.driver or None, because)]
        if later.driverctl_adds_ids and assigned.driver == "vfio-pci":
            effects.append(NewId("vfio-pci", PciId(devices[address].vendor, devices[address].device), because))
        effects.append(ProbeNow(address, because))
        found.append(Job(tuple(effects)))
    return found
