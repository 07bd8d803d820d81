# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal of a host against the host's own boot, and what is kept of both."""

from __future__ import annotations

from pathlib import Path

import pytest
import rehearsal_comparison
import rehearsal_records
import rehearsal_table
from rehearsal_comparison import Result, result_of
from rehearsal_records import Function, RehearsedHost

ADDRESS = "0000:00:02.0"
SHARED = f"{ADDRESS} could have the driver of the machine's disk, too"


def host(*functions: Function, name: str = "world-1", different: tuple[str, ...] = (), problem: str = "") -> RehearsedHost:
    return RehearsedHost(name, "6.12", "6.12.1", "dracut", ("timer",), functions, different, problem, 100.0, 20.0)


def function(outcomes: tuple[str | None, ...], real: str | None, result: str = "shown", certainty: str | None = "unknown") -> Function:
    return Function(ADDRESS, certainty, None, result, outcomes, real)


@pytest.mark.parametrize(
    ("one", "different", "found"),
    [
        (function(("vfio-pci",), "vfio_pci"), (), Result.SAME),
        (function((None,), None), (), Result.SAME),
        (function(("e1000e",), "vfio-pci"), (), Result.OTHER),
        (function(("e1000e",), None), ("0000:00:03.0 could have",), Result.OTHER),
        (function(("e1000e",), "vfio-pci"), (SHARED,), Result.NAMED),
        (function(("e1000e",), "vfio-pci", certainty="race"), (), Result.NAMED),
        (function(("e1000e", "vfio-pci"), "vfio-pci", result="varies"), (), Result.NAMED),
        (function((), "vfio-pci", result="not rehearsed"), (), Result.SILENT),
    ],
)
def test_a_difference_counts_unless_its_cause_was_named_before(one: Function, different: tuple[str, ...], found: Result) -> None:
    rehearsed = host(one, different=different)
    assert result_of(rehearsed, one) is found
    assert bool(rehearsal_comparison.disagreements(rehearsed)) == (found is Result.OTHER)


def test_what_is_kept_is_read_again_in_the_order_of_the_seeds(tmp_path: Path) -> None:
    hosts = {name: host(function(("e1000e",), "e1000e"), name=name) for name in ("world-10", "world-9")}
    rehearsal_records.write(tmp_path / "kept", hosts)
    assert list(rehearsal_records.read(tmp_path / "kept").items()) == [("world-9", hosts["world-9"]), ("world-10", hosts["world-10"])]


def test_the_last_line_of_a_run_that_was_killed_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text(f'{host().text()}\n{{"name": "wor', encoding="utf-8")
    assert list(rehearsal_records.read(tmp_path / "kept")) == ["world-1"]


def test_the_table_counts_by_kernel_and_initramfs() -> None:
    known = function(("e1000e",), "e1000e", result="agrees", certainty="certain")
    lines = rehearsal_table.rendered([host(known, function(("nvme",), "nvme")), host(problem="it stopped", name="world-2")]).splitlines()
    row = "2 | 2 | 2 | 1 | 0 | 0 | 0 |"
    assert lines[2:5] == [f"| Linux 6.12 | {row}", f"| an initramfs of dracut | {row}", f"| all | {row}"]
    assert lines[-1] == "world-2 came to no end: it stopped"
