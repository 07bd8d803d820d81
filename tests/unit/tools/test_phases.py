# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make test` runs of the unit tests and of ansible-test's sanity tests, and what it leaves to `make test-all`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from devtool import interpreters, phases
from devtool.campaigns import campaigns
from devtool.check import Check
from devtool.checkout import Checkout
from devtool.environment import Environment
from devtool.interpreters import Interpreter
from devtool.phases import LINTED, TURNS, UNIT, linted, managed_host_name, sanity, unit
from devtool.workspace import Workspace

FILES = [f"plugins/modules/module_{number:02}.py" for number in range(LINTED)] + [f"tests/test_{number}.py" for number in range(LINTED + 3)]


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workspace:
    """A repository of some files and one commit."""
    root = tmp_path / "tree"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    argv = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "a change"]):
        subprocess.run([*argv, *words], cwd=root, check=True, capture_output=True, timeout=60)
    found = Workspace(Checkout(root, tmp_path / "cache"))
    monkeypatch.setattr(found, "copied", lambda _purpose: root)
    monkeypatch.setattr(phases, "sanity_check", lambda _workspace, copy, *words: Check(" ".join(words), words, copy, {}))
    return found


def with_oldest(monkeypatch: pytest.MonkeyPatch, minor: int) -> None:
    monkeypatch.setattr(interpreters, "controller", lambda: Interpreter((3, 13, 0), Path(sys.executable)))
    monkeypatch.setattr(interpreters, "targets", lambda: [Interpreter((3, minor, 0), Path(sys.executable))])


def words(workspace: Workspace) -> list[str]:
    return [" ".join(check.argv) for check in sanity(workspace)]


def test_each_file_is_read_by_pylint_at_one_of_so_many_commits(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> None:
    assert linted(workspace) == linted(workspace)
    drawn: list[str] = []
    for number in range(7, 7 + LINTED):
        monkeypatch.setattr(phases, "_number_of_commit", lambda _checkout, number=number: number)
        drawn += linted(workspace)
    assert sorted(drawn) == sorted(FILES)


def test_a_file_that_is_gone_is_not_linted(workspace: Workspace) -> None:
    (workspace.checkout.root / linted(workspace)[0]).unlink()
    assert all((workspace.checkout.root / name).is_file() for name in linted(workspace))


def test_what_is_left_out_of_one_check_is_in_another(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> None:
    with_oldest(monkeypatch, 9)
    modules = " ".join(name for name in FILES if name.startswith("plugins/modules/"))
    assert sorted(words(workspace)) == sorted(
        [
            "--python 3.13 --skip-test pylint --skip-test import --skip-test pep8",
            f"--python 3.13 --test pylint {' '.join(linted(workspace))}",
            "--python 3.9 --test compile",
            f"--python 3.9 --test import {modules}",
        ]
    )


def test_the_modules_are_imported_where_there_is_no_older_python(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> None:
    with_oldest(monkeypatch, 13)
    found = words(workspace)
    assert len(found) == 3
    assert found[-1].startswith("--python 3.13 --test import plugins/modules/module_00.py ")


def test_files_that_are_asked_for_are_tested_by_all(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> None:
    with_oldest(monkeypatch, 9)
    monkeypatch.setenv("TESTS", "tests/test_1.py tests/test_2.py")
    assert words(workspace) == ["--python 3.13 tests/test_1.py tests/test_2.py"]


@pytest.mark.parametrize("minor", [9, 13])
def test_each_unit_test_runs_in_a_sample_and_all_of_them_in_campaigns(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, tmp_path: Path, minor: int
) -> None:
    with_oldest(monkeypatch, minor)
    monkeypatch.setattr(phases, "_number_of_commit", lambda _checkout: TURNS + 12)
    made = Environment(tmp_path / "environment")
    (made.path / "lib/python3.13/site-packages").mkdir(parents=True)
    workspace.__dict__["main"] = made
    monkeypatch.setattr(phases, "provide", lambda _checkout, _purpose, _interpreter: made)
    sampled = list(unit(workspace))
    assert len(sampled) == (2 if minor == 9 else 1)
    assert all("--drawn-by=12" in check.argv for check in sampled)
    found = campaigns(workspace)
    whole = [found[name]() for name in (UNIT, *(managed_host_name(one) for one in interpreters.targets()))]
    assert not any(word.startswith("--drawn-by") for check in whole for word in check.argv)
    assert whole[0].argv[-1] == "tests/unit"
