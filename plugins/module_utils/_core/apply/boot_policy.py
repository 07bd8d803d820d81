# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a policy exist, or removes it: reads the host, decides, and unless it is only asked to predict, writes."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.policy_facts import read_facts, read_foreign
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import claims_of, pending_of
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import with_companions
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import refuse_what_is_used
from ansible_collections.vfio.variants.plugins.module_utils._core.host import file_transaction
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, diff, needed
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import driver_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import (
    OSRELEASE,
    Kernel,
    chosen_releases,
    read_all,
    version_key,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import uses_of
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision, decide, named, needed_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.plan import PolicyPlan, PolicyRequest, make_plan
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import Policy, PolicyPaths, absent, check_name
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.proof import mismatches

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts

UDEV_CONTROL = "/run/udev/control"
RELOAD_TIMEOUT = 30.0


def apply(host: Host, params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what `boot_policy`'s options say and return its result; with ``check_mode`` only tell what would be done.

    Raises HostError when the claims cannot win, or after every file was put back because a write failed.
    """
    name = check_name(params["name"])
    with contextlib.nullcontext() if check_mode else host.lock():
        if params["state"] == "absent":
            return _remove(host, name, check_mode)
        plan, kernels, facts = _plan(host, name, params, check_mode)
        changes = needed(plan.policy.changes(facts.existing))
        warnings = plan.warnings
        if not check_mode:
            applied = file_transaction.apply(host, changes)
            _prove(host, plan, kernels, applied)
            warnings += _reload(host, plan.policy, changes)
        return _result(plan.policy, changes, plan.decisions, warnings)


def _plan(host: Host, name: str, params: t.Mapping[str, t.Any], check_mode: bool) -> tuple[PolicyPlan, tuple[Kernel, ...], PolicyFacts]:
    inventory, paths = Inventory.read(host), PolicyPaths(name)
    claims = with_companions(claims_of(params), inventory) if params["group"] == "claim" else claims_of(params)
    kernels = _kernels(host, params, claims, check_mode)
    modules = needed_modules(claims, inventory, kernels)
    unnamed = decide(claims, inventory, kernels, {module: module for module in modules}, params["strategy"])
    decisions = named(unnamed, _driver_names(host, inventory, unnamed, load=not check_mode))
    _refuse_vital(host, decisions)
    with_ids = {module for decision in decisions if decision.strategy == "ids" for module in decision.modules}
    facts = read_facts(host, paths, inventory, kernels, host.text_or_none(OSRELEASE), with_ids)
    request = PolicyRequest(name, tuple(params["natives"] or ()), params["allow_shared_native"])
    return make_plan(request, decisions, facts), kernels, facts


def _refuse_vital(host: Host, decisions: t.Sequence[Decision]) -> None:
    """A host that boots without its own disk or network cannot be mended from afar."""
    leaving = [decision.device for decision in decisions if decision.device.driver not in (None, *decision.drivers)]
    try:
        refuse_what_is_used({device.address: uses_of(host, device) for device in leaving}, leaving, force=True)
    except HostError as error:
        raise HostError(error.msg, "The next boot would be without it; let no claim match that device.") from error


def _kernels(host: Host, params: t.Mapping[str, t.Any], claims: t.Sequence[Claim], check_mode: bool) -> tuple[Kernel, ...]:
    releases = sorted(chosen_releases(host, params["kernels"]), key=version_key)
    if claims and not releases:
        raise HostError("kernels: this host has no kernel that is installed with its modules and its image.", "Install one.")
    # What another task has installed is there by now, unless that task only predicted it.
    pending = pending_of(params) if check_mode else ()
    return tuple(kernel.with_pending(pending) for kernel in read_all(host, releases))


def _driver_names(host: Host, inventory: Inventory, decisions: t.Sequence[Decision], load: bool) -> dict[str, str]:
    """The drivers of the decided modules.  One whose ids are set is not loaded: it would take devices on the spot."""
    by_ids = {module for decision in decisions if decision.strategy == "ids" for module in decision.modules}
    others = {module for decision in decisions for module in decision.modules} - by_ids
    return {**driver_names(host, inventory, by_ids, False), **driver_names(host, inventory, others, load)}


def _prove(host: Host, plan: PolicyPlan, kernels: tuple[Kernel, ...], applied: file_transaction.Applied) -> None:
    """Read everything back; what is not as planned is undone and told."""
    try:
        paths = plan.policy.paths
        existing = {path: file_transaction.read_state(host, path) for path in paths.all}
        wrong = [f"{change.path} is not as written" for change in needed(plan.policy.changes(existing))]
        wrong += mismatches(plan, read_foreign(host, kernels))
        if wrong:
            raise HostError(f"The policy {plan.policy.name} was written but would not win: {'; '.join(wrong)}.", "Everything was put back.")
    except BaseException:
        applied.undo()
        raise


def _remove(host: Host, name: str, check_mode: bool) -> dict[str, t.Any]:
    policy = absent(name)
    changes = needed(policy.changes({path: file_transaction.read_state(host, path) for path in policy.paths.all}))
    warnings: tuple[str, ...] = ()
    if not check_mode:
        file_transaction.apply(host, changes)
        warnings = _reload(host, policy, changes)
    return _result(policy, changes, (), warnings)


def _reload(host: Host, policy: Policy, changes: t.Sequence[FileChange]) -> tuple[str, ...]:
    """Let udev read changed rules at once.  It notices by itself within seconds, so a failure is no more than a warning."""
    if policy.paths.rules not in {change.path for change in changes} or not host.exists(UDEV_CONTROL):
        return ()
    try:
        host.run(["udevadm", "control", "--reload"], RELOAD_TIMEOUT)
    except HostError as error:
        return (f"udev could not be told to read its rules again: {error.msg}",)
    return ()


def _result(
    policy: Policy, changes: t.Sequence[FileChange], decisions: t.Sequence[Decision], warnings: t.Sequence[str]
) -> dict[str, t.Any]:
    return {
        "changed": bool(changes),
        "diff": diff(changes),
        "policy": policy.result(),
        "assignments": [row for decision in decisions for row in _assignments(decision)],
        "warnings": list(dict.fromkeys(warnings)),
    }


def _assignments(decision: Decision) -> t.Iterator[dict[str, t.Any]]:
    kernels: dict[tuple[str, str], list[str]] = {}
    for choice in decision.choices:
        kernels.setdefault((choice.module, choice.driver), []).append(choice.release)
    for (module, driver), releases in kernels.items():
        yield {
            "device": decision.device.address,
            "id": decision.device.id,
            "claim": decision.claim.index if decision.claim.index >= 0 else 0,
            "module": module,
            "driver": driver,
            "strategy": decision.strategy,
            "kernels": releases,
        }
