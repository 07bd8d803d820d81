# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributions are known by what their own os-release says; each ID of the tables has been seen in one, or is listed as unseen."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import FAMILIES, family
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import CHECKED_VARIANTS, REFUSED, VARIANTS, refusal
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.distribution import os_releases
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.distribution.os_releases import Named

ROOT = Path(__file__).resolve().parents[6]
ALL = (*os_releases.COLLECTED, *os_releases.OWN, *os_releases.QUOTED)
FAMILY_NAMES = tuple(one.name for one in FAMILIES)
BOTH = ("Alpine", "Void", "Gentoo")
"""Families that are refused as well."""


@pytest.mark.parametrize("named", ALL, ids=lambda one: re.sub(r"[^\w.-]+", "-", f"{one.source}-{one.os_release[:20]}"))
def test_a_distribution_is_known_by_its_own_file(tmp_path: Path, named: Named) -> None:
    tree = Tree(tmp_path).file("/etc/os-release", named.os_release)
    for path in named.files:
        tree.file(path)
    host = tree.host()

    sentence = refusal(host, "policy")

    if named.known_as in FAMILY_NAMES and named.known_as not in BOTH:
        assert sentence is None
        assert family(host).name == named.known_as
    else:
        assert sentence is not None
        assert sentence.startswith(f"This host is {named.known_as} (")


def _words_of(key: str) -> set[str]:
    found = (re.search(rf"^{key}=[\"']?([^\"'\n]+)", one.os_release, re.MULTILINE) for one in ALL)
    return {word.lower() for match in found if match for word in match[1].split()}


def test_each_id_was_seen_or_is_said_to_be_unseen() -> None:
    ids = {name for table in (FAMILIES, REFUSED) for one in table for name in one.ids}
    seen = _words_of("ID") | _words_of("ID_LIKE")
    # Two of what ParticleOS is made of stand for all four.
    made_alike = {"particleos-arch", "particleos-opensuse-tumbleweed"}

    assert ids - seen - made_alike == set(os_releases.UNSEEN)


def test_each_variant_was_seen() -> None:
    assert _words_of("VARIANT_ID") >= VARIANTS | {variant for _id, variant in CHECKED_VARIANTS}


def test_the_documentation_says_which_were_not_seen() -> None:
    text = (ROOT / "docs/support.md").read_text()
    assert [name for name in os_releases.UNSEEN if f"`{name}`" not in text] == []
