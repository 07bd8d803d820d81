# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boots showed, predicted again from the record: of all boots those that are known to give a broken forecast away."""

from __future__ import annotations

import json

import command
import pytest
import recorded_hosts
from comparison import Comparison
from comparison_result import Status
from configuration import FLOWS, SERIES
from host_trees import HostTrees, likeness
from records import Corpus

BOOTS = Corpus(command.OBSERVED)
CATCHERS = set(json.loads(command.CATCHERS.read_text(encoding="utf-8")).values())
# Boots of hosts that are laid out alike stand beside each other: what they share is laid out once.
CASES = {
    case.configuration.name: case
    for case in sorted(BOOTS.cases(), key=lambda case: (likeness(case.configuration), case.configuration.name))
    if case.configuration.name in CATCHERS
}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    place = tmp_path_factory.mktemp("recorded")
    kernels = recorded_hosts.read(recorded_hosts.beside(command.OBSERVED), place / "hosts")
    (place / "trees").mkdir()
    return Comparison(HostTrees(kernels.__getitem__, place / "trees"), BOOTS, print)


@pytest.mark.parametrize("name", CASES)
def test_no_boot_ended_otherwise_than_predicted(comparison: Comparison, name: str) -> None:
    result = comparison.judged(CASES[name])
    assert [one for one in result.judged if one.status is Status.WRONG] == []
    assert any(one.status is Status.RIGHT for one in result.judged)


def test_the_boots_are_of_every_kernel_and_every_kind_of_initramfs() -> None:
    assert {case.configuration.series for case in CASES.values()} == set(SERIES)
    assert {case.configuration.flow for case in CASES.values()} == set(FLOWS)
    assert len(CASES) == len(CATCHERS)
