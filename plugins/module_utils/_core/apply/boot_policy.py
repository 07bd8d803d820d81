# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a policy exist, or removes it: reads the host, decides, and unless it is only asked to predict, writes."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import udev_daemon
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.accounts import check_accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.boot_arguments import with_pending
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.guard_check import GuardCheck
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.policy_facts import read_boots, read_facts
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.policy_reach import refuse_unreached
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.recovery import recover
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_cache import read_kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read import of_described
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.asked_nodes import nodes_of
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import with_companions
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import refuse
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import warnings as warnings_of
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.virtual_functions import expanded
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import refuse as refuse_distribution
from ansible_collections.vfio.variants.plugins.module_utils._core.host import file_transaction, made_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, diff, needed
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import FILES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import foreign_variants, kind_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import driver_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import (
    OSRELEASE,
    Kernel,
    chosen_releases,
    installed_releases,
    no_kernel_error,
    version_key,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.switched_off import (
    is_switched_off,
    next_boot_sentence,
    running_sentence,
    switchable_files,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import inventory_of
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.changed_arguments import switched_on
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import (
    Decision,
    decide,
    may_have_interfaces,
    named,
    needed_modules,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.outcome import check
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.plan import PolicyPlan, make_plan
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import (
    OWNER_WITHIN,
    Policy,
    PolicyPaths,
    absent,
    check_name,
    owner_of,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import GuardFinding
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.virtual_functions import Creation
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest


@dataclasses.dataclass(frozen=True)
class JudgedPolicy:
    """A policy that may be written, and what there is to say about it."""

    plan: PolicyPlan
    facts: PolicyFacts
    warnings: tuple[str, ...]

    @property
    def changes(self) -> tuple[FileChange, ...]:
        return tuple(needed(self.plan.policy.changes(self.facts.existing)))

    def result(self, more: tuple[str, ...] = ()) -> dict[str, t.Any]:
        return _result(self.plan.policy, self.changes, self.plan.decisions, (*self.warnings, *more), self.facts.kernels)

    def still_holds(self, host: Host) -> bool:
        """Whether a driver's name that was taken from its module's is right; to learn that the module may be loaded."""
        inventory, decisions = self.facts.inventory, self.plan.decisions
        # Which modules the running kernel has, nothing of this run has changed.
        running = _running(host, self.facts.kernels, Cache(host, writable=False))
        assumed, found = (_driver_names(host, inventory, decisions, load, running) for load in (False, True))
        return assumed == found and inventory.with_drivers_of(host).drivers == inventory.drivers


def apply(host: Host, request: PolicyRequest, check_mode: bool, judged: JudgedPolicy | None = None) -> dict[str, t.Any]:
    """Make the policy what the request says and return the module's result; with ``check_mode`` only tell what would be done.

    ``judged`` is what `judge()` has returned for the request, where the lock has been held since, and nothing changed but by this run.
    Raises HostError when the claims cannot win, or after every file was put back because a write failed.
    """
    check_name(request.name)
    if check_mode:
        return predicted(host, request)[0]
    with host.lock():
        recovery = recover(host, check_mode=False)
        if not request.wanted:
            return recovery.added_to(_remove(host, request.name, check_mode=False))
        if judged is None or recovery.done or not judged.still_holds(host):
            judged = judge(host, request, check_mode=False)
        return recovery.added_to(_written(host, judged))


def predicted(host: Host, request: PolicyRequest) -> tuple[dict[str, t.Any], JudgedPolicy | None]:
    """The module's result in check mode, and what can be written as it was judged, without anything else to be done first."""
    recovery = recover(host, check_mode=True)
    if not request.wanted:
        return recovery.added_to(_remove(recovery.host, request.name, check_mode=True)), None
    judged = judge(recovery.host, request, check_mode=True)
    return recovery.added_to(judged.result()), None if recovery.done else judged


def judge(host: Host, request: PolicyRequest, check_mode: bool, predicts: bool = True) -> JudgedPolicy:
    """The policy, which wins each boot if ``predicts``.  Raises HostError when the claims cannot win."""
    plan, facts, boots = prepare(host, request, check_mode, predicts)
    found = check(plan, boots, facts, request.require_certain) if predicts else ()
    return JudgedPolicy(plan, facts, (*plan.warnings, *found))


def _written(host: Host, judged: JudgedPolicy) -> dict[str, t.Any]:
    policy = judged.plan.policy
    _write(host, policy, policy.steps(judged.facts.existing))
    return judged.result((*_reload(host, policy, judged.changes), *_nodes_taken_back(host, policy, judged.changes)))


def prepare(
    host: Host, request: PolicyRequest, check_mode: bool, predicts: bool = True
) -> tuple[PolicyPlan, PolicyFacts, tuple[Boot, ...]]:
    """The policy, what it was planned from, and the boots that it leads to if ``predicts``.

    Nothing is written but the cache; unless in check mode, a module may be loaded to learn its driver's name.
    """
    refuse_distribution(host, "policy", request.allow_unsupported)
    cache = Cache(host, not check_mode)
    loader = with_pending(next_boot.read(host), request.pending_arguments if check_mode else ())
    made = expanded(request.claims, _inventory(host, request))
    inventory = made.inventory
    makers = _other_makers(host, made.creations)
    claims = with_companions(made.claims, inventory) if request.whole_groups else made.claims
    nodes = nodes_of(claims, inventory)
    check_accounts(host, claims)
    kernels = _kernels(host, request, cache, check_mode)
    if request.claims:
        refuse_unreached(host, PolicyPaths(request.name), [kernel.release for kernel in kernels], loader.entries)
    modules = needed_modules(claims, inventory, kernels)
    running = _running(host, kernels, cache)
    unnamed = decide(claims, inventory, kernels, {module: module for module in modules}, request.strategy)
    judge = GuardCheck(host, inventory, made.claims, request.whole_groups, loader)
    if not host.is_image:
        judge.refuse_without_iommu(modules, kernels, live=False)
        # Before a module is loaded to learn its driver's name.
        refuse(_claimed(judge, named(unnamed, _driver_names(host, inventory, unnamed, False, running)), kernels))
    decisions = named(unnamed, _driver_names(host, inventory, unnamed, not (check_mode or host.is_image), running))
    with_ids = {module for decision in decisions if decision.strategy == "ids" for module in decision.modules}
    # To learn its driver's name a module may have been loaded.
    inventory = inventory if host.is_image else inventory.with_drivers_of(host)
    facts = read_facts(host, PolicyPaths(request.name), inventory, kernels, loader, with_ids, request.natives)
    plan = make_plan(request, decisions, facts, made.creations, nodes)
    boots = read_boots(host, plan.policy, inventory, kernels, running, loader, cache) if predicts else ()
    if host.is_image:
        # Whose disks and network the machines will need is not known, nor what the firmware says of their IOMMU.
        boots = of_described(boots, inventory)
    in_place = not needed(plan.policy.changes(facts.existing))
    judged = (*(() if host.is_image else _judge_plan(judge, plan, in_place)), *judge.peers(decision.device for decision in plan.decisions))
    chosen = ((decision.device, decision.default.module) for decision in plan.decisions)
    foreign = foreign_variants(chosen, kernels[-1]) if kernels else ()
    plan = dataclasses.replace(plan, warnings=(*plan.warnings, *makers, *judged, *foreign, *_switched_off(host, boots)))
    # Whoever switches policies off for a while still wants one that holds afterwards.
    return plan, facts, tuple(map(switched_on, boots))


def _inventory(host: Host, request: PolicyRequest) -> Inventory:
    """The host's devices; of an image those of the machines that it is for.  Raises HostError where the one is given for the other."""
    if request.hardware is not None and not host.is_image:
        raise HostError("hardware: it describes the devices of an image, and this is a running host.", "Leave it out, or set root.")
    if host.is_image and not request.hardware and request.claims:
        raise HostError(
            f"hardware: {host.root} is an image, which has no devices.",
            "Describe those of the machines that it is for, as device_info with detail: full returns them there.",
        )
    return inventory_of(host, request.hardware)


def _other_makers(host: Host, creations: t.Iterable[Creation]) -> tuple[str, ...]:
    """Warnings about programs that may create virtual functions as well.  Raises HostError for one that certainly does."""
    warnings: dict[str, None] = {}
    for creation in creations:
        from ansible_collections.vfio.variants.plugins.module_utils._core.boot.function_makers import makers_of

        for maker in makers_of(host, creation.physical):
            if _is_ours(host, maker.source.rpartition(":")[0]):
                continue
            if maker.concerns:
                raise HostError(
                    f"{creation.claim.option('vfs')}: {maker.program} creates virtual functions of {creation.physical.address} as well "
                    f"({maker.setting} in {maker.source}).",
                    "Remove it there; or leave out vfs, and claim the virtual functions by their ID.",
                )
            warnings[f"{maker.program} may create virtual functions as well ({maker.setting} in {maker.source}): let only one do so."] = (
                None
            )
    return tuple(warnings)


def _is_ours(host: Host, path: str) -> bool:
    """Whether it is a file of a policy, be it this one or another."""
    return host.is_file(path) and owner_of(host.read_bytes(path)) is not None


def _switched_off(host: Host, boots: t.Sequence[Boot]) -> t.Iterator[str]:
    yield from (next_boot_sentence(boot, switchable_files(boot)) for boot in boots if is_switched_off(boot) and switchable_files(boot))
    sentence = running_sentence(Cmdline.read(host), boots)
    if sentence is not None:
        yield sentence


def _claimed(judge: GuardCheck, decisions: t.Sequence[Decision], kernels: t.Sequence[Kernel]) -> tuple[GuardFinding, ...]:
    """A host that boots without its own disk or network cannot be mended from afar."""
    vfio = {module for kernel in kernels for module in kernel.vfio_modules}
    return judge.claimed((decision.device for decision in decisions if decision.device.driver not in decision.drivers), vfio)


def _judge_networks(judge: GuardCheck, leaving: t.Sequence[tuple[Device, Claim]], taken: t.Container[str]) -> tuple[str, ...]:
    """Raises HostError for a device without which the next boot has no default route; returns warnings."""
    if not any(may_have_interfaces(device) for device, _claim in leaving):
        return ()
    # Few devices that are claimed have an interface.
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply import next_network

    found = next_network.findings(judge.host, judge.inventory, judge.next_cmdline, leaving, taken)
    refuse(found)
    return next_network.sentences(found)


def _judge_plan(judge: GuardCheck, plan: PolicyPlan, in_place: bool) -> tuple[str, ...]:
    """Raises HostError for a device that would lose its driver without being claimed, or the next boot's network; returns warnings."""
    by_blacklist = next((decision.claim for decision in plan.decisions if decision.strategy == "blacklist"), None)
    findings = judge.identical_cards(plan.decisions, in_place)
    if by_blacklist is not None:
        findings = (*judge.blacklisted(plan.blacklisted, by_blacklist), *findings)
    refuse(findings)
    leaving = [(decision.device, decision.claim) for decision in plan.decisions]
    if by_blacklist is not None:
        leaving += [(device, by_blacklist) for device in judge.with_module(plan.blacklisted)]
    taken = {decision.device.address for decision in plan.decisions if decision.device.driver in decision.drivers}
    return (*warnings_of(findings), *_judge_networks(judge, leaving, taken))


def _kernels(host: Host, request: PolicyRequest, cache: Cache, check_mode: bool) -> tuple[Kernel, ...]:
    releases = sorted(chosen_releases(host, request.kernels), key=version_key)
    if request.claims and not releases:
        raise no_kernel_error(host)
    # What another task has installed is there by now, unless that task only predicted it.
    pending = request.pending if check_mode else ()
    return tuple(read_kernel(host, release, cache).with_pending(pending) for release in releases)


def _running(host: Host, kernels: t.Sequence[Kernel], cache: Cache) -> Kernel | None:
    """The running kernel, chosen or not; None where none runs or its modules are gone."""
    release = host.text_or_none(OSRELEASE)
    chosen = next((kernel for kernel in kernels if kernel.release == release), None)
    if chosen is not None or release not in installed_releases(host):
        return chosen
    return read_kernel(host, release, cache)


def _driver_names(
    host: Host, inventory: Inventory, decisions: t.Sequence[Decision], load: bool, kernel: Kernel | None = None
) -> dict[str, str]:
    """The drivers of the decided modules.  One whose ids are set is not loaded: it would take devices on the spot."""
    by_ids = {module for decision in decisions if decision.strategy == "ids" for module in decision.modules}
    others = {module for decision in decisions for module in decision.modules} - by_ids
    return {**driver_names(host, inventory, by_ids, False, kernel), **driver_names(host, inventory, others, load, kernel)}


def _write(host: Host, policy: Policy, changes: t.Sequence[FileChange]) -> None:
    """Write the files and read them back; what is not as written is undone."""
    applied = file_transaction.apply(host, changes, Journal(host, FILES), {"policy": policy.name})
    try:
        existing = {path: file_transaction.read_state(host, path) for path in policy.paths.all}
        wrong = [change.path for change in needed(policy.changes(existing))]
        if wrong:
            raise HostError(f"{', '.join(wrong)}: not found as written.", "Everything was put back.")
        applied.commit()
    except BaseException:
        applied.undo()
        raise


def _remove(host: Host, name: str, check_mode: bool) -> dict[str, t.Any]:
    policy = absent(name)
    existing = {path: file_transaction.read_state(host, path) for path in policy.paths.all}
    changes = needed(policy.changes(existing))
    warnings: tuple[str, ...] = ()
    if not check_mode:
        _write(host, policy, policy.steps(existing))
        # The policy is gone, whatever becomes of its folders.
        with contextlib.suppress(HostError):
            made_folders.remove_unused(host, lambda content: owner_of(content) is not None, OWNER_WITHIN)
        warnings = (*_reload(host, policy, changes), *_nodes_taken_back(host, policy, changes))
    return _result(policy, changes, (), warnings)


def _reload(host: Host, policy: Policy, changes: t.Sequence[FileChange]) -> tuple[str, ...]:
    """Let udev read changed rules at once.  It notices by itself within seconds, so a failure is no more than a warning."""
    if policy.paths.rules not in {change.path for change in changes}:
        return ()
    try:
        udev_daemon.reload_rules(host)
    except HostError as error:
        return (f"udev did not take the request to read its rules again: {error.msg}",)
    return ()


def _nodes_taken_back(host: Host, policy: Policy, changes: t.Sequence[FileChange]) -> tuple[str, ...]:
    """Warnings about device nodes that stay with those to whom the former rules had handed them."""
    for change in changes:
        if change.path == policy.paths.rules and change.before is not None:
            from ansible_collections.vfio.variants.plugins.module_utils._core.apply.dropped_nodes import take_back

            return take_back(host, change.before.content, b"" if change.after is None else change.after.content)
    return ()


def _result(
    policy: Policy,
    changes: t.Sequence[FileChange],
    decisions: t.Sequence[Decision],
    warnings: t.Sequence[str],
    kernels: t.Sequence[Kernel] = (),
) -> dict[str, t.Any]:
    return {
        "changed": bool(changes),
        "diff": diff(changes),
        "policy": policy.result(),
        "assignments": [row for decision in decisions for row in _assignments(decision, kernels)],
        "warnings": list(dict.fromkeys(warnings)),
    }


def _assignments(decision: Decision, kernels: t.Sequence[Kernel]) -> t.Iterator[dict[str, t.Any]]:
    by_driver: dict[tuple[str, str], list[str]] = {}
    for choice in decision.choices:
        by_driver.setdefault((choice.module, choice.driver), []).append(choice.release)
    for (module, driver), releases in by_driver.items():
        yield {
            "device": decision.device.address,
            "id": decision.device.id,
            "claim": decision.claim.index if decision.claim.index >= 0 else 0,
            "module": module,
            "driver": driver,
            "kind": _kind(module, kernels),
            "strategy": decision.strategy,
            "kernels": releases,
        }


def _kind(module: str, kernels: t.Sequence[Kernel]) -> str | None:
    """Of the kernels that have it: where it is only to be installed on others, these do not know it."""
    return next((kind_of(module, kernel) for kernel in kernels if kernel.has(module)), None)
