# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of playbooks and roles are texts for YAML, too: without quotes, one with `: ` in it is a dictionary, and fails when run."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("molecule", "playbooks", "roles", "tests", "tools", "docs")
CONDITIONS = ("when", "that", "until", "changed_when", "failed_when")


def conditions(content: t.Any) -> t.Iterator[t.Any]:
    """Each condition of a playbook's content."""
    if isinstance(content, list):
        for one in content:
            yield from conditions(one)
    elif isinstance(content, dict):
        for key, value in content.items():
            if key in CONDITIONS:
                yield from value if isinstance(value, list) else (value,)
            else:
                yield from conditions(value)


def broken(text: str) -> list[t.Any]:
    return [one for one in conditions(yaml.safe_load(text)) if not isinstance(one, (str, bool))]


def playbooks() -> list[Path]:
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.yml"))
    return sorted(path for path in found if any(f"{key}:" in path.read_text(encoding="utf-8") for key in CONDITIONS))


@pytest.mark.parametrize("path", playbooks(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_condition_is_a_text(path: Path) -> None:
    assert broken(path.read_text(encoding="utf-8")) == []


def test_a_condition_that_yaml_takes_for_a_dictionary_is_found() -> None:
    assert broken("- assert:\n    that:\n      - found is match('on: the')\n") == [{"found is match('on": "the')"}]
