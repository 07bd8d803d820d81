# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make setup` decides before it installs anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from devtool import interpreters
from devtool.ansible_test import pip_settings
from devtool.errors import DevtoolError
from devtool.packages import wanted


def test_a_package_list_has_comments_and_one_package_a_line(tmp_path: Path) -> None:
    listing = tmp_path / "packages"
    listing.write_text("# why\nfile\n\nshellcheck  # for lint\n")

    assert wanted(listing) == ["file", "shellcheck"]


def test_an_interpreter_answers_with_its_version() -> None:
    answer = interpreters.ask(sys.executable)

    assert answer is not None
    assert answer.version == sys.version_info[:3]
    assert answer.name == f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_a_shim_that_refuses_is_not_an_interpreter(tmp_path: Path) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text('#!/bin/sh\necho "pyenv: python3.13: command not found" >&2\nexit 127\n')
    shim.chmod(0o755)

    assert interpreters.ask(shim) is None


def test_the_chosen_interpreter_has_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", "/nowhere/python3.11")

    with pytest.raises(DevtoolError, match=r"^PYTHON=/nowhere/python3\.11 is not a working Python"):
        interpreters.controller()


def test_the_environment_wins_over_pips_files() -> None:
    listing = "\n".join(
        [
            ":env:.index-url='https://user:word@index.example/simple'",
            "global.cert='/etc/ssl/own.crt'",
            "global.index-url='https://other.example/simple'",
            "install.no-binary=':none:'",
            "list.format='columns'",
        ]
    )

    assert pip_settings(listing) == {
        "cert": "/etc/ssl/own.crt",
        "index-url": "https://user:word@index.example/simple",
        "no-binary": ":none:",
    }
