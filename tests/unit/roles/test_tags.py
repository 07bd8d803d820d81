# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every task of a role can be selected and left out by a tag, and the tags are those that its page lists."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
# What all tasks of a role have. The role report is about VFIO, and its bare name may be anybody's tag.
WHOLE = {name: f"vfio_{name}" if name == "report" else name for name in ROLES}
INCLUDES = ("ansible.builtin.include_tasks", "ansible.builtin.include_role")
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)

Task = dict[str, t.Any]


def tasks(role: str, file: str = "*") -> list[Task]:
    found: list[Task] = []
    for path in sorted((ROOT / "roles" / role / "tasks").glob(f"{file}.yml")):
        found += yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def playbook(folder: Path, role: str, **options: t.Any) -> str:
    path = folder / "play.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": [{"role": f"vfio.variants.{role}", "vars": options}]}]))
    return str(path)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["ansible-playbook", "--inventory", "localhost,", "--connection", "local", *words]
    return subprocess.run(command, capture_output=True, check=False, timeout=240, text=True)


@pytest.mark.parametrize("role", ROLES)
def test_every_task_has_the_tag_of_its_role(role: str) -> None:
    without = [task["name"] for task in tasks(role) if not {WHOLE[role], "always"} & set(task.get("tags", ()))]
    assert tasks(role)
    assert without == []


@pytest.mark.parametrize("role", ROLES)
def test_only_an_include_runs_whatever_is_selected(role: str) -> None:
    always = [task for task in tasks(role) if "always" in task["tags"]]
    assert [task["name"] for task in always if not ({*INCLUDES, "ansible.builtin.assert"} & task.keys())] == []


@pytest.mark.parametrize("role", ROLES)
def test_the_page_of_a_role_lists_its_tags(role: str) -> None:
    section = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8").split("## Tags\n", 1)[1].split("\n## ", 1)[0]
    used = {tag for task in tasks(role) for tag in task["tags"]} - {"always"}
    assert sorted(ROW.findall(section)) == sorted(used)


@pytest.mark.parametrize("role", ROLES)
def test_what_a_tag_selects_is_reached_through_its_includes(role: str) -> None:
    """An include that a tag leaves out takes with it whatever is in its file."""
    missing = []
    for task in tasks(role):
        name = task.get("ansible.builtin.include_tasks")
        if name is None or "always" in task["tags"]:
            continue
        inner = {tag for one in tasks(role, "*" if "{{" in name else Path(name).stem) for tag in one["tags"]}
        missing += [f"{task['name']}: {tag}" for tag in sorted(set(task["tags"]) - inner)]
    assert missing == []


def test_a_role_within_a_role_has_the_tags_of_both() -> None:
    within = [task for task in tasks("vfio_host") if "ansible.builtin.include_role" in task]
    assert len(within) == 6
    for task in within:
        applied = set(task["ansible.builtin.include_role"]["apply"]["tags"])
        assert applied == set(task["tags"]) - {"vfio_drivers", "rehearse"}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("role", ROLES)
def test_ansible_lists_the_tag_of_a_role(tmp_path: Path, role: str) -> None:
    ran = run("--list-tags", playbook(tmp_path, role))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert WHOLE[role] in re.split(r"[\[\], \n]+", ran.stdout)


def skipped(*words: str) -> object:
    """What the role leaves out of its request."""
    text = yaml.safe_load((ROOT / "roles/vfio_host/vars/main.yml").read_text(encoding="utf-8"))["vfio_host_skip"]
    return Templar(DataLoader(), variables={"ansible_skip_tags": words}).template(trust_as_template(text))


def test_a_tag_that_is_skipped_leaves_its_part_out_of_the_request() -> None:
    assert (skipped(), skipped("other")) == ([], [])
    assert (skipped("vfio_drivers"), skipped("vfio_host_check")) == (["drivers"], ["winner"])
    assert skipped("vfio_host_check", "vfio_drivers") == ["drivers", "winner"]


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("words", "reached"),
    [
        (("--tags", "vfio_host_judge"), True),
        (("--tags", "vfio_host_check"), True),
        (("--skip-tags", "vfio_host_check"), True),
        (("--tags", "other"), False),
        (("--skip-tags", "vfio_host"), False),
    ],
)
def test_a_wrong_claim_is_refused_by_the_tasks_that_are_selected(tmp_path: Path, words: tuple[str, ...], reached: bool) -> None:
    ran = run(playbook(tmp_path, "vfio_host", vfio_host_drivers=False, vfio_host_claims=[{"devices": "10de:1db"}]), *words)
    assert ("is not an ID" in ran.stdout + ran.stderr, ran.returncode) == ((True, 2) if reached else (False, 0))
    assert "changed=0" in ran.stdout
