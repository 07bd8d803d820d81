# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares claims with the owners of devices now and after the next boots: the work of `claim_info`.  Changes nothing."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.judgement import Judge
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import assign, modules_of, with_companions
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import kind_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import driver_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import ALL, OSRELEASE, chosen_releases, read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import supplemented
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import HostForecast
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_status import AfterBoot, ClaimCheck, ClaimStatus
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import inventory_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim, GroupMode
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, PendingModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

NEXT = "next"
Expectation = t.Literal["none", "winner", "satisfied"]
"""What is expected of each claimed device: nothing, that it will certainly be bound as claimed after the boots, or that it is now."""
Claimed = t.Mapping[str, t.Mapping[str, tuple[str, str]]]
"""The claimed drivers by release and address."""


@dataclasses.dataclass(frozen=True)
class ClaimCheckRequest:
    """What `claim_info` should check.  ``kernels`` are releases, ``next``, ``all`` or ``running``; ``hardware`` takes the place of /sys."""

    claims: tuple[Claim, ...]
    pending_modules: tuple[PendingModule, ...] = ()
    expect: Expectation = "none"
    kernels: tuple[str, ...] = (NEXT,)
    group: GroupMode = "claim"
    hardware: tuple[Device, ...] | None = None
    assumes: bool = False

    def __post_init__(self) -> None:
        if not self.claims:
            raise HostError("devices: no device is named.", "Give devices, or a list of claims.")


def compare(host: Host, request: ClaimCheckRequest, check_mode: bool) -> ClaimCheck:
    """The status of each claimed device, now and after the boots."""
    inventory = _inventory(host, request.hardware)
    claims = with_companions(request.claims, inventory) if request.group == "claim" else request.claims
    kernels = read_all(host)
    running = host.text_or_none(OSRELEASE)
    forecast = HostForecast.read(host, inventory, kernels, running, Cache(host, not check_mode), request.hardware is not None)
    releases = _releases(host, request.kernels, forecast.next_kernel.release)
    claimed = _claimed(host, claims, inventory, tuple(kernel.with_pending(request.pending_modules) for kernel in kernels))
    statuses = _statuses(claimed, releases, running, forecast)
    statuses = _guarded(host, request, statuses, inventory, kernels)
    failures = _failures(request.expect, statuses, running)
    return ClaimCheck(statuses, forecast.next_kernel, tuple(forecast.policy_warnings), failures, check_mode, request.assumes)


def _inventory(host: Host, hardware: tuple[Device, ...] | None) -> Inventory:
    if not host.is_dir("/"):
        raise HostError(f"root: {host.root} is not a directory.", "Give the directory that the host's file system is mounted on.")
    if hardware is None and not host.is_dir(DEVICES):
        raise HostError(f"root: {host.root} has no {DEVICES}, so no device can be claimed there.", "Describe the devices with hardware.")
    return inventory_of(host, hardware)


def _releases(host: Host, wanted: t.Sequence[str], next_release: str | None) -> tuple[str, ...]:
    """The requested kernels; all of them if `next` is one and not known."""
    named = [release for release in wanted if release != NEXT]
    if NEXT in wanted:
        named += [ALL] if next_release is None else [next_release]
    found = chosen_releases(host, named)
    if not found:
        raise HostError("kernels: this host has no kernel that is installed with its modules and its image.", "Install one.")
    return found


def _claimed(host: Host, claims: t.Sequence[Claim], inventory: Inventory, kernels: t.Sequence[Kernel]) -> Claimed:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for kernel in supplemented(claims, kernels):
        names = driver_names(host, inventory, modules_of(claims, inventory, kernel), False, kernel)
        assigned = assign(claims, inventory, kernel, names)
        found[kernel.release] = {one.device.address: (one.driver, kind_of(one.module, kernel)) for one in assigned}
    return found


def _statuses(claimed: Claimed, releases: t.Sequence[str], running: str | None, forecast: HostForecast) -> tuple[ClaimStatus, ...]:
    now = claimed.get(running or "", {})
    addresses = {address for release in releases for address in claimed[release]}
    return tuple(
        ClaimStatus(
            device,
            now[device.address][0] if device.address in now else None,
            tuple(
                AfterBoot(release, driver, forecast.winner(device, release), forecast.suggested_change(device, release, driver), kind)
                for release in releases
                if device.address in claimed[release]
                for driver, kind in (claimed[release][device.address],)
            ),
            tuple(forecast.warnings(device)),
        )
        for device in forecast.inventory.devices
        if device.address in addresses
    )


def _guarded(
    host: Host, request: ClaimCheckRequest, statuses: tuple[ClaimStatus, ...], inventory: Inventory, kernels: t.Sequence[Kernel]
) -> tuple[ClaimStatus, ...]:
    """With what keeps each device that is not bound as claimed with its driver; described devices are in no use."""
    if request.hardware is not None:
        return statuses
    judge = Judge(host, inventory, request.claims, request.group == "claim")
    leaving = [status.device for status in statuses if status.device.driver not in status.drivers]
    found = judge.claimed(leaving, {module for kernel in kernels for module in kernel.vfio_modules})
    return tuple(
        dataclasses.replace(status, guards=tuple(finding for finding in found if finding.loss.address == status.device.address))
        for status in statuses
    )


def _failures(expect: Expectation, statuses: t.Sequence[ClaimStatus], running: str | None) -> tuple[str, ...]:
    """One sentence for each device that does not meet the expectation."""
    if expect == "none":
        return ()
    if expect == "winner":
        return tuple(sentence for status in statuses for sentence in (status.winner_failure(),) if sentence)
    if any(status.satisfied is None for status in statuses):
        what = "no kernel runs here" if running is None else f"kernel {running} runs, and its modules are not installed"
        raise HostError(f"expect: whether the devices are bound as claimed cannot be determined: {what}.", "Use expect: winner.")
    return tuple(sentence for status in statuses for sentence in (status.owner_failure(),) if sentence)
