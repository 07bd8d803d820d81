# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts about a host's devices, read once and put together."""

from __future__ import annotations

import contextlib
import gc
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci import selector
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES, Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import parse as parse_hardware
from ansible_collections.vfio.variants.plugins.module_utils._core.report.cached_report import CachedReport
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_report import report

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


def gather(
    host: Host,
    devices: object = None,
    allow_missing: bool = False,
    described: t.Sequence[object] | None = None,
    forecast: bool = True,
    check_mode: bool = False,
) -> dict[str, t.Any]:
    """Devices, kernels and modprobe.d of a host, as `device_info` returns them.

    ``devices`` selects; None takes all.  ``described`` are devices to judge in place of those that /sys shows.  Below a root
    without /sys, and without ``described``, there are kernels and modprobe.d only, and a warning.  With ``check_mode`` not even
    the cache is written.
    """
    with _no_collections():
        return _gather(host, devices, allow_missing, described, forecast, check_mode)


@contextlib.contextmanager
def _no_collections() -> t.Iterator[None]:
    """Nothing here goes in circles, and looking for circles again and again takes a quarter of the time on a large host."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _gather(
    host: Host, devices: object, allow_missing: bool, described: t.Sequence[object] | None, forecast: bool, check_mode: bool
) -> dict[str, t.Any]:
    if not host.is_dir("/"):
        raise HostError(f"root: {host.root} is no directory.", "Name the directory that the host's file system is mounted on.")
    selectors = None if devices is None else selector.parse(devices)
    hardware = None if described is None else parse_hardware(described)
    inventory = inventory_of(host, hardware)
    if selectors is not None and hardware is None and not host.is_dir(DEVICES) and not allow_missing:
        raise HostError(
            f"devices: {host.root} has no {DEVICES}, so no device can be found there.",
            "Leave out devices, describe them with hardware, or look at a running host.",
        )
    chosen = inventory.devices if selectors is None else selector.select(inventory, selectors, allow_missing)
    told = CachedReport.recall(host, inventory, chosen, hardware is not None, forecast, Cache(host, not check_mode))
    return {"devices": report(chosen, inventory, told.of), **told.of_host()}


def inventory_of(host: Host, hardware: tuple[Device, ...] | None) -> Inventory:
    """What the host has, or the devices that are described to be judged in place of it."""
    if hardware is None:
        return Inventory.read(host)
    return Inventory(hardware, Inventory.read(host).drivers if host.is_dir(DEVICES) else {})
