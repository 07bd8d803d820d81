# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggested changes on recorded hosts: each is done as its words say, on the host's files, and the forecast of that host judges it.

A change that is given must make the device certain to be bound to the driver that it was suggested for, and leave every other
device's answer as it is, or bind it to the driver that the host's own policy claims it for.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import policies
from comparison import Comparison
from config_builder import Case
from configuration import Configuration
from forked import alike, in_processes
from host_trees import likeness
from kernel import module_name, read_dependencies
from remedies_kept import Judged, Kept

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, Winner
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE, read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import parse as parse_selectors
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.suggested_change import OutOfBudgetError, Search, would_change
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import HostForecast
from ansible_collections.vfio.variants.tests.unit.remedies import Followed, follow

VFIO = "vfio-pci"
MORE = "vfio-variants-more"
"""The policy of what is claimed besides what the host's own policy claims."""
LONGEST_SEARCH = 1500
"""Of forecasts of one device on each host: more than a module allows itself."""
MOST_UNCLAIMED = 2
"""Of the kinds of functions on a host that nothing claims, so many are asked about; other hosts have the others."""
NO_CHANGE = ("Kernel ", "Not searched")
"""How sentences begin that say why there is no change."""
BUILT_IN = " is built into kernel "


@dataclass(frozen=True)
class Answers:
    """A host's answers, the claims of its own policy, and the changes that are suggested, by device and wanted driver."""

    winners: Mapping[str, Winner]
    claimed: Mapping[str, str]
    changes: Mapping[tuple[str, str], str]


def judge(comparison: Comparison, case: Case) -> Iterator[Judged]:
    """Every change that is suggested on a case's host."""
    configuration = case.configuration
    with comparison.trees.folder() as folder:
        before = answers_of(comparison.host(configuration, folder))
    # As after a change: virtual functions that a guest creates are known there, and not by the files of a tree.
    before = replace(before, winners=comparison.facts(configuration).answers())
    return judged(configuration.name, before, lambda sentence: _answers_after(comparison, configuration, sentence))


def judged(name: str, before: Answers, answers_after: Callable[[str], Mapping[str, Winner] | str]) -> Iterator[Judged]:
    """Every change that is suggested on a host of that name.  ``answers_after`` a change is the forecast, or why it cannot be made."""
    answers: dict[str, Mapping[str, Winner] | str] = {}
    for (address, driver), sentence in before.changes.items():
        if sentence not in answers:
            answers[sentence] = answers_after(sentence)
        yield Judged(name, address, driver, sentence, _wrong(address, driver, before, answers[sentence]))


def answers_of(host: Host) -> Answers:
    """For each device that is claimed, and for vfio-pci for every other one."""
    inventory = Inventory.read(host)
    found = HostForecast.read(host, inventory, read_all(host), host.text_or_none(OSRELEASE), Cache(host, False))
    (release,) = found.boots
    claimed = {one.address: found.claimed(one, release) for one in inventory.devices}
    by_claim = sorted(inventory.devices, key=lambda one: claimed[one.address] is None)
    winners = {one.address: found.winner(one, release) for one in inventory.devices}
    ours = {address: driver for address, driver in claimed.items() if driver is not None}
    unlike = {_kind(one, claimed[one.address], winners[one.address]): one for one in reversed(by_claim) if not one.is_bridge}
    asked = [one for one in by_claim if one in unlike.values()]
    unclaimed = [one for one in asked if claimed[one.address] is None]
    first = len(ours) % (len(unclaimed) or 1)
    left_out = (unclaimed[first:] + unclaimed[:first])[MOST_UNCLAIMED:]
    wanted = {(one.address, claimed[one.address] or VFIO): one for one in asked if one not in left_out}
    boot, carried = found.boots[release], [listed.name for listed in found.policy.files.for_image]
    search = Search(inventory.devices, boot, ours, carried, winners, LONGEST_SEARCH, len(inventory.devices))
    changes: dict[tuple[str, str], str] = {}
    with contextlib.suppress(OutOfBudgetError):
        for key, one in wanted.items():
            change = would_change(one, key[1], inventory.devices, boot, winners[one.address], search)
            if change is not None and _is_change(change):
                changes[key] = change
    return Answers(winners, ours, changes)


def _kind(device: Device, claimed: str | None, winner: Winner) -> t.Hashable:
    """Of devices that are alike in this, one is asked about: of the same ID and class, claimed and bound alike for alike reasons."""
    about = tuple(str(because).replace(device.address, "") for because in winner.because)
    return device.identity, device.is_virtual, claimed, winner.driver, winner.certainty, about


def _is_change(sentence: str) -> bool:
    return not sentence.startswith(NO_CHANGE) and BUILT_IN not in sentence


def _answers_after(comparison: Comparison, configuration: Configuration, sentence: str) -> Mapping[str, Winner] | str:
    """The forecast of the host on which the change was made; or why it cannot be made."""
    try:
        done = follow(sentence, configuration.root_files, configuration.cmdline)
        changed = _applied(comparison, configuration, done)
    except (ValueError, HostError) as error:
        return str(error)
    return comparison.facts(changed).answers()


def _applied(comparison: Comparison, configuration: Configuration, done: Followed) -> Configuration:
    changed = replace(configuration, root_files=dict(sorted(done.files.items())), cmdline=done.cmdline)
    if done.claims:
        planned = policies.plan(comparison, changed, [Claim(parse_selectors(selector), driver) for selector, driver in done.claims], MORE)
        if planned.refusal is not None:
            raise HostError(f"boot_policy refuses: {planned.refusal}")
        policy = planned.plan.policy
        return _rebuilt(replace(changed, root_files={**changed.root_files, **policy.files}), sorted(policy.modules))
    return _rebuilt(changed, _brought(comparison, changed)) if done.rebuilds else changed


def _rebuilt(configuration: Configuration, modules: Sequence[str]) -> Configuration:
    """What the root no longer has cannot be packed again."""
    packed = tuple(name for name in configuration.image_modules if name not in configuration.missing_modules)
    return policies.with_image_rebuilt(replace(configuration, image_modules=packed), modules)


def _brought(comparison: Comparison, configuration: Configuration) -> Sequence[str]:
    """The modules that softdeps bring into an image: a generator asks kmod what loading each of its modules takes.

    What the root does not have stays out.
    """
    modules = read_dependencies(comparison.trees.kernel_of(configuration.series).modules)
    present = {module_name(path) for path in modules} - set(configuration.missing_modules)
    texts = {path: text for path, text in configuration.root_files.items() if policies.MODPROBE in path and path.endswith(".conf")}
    lines = [line for path, text in texts.items() for line in ModprobeConfig.parse(text, path).directives if line.command == "softdep"]
    held = {name.replace("-", "_") for name in configuration.image_modules}
    named = {word.replace("-", "_") for line in lines if line.arguments[0] in held for word in line.arguments[1:] if word[-1] != ":"}
    return sorted(named & present)


def _wrong(address: str, driver: str, before: Answers, after: Mapping[str, Winner] | str) -> str:
    if isinstance(after, str):
        return after
    if (after[address].driver, after[address].certainty) != (driver, CERTAIN):
        return f"leads to {_said(after[address])}"
    harmed = [
        f"{other}: {_said(before.winners[other])} becomes {_said(winner)}"
        for other, winner in after.items()
        if other != address and not _is_fine(before.winners[other], winner, before.claimed.get(other))
    ]
    return "; ".join(harmed)


def _is_fine(before: Winner, after: Winner, claimed: str | None) -> bool:
    same = all((before.driver == after.driver, before.certainty == after.certainty, {*before.outcomes} == {*after.outcomes}))
    return same or (claimed is not None and (after.driver, after.certainty) == (claimed, CERTAIN))


def _said(winner: Winner) -> str:
    return " ".join((str(winner.driver), winner.certainty, *winner.doubts))


# -- many


def judge_all(comparison: Comparison, cases: Sequence[Case], kept: Kept | None = None) -> Iterator[Judged | None]:
    """Cases whose hosts differ in their own files alone go to one process; None for a host that was left for another run."""
    known = kept.read() if kept is not None else {}
    for case in cases:
        yield from known.get(case.configuration.name, ())
    groups = alike((case for case in cases if case.configuration.name not in known), lambda case: likeness(case.configuration))
    for found in in_processes(lambda case: _judge_and_keep(comparison, case, kept), groups, comparison.parallel):
        for of_case in found:
            yield from of_case if of_case is not None else (None,)


def _judge_and_keep(comparison: Comparison, case: Case, kept: Kept | None) -> list[Judged] | None:
    if kept is not None and kept.is_over:
        return None
    judged = list(judge(comparison, case))
    if kept is not None:
        kept.add(case.configuration.name, judged)
    return judged


def end(results: Sequence[Judged | None], say: Callable[[str], None]) -> int:
    """The run's last lines and its status."""
    found = [one for one in results if one is not None]
    if len(found) < len(results):
        say(f"{len(results) - len(found)} hosts are left for the next run, which goes on where this one ended")
    kinds: dict[str, int] = {}
    for one in found:
        kind = one.sentence.split(" ", 1)[0] + (", then …" if ", then " in one.sentence else "")
        kinds[kind] = kinds.get(kind, 0) + 1
    for kind, count in sorted(kinds.items()):
        say(f"{count} suggestions begin with {kind}")
    failed = [one for one in found if one.wrong]
    for one in failed:
        say(f"FAILED: {one.case}, {one.address} for {one.driver}: {one.sentence} {one.wrong}")
    if not found:
        say("FAILED: no change was suggested at all")
    say(f"{len(found) - len(failed)} passed, {len(failed) or int(not found)} failed")
    return 1 if failed or not found else 0
