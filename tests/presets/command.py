# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots machines that have a card of each preset, as many in one as it has addresses for.

What lspci shows there is compared with the presets and with public dumps of the real cards.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.presets import PRESETS
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import Function, functions_of
from ansible_collections.vfio.variants.tests.exit_codes import exit_code
from ansible_collections.vfio.variants.tests.presets.dumps import DUMPS
from ansible_collections.vfio.variants.tests.presets.seen import Seen, described, differences, functions

HERE = Path(__file__).parent
OBSERVED = HERE / "observed/machines.json"
SECONDS = 1800
WINDOW = 1 << 39
"""The upper half of the 40 bits of addresses that QEMU's emulated processors have is what SeaBIOS has for 64-bit regions."""

Answers = dict[str, t.Any]


def wanted() -> list[dict[str, str]]:
    """An element of the option `functions` for each preset."""
    return [{"id": name, "preset": name} for name in PRESETS]


def machines() -> list[list[dict[str, str]]]:
    """As many presets for each machine as its addresses are enough for."""
    found: list[list[dict[str, str]]] = []
    for one in wanted():
        room = next((several for several in found if needed([*several, one]) <= WINDOW), None)
        if room is None:
            found.append([one])
        else:
            room.append(one)
    return found


def needed(several: Sequence[Mapping[str, str]]) -> int:
    """Bytes of the window for 64-bit regions: each port's regions begin at a multiple of the largest, the largest first."""
    members = [function.emulated for one in several for function in functions_of(one) if function.emulated is not None]
    regions = ([region.size for region in one.bars if region.prefetchable] for one in members)
    ports = sorted(regions, key=lambda sizes: -max(sizes, default=0))
    end = 0
    for sizes in ports:
        largest = max(sizes, default=1)
        end = -(-end // largest) * largest + sum(sizes)
    return end


def emulated() -> dict[str, Function]:
    """The functions of all presets, by their ids."""
    return {function.id: function for one in wanted() for function in functions_of(one)}


def compared(machines_said: Sequence[Answers]) -> dict[str, list[str]]:
    """What is not as described, by the function's id; each function of a preset is there."""
    seen: dict[str, Seen] = {}
    for answers in machines_said:
        shown = functions(answers["lspci"], answers["regions"])
        seen |= {one["id"]: shown[one["address"]] for one in answers["functions"] if one["address"] in shown}
    return {name: list(_faults(name, function, seen.get(name))) for name, function in emulated().items()}


def _faults(name: str, function: Function, seen: Seen | None) -> Iterator[str]:
    if seen is None:
        yield "the guest has no such function"
        return
    description = function.emulated or PRESETS[name].members[0].emulated
    if function.emulated is not None:
        yield from differences(described(description, seen.name), seen)
    elif (seen.id, seen.class_code) != (f"{description.vendor:04x}:{description.device:04x}", f"{description.class_code:06x}"):
        # The rest of QEMU's own devices is QEMU's.
        yield f"it is {seen.id} of class {seen.class_code}"
    dump = DUMPS.get(name)
    for field in ("id", "class_code", "subsystem", "revision", "bars") if dump else ():
        if getattr(dump, field) and getattr(dump, field) != getattr(seen, field):
            yield f"{field} is {getattr(seen, field)}, and {getattr(dump, field)} in {dump.source if dump else ''}"


def booted(cards: Sequence[Mapping[str, str]]) -> Answers:
    """What a machine with these cards says, which is started and ended."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        extra = json.dumps({"presets_name": "presets", "presets_functions": cards, "presets_answers": str(answers)})
        argv = ["ansible-playbook", "--inventory", "localhost,", "--extra-vars", extra, str(HERE / "machine.yml")]
        ran = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=SECONDS)
        if ran.returncode:
            raise SystemExit(f"error: the machine could not be asked.\n{ran.stdout[-4000:]}{ran.stderr[-2000:]}")
        found: Answers = json.loads(answers.read_text(encoding="utf-8"))
    return about_cards(found)


def about_cards(said: Mapping[str, t.Any]) -> Answers:
    """What is about the functions that were asked for; the rest of the machine, and where its logs lie, is left out."""
    asked = {one["address"] for one in said["functions"]}
    return {
        "functions": [{"id": one["id"], "address": one["address"]} for one in said["functions"]],
        "lspci": "\n\n".join(one for one in said["lspci"].split("\n\n") if one.partition(" ")[0] in asked),
        "regions": "\n".join(line for line in said["regions"].splitlines() if line.split("/")[5] in asked),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="tests/presets/run")
    parser.add_argument("--record", action="store_true", help=f"write {OBSERVED.relative_to(HERE.parents[1])}, which the unit tests read")
    record = parser.parse_args(arguments).record
    return exit_code(lambda: _compared(record))


def _compared(record: bool) -> int:
    answers = [booted(cards) for cards in machines()]
    if record:
        OBSERVED.parent.mkdir(exist_ok=True)
        OBSERVED.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    found = compared(answers)
    for name, faults in found.items():
        print(f"{'FAILED' if faults else 'ok'}: {name}{': ' if faults else ''}{'; '.join(faults)}", flush=True)
    failed = sum(1 for faults in found.values() if faults)
    print(f"{len(found) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
