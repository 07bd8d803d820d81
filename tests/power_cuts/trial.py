# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that comes up with what a power cut left on a disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import command_line
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.machine import Machine
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.tests.power_cuts import contents
from ansible_collections.vfio.variants.tests.power_cuts.converging import Converging, Cut
from ansible_collections.vfio.variants.tests.power_cuts.playbooks import Playbooks

NAME = "power-cut"
CLAIMED = "10de:1db1"
_MOST_NAMES = 8


@dataclass(frozen=True)
class Trial:
    """What came of a cut.  ``wrong`` is empty where all is right."""

    booted: bool
    owner: str | None
    """The driver of the claimed card at the first boot after the cut."""
    certain: int
    """Devices whose driver was predicted as certain, and is that one unless ``wrong`` says otherwise."""
    unfinished: list[str]
    recovered: bool
    wrong: list[str]


def tried(converging: Converging, cut: Cut, wanted: Mapping[str, str], cache: Cache, qemu: Qemu) -> Trial:
    """Boot the disk of a cut, compare its owners with the prediction, converge it, and compare its files with the undisturbed run's."""
    machine, playbooks = Machine(cache, NAME), Playbooks(NAME, cache.root / "power-cuts" / NAME)
    _lay_out(machine, converging.machine, cut, qemu)
    try:
        try:
            playbooks.machine(fresh=False)
        except HostError as error:
            return Trial(False, None, 0, [], False, [f"the machine does not come up: {error}"])
        return _judged(playbooks, machine, wanted)
    finally:
        machine.kill()


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


def _judged(playbooks: Playbooks, machine: Machine, wanted: Mapping[str, str]) -> Trial:
    answers = playbooks.judged()
    wrong: list[str] = []
    certain = 0
    for device in answers["devices"]:
        predicted = device["next_boot"]
        if predicted["certainty"] == "certain":
            certain += 1
            if predicted["winner"] != device["driver"]:
                wrong.append(f"{device['address']}: {predicted['winner']} was predicted, it has {device['driver']}")
        elif device["driver"] not in predicted["outcomes"]:
            wrong.append(f"{device['address']}: {device['driver']} is none of {predicted['outcomes']}")
    owner = next((device["driver"] for device in answers["devices"] if device["id"] == CLAIMED), None)
    unfinished = [str(item.get("operation", item)) for item in answers["claimed"].get("unfinished") or ()]
    try:
        output = playbooks.converged()
    except HostError as error:
        return Trial(True, owner, certain, unfinished, False, [*wrong, f"the next run fails: {error}"])
    left = contents.differences(wanted, contents.read(machine.connection()))
    if left:
        wrong.append(f"other files than after an undisturbed run: {', '.join(left[:_MOST_NAMES])}")
    return Trial(True, owner, certain, unfinished, "interrupted" in output or "recovered" in output, wrong)
