# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine that is converged once, and its disk as it was at drawn moments of that run.

At each moment QEMU begins a new layer of the disk: what is below it is what the machine had written by then.  What the guest held in memory
only, and had not been told to synchronize, is lost, as when the power fails.
"""

from __future__ import annotations

import json
import random
import threading
import time
import typing as t
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import command_line
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.control import Control
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.machine import Machine
from ansible_collections.vfio.variants.tests.power_cuts import contents
from ansible_collections.vfio.variants.tests.power_cuts.playbooks import Playbooks, lines_of
from ansible_collections.vfio.variants.tests.power_cuts.state import code

_DISK = "testbed-disk"
_LONGEST_WAIT = 7.0
"""Seconds between two cuts are drawn from 0 to this."""
_SHARE = 15
"""Or to that part of the time that has passed: a slow machine would have more layers than it can read through."""
_TASK = "TASK ["
FIRST_WRITE = "Build and install each driver package"
"""The task before which the playbook only reads: a cut there leaves the disk as it was, so that a few of them are enough."""
_LONGEST_WAIT_BEFORE = 60.0


@dataclass(frozen=True)
class Cut:
    """The disk's file below the moment, and what ran then."""

    number: int
    layer: str
    seconds: float
    task: str
    written: int
    """Bytes of the layer; the least of all is one in which nothing was written."""


@dataclass(frozen=True)
class Undisturbed:
    """The run that nothing disturbed: its cuts, the files before and after it, and whose the devices were and were to be."""

    code: str
    cuts: list[Cut]
    before: dict[str, str]
    after: dict[str, str]
    owners: dict[str, str | None]
    aims: dict[str, str | None]

    @classmethod
    def from_json(cls, text: str) -> Undisturbed:
        known = json.loads(text)
        return cls(**{**known, "cuts": [Cut(**cut) for cut in known["cuts"]]})


@dataclass(frozen=True)
class Converging:
    """The machine of a seed, once converged: it is not started again, because its cuts stand on its disk."""

    cache: Cache
    seed: int

    @property
    def name(self) -> str:
        return f"power-cuts-{self.seed}"

    @property
    def machine(self) -> Machine:
        return Machine(self.cache, self.name)

    @property
    def _result(self) -> Path:
        return self.machine.folder / "cuts.json"

    def provide(self, say: t.Callable[[str], None]) -> Undisturbed:
        """Of an earlier run, or of one that is made now."""
        known = self._known()
        if known is None:
            known = self._made(say)
            write_atomic(self._result, json.dumps(asdict(known)))
        return known

    def _known(self) -> Undisturbed | None:
        """The run of the code as it is now, if there is one."""
        text = self._result.read_text(encoding="utf-8") if self._result.is_file() else "{}"
        return Undisturbed.from_json(text) if json.loads(text).get("code") == code() else None

    def _made(self, say: t.Callable[[str], None]) -> Undisturbed:
        playbooks = Playbooks(self.name, self.cache.root / "power-cuts" / self.name)
        say(f"starting the machine {self.name}")
        try:
            # Also one that is only half started is not left behind.
            playbooks.machine(fresh=True)
            connection = self.machine.connection()
            owners = contents.owners(connection)
            before = contents.read(connection, images=False)
            say("converging it")
            cuts = self._converged(playbooks, say)
            say(f"converged; {len(cuts)} cuts in {cuts[-1].seconds:.0f} s, {len(drawn(cuts, self.seed))} with different disks")
            after = contents.read(connection, images=True)
            aims = contents.owners(connection)
        finally:
            self.machine.kill()
        return Undisturbed(code(), cuts, before, after, owners, aims)

    def _converged(self, playbooks: Playbooks, say: t.Callable[[str], None]) -> list[Cut]:
        cutter = _Cutter(self.machine.folder, random.Random(self.seed))  # noqa: S311
        thread = threading.Thread(target=cutter.run)
        thread.start()
        try:
            for line in lines_of(playbooks.converge()):
                if line.startswith(_TASK):
                    cutter.task = line[len(_TASK) :].partition("]")[0]
                    say(f"{len(cutter.cuts)} cuts; {cutter.task}")
        finally:
            cutter.stop.set()
            thread.join()
        if cutter.error is not None:
            raise cutter.error
        return cutter.cuts


def drawn(cuts: Sequence[Cut], seed: int) -> list[Cut]:
    """All cuts whose disks differ, in the order in which they are tried.

    Where the machine wrote nothing after the cut before, the disk is that of the cut before, and is not tried a second time.
    """
    nothing = min((cut.written for cut in cuts), default=0)
    different = [cut for cut in cuts if cut.number == 1 or cut.written > nothing]
    return random.Random(seed).sample(different, len(different))  # noqa: S311


class _Cutter:
    def __init__(self, folder: Path, drawn: random.Random) -> None:
        self._folder, self._drawn = folder, drawn
        self.cuts: list[Cut] = []
        self.task = ""
        self._writing = False
        self.stop = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._cut_until_stopped()
        except BaseException as error:
            self.error = error

    def _longest_wait(self, seconds: float) -> float:
        if not self._writing:
            self._writing = FIRST_WRITE in self.task
            return _LONGEST_WAIT_BEFORE
        return max(_LONGEST_WAIT, seconds / _SHARE)

    def _cut_until_stopped(self) -> None:
        began, layer = time.monotonic(), command_line.DISK
        while not self.stop.wait(self._drawn.uniform(0, self._longest_wait(time.monotonic() - began))):
            following = f"after-{len(self.cuts) + 1}.qcow2"
            with Control(self._folder / command_line.CONTROL_SOCKET) as control:
                control.ask("blockdev-snapshot-sync", device=_DISK, format="qcow2", **{"snapshot-file": str(self._folder / following)})
            written = (self._folder / layer).stat().st_size
            self.cuts.append(Cut(len(self.cuts) + 1, layer, round(time.monotonic() - began, 1), self.task, written))
            layer = following
