# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from devtool.checkout import Checkout
from devtool.workspace import Workspace

FILES = {
    "demo": "#!/usr/bin/env python\n",
    "build": "#!/usr/bin/python3 -I\n",
    "module.py": "#!/usr/bin/env python\n",
    "add-kernel": "#!/bin/bash -eu\n",
    "run": "#!/usr/bin/env bash\n",
    "sourced.sh": "variable=1\n",
    "Makefile": "#!/usr/bin/make -f\n",
    "broken": "#!\n",
    "LICENSE": "Words on sh and python.\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "here"
    root.mkdir()
    for name, first in FILES.items():
        (root / name).write_text(first)
    (root / "link").symlink_to("run")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True, timeout=60)
    return Workspace(Checkout(root, tmp_path / "cache"))


def test_programs_go_by_the_interpreter_that_their_first_line_names(workspace: Workspace) -> None:
    assert sorted(workspace.shell_scripts()) == ["add-kernel", "run", "sourced.sh"]
    assert sorted(workspace.python_programs()) == ["build", "demo"]


def test_a_copy_that_is_asked_for_twice_is_the_one_that_is_there(workspace: Workspace) -> None:
    """Its lock would be waited for by the process that has it."""
    with workspace.stack:
        assert workspace.copied("sanity") == workspace.copied("sanity")
