# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From claims and facts to the policy that makes them win the next boot.  Pure: nothing here touches the host."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OF_VFIO, unknown_module_error
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import ARGUMENT
from ansible_collections.vfio.variants.plugins.module_utils._core.policy import texts
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision, natives_of
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.ids import (
    check_ids,
    check_ids_of_others,
    ids_by_module,
    make_softdeps,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.node_rules import limit_lines, node_lines
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import Policy, PolicyPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.rules import creating_lines, native_lines, rule_lines

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.node import Node
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.virtual_functions import Creation
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest


@dataclasses.dataclass(frozen=True)
class PolicyPlan:
    """The policy that should exist, what it is meant to achieve, and what the user has to know about it."""

    policy: Policy
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]
    blacklisted: tuple[str, ...] = ()
    """The native modules that it blacklists, also by the names that they have once they are loaded."""


def make_plan(
    request: PolicyRequest,
    decisions: t.Sequence[Decision],
    facts: PolicyFacts,
    creations: t.Sequence[Creation] = (),
    nodes: t.Mapping[str, Node] | None = None,
) -> PolicyPlan:
    """The policy for these decisions, for the virtual functions that are to be created, and for device nodes, by address.

    Raises HostError where it would take what nobody claimed, or undo what others ask for.
    """
    paths = PolicyPaths(request.name)
    natives = _natives(request, decisions, facts)
    before, blacklisted = _by_strategy(decisions, natives)
    check_ids(decisions, facts)
    check_ids_of_others(decisions, facts)
    _check_blacklist(request, decisions, blacklisted, facts)
    softdeps = make_softdeps(before, facts.configs, paths.softdeps)
    ids = ids_by_module(decisions)
    unswitchable = dict(_unswitchable(ids, facts))
    rules = (*creating_lines(creations), *rule_lines(decisions, _sharing(decisions, facts, blacklisted), _similar(decisions, facts)))
    handing = node_lines(decisions, nodes or {})
    undoing = native_lines(decisions, _blacklisted_natives(decisions, natives, blacklisted, facts))
    modules = frozenset(choice.module for decision in decisions for choice in decision.choices)
    packed = _packed(paths, softdeps.lines, ids, blacklisted, (*rules, *handing))
    files = {
        paths.softdeps: texts.softdeps(request.name, softdeps.lines),
        paths.modprobe: texts.modprobe(request.name, ids, blacklisted, ids.keys() - unswitchable.keys()),
        paths.rules: texts.rules(request.name, rules, undoing, handing),
        paths.early: texts.early(request.name, ids),
        paths.hook: texts.hook(request.name, modules) if facts.initramfs_tools else None,
        paths.dracut: texts.dracut(request.name, modules, packed) if facts.dracut else None,
        paths.mkinitcpio: texts.mkinitcpio(request.name, modules, packed) if facts.mkinitcpio else None,
        paths.limits: texts.limits(request.name, limit_lines((nodes or {}).values())),
    }
    policy = Policy(request.name, {path: content for path, content in files.items() if content is not None}, modules)
    _refuse_hiding(policy, facts)
    warnings = (*_missing_warnings(decisions), *softdeps.warnings, *unswitchable.values())
    as_loaded = tuple(loaded for loaded, file in facts.renamed.items() if file in blacklisted)
    return PolicyPlan(policy, tuple(decisions), warnings, (*blacklisted, *as_loaded))


def _natives(request: PolicyRequest, decisions: t.Sequence[Decision], facts: PolicyFacts) -> dict[str, tuple[str, ...]]:
    """The native modules of each decided device, by address."""
    _refuse_vfio(request, facts)
    for name in request.natives:
        if not any(kernel.has(name) for kernel in facts.kernels):
            raise unknown_module_error(name, facts.kernels, "natives")
    for name in request.natives if any(decision.strategy == "blacklist" for decision in decisions) else ():
        asked = facts.asked_for.get(normalize_module_name(name))
        if asked is not None:
            raise HostError(
                f"natives: {name} is not a driver of devices; it is loaded for {asked}, which a blacklist would prevent.",
                "Name the native drivers' modules, as in nouveau, or leave natives out.",
            )
    using = [decision for decision in decisions if decision.strategy != "override"]
    if request.natives and decisions and not using:
        raise HostError(
            f"natives: {', '.join(request.natives)} would have no effect, as every claim has the strategy override.",
            "Leave natives out, or choose the strategy ids or blacklist.",
        )
    named = tuple(dict.fromkeys(normalize_module_name(name) for name in request.natives))
    return {decision.device.address: named or natives_of(decision, facts) for decision in using}


def _refuse_vfio(request: PolicyRequest, facts: PolicyFacts) -> None:
    """A module of VFIO is not a native driver: a policy against it would work against itself."""
    of_vfio = frozenset(OF_VFIO).union(*(kernel.vfio_modules for kernel in facts.kernels))
    for name in request.natives:
        if normalize_module_name(name) in of_vfio:
            raise HostError(
                f"natives: {name} is a module of VFIO, which the policy is to have loaded, and not that of a native driver.",
                "Name the native drivers' modules, as in nouveau, or leave natives out.",
            )


def _by_strategy(
    decisions: t.Sequence[Decision], natives: t.Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The modules that must be there before each native one (strategy ids), and the natives to blacklist."""
    before: dict[str, set[str]] = {}
    blacklisted: set[str] = set()
    claimed = {choice.module: decision for decision in decisions for choice in decision.choices}
    for decision in decisions:
        for native in natives.get(decision.device.address, ()):
            if native in decision.modules:
                continue
            if decision.strategy == "ids":
                before.setdefault(native, set()).update(decision.modules)
                continue
            if native in claimed:
                raise HostError(
                    f"{decision.claim.option('strategy')}: {native} cannot be blacklisted, as {claimed[native].claim.option('driver')} "
                    f"gives {claimed[native].device.address} to it.",
                    "Use the strategy override.",
                )
            blacklisted.add(native)
    return {native: tuple(sorted(modules)) for native, modules in sorted(before.items())}, tuple(sorted(blacklisted))


def _unswitchable(ids: t.Collection[str], facts: PolicyFacts) -> t.Iterator[tuple[str, str]]:
    """The modules that get no `install` line of ours, each with a warning: kmod runs only the first, and none beside a softdep."""
    for module in ids:
        lines = (line for config in facts.configs.values() for line in (*config.softdeps(module), *config.installs(module)))
        other = next(lines, None)
        if other is not None:
            what = f"`{other.command}` line for {module} is in the way"
            yield module, f"{ARGUMENT} on the kernel's command line will not switch off the ids of {module}: {other.source}, whose {what}."


def _blacklisted_natives(
    decisions: t.Sequence[Decision], natives: t.Mapping[str, t.Sequence[str]], blacklisted: t.Collection[str], facts: PolicyFacts
) -> dict[str, tuple[str, ...]]:
    """By address, the natives that nothing but this policy keeps out, in the order in which a card's event would load them."""
    others = {native for native in blacklisted if any(config.blacklisted(native) for config in facts.configs.values())}
    return {
        decision.device.address: tuple(
            native for native in natives.get(decision.device.address, ()) if native in blacklisted and native not in others
        )
        for decision in decisions
        if decision.strategy == "blacklist"
    }


def _check_blacklist(request: PolicyRequest, decisions: t.Sequence[Decision], blacklisted: t.Sequence[str], facts: PolicyFacts) -> None:
    """A blacklist takes the native driver from every device of the host, claimed or not."""
    if request.allow_shared_native:
        return
    claimed = {decision.device.address for decision in decisions}
    for device in facts.inventory.devices:
        owner = _owner_module(device, facts)
        if device.address not in claimed and owner in blacklisted:
            raise HostError(
                f"Blacklisting {owner} would take the driver from {device.address} ({device.id}) as well, which no claim names.",
                "Use the strategy override, claim that device too, or set allow_shared_native if it may go without a driver.",
            )


def _sharing(decisions: t.Sequence[Decision], facts: PolicyFacts, blacklisted: t.Collection[str]) -> frozenset[str]:
    """Cards with an override whose native driver the event of another card may load, and with it a driver for both."""
    cards: dict[str, int] = {}
    for modalias, count in collections.Counter(device.modalias for device in facts.inventory.devices).items():
        for module in {match.module for kernel in facts.kernels for match in kernel.natives(modalias)}:
            cards[module] = cards.get(module, 0) + count
    # A virtual function that no driver is offered waits for its own event.
    kept = {address for device in facts.inventory.devices if not device.drivers_autoprobe for address in device.virtual_functions}
    overriding = (decision for decision in decisions if decision.strategy != "ids" and decision.device.address not in kept)
    return frozenset(
        decision.device.address
        for decision in overriding
        if any(cards.get(native, 0) > 1 for native in natives_of(decision, facts) if native not in blacklisted)
    )


def _similar(decisions: t.Sequence[Decision], facts: PolicyFacts) -> frozenset[str]:
    """Claimed cards for which there is an unclaimed one with the same vendor and device, but of another subsystem or class."""
    claimed = {decision.device.address for decision in decisions}
    others = [device for device in facts.inventory.devices if device.address not in claimed]
    return frozenset(
        decision.device.address
        for decision in decisions
        if any(other.id == decision.device.id and other.identity != decision.device.identity for other in others)
    )


def _owner_module(device: Device, facts: PolicyFacts) -> str | None:
    driver = facts.inventory.drivers.get(device.driver or "")
    module = None if driver is None or driver.module is None else normalize_module_name(driver.module)
    return None if module is None else facts.renamed.get(module, module)


def _refuse_hiding(policy: Policy, facts: PolicyFacts) -> None:
    for path in policy.files:
        if path in facts.hidden:
            raise HostError(
                f"name: a policy called {policy.name} would hide {facts.hidden[path]} behind its own {path}.",
                "Choose another name for this policy.",
            )


def _packed(
    paths: PolicyPaths,
    softdeps: t.Collection[object],
    ids: t.Collection[object],
    blacklisted: t.Collection[object],
    rules: t.Collection[object],
) -> tuple[str, ...]:
    """The files of ours that an image needs; dracut copies these folders by itself for this host only, mkinitcpio no rules at all."""
    wanted = ((paths.softdeps, softdeps), (paths.modprobe, [*ids, *blacklisted]), (paths.rules, rules))
    return tuple(path for path, content in wanted if content)


def _missing_warnings(decisions: t.Sequence[Decision]) -> t.Iterator[str]:
    releases = {(choice.module, choice.release) for decision in decisions for choice in decision.choices if choice.missing}
    for module, release in sorted(releases):
        devices = sorted({decision.device.address for decision in decisions if (module, release) in decision.missing})
        yield f"Kernel {release} has no module {module}: when it boots, {', '.join(devices)} will not have the claimed driver."
