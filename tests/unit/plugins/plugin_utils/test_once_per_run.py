# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worked out for a run is worked out by one of the processes of its hosts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible import constants

from ansible_collections.vfio.variants.plugins.plugin_utils.once_per_run import once_per_run

HOSTS = 8


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(folder))
    return folder


def in_a_process_of_its_own(made: Path) -> int:
    def make() -> str:
        with open(made, "a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.1)
        return "result"

    child = os.fork()
    if child == 0:
        os._exit(0 if once_per_run("what", make) == "result" else 1)
    return child


def test_all_hosts_of_a_run_share_one_result(run: Path, tmp_path: Path) -> None:
    assert run.is_dir()
    children = [in_a_process_of_its_own(tmp_path / "made") for _host in range(HOSTS)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * HOSTS
    assert len((tmp_path / "made").read_text(encoding="ascii").splitlines()) == 1


def test_each_name_and_each_run_has_its_own_result(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [once_per_run("one", lambda: 1), once_per_run("two", lambda: 2), once_per_run("one", lambda: 3)] == [1, 2, 1]
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    assert once_per_run("one", lambda: 3) == 3
    assert sorted(path.suffix for path in run.iterdir()) == [".json", ".json", ".lock", ".lock"]


def test_a_damaged_result_is_made_again(run: Path) -> None:
    once_per_run("one", lambda: 1)
    (kept,) = run.glob("*.json")
    kept.write_text("{", encoding="ascii")
    assert once_per_run("one", lambda: 2) == 2
