# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a module that is loaded is the one that is installed: only then does it do what its file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import is_other, loaded_source
from ansible_collections.vfio.variants.tests.unit.trees import Tree


@pytest.mark.parametrize(("installed", "other"), [("ABC", False), ("DEF", True), (None, False)])
def test_a_loaded_module_is_another_one_if_both_have_sources_that_differ(tmp_path: Path, installed: str | None, other: bool) -> None:
    host = Tree(tmp_path).file("/sys/module/my_driver/srcversion", "ABC\n").host()
    assert loaded_source(host, "my-driver") == "ABC"
    assert is_other(host, "my-driver", installed) is other


def test_one_that_is_not_loaded_or_does_not_say_is_not_another_one(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/sys/module/silent/srcversion", "").host()
    assert not is_other(host, "silent", "ABC")
    assert not is_other(host, "missing", "ABC")
