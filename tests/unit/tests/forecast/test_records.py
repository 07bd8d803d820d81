# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from pathlib import Path

import generator
from records import Corpus, Record

CASE = generator.draw(7)
RECORD = Record(CASE, "", {"0000:00:02.0": None}, {"root": {"0000:00:02.0": None}}, {"0000:00:02.0": "pci:v*"})


def test_what_was_seen_is_there_after_a_restart(tmp_path: Path) -> None:
    Corpus(tmp_path / "boots.jsonl").add(RECORD)
    assert Corpus(tmp_path / "boots.jsonl").find(CASE) == RECORD


def test_a_line_that_a_killed_run_left_half_written_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "boots.jsonl"
    path.write_text(f"{RECORD.text()}\n{RECORD.text()[:50]}")
    assert Corpus(path).cases() == [CASE]


def test_a_configuration_that_changed_under_its_name_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "boots.jsonl")
    corpus.add(RECORD)
    other = dataclasses.replace(CASE, configuration=dataclasses.replace(CASE.configuration, cmdline=("quiet", "quiet")))
    assert corpus.find(other) is None


def test_a_compressed_file_holds_the_same(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "boots.jsonl")
    corpus.add(RECORD)
    corpus.write(tmp_path / "all" / "boots.jsonl.xz")
    assert Corpus(tmp_path / "all" / "boots.jsonl.xz").find(CASE) == RECORD
