# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds functions to drivers on the running kernel through driver_override, and undoes everything if a step fails."""

from __future__ import annotations

import errno
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import load_module
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES, DRIVERS, Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import HostUses

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

PROBE = "/sys/bus/pci/drivers_probe"
# An asynchronous driver's probe ends after the write to drivers_probe has returned.
SETTLE = 2.0
UNDO_TIMEOUT = 10.0


def apply(host: Host, bindings: t.Sequence[Binding], timeout: float) -> None:
    """Carry out every binding; each single step has ``timeout`` seconds.

    Raises HostError after binding every touched function to its former driver again.
    """
    touched: list[Device] = []
    try:
        for binding in bindings:
            if binding.rebind:
                _load(host, binding, timeout)
        for binding in bindings:
            if binding.changed:
                touched.append(binding.device)
                _bind(host, binding, timeout)
    except HostError as error:
        stuck = error.facts.get("stuck")
        left = [_undo(host, device) for device in reversed(touched) if device.address != stuck]
        raise HostError(f"{error.msg} {' '.join(left)}".strip(), error.hint, error.facts) from error


def owner(host: Host, address: str) -> str | None:
    """The driver that a function is bound to now."""
    return host.link_name(f"{DEVICES}/{address}/driver")


def _load(host: Host, binding: Binding, timeout: float) -> None:
    if binding.driver is None:
        # As udev does it: everything that the alias names, blacklists honoured; a native driver that fails to load does not matter.
        host.run(["modprobe", "--use-blacklist", "--all", "--quiet", binding.device.modalias], timeout, ok=range(256))
        return
    registered = [driver for module in binding.modules for driver in load_module(host, module)]
    if binding.driver not in registered:
        raise HostError(f"Module {' '.join(binding.modules)} registers {', '.join(registered)}, not {binding.driver}.")


def _bind(host: Host, binding: Binding, timeout: float) -> None:
    address = binding.device.address
    if binding.set_override:
        host.write_attribute(f"{DEVICES}/{address}/driver_override", f"{binding.override or ''}\n", timeout)
    if not binding.rebind:
        return
    _unbind(host, binding.device, timeout)
    if binding.driver is None:
        _offer_to_natives(host, binding, timeout)
        return
    host.write_attribute(PROBE, address, timeout)
    found = _settled_owner(host, address, binding.driver)
    if found != binding.driver:
        raise HostError(
            f"{address} ({binding.device.id}) is owned by {found or 'no driver'} after it was offered to {binding.driver}.",
            f"`dmesg` says why {binding.driver} did not take it.",
        )


def _unbind(host: Host, device: Device, timeout: float) -> None:
    holder = owner(host, device.address)
    if holder is None:
        return
    try:
        host.write_attribute(f"{DRIVERS}/{holder}/unbind", device.address, timeout)
    except HostError as error:
        if error.facts.get("errno") != errno.ETIMEDOUT:
            raise
        uses = HostUses(host, Inventory.read(host)).of(device)
        used = "; ".join(use.what for use in uses if use.guard == "in_use") or "no user of it can be seen"
        raise HostError(
            f"{holder} did not release {device.address} within {timeout:g} s: {used}.",
            "The kernel completes the unbind as soon as the device is released; run this again after that.",
            {**error.facts, "stuck": device.address},
        ) from error
    if owner(host, device.address) is not None:
        raise HostError(f"{device.address} is still owned by {owner(host, device.address)} after it was unbound from {holder}.")


def _offer_to_natives(host: Host, binding: Binding, timeout: float) -> None:
    """Bind to the native driver by name: in a probe, a VFIO driver with a dynamic ID would win."""
    address = binding.device.address
    for module in binding.modules:
        for entry in host.names(f"/sys/module/{module}/drivers"):
            if not entry.startswith("pci:") or owner(host, address) is not None:
                continue
            try:
                host.write_attribute(f"{DRIVERS}/{entry[len('pci:') :]}/bind", address, timeout)
            except HostError as error:
                if error.facts.get("errno") == errno.ETIMEDOUT:
                    raise
    if owner(host, address) is None and not binding.modules:
        host.write_attribute(PROBE, address, timeout)


def _settled_owner(host: Host, address: str, wanted: str) -> str | None:
    host.wait_until(lambda: owner(host, address) == wanted, SETTLE)
    return owner(host, address)


def _undo(host: Host, device: Device) -> str:
    """Bind a function to its former driver again; returns the result as a sentence."""
    here = f"{DEVICES}/{device.address}/driver_override"
    try:
        now = owner(host, device.address)
        if now != device.driver and now is not None:
            host.write_attribute(f"{DRIVERS}/{now}/unbind", device.address, UNDO_TIMEOUT)
        if now != device.driver and device.driver is not None:
            host.write_attribute(here, f"{device.driver}\n", UNDO_TIMEOUT)
            host.write_attribute(f"{DRIVERS}/{device.driver}/bind", device.address, UNDO_TIMEOUT)
        host.write_attribute(here, f"{device.driver_override or ''}\n", UNDO_TIMEOUT)
    except HostError as error:
        return f"{device.address} could not be bound to {device.driver or 'no driver'} again: {error.msg}"
    return f"{device.address} is back with {device.driver or 'no driver'}."
