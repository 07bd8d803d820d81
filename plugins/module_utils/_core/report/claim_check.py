# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares claims with the owners of devices now and after the next boots: the work of `claim_info`.  Changes nothing."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.guard_check import GuardCheck
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_cache import read_kernels
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import (
    AUTO,
    FALLBACK,
    KEYWORDS,
    Claim,
    assign,
    devices_of,
    modules_of,
    with_companions,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.virtual_functions import expanded
from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import Accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import links_stay
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import kind_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS, driver_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import ALL, OSRELEASE, chosen_releases, no_kernel_error
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.old_modules import old_in_use
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES, VGPU, inventory_of
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import selector_of
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.vfio_nodes import described
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import may_have_interfaces, supplemented
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import HostForecast
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_status import AfterBoot, ClaimCheck, ClaimStatus

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Assignment, GroupMode
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import GuardFinding
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, PendingModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.prediction_check import Prediction

NEXT = "next"
Required = t.Literal["none", "winner", "satisfied"]
"""What is required of each claimed device: nothing, that it will certainly be bound as claimed after the boots, or that it is now."""
DriverAndKind = tuple[str, t.Optional[str]]
"""A claimed driver and its kind; None if it is not known."""
OnKernel = t.Mapping[str, DriverAndKind]
"""The claimed drivers by address."""
Claimed = t.Mapping[str, OnKernel]
"""Those on each installed kernel."""
VFIO_DRIVER = KNOWN_DRIVERS[FALLBACK]

ClaimDetail = t.Literal["line", "full"]
"""How much `claim_info` returns: one line, or all that it knows."""


@dataclasses.dataclass(frozen=True)
class ClaimCheckRequest:
    """What `claim_info` should check.  ``kernels`` are releases, ``next``, ``all`` or ``running``; ``hardware`` takes the place of /sys.

    ``claims`` None stands for what the host's installed policy assigns.
    """

    claims: tuple[Claim, ...] | None
    pending_modules: tuple[PendingModule, ...] = ()
    require: Required = "none"
    kernels: tuple[str, ...] = (NEXT,)
    group: GroupMode = "claim"
    hardware: tuple[Device, ...] | None = None
    assumes: bool = False
    lints: bool = True
    """Whether to look for contradictions in the host's policy."""
    predicted: Prediction | None = None
    """What was said before the last boot, to be compared with what has come."""
    detail: ClaimDetail = "full"

    def __post_init__(self) -> None:
        if self.claims is not None and not self.claims:
            raise HostError("devices: no device is named.", "Give devices, a list of claims, or neither to check the installed policy.")


@links_stay()
def compare(host: Host, request: ClaimCheckRequest, check_mode: bool) -> ClaimCheck:
    """The status of each claimed device, now and after the boots."""
    made = expanded(request.claims or (), _inventory(host, request.hardware))
    inventory = made.inventory
    if request.claims is not None:
        request = dataclasses.replace(request, claims=made.claims)
    cache = Cache(host, not check_mode)
    kernels = read_kernels(host, cache)
    running = host.text_or_none(OSRELEASE)
    forecast = HostForecast.read(host, inventory, kernels, running, cache, request.hardware is not None)
    if host.read_log is not None:
        # What a record rests on are all files of the policy, whatever is asked about them here.
        forecast.read_files()
    releases = _releases(host, (*request.kernels, *_booted(request, running, kernels)), forecast.next_kernel.release)
    with_pending = tuple(kernel.with_pending(request.pending_modules) for kernel in kernels)
    if request.claims is None:
        claimed = _by_policy(forecast, kernels)
        now = claimed.get(running or "", {})
    else:
        claims = with_companions(request.claims, inventory) if request.group == "claim" else request.claims
        claimed = _claimed(host, claims, inventory, with_pending)
        on_running = {} if running is None else claimed.get(running)
        now = _without_modules(claims, inventory) if on_running is None else on_running
    named = _named(request, inventory) if not releases else frozenset[str]()
    forecast = forecast.only({address for release in releases for address in claimed[release]} | now.keys() | named)
    statuses = _statuses(claimed, now, releases, forecast, request.lints)
    statuses = _with_nodes(host, _guarded(host, request, statuses, inventory, kernels))
    wrong = () if request.predicted is None else request.predicted.wrong(statuses, inventory, running)
    if request.require == "winner" and not releases and (statuses or (request.claims is None and inventory.devices)):
        raise no_kernel_error(host)
    failures = (*_failures(request.require, statuses, running), *(wrong if request.require == "satisfied" else ()))
    unfinished = unfinished_work(host, inventory)
    old = () if request.hardware is not None else old_in_use(host, with_pending)
    policy_warnings = tuple(forecast.policy_warnings) if request.lints else ()
    shown = None if request.predicted is None else wrong
    return ClaimCheck(statuses, forecast.next_kernel, policy_warnings, failures, check_mode, request.assumes, unfinished, old, shown)


def _inventory(host: Host, hardware: tuple[Device, ...] | None) -> Inventory:
    if not host.is_dir("/"):
        raise HostError(f"root: {cut(host.root)} is not a directory.", "Give the directory that the host's file system is mounted on.")
    # A host that runs without PCI, as some of a fleet do, has nothing that could be claimed; an image has to be told what it is for.
    if hardware is None and not host.is_dir(DEVICES) and host.text_or_none(OSRELEASE) is None:
        raise HostError(
            f"root: {cut(host.root)} has no {DEVICES}, so no device can be claimed there.", "Describe the devices with hardware."
        )
    return inventory_of(host, hardware)


def _releases(host: Host, wanted: t.Sequence[str], next_release: str | None) -> tuple[str, ...]:
    """The requested kernels; all of them if `next` is one and not known."""
    named = [release for release in wanted if release != NEXT]
    if NEXT in wanted:
        named += [ALL] if next_release is None else [next_release]
    return chosen_releases(host, named, (NEXT,))


def _booted(request: ClaimCheckRequest, running: str | None, kernels: t.Sequence[Kernel]) -> tuple[str, ...]:
    """The kernel whose boot was predicted, if its reasons can be looked at again."""
    is_there = request.predicted is not None and running is not None and any(kernel.release == running for kernel in kernels)
    return (running,) if is_there and running is not None else ()


def _by_policy(forecast: HostForecast, kernels: t.Sequence[Kernel]) -> Claimed:
    """What the host's own policy assigns on each kernel."""
    found: dict[str, dict[str, DriverAndKind]] = {}
    for kernel in kernels:
        drivers = {device.address: forecast.claimed(device, kernel.release) for device in forecast.inventory.devices}
        found[kernel.release] = {
            address: (driver, kind_of(_module(driver, forecast.inventory), kernel))
            for address, driver in drivers.items()
            if driver is not None
        }
    return found


def _module(driver: str, inventory: Inventory) -> str:
    registered = inventory.drivers.get(driver)
    return normalize_module_name((registered and registered.module) or driver)


def _without_modules(claims: t.Sequence[Claim], inventory: Inventory) -> OnKernel:
    """The claimed drivers on a running kernel whose modules are not installed: where the best one is claimed, any VFIO driver is it."""
    found: dict[str, DriverAndKind] = {}
    for claim in claims:
        for device, _selector in devices_of(claim, inventory):
            is_best = device.handed_out and device.driver is not None and (claim.driver == AUTO or device.driver != VFIO_DRIVER)
            if claim.driver in KEYWORDS:
                driver = device.driver if is_best else VFIO_DRIVER if claim.driver == AUTO else None
            else:
                module = normalize_module_name(claim.driver)
                driver = next(iter(inventory.drivers_of_module(module)), KNOWN_DRIVERS.get(module, claim.driver))
            if driver is not None:
                found.setdefault(device.address, (driver, None))
    return found


def _claimed(host: Host, claims: t.Sequence[Claim], inventory: Inventory, kernels: t.Sequence[Kernel]) -> Claimed:
    found: dict[str, dict[str, DriverAndKind]] = {}
    for kernel in supplemented(claims, kernels):
        names = driver_names(host, inventory, modules_of(claims, inventory, kernel), False, kernel)
        assigned = assign(claims, inventory, kernel, names)
        chosen = {one.device.address: (one, _driver(one)) for one in assigned}
        found[kernel.release] = {
            address: (driver, kind_of(one.module if driver == one.driver else driver, kernel)) for address, (one, driver) in chosen.items()
        }
    return found


def _driver(assignment: Assignment) -> str:
    """A virtual function of NVIDIA's vGPU is handed out by the driver that it is bound to: unless another is named, that one is claimed."""
    device = assignment.device
    is_vgpu = device.is_virtual and device.handed_out and device.driver == VGPU
    return VGPU if is_vgpu and assignment.claim.driver == AUTO else assignment.driver


def _named(request: ClaimCheckRequest, inventory: Inventory) -> frozenset[str]:
    """The addresses that claims name, for a host without a kernel that could say what for."""
    return frozenset(device.address for claim in request.claims or () for device, _selector in devices_of(claim, inventory))


def _statuses(claimed: Claimed, now: OnKernel, releases: t.Sequence[str], forecast: HostForecast, lints: bool) -> tuple[ClaimStatus, ...]:
    """Of the devices that the forecast is asked for."""
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
            tuple(forecast.warnings(device)) if lints else (),
        )
        for device in forecast.inventory.devices
        if forecast.asked is None or device.address in forecast.asked
    )


def _guarded(
    host: Host, request: ClaimCheckRequest, statuses: tuple[ClaimStatus, ...], inventory: Inventory, kernels: t.Sequence[Kernel]
) -> tuple[ClaimStatus, ...]:
    """With what keeps each device that is not bound as claimed with its driver; described devices are in no use."""
    if request.hardware is not None:
        return statuses
    claims = request.claims
    if claims is None:
        claims = tuple(Claim((selector_of(status.device),), status.claimed or AUTO) for status in statuses)
    judge = GuardCheck(host, inventory, claims, request.claims is not None and request.group == "claim")
    leaving = [status.device for status in statuses if status.device.driver not in status.drivers]
    found = judge.claimed(leaving, {module for kernel in kernels for module in kernel.vfio_modules})
    found += _of_next_networks(judge, leaving)
    return tuple(
        dataclasses.replace(status, guards=tuple(finding for finding in found if finding.loss.address == status.device.address))
        for status in statuses
    )


def _of_next_networks(judge: GuardCheck, leaving: t.Sequence[Device]) -> tuple[GuardFinding, ...]:
    if not any(map(may_have_interfaces, leaving)):
        return ()
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply import next_network

    losing = [(device, judge.claim_of[device.address]) for device in leaving]
    return next_network.findings(judge.host, judge.inventory, judge.next_cmdline, losing)


def _with_nodes(host: Host, statuses: tuple[ClaimStatus, ...]) -> tuple[ClaimStatus, ...]:
    accounts = Accounts.read(host)
    return tuple(dataclasses.replace(status, nodes=tuple(described(host, status.device, accounts))) for status in statuses)


def _failures(require: Required, statuses: t.Sequence[ClaimStatus], running: str | None) -> tuple[str, ...]:
    """One sentence for each device that does not meet the requirement."""
    if require == "none":
        return ()
    if require == "winner":
        return tuple(sentence for status in statuses for sentence in (status.winner_failure(),) if sentence)
    if any(status.satisfied is None for status in statuses):
        what = "no kernel runs here" if running is None else f"kernel {running} runs, and its modules are not installed"
        raise HostError(f"require: whether the devices are bound as claimed cannot be determined: {what}.", "Use require: winner.")
    return tuple(sentence for status in statuses for sentence in (status.owner_failure(),) if sentence)
