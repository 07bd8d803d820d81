# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role judges a whole request before its first change, and asks the same of the check as of the change."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

ROLES = ROOT / "roles"
TASKS = ROLES / "vfio_host/tasks"
Task = dict[str, t.Any]


def tasks(path: Path) -> list[Task]:
    """The tasks of a file, with those of the files that it includes in their place."""
    found: list[Task] = []
    for task in _without_blocks(yaml.safe_load(path.read_text(encoding="utf-8"))):
        role, file = task.get("ansible.builtin.include_role"), task.get("ansible.builtin.include_tasks")
        if role is not None:
            found += tasks(ROLES / role["name"].rpartition(".")[2] / "tasks" / role.get("tasks_from", "present.yml"))
        else:
            found += [task] if file is None else tasks(path.parent / file)
    return found


def _without_blocks(given: list[Task]) -> t.Iterator[Task]:
    for task in given:
        parts = [part for key in ("block", "rescue", "always") for part in task.get(key, ())]
        yield from _without_blocks(parts) if parts else [task]


def calls(name: str, module: str) -> list[tuple[bool, Task]]:
    """Each call of a module, whether it only predicts, and its options."""
    return [(task.get("check_mode", False), task[module]) for task in tasks(TASKS / name) if module in task]


def names(name: str) -> list[str]:
    """The modules and actions of a file's tasks, in order, without those that only set facts."""
    found = [next(key for key in task if "." in key) for task in tasks(TASKS / name)]
    return [one.rpartition(".")[2] for one in found if one != "ansible.builtin.set_fact"]


def test_drivers_are_built_only_once_the_whole_request_is_judged() -> None:
    found = names("present.yml")
    built = found.index("package")
    assert found[:built].count("host_claims") == 2
    waits = [task["vfio.variants.host_claims"].get("waits_for_drivers", False) for task in tasks(TASKS / "present.yml")[:2]]
    assert waits == [False, True]
    assert "host_claims" in found[built:]


def test_drivers_are_removed_once_nothing_uses_them() -> None:
    found = names("absent.yml")
    assert found.index("dkms_package") > max(place for place, one in enumerate(found) if one == "host_claims")


@pytest.mark.parametrize("name", ["present.yml", "absent.yml"])
def test_what_is_judged_is_what_is_done(name: str) -> None:
    made = calls(name, "vfio.variants.host_claims")
    assert [only_predicts for only_predicts, _options in made][:2] == [True, False]
    asked = [{"request": options["request"], "skip": options["skip"]} for _only_predicts, options in made]
    assert asked == [asked[0]] * len(asked)


def play(folder: Path, **options: t.Any) -> str:
    """What Ansible says when the role fails on this machine."""
    role = {"role": "vfio.variants.vfio_host", "vars": {"vfio_host_drivers": False, **options}}
    path = folder / "play.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": [role]}]), encoding="utf-8")
    command = ["ansible-playbook", "--inventory", "localhost,", "--connection", "local", str(path)]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=240, text=True)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.sampled(6)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_play_with_a_wrong_claim_stops_before_anything_is_changed(tmp_path: Path, state: str) -> None:
    said = play(tmp_path, vfio_host_state=state, vfio_host_claims=[{"devices": "10de:1db"}])
    assert "claims[0].devices: '10de:1db' is not an ID" in said
    assert f"{state}.yml" in said
    assert " changed=0 " in said


@pytest.mark.sampled(3)
def test_a_time_limit_for_the_reboot_is_refused_before_there_is_one(tmp_path: Path) -> None:
    said = play(tmp_path, vfio_host_reboot_timeout=-5, vfio_host_claims=[{"devices": "10de:1db1"}])
    assert "vfio_host_reboot_timeout: -5 is too short. Allowed are whole seconds, 1 and more." in said
    assert "Judge" not in said


def test_guards_that_there_are_not_are_refused_by_the_roles_arguments(tmp_path: Path) -> None:
    said = play(tmp_path, vfio_host_claims=[{"devices": "10de:1db1", "guards": {"root": "ignore"}}])
    assert "root" in said
    assert "Validating arguments" in said
    assert "Judge" not in said
