# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters are told by what they are, not by where a link to them lies."""

from __future__ import annotations

import os
import typing as t

from devtool import interpreters

if t.TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_link_that_is_found_first_is_the_interpreter_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own programs find one in the cache, wherever that is."""
    real = interpreters.controller()
    links = tmp_path / "pythons"
    links.mkdir()
    (links / f"python{real.name}").symlink_to(real.path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(links), os.environ["PATH"]]))
    interpreters.find.cache_clear()
    try:
        assert interpreters.controller() == real
        assert interpreters.ask(links / f"python{real.name}") == real
    finally:
        interpreters.find.cache_clear()
