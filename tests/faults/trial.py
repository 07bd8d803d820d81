# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One scenario disturbed at one call, and whether what is left is safe and the next run puts it right."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import sys
import traceback
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible
from ansible_collections.vfio.variants.tests.faults import hosts
from ansible_collections.vfio.variants.tests.faults.library import HANGS, Fault, Page
from ansible_collections.vfio.variants.tests.faults.scenario import Action, Scenario
from ansible_collections.vfio.variants.tests.unit.trees import Tree

LEFTOVERS = (".vfio-variants-", ".vfio-variants-new-", ".vfio-variants-old")
JOURNAL = "var/lib/vfio-variants"
NEVER = 1 << 30


@dataclass
class Bench:
    """A scenario with the host before and after it, laid out once."""

    scenario: Scenario
    place: Path
    page: Page
    library: ctypes.CDLL
    before: hosts.Snapshot = field(default_factory=dict)
    after: hosts.Snapshot = field(default_factory=dict)
    owners: tuple[hosts.Owners, hosts.Owners] = ({}, {})
    calls: int = 0
    forecasts: dict[str, hosts.Owners] = field(default_factory=dict)
    """By what a forecast is made from: most calls leave the same files."""

    @property
    def root(self) -> Path:
        return self.place / "root"

    def prepare(self) -> None:
        """The state before, a copy of it, and the undisturbed run's result and number of calls."""
        tree = self._laid_out()
        for action in self.scenario.before:
            action(tree, False)
        self.before, before = hosts.snapshot(self.root), self._owners()
        shutil.copytree(self.root, self.place / "prepared", symlinks=True)
        said = self.disturbed(Fault(NEVER))
        if said != "done":
            raise RuntimeError(f"{self.scenario.name} fails undisturbed: {said}")
        self.calls = self.page.count
        self.after, self.owners = hosts.snapshot(self.root), (before, self._owners())

    def _laid_out(self) -> Tree:
        if self.scenario.make is not None:
            return self.scenario.make(self.root)
        tree = hosts.make_host(self.root, self.scenario.loader_hooks, self.scenario.bare)
        if not self.scenario.loader_hooks:
            hosts.build_first_image(tree)
        return tree

    def _owners(self) -> hosts.Owners:
        return hosts.owners(self.root) if self.scenario.has_policy else {}

    def reset(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.place / "prepared", self.root, symlinks=True)

    def disturbed(self, fault: Fault) -> str:
        """Run the action in a process of its own; returns ``done``, ``killed``, the error's sentence, or a traceback."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setpgid(0, 0)
                self.page.arm(fault, os.getpid(), self.root)
                os.environ["FAULT_STATE"] = str(self.page.path)
                self.library.fault_use(str(self.page.path).encode())
                said = _all(self.scenario, self.root)
                os.write(writer, said.encode("utf-8", "replace")[:60000])
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            said = file.read().decode()
        os.waitpid(child, 0)
        self.page.disarm()
        return said or "killed"

    def faults(self, fault: Fault) -> list[str]:
        """What is wrong after this fault, one sentence each; none is right."""
        self.reset()
        said = self.disturbed(fault)
        return [f"{self.scenario.name}, {self.named(fault)}: {what}" for what in self._wrong(said, fault)]

    def named(self, fault: Fault) -> str:
        return f"call {fault.at}, {_name(fault)}"

    def _wrong(self, said: str, fault: Fault) -> Iterator[str]:
        yield from _misbehaviour(said, fault)
        seen = hosts.snapshot(self.root)
        yield from self._unsafe(seen)
        yield from self._torn(seen)
        yield from self._unreported(seen)
        if said not in ("killed", "done") and not fault.lasting and not self._is_undone(seen) and not hosts.unfinished(self.root):
            yield "it failed, and not everything is as before"
        yield from self._next_run()

    def _is_undone(self, seen: hosts.Snapshot) -> bool:
        """Or was done when it failed."""
        return seen == self.after or _unhooked(seen) == _unhooked(self.before)

    def _unsafe(self, seen: hosts.Snapshot) -> Iterator[str]:
        read = {path: state for path, state in seen.items() if not path.startswith(JOURNAL) and not any(word in path for word in LEFTOVERS)}
        key = hashlib.sha256(repr(sorted(read.items())).encode()).hexdigest()
        now = self.forecasts.get(key) or self.forecasts.setdefault(key, self._owners())
        for address, outcomes in now.items():
            allowed = self.owners[0][address] | self.owners[1][address]
            if not outcomes <= allowed:
                yield f"{address} may boot with {outcomes - allowed}, but had and gets {set(allowed)}"

    def _torn(self, seen: hosts.Snapshot) -> Iterator[str]:
        for path in self.before.keys() | self.after.keys() | seen.keys():
            if seen.get(path) in (self.before.get(path), self.after.get(path)) or path.startswith(JOURNAL):
                continue
            if (
                not any(word in path for word in LEFTOVERS)
                and not self._is_step(path, seen)
                and not path.startswith(self.scenario.of_programs)
            ):
                yield f"{path} is neither as before nor as after"

    def _is_step(self, path: str, seen: hosts.Snapshot) -> bool:
        """A file that is changed in two steps has only lines of the old and the new one in between."""
        if not path.startswith(("etc/modprobe.d/", "etc/udev/rules.d/")):
            return False
        lines = [
            set(bytes(state[2]).splitlines())
            for state in (seen.get(path), self.before.get(path), self.after.get(path))
            if state and isinstance(state[2], bytes)
        ]
        return len(lines) > 1 and lines[0] <= set().union(*lines[1:])

    def _unreported(self, seen: hosts.Snapshot) -> Iterator[str]:
        now, before, after = (_unhooked(_without_journal(one)) for one in (seen, self.before, self.after))
        # Between two tasks of a play that are complete nothing is unfinished.
        if now not in (before, after) and len(self.scenario.actions) == 1 and not hosts.unfinished(self.root):
            changed = sorted(path for path in now.keys() | before.keys() if now.get(path) != before.get(path))
            yield f"claim_info reports nothing, although {', '.join(changed[:3])} changed"

    def _next_run(self) -> Iterator[str]:
        for action in self.scenario.actions:
            before = hosts.snapshot(self.root)
            predicted = _outcome(action, self.root, check_mode=True)
            if hosts.snapshot(self.root) != before:
                yield "check mode has changed the host"
            done = _outcome(action, self.root)
            if done.said != "done":
                yield f"the next run says: {done.said.strip().splitlines()[-1]}"
                return
            yield from (f"the next run {wrong}" for wrong in _differences(predicted, done))
        now = hosts.snapshot(self.root)
        for path in sorted(now.keys() | self.after.keys()):
            if now.get(path) != self.after.get(path):
                yield f"after the next run {path} is not as after an undisturbed one"
        for action in self.scenario.actions:
            again = _outcome(action, self.root)
            if again.said != "done" or again.result["changed"] or again.result.get("recovered"):
                yield f"the run after the next one has something to do: {again}"
        if hosts.snapshot(self.root) != now:
            yield "the run after the next one has changed the host"


def _unhooked(seen: hosts.Snapshot) -> hosts.Snapshot:
    """What a boot loader's hook has copied is the hook's: it can run again, but not back, and then has the image that is there."""
    copy, image = (seen.get(path) for path in (hosts.LOADER_COPY, hosts.IMAGE.lstrip("/")))
    is_right = copy is None or image is None or copy[2] == image[2]
    return {path: state for path, state in seen.items() if path != hosts.LOADER_COPY or not is_right}


def _without_journal(seen: hosts.Snapshot) -> hosts.Snapshot:
    return {path: state for path, state in seen.items() if not path.startswith(JOURNAL)}


class Outcome(t.NamedTuple):
    """What a task says: ``done``, with its result, or the error's sentence, or a traceback."""

    said: str
    result: dict[str, t.Any]


def _outcome(action: Action, root: Path, check_mode: bool = False) -> Outcome:
    try:
        with interruptible():
            return Outcome("done", action(Tree(root), check_mode))
    except HostError as error:
        return Outcome(str(error), {})
    except Interrupted as ended:
        return Outcome(f"The run was ended by {ended.name}.", {})
    except BaseException:
        return Outcome("".join(traceback.format_exception(*sys.exc_info())), {})


def _all(scenario: Scenario, root: Path) -> str:
    """What the first of the tasks says that is not done, as a play ends there."""
    said = (_outcome(action, root).said for action in scenario.actions)
    return next((one for one in said if one != "done"), "done")


def _differences(predicted: Outcome, done: Outcome) -> Iterator[str]:
    """Where check mode has not predicted what the run then says."""
    if predicted.said != done.said:
        yield f"was predicted as: {predicted.said}"
        return
    for key in predicted.result.keys() | done.result.keys():
        one, other = predicted.result.get(key), done.result.get(key)
        if one != other:
            yield f"was predicted with {key} {one}, and has {other}"


def _misbehaviour(said: str, fault: Fault) -> Iterator[str]:
    if not fault.error and said != "killed":
        yield f"it was not killed: {said}"
    if "Traceback" in said:
        yield said.strip().splitlines()[-1]
    if fault.error and said not in ("done", "killed") and not said.rstrip().endswith((".", "`")):
        yield f"not a sentence: {said}"


def _name(fault: Fault) -> str:
    if fault.error < 0 or fault.error == HANGS:
        return "a program hangs" if fault.error == HANGS else signal.Signals(-fault.error).name
    return "killed" if not fault.error else f"{os.strerror(fault.error)}{' from then on' if fault.lasting else ''}"
