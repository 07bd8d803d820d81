# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide for each distribution says what the collection answers for such a host, and names a source for what was not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import (
    FAMILIES,
    dkms_folder,
    family,
    headers_package,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import REFUSED, refusal
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT
from ansible_collections.vfio.variants.tests.unit.trees import Tree

PAGE = (ROOT / "docs/distributions.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
HOST = re.compile(r"<!-- host: (.+?); kernel ([^ ;]+)(?:; pkgbase (\S+))? -->")
DESCRIBED = {title: text for title, text in SECTIONS.items() if HOST.search(text)}
ROWS = ("before", "DKMS installs to", "images", "arguments by hand", "arguments by the role", "tried")
SCENARIOS = {path.name for path in (ROOT / "molecule").iterdir() if path.is_dir()}


def described(root: Path, text: str) -> tuple[Tree, str]:
    """A host with these lines in its os-release, and its kernel."""
    match = HOST.search(text)
    assert match is not None
    lines = (line.partition("=") for line in match[1].split("; "))
    tree = Tree(root).file("/etc/os-release", "".join(f'{name}="{value}"\n' for name, _equals, value in lines))
    if match[3]:
        tree.file(f"/lib/modules/{match[2]}/pkgbase", f"{match[3]}\n")
    return tree, match[2]


def rows(text: str) -> dict[str, str]:
    return dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", text, re.MULTILINE))


@pytest.mark.parametrize("title", DESCRIBED)
def test_a_section_says_what_the_collection_answers(tmp_path: Path, title: str) -> None:
    tree, release = described(tmp_path, SECTIONS[title])
    host, said = tree.host(), rows(SECTIONS[title])
    assert said[f"headers of kernel {release}"] == f"`{headers_package(host, release)}`"
    assert said["DKMS installs to"] == f"`{dkms_folder(host)}`"
    assert said["arguments by hand"] == family(host).native
    assert [row for row in ROWS if row not in said] == []


@pytest.mark.parametrize("title", DESCRIBED)
def test_what_was_not_run_has_a_source(title: str) -> None:
    said = rows(SECTIONS[title])
    links, scenarios = re.findall(r"\]\(https://", SECTIONS[title]), set(re.findall(r"`(\w+)`", said["tried"])) & SCENARIOS
    assert links or scenarios


def test_each_family_that_is_served_has_a_section(tmp_path: Path) -> None:
    shown = {family(described(tmp_path / str(number), text)[0].host()).name for number, text in enumerate(DESCRIBED.values())}
    refused = {name for one in REFUSED for name in one.ids}
    assert {one.name for one in FAMILIES if not set(one.ids) & refused} == shown


def test_the_refusal_that_is_shown_is_the_collections_own(tmp_path: Path) -> None:
    match = re.search(r"<!-- refused: ID=(\w+) -->\n```text\n(.+)\n```", SECTIONS["Refused, with the native way"])
    assert match is not None
    assert match[2] == refusal(Tree(tmp_path).file("/etc/os-release", f"ID={match[1]}\n").host(), "policy")
