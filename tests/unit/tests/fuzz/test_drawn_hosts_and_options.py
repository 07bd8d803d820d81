# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaigns with drawn options and hosts notice what they are for, and a part of each runs here."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.fuzz import base_host, hostile_trees, option_sets, report
from ansible_collections.vfio.variants.tests.fuzz.asked_host import USUAL, Asking, Limits
from ansible_collections.vfio.variants.tests.fuzz.option_sets import Called
from ansible_collections.vfio.variants.tests.fuzz.progress import Count, Progress
from ansible_collections.vfio.variants.tests.unit import wrong_answers
from ansible_collections.vfio.variants.tests.unit.trees import Tree


def test_a_part_of_the_sets_of_options_is_answered() -> None:
    said: list[str] = []
    assert option_sets.run(Count(Progress(None, ""), "options", 150), 11, said.append) == 0, said


def test_the_same_seed_draws_the_same_options() -> None:
    spec = option_sets.MODULES["device_claim"].spec
    assert option_sets.drawn(spec, random.Random("1-1")) == option_sets.drawn(spec, random.Random("1-1"))  # noqa: S311 - not secret
    assert option_sets.drawn(spec, random.Random("1-1")) != option_sets.drawn(spec, random.Random("1-2"))  # noqa: S311 - not secret


def test_a_traceback_of_a_module_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    called = Called({"x": {"type": "str"}}, lambda options: {}[options["x"]])
    monkeypatch.setattr(option_sets, "MODULES", {"m": called})
    assert option_sets.answer("m", {"x": "a"}) == "KeyError: 'a'"


@pytest.mark.sampled(3)
def test_a_part_of_the_hosts_is_answered() -> None:
    said: list[str] = []
    assert hostile_trees.run(Count(Progress(None, ""), "trees", 4), 11, said.append) == 0, said


def asked_of(tmp_path: Path, which: str, limits: Limits = USUAL) -> str | None:
    with Asking(limits, f"{wrong_answers.__name__}:{which}") as asking:
        return asking.about(base_host.lay_out(tmp_path).root)


def test_a_host_that_is_answered_by_a_traceback_is_noticed(tmp_path: Path) -> None:
    assert "ZeroDivisionError" in (asked_of(tmp_path, "TRACEBACK") or "")


def test_a_host_that_is_never_answered_is_noticed(tmp_path: Path) -> None:
    assert "no answer within 1 s" in (asked_of(tmp_path, "NEVER", Limits(wall=1)) or "")


@pytest.mark.sampled(3)
def test_a_host_that_takes_too_much_memory_is_noticed(tmp_path: Path) -> None:
    assert "MiB" in (asked_of(tmp_path, "MEMORY", Limits(mebibytes=300)) or "")


@pytest.mark.sampled(3)
def test_memory_of_the_process_that_wants_to_know_does_not_count(tmp_path: Path) -> None:
    held = b"x" * (400 << 20)
    assert asked_of(tmp_path, "NOTHING", Limits(mebibytes=300)) is None
    assert len(held) > 300 << 20


@pytest.mark.parametrize("way", hostile_trees.WAYS, ids=lambda way: way.__name__)
def test_every_way_to_spoil_a_file_does_so(tmp_path: Path, way: hostile_trees.Way) -> None:
    tree = Tree(tmp_path).file("/etc/x", "before\n")
    place = tree.place("/etc/x")
    before = os.lstat(place), place.read_bytes()
    place.unlink()
    way(place, before[1], random.Random(3))  # noqa: S311 - not secret
    assert not place.is_file() or place.stat().st_size > 1 << 24 or place.read_bytes() != before[1] or way is hostile_trees.missing


def test_the_table_keeps_the_rows_that_a_run_did_not_make(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{report.BEGIN}\n{report.END}\nbelow\n", encoding="utf-8")
    first = report.Figures(1)
    first.add("inputs", 1000, 0, 53)
    first.add("trees", 30, 1)
    report.write(page, first)
    second = report.Figures(1)
    second.add("options", 20, 0)
    second.add("trees", 40, 0)
    report.write(page, second)
    text = page.read_text(encoding="utf-8")
    assert "| inputs of 53 parsers, guided by coverage | 1000 | 0 |" in text
    assert "| sets of options of all modules | 20 | 0 |" in text
    assert "| hosts with hostile files | 40 | 0 |" in text
    assert text.startswith("above\n")
    assert text.endswith("below\n")
