# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `device_info` returns about a host's devices, in brief or in full with its kernels and modprobe.d."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import Accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import links_stay
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.acs import switched_off_words, why_shared
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES, inventory_of
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Iommu, allows_unsafe_interrupts, remaps_interrupts
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import select
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.vfio_nodes import described as described_nodes
from ansible_collections.vfio.variants.plugins.module_utils._core.report.cached_report import CachedReport, Wanted
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_report import ShownDevice
from ansible_collections.vfio.variants.plugins.module_utils._core.report.summary import DETAILS, summarized

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.summary import Detail


@dataclasses.dataclass(frozen=True)
class DeviceReportRequest:
    """What `device_info` should report.  ``selectors`` None means all devices; ``hardware`` takes the place of the devices in /sys."""

    selectors: tuple[Selector, ...] | None = None
    allow_missing: bool = True
    hardware: tuple[Device, ...] | None = None
    forecast: bool = True
    assumes: bool = False
    """Whether to say what each forecast takes for granted."""
    detail: Detail = "brief"


@links_stay()
def gather(host: Host, request: DeviceReportRequest, check_mode: bool) -> Result:
    """Devices, kernels and modprobe.d of a host, as `device_info` returns and caches them.

    For a root without /sys, and without described hardware, there are kernels and modprobe.d only, and a warning.  In check
    mode not even the cache is written.
    """
    with _no_collections():
        return _gather(host, request, check_mode)


@contextlib.contextmanager
def _no_collections() -> t.Iterator[None]:
    """Nothing here makes reference cycles, and looking for them again and again takes a quarter of the time on a large host."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _gather(host: Host, request: DeviceReportRequest, check_mode: bool) -> Result:
    if not host.is_dir("/"):
        raise HostError(f"root: {cut(host.root)} is not a directory.", "Give the directory that the host's file system is mounted on.")
    described = request.hardware is not None
    inventory = inventory_of(host, request.hardware)
    if request.selectors is not None and not described and not host.is_dir(DEVICES) and not request.allow_missing:
        raise HostError(
            f"devices: {host.root} has no {DEVICES}, so there are no devices to find.",
            "Leave out devices, describe them with hardware, or look at a running host.",
        )
    chosen = inventory.devices if request.selectors is None else select(inventory, request.selectors, request.allow_missing)
    # Brief answers do not show what would change them.
    wanted = Wanted(request.forecast, request.assumes, changes=request.detail == "full")
    report = CachedReport.recall(host, inventory, chosen, described, wanted, Cache(host, not check_mode))
    devices = []
    for device in chosen:
        known = {**ShownDevice(device, inventory.group_of(device)).result(), **report.of(device)}
        devices.append({**known, **summarized(known, report.names.get(device.id))})
    answer = {"devices": devices, **report.of_host()}
    if not described:
        answer["iommu"] = _iommu(host, inventory)
        accounts = Accounts.read(host)
        words = (*switched_off_words(Cmdline.read(host).of_kernel.values("pci")),)
        for known, device in zip(devices, chosen):
            group = inventory.group_of(device)
            known["group_because"] = why_shared(host, device, group, words) if device.iommu_group is not None else None
            known["vfio_nodes"] = described_nodes(host, device, accounts)
    return DETAILS[request.detail](answer)


def _iommu(host: Host, inventory: Inventory) -> Result:
    found = Iommu.read(host, inventory)
    return {
        "enabled": found.now,
        "described": found.described,
        "interrupt_remapping": remaps_interrupts(host) if found.now else None,
        "unsafe_interrupts": allows_unsafe_interrupts(host),
        "no_iommu_mode": found.unsafe,
    }
