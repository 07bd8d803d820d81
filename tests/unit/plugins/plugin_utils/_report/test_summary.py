# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in a few words."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import (
    CERTAIN,
    RACE,
    BootOutcome,
    ClaimResult,
    DeviceData,
    HostData,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import STATES, Summary, not_examined, summarise

STEADY = BootOutcome("nouveau", CERTAIN, "root")
GPU = DeviceData("0000:01:00.0", "10de:1db1", "030200", driver="nouveau", next_boot=STEADY)


def host(device: DeviceData = GPU, **facts: object) -> HostData:
    return HostData("gpu-1", 100, (device,), ("6.12",), "6.12", "6.12", **facts)  # type: ignore[arg-type]


def test_the_worst_that_is_true_of_a_host_is_its_state() -> None:
    moves = BootOutcome("vfio-pci", CERTAIN, "root")
    races = BootOutcome("vfio-pci", RACE, None, possible=("vfio-pci", "nouveau"))
    unmet = ClaimResult("vfio-pci", satisfied=False, will_be_satisfied=True)
    kinds = {
        "not as claimed": host(dataclasses.replace(GPU, claim=unmet, next_boot=moves, warnings=("A warning.",))),
        "drift": host(dataclasses.replace(GPU, next_boot=moves, warnings=("A warning.",))),
        "uncertain": host(dataclasses.replace(GPU, next_boot=races, warnings=("A warning.",))),
        "warnings": host(warnings=("A warning.",)),
        "steady": host(),
    }
    assert {state: summarise(found).state for state, found in kinds.items()} == {state: state for state in kinds}
    assert ["not examined", *kinds] == list(STATES)


@pytest.mark.parametrize("satisfied", [True, None])
def test_a_claim_that_cannot_be_judged_now_counts_as_met(satisfied: bool | None) -> None:
    claim = ClaimResult("nouveau", satisfied=satisfied, will_be_satisfied=True)
    assert summarise(host(dataclasses.replace(GPU, claim=claim))).state == "steady"


def test_bridges_are_not_counted() -> None:
    bridge = dataclasses.replace(GPU, is_bridge=True, driver="pcieport", next_boot=BootOutcome(None, CERTAIN))
    found = summarise(host(bridge))
    assert (found.devices, found.changing, found.state) == (0, 0, "steady")


def test_devices_with_one_change_are_one_sentence() -> None:
    moved = dataclasses.replace(GPU, next_boot=BootOutcome("vfio-pci", CERTAIN))
    both = HostData("gpu-1", 100, (moved, dataclasses.replace(moved, address="0000:02:00.0")))
    assert summarise(both).changes == ("0000:01:00.0 and 1 more, 10de:1db1: nouveau → vfio-pci",)


def test_a_summary_comes_back_from_json_as_it_was() -> None:
    claimed = host(dataclasses.replace(GPU, claim=ClaimResult("vfio-pci", False, None), warnings=("One.", "Two.")))
    for found in (summarise(claimed, "hosts/gpu-1.html"), not_examined("gpu-2", "It could not be reached.")):
        assert Summary.from_plain(json.loads(json.dumps(found.plain()))) == found


@pytest.mark.parametrize("given", [{}, {"name": "x"}, {"name": "x", "state": "wonderful"}, {"name": "x", "state": "steady", "mood": 1}])
def test_anything_but_a_summary_is_refused(given: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Summary.from_plain(given)


def test_sentences_are_short_and_on_one_line() -> None:
    found = summarise(host(warnings=("x" * 5000, "two\nlines\x1b[31m")))
    assert [len(sentence) for sentence in found.remarks] == [300, 14]
    assert all(sentence.isprintable() for sentence in found.remarks)
