# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that comes up with what a power cut left on a disk."""

from __future__ import annotations

import json
import shutil
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import command_line
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.machine import Machine
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.tests.power_cuts import contents
from ansible_collections.vfio.variants.tests.power_cuts.converging import Converging, Cut, Undisturbed
from ansible_collections.vfio.variants.tests.power_cuts.playbooks import SITE, Playbooks

NAME = "power-cut"
CLAIMED = "10de:1db1"
_MOST_NAMES = 8
_LONGEST = 800


@dataclass(frozen=True)
class Trial:
    """What came of a cut.  ``wrong`` is empty where all is right."""

    booted: bool
    owner: str | None = None
    """The driver of the claimed card at the first boot after the cut."""
    certain: int = 0
    """Devices whose driver was predicted as certain."""
    right: int = 0
    """Those of them that have it."""
    unfinished: list[str] = field(default_factory=list)
    """What claim_info reports."""
    recovered: bool = False
    """Whether the next run says that it has finished or undone something."""
    same: bool = False
    """Whether the next run came to its end and left the same bytes as the undisturbed one."""
    wrong: list[str] = field(default_factory=list)


def tried(
    converging: Converging, cut: Cut, undisturbed: Undisturbed, cache: Cache, qemu: Qemu, say: t.Callable[[str], None] = lambda _line: None
) -> Trial:
    """Boot the disk of a cut, compare its owners with the prediction, converge it, and compare its files with the undisturbed run's."""
    machine, playbooks = Machine(cache, NAME), Playbooks(NAME, cache.root / "power-cuts" / NAME)
    _lay_out(machine, converging.machine, cut, qemu)
    try:
        say("booting")
        try:
            playbooks.machine(fresh=False)
        except HostError as error:
            return Trial(False, wrong=[f"the machine does not come up: {shortened(error, cache)}"])
        try:
            trial = _judged(playbooks, machine, undisturbed, say)
            return replace(trial, wrong=[shortened(what, cache) for what in trial.wrong])
        except HostError as error:
            return Trial(True, wrong=[shortened(error, cache)])
    finally:
        machine.kill()


def shortened(what: object, cache: Cache) -> str:
    """The end of an error in one line, without where this machine keeps its cache."""
    return " ".join(str(what).replace(str(cache.root), "CACHE").split())[-_LONGEST:]


def _lay_out(machine: Machine, original: Machine, cut: Cut, qemu: Qemu) -> None:
    if machine.folder.exists():
        machine.kill()
        shutil.rmtree(machine.folder)
    machine.folder.mkdir(parents=True)
    facts = original.facts()
    facts.pop("boot_id", None)
    facts["options"]["name"] = NAME
    write_atomic(machine.folder / "machine.json", json.dumps(facts))
    qemu.create_overlay(machine.folder / command_line.DISK, original.folder / cut.layer, "qcow2")


def _judged(playbooks: Playbooks, machine: Machine, undisturbed: Undisturbed, say: t.Callable[[str], None]) -> Trial:
    say("booted; listing its files, asking it, converging it")
    now = contents.read(machine.connection(), images=False)
    answers = playbooks.judged(SITE)
    devices = answers["devices"]
    unfinished = [str(item.get("operation", item)) for item in answers["claimed"].get("unfinished") or ()]
    wrong = [
        *wrong_owners(devices, undisturbed),
        *contents.wrong_after_cut(undisturbed.before, undisturbed.after, now, reported=bool(unfinished)),
    ]
    left: list[str] = []
    say("the next run fails" if answers["failed"] else "converged; listing its files")
    if answers["failed"]:
        wrong.append(f"the next run fails: {answers['failed']}")
    else:
        left = contents.differences(undisturbed.after, contents.read(machine.connection(), images=True))
    if left:
        wrong.append(f"{len(left)} files are not as after an undisturbed run: {', '.join(left[:_MOST_NAMES])}")
    certain = [device for device in devices if device["next_boot"]["certainty"] == "certain"]
    return Trial(
        booted=True,
        owner=next((device["driver"] for device in devices if device["id"] == CLAIMED), None),
        certain=len(certain),
        right=sum(device["driver"] == device["next_boot"]["winner"] for device in certain),
        unfinished=unfinished,
        recovered="interrupted" in answers["output"] or "recovered" in answers["output"],
        same=not answers["failed"] and not left,
        wrong=wrong,
    )


def wrong_owners(devices: Sequence[Mapping[str, t.Any]], undisturbed: Undisturbed) -> Iterator[str]:
    """A sentence for each device that has not the driver that was predicted, or neither its old nor its new one."""
    for device in devices:
        address, driver, predicted = device["address"], device["driver"], device["next_boot"]
        if predicted["certainty"] != "unknown" and driver not in predicted["outcomes"]:
            yield f"{address} has {driver}, and {' or '.join(map(str, predicted['outcomes']))} was predicted"
        old, new = undisturbed.owners.get(address), undisturbed.aims.get(address)
        if driver not in (old, new):
            yield f"{address} has {driver}; it had {old}, and is to have {new}"
