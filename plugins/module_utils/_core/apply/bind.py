# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes claims hold on the running kernel: reads the host, decides, and unless it is only asked to predict, binds."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import binding
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import claims_of, pending_of
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding, is_viable, plan_bind, plan_release
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import AUTO, assign, companions, modules_of, with_companions
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import refuse_what_is_used
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import driver_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, running_release
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import select
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import uses_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


def ensure(host: Host, params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what `device_claim`'s options say and return its result; with ``check_mode`` only tell what would be done.

    Raises HostError when a device is refused, or after everything was put back because a step failed.
    """
    if params["timeout"] < 1:
        raise HostError(f"timeout: {params['timeout']} is too short.", "Allowed are whole seconds, 1 or more.")
    with host.lock():
        kernel = Kernel.read(host, running_release(host)).with_pending(pending_of(params))
        inventory = Inventory.read(host)
        bindings = _bindings(host, params, inventory, kernel, load=not check_mode)
        _refuse(host, bindings, params["force"])
        if check_mode:
            return _result(bindings, _predicted(inventory, bindings), kernel)
        binding.apply(host, bindings, params["timeout"])
        return _result(bindings, Inventory.read(host), kernel)


def _bindings(host: Host, params: t.Mapping[str, t.Any], inventory: Inventory, kernel: Kernel, load: bool) -> tuple[Binding, ...]:
    claims = claims_of(params)
    if not claims:
        raise HostError("devices: no device is named.", "Give devices, or a list of claims.")
    if params["group"] == "claim":
        claims = with_companions(claims, inventory)
    if params["state"] == "absent":
        named = {normalize_module_name(claim.driver) for claim in claims if claim.driver != AUTO}
        return plan_release(_selected(claims, inventory), named, inventory, kernel)
    names = driver_names(host, inventory, modules_of(claims, inventory, kernel), load, kernel)
    bindings = plan_bind(assign(claims, inventory, kernel, names))
    if params["group"] == "check":
        _refuse_open_groups(claims, inventory, kernel)
    return bindings


def _selected(claims: t.Sequence[Claim], inventory: Inventory) -> tuple[Device, ...]:
    """Each device of the claims once, bridges left out."""
    found = (device for claim in claims for device in select(inventory, claim.selectors, claim.allow_missing, claim.option("devices")))
    return tuple({device.address: device for device in found if not device.is_bridge}.values())


def _refuse_open_groups(claims: t.Sequence[Claim], inventory: Inventory, kernel: Kernel) -> None:
    for claim, device in companions(claims, inventory):
        if not is_viable((device,), inventory, kernel):
            raise HostError(
                f"{claim.option('devices')}: {device.address} ({device.id}) shares IOMMU group {device.iommu_group} with a claimed device "
                f"and belongs to {device.driver}.",
                "Claim it as well, or let `group: claim` do so.",
            )


def _refuse(host: Host, bindings: t.Sequence[Binding], force: bool) -> None:
    leaving = [item.device for item in bindings if item.rebind and item.device.driver is not None]
    refuse_what_is_used({device.address: uses_of(host, device) for device in leaving}, leaving, force)


def _predicted(inventory: Inventory, bindings: t.Sequence[Binding]) -> Inventory:
    """The inventory as it will be; the native driver that a device returns to is known once it has it."""
    planned = {item.device.address: item.outcome() for item in bindings}
    return Inventory(tuple(planned.get(device.address, device) for device in inventory.devices), inventory.drivers)


def _result(bindings: t.Sequence[Binding], now: Inventory, kernel: Kernel) -> dict[str, t.Any]:
    devices = []
    for item in bindings:
        device = now.get(item.device.address) or item.device
        group = now.group_of(device)
        is_open = is_viable((device,), now, kernel) and device.driver is not None and device.iommu_group is not None
        devices.append(
            {
                "address": device.address,
                "id": device.id,
                "driver_before": item.device.driver or "",
                "driver": device.driver or "",
                "driver_override": device.driver_override or "",
                "iommu_group": device.iommu_group,
                "vfio_node": f"/dev/vfio/{device.iommu_group}" if is_open else "",
                "viable": device.iommu_group is not None and is_viable(group, now, kernel),
                "changed": item.changed,
                "steps": list(item.steps) if item.changed else [],
            }
        )
    return {"changed": any(item.changed for item in bindings), "devices": devices, "diff": _diff(bindings, now)}


def _diff(bindings: t.Sequence[Binding], now: Inventory) -> dict[str, str]:
    changed = [item.device for item in bindings if item.changed]
    after = [now.get(device.address) or device for device in changed]
    return {
        "before": "".join(map(_line, changed)),
        "after": "".join(map(_line, after)),
        "before_header": "owners",
        "after_header": "owners",
    }


def _line(device: Device) -> str:
    return f"{device.address} {device.id} driver={device.driver or '-'} driver_override={device.driver_override or '-'}\n"
