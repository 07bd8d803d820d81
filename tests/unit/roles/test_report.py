# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role `report` as Ansible runs it: on this machine, on a host without a Python, and on one that cannot be reached."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

PLAY = [
    {
        "name": "Report",
        "hosts": "all",
        "gather_facts": False,
        "roles": [{"role": "vfio.variants.report", "vars": {"report_title": "All {{ 'of' }} them"}}],
    }
]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
HOSTS: dict[str, dict[str, t.Any]] = {
    "here": LOCAL,
    "broken": {**LOCAL, "ansible_python_interpreter": "/nonexistent/python"},
    "gone": {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-F /dev/null -o ConnectTimeout=5"},
}

Seen = dict[str, t.Any]


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    (folder / "site.yml").write_text(yaml.safe_dump(PLAY))
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": HOSTS}}))
    argv = ["ansible-playbook", "-i", str(folder / "inventory.json"), *arguments, str(folder / "site.yml")]
    ran = subprocess.run(argv, capture_output=True, encoding="utf-8", timeout=180, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    folder = tmp_path_factory.mktemp("play")
    code, output = run(folder)
    return folder / "vfio-report", code, output


@pytest.mark.sampled(6)
def test_every_host_has_a_row_and_those_that_cannot_be_examined_say_so(reported: tuple[Path, int, str]) -> None:
    folder, _code, output = reported
    data: Seen = json.loads((folder / "index.json").read_text())
    states = {host["name"]: host["state"] for host in data["hosts"]}
    assert states.pop("here") != "not examined", output
    assert states == {"broken": "not examined", "gone": "not examined"}
    assert data["title"] == "All of them"


@pytest.mark.sampled(3)
def test_a_host_that_cannot_be_examined_fails_after_the_pages_are_written(reported: tuple[Path, int, str]) -> None:
    folder, code, output = reported
    recap = output.rpartition("PLAY RECAP")[2]
    failed = {line.split()[0]: "failed=1" in line for line in recap.splitlines() if "failed=" in line}
    assert code != 0
    assert failed == {"here": False, "broken": True, "gone": True}, output
    assert str(folder / "index.html") in output


def test_the_page_of_the_host_that_was_examined_is_there_and_only_that(reported: tuple[Path, int, str]) -> None:
    folder, _code, _output = reported
    assert sorted(path.name for path in (folder / "hosts").iterdir()) == ["here.html", "here.json", "here.prom"]


@pytest.mark.sampled(6)
def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    _code, output = run(tmp_path, "--check", "--limit", "here")
    assert "changed=2" in output, output
    assert not (tmp_path / "vfio-report").exists()
    assert "changed=2" in run(tmp_path, "--limit", "here")[1]
    assert "changed=0" in run(tmp_path, "--limit", "here")[1]
