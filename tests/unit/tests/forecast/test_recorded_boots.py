# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boots showed, predicted again from the record: of those that are known to give a broken forecast away, one of each kind of host.

All of them are judged with the broken forecasts, and all boots that there are in `make test-all`.
"""

from __future__ import annotations

import json

import command
import pytest
import recorded_hosts
from comparison import Comparison
from comparison_result import Status
from configuration import FLOWS, SERIES
from host_trees import HostTrees
from records import Corpus

BOOTS = Corpus(command.OBSERVED)
CATCHERS = set(json.loads(command.CATCHERS.read_text(encoding="utf-8")).values())
CASES = {(case.configuration.series, case.configuration.flow): case for case in BOOTS.cases() if case.configuration.name in CATCHERS}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    place = tmp_path_factory.mktemp("recorded")
    kernels = recorded_hosts.read(recorded_hosts.beside(command.OBSERVED), place / "hosts")
    (place / "trees").mkdir()
    return Comparison(HostTrees(kernels.__getitem__, place / "trees"), BOOTS, print)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("kind", CASES, ids="-".join)
def test_no_boot_ended_otherwise_than_predicted(comparison: Comparison, kind: tuple[str, str]) -> None:
    result = comparison.judged(CASES[kind])
    assert [one for one in result.judged if one.status is Status.WRONG] == []
    assert any(one.status is Status.RIGHT for one in result.judged)


def test_the_boots_are_of_every_kernel_and_every_kind_of_initramfs() -> None:
    assert {series for series, _flow in CASES} == set(SERIES)
    assert {flow for _series, flow in CASES} == set(FLOWS)
    assert {case.configuration.name for case in BOOTS.cases()} >= CATCHERS
