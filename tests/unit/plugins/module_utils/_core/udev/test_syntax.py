# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines udev takes, drops or objects to: as systemd's own program answered in three versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import parse, parse_file
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.syntax import LONGEST

ROOT = Path(__file__).resolve().parents[6]
RECORDED = json.loads((ROOT / "tests/forecast/observed/udev_lines.json").read_text(encoding="utf-8"))
RULE = "/etc/udev/rules.d/90-site.rules"
VERSIONS = ("252", "257", "262")
# udev 252 drops a line that ends with a backslash at the end of its file, and the first of two labels, without a word.
SILENT_IN_252 = ("ends with a backslash at the end of the file", "has LABEL several times and has the last")


def ours(text: str, version: str) -> tuple[str, list[str]]:
    problems = parse_file(text, RULE, int(version)).problems
    dropped = any(one.level == "dropped" for one in problems)
    return "dropped" if dropped else "objected to" if problems else "taken", [one.said for one in problems]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_line_is_taken_or_dropped_as_udev_itself_did(version: str) -> None:
    wrong = {}
    for one in RECORDED:
        answer, said = ours(one["text"], version)
        silent = version == "252" and one[version] == "taken" and set(said) <= set(SILENT_IN_252)
        if answer != one[version] and not silent:
            wrong[one["text"]] = (answer, said, one[version])
    assert wrong == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_udev_answered_in_every_way(version: str) -> None:
    answers = [one[version] for one in RECORDED]
    assert min(answers.count(kind) for kind in ("taken", "objected to", "dropped")) > 20


def test_every_rule_of_the_repository_is_taken_without_an_objection() -> None:
    places = [path for path in (ROOT / "roles").rglob("*.rules*") if path.is_file()]
    said = [one for path in places for one in parse_file(path.read_text(encoding="utf-8"), str(path)).problems]
    assert said == []


@pytest.mark.parametrize(
    ("line", "level", "said"),
    [
        ('ACTION="add", NAME="x"', "dropped", "has ACTION=, but ACTION is compared only, with == or !="),
        ('GOTO=="x", NAME="x"', "dropped", "has GOTO==, but GOTO is not used so"),
        ('BUS=="pci", NAME="x"', "dropped", "has the unknown key BUS"),
        ("NAME='x'", "dropped", "has no value in double quotes at \"NAME='x'\""),
        # What is quoted begins where udev stops.
        ('KERNEL=="a", ENV{x', "dropped", "has a brace that is not closed at 'ENV{x'"),
        ('TEST=="", NAME="x"', "ignored", "has TEST with an empty value"),
        ('ATTR{driver_override}=="vfio-pci"', "dropped", "assigns nothing, and so has no effect"),
        ('ATTR{driver_override}+="vfio-pci"', "corrected", "has ATTR+=, which udev takes for ="),
        ('ATTR{driver_override}="$drive"', "ignored", "has '$drive' in ATTR, which is not a substitution that udev knows"),
        ('KERNEL=="a", GOTO="end", NAME="x"', "ignored", 'has GOTO="end" without such a LABEL below it'),
    ],
)
def test_what_is_said_names_the_key(line: str, level: str, said: str) -> None:
    (problem,) = parse_file(f"# first\n{line}\n", RULE, 257).problems
    assert (str(problem), problem.level) == (f"{RULE}:2", level)
    assert problem.said == said


def test_windows_line_ends_are_line_ends() -> None:
    assert [rule.line for rule in parse('NAME="a"\r\nNAME="b", \\\r\nTAG="c"\r\nNAME="d"\r\n', RULE)] == [1, 2, 4]


def test_other_signs_than_line_ends_end_no_line() -> None:
    (rule,) = parse('NAME="a\x0b\x0c\x1c\x85\u2028b"\n', RULE)
    assert rule.value("NAME") == "a\x0b\x0c\x1c\x85\u2028b"


def test_a_file_with_a_line_without_end_has_no_rules() -> None:
    assert len(parse(f'NAME="a"\n# {"x" * (LONGEST - 3)}\n', RULE)) == 1
    found = parse_file(f'NAME="a"\n# {"x" * LONGEST}\n', RULE)
    assert (found.rules, [one.level for one in found.problems]) == ((), ["dropped"])


def test_a_line_that_is_continued_for_ever_is_dropped_and_the_next_one_counts() -> None:
    text = 'TAG="y", \\\n' * (LONGEST // 9 + 10) + 'NAME="a"\nNAME="b"\n'
    assert [rule.value("NAME") for rule in parse(text, RULE)] == ["b"]


@pytest.mark.parametrize(
    "text", ['NAME="' + "\\" * 20000, "{" * 20000, 'ATTR{x}="' + "$env{" * 3000 + '"', 'KERNEL==e"' + "\\x" * 5000, '"' * 16000]
)
def test_hostile_lines_are_dropped_in_no_time(text: str) -> None:
    assert len(parse(f"{text}\n", RULE)) <= 1


def test_of_several_jumps_the_first_counts_and_of_several_labels_the_last() -> None:
    first, *_rest = parse('GOTO="a", GOTO="b"\nLABEL="x", LABEL="a"\nLABEL="b"\n', RULE)
    assert first.target == "a"
    assert [rule.label for rule in parse('NAME="n", LABEL="x", LABEL="y"\n', RULE)] == ["y"]
