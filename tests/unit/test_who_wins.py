# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worked examples of docs/who-wins.md show what the module says about the hosts that they show.

After a change of its words: UPDATE_DOCS=1 tools/run python -m pytest tests/unit/test_who_wins.py, then read the difference.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.plugins.module_utils._core.devices.facts import gather
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13
from ansible_collections.vfio.variants.tests.unit.worked_examples import Example, examples, with_answer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "who-wins.md"
SHOWN = ("winner", "certainty", "stage", "because", "outcomes", "claimed", "would_change")
EXAMPLES = examples(PAGE.read_text(encoding="utf-8"))
WIDE = 1000


def answer(example: Example, root: Path) -> str:
    """What `device_info` returns about the example's devices, as far as the forecast goes; what is empty is left out."""
    told = gather(example.host(root).host(Commands(root)), list(example.addresses))
    shown: dict[str, t.Any] = {device["address"]: excerpt(device) for device in told["devices"]}
    # No line is broken: these are sentences to search for.
    text = yaml.safe_dump({**shown, **filled(told, "policy_warnings")}, sort_keys=False, width=WIDE)
    return f"```yaml\n{text}```\n"


def excerpt(device: dict[str, t.Any]) -> dict[str, t.Any]:
    on_kernel = device["kernels"][DEBIAN_13]
    said = {field: on_kernel[field] for field in SHOWN[:3]} | filled(on_kernel, *SHOWN[3:])
    # One outcome is the winner.
    if len(on_kernel["outcomes"]) < 2:
        del said["outcomes"]
    return said | filled(device, "warnings")


def filled(facts: dict[str, t.Any], *fields: str) -> dict[str, t.Any]:
    return {field: facts[field] for field in fields if facts[field]}


def test_the_page_has_at_least_ten_examples() -> None:
    assert len(EXAMPLES) >= 10
    # Nothing that looks like an example is passed over.
    assert PAGE.read_text(encoding="utf-8").count("<!-- output: ") == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_module_says_what_the_page_shows(example: Example, tmp_path: Path) -> None:
    said = answer(example, tmp_path)
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(with_answer(PAGE.read_text(encoding="utf-8"), example.title, said), encoding="utf-8")
    else:
        assert said == example.answer
