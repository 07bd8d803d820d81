# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python processes of the testbed find this collection, wherever it lies."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local import python_path


def run(tree: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    argv = (*python_path.command(module), *arguments)
    return subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60)


def test_the_server_of_emulated_functions_runs_from_a_linked_tree(tmp_path: Path) -> None:
    done = run(python_path.link(tmp_path), "vfio_user", "--help")
    assert done.returncode == 0
    assert "--socket" in done.stdout


def test_a_tree_can_be_linked_again(tmp_path: Path) -> None:
    python_path.link(tmp_path)
    assert run(python_path.link(tmp_path), "vfio_user", "--help").returncode == 0


@pytest.mark.parametrize("module", ["machine.supervisor", "image.build_as_root"])
def test_what_runs_by_itself_can_be_imported_by_a_bare_python(tmp_path: Path, module: str) -> None:
    statement = f"import {python_path.command(module)[-1]}"
    environment = {**os.environ, "PYTHONPATH": str(python_path.link(tmp_path))}
    argv = (python_path.command(module)[0], "-c", statement)
    done = subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
