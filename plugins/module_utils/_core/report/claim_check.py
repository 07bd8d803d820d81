# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what is claimed with what is and with what will be: the work of `claim_info`.  Changes nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import claims_of, pending_of
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import assign, modules_of, with_companions
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import driver_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE, chosen_releases, read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import parse as parse_hardware
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import supplemented
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import HostForecast
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_status import AfterBoot, ClaimStatus
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import inventory_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

NEXT = "next"
NOTHING, WINNER, SATISFIED = "none", "winner", "satisfied"
EXPECTATIONS = (NOTHING, WINNER, SATISFIED)
Claimed = t.Mapping[str, t.Mapping[str, str]]
"""The claimed drivers by release and address."""


def compare(host: Host, params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """What `claim_info` returns.  Raises HostError with one sentence per device where what is expected does not hold."""
    inventory = _inventory(host, params)
    claims = claims_of({**params, "expect": None})
    if not claims:
        raise HostError("devices: no device is named.", "Give devices, or a list of claims.")
    claims = with_companions(claims, inventory) if params["group"] == "claim" else claims
    kernels = read_all(host)
    running = host.text_or_none(OSRELEASE)
    outlook = HostForecast.read(host, inventory, kernels, running, Cache(host, not check_mode), params["hardware"] is not None)
    releases = _releases(host, params["kernels"], outlook)
    claimed = _claimed(host, claims, inventory, tuple(kernel.with_pending(pending_of(params)) for kernel in kernels))
    verdicts = _verdicts(claimed, releases, running, outlook)
    return _answer(params["expect"], verdicts, running, outlook, check_mode)


def _inventory(host: Host, params: t.Mapping[str, t.Any]) -> Inventory:
    if not host.is_dir("/"):
        raise HostError(f"root: {host.root} is no directory.", "Name the directory that the host's file system is mounted on.")
    hardware = None if params["hardware"] is None else parse_hardware(params["hardware"])
    if hardware is None and not host.is_dir(DEVICES):
        raise HostError(f"root: {host.root} has no {DEVICES}, so no device can be claimed there.", "Describe the devices with hardware.")
    return inventory_of(host, hardware)


def _releases(host: Host, wanted: t.Sequence[str], outlook: HostForecast) -> tuple[str, ...]:
    """The kernels asked for; all of them where `next` is one and nobody knows which that is."""
    named = [release for release in wanted if release != NEXT]
    if NEXT in wanted:
        named += ["all"] if outlook.next_release is None else [outlook.next_release]
    found = chosen_releases(host, named)
    if not found:
        raise HostError("kernels: this host has no kernel that is installed with its modules and its image.", "Install one.")
    return found


def _claimed(host: Host, claims: t.Sequence[Claim], inventory: Inventory, kernels: t.Sequence[Kernel]) -> Claimed:
    found: dict[str, dict[str, str]] = {}
    for kernel in supplemented(claims, kernels):
        names = driver_names(host, inventory, modules_of(claims, inventory, kernel), False, kernel)
        found[kernel.release] = {one.device.address: one.driver for one in assign(claims, inventory, kernel, names)}
    return found


def _verdicts(claimed: Claimed, releases: t.Sequence[str], running: str | None, outlook: HostForecast) -> tuple[ClaimStatus, ...]:
    now = claimed.get(running or "", {})
    addresses = {address for release in releases for address in claimed[release]}
    return tuple(
        ClaimStatus(
            device,
            now.get(device.address),
            tuple(
                AfterBoot(release, driver, outlook.winner(device, release), outlook.remedy(device, release, driver))
                for release in releases
                for driver in (claimed[release].get(device.address),)
                if driver is not None
            ),
            tuple(outlook.warnings(device)),
        )
        for device in outlook.inventory.devices
        if device.address in addresses
    )


def _answer(
    expect: str, verdicts: t.Sequence[ClaimStatus], running: str | None, outlook: HostForecast, check_mode: bool
) -> dict[str, t.Any]:
    if expect == SATISFIED and any(verdict.satisfied is None for verdict in verdicts):
        what = "no kernel runs here" if running is None else f"kernel {running} runs, and its modules are not installed"
        raise HostError(f"expect: whether the devices are owned as claimed cannot be told: {what}.", "Ask with expect: winner.")
    judged = {WINNER: ClaimStatus.winner_failure, SATISFIED: ClaimStatus.owner_failure}.get(expect)
    failures = [sentence for verdict in verdicts if judged for sentence in (judged(verdict),) if sentence]
    result = {
        "devices": [verdict.facts() for verdict in verdicts],
        "next_boot": outlook.next_kernel,
        "policy_warnings": outlook.policy_warnings,
        "failures": failures,
        "check_mode": check_mode,
    }
    if failures:
        raise HostError("\n".join(failures), None, result)
    return result
