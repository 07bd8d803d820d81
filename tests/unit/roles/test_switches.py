# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches of roles and playbooks on the command line: `-e name=false` gives a string, which Ansible takes for no condition."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

TASKS = sorted(path for folder in ("roles/*/tasks", "playbooks") for path in ROOT.glob(f"{folder}/**/*.yml"))
SPECS = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))]
OPTIONS = {
    name
    for spec in SPECS
    for entry in spec["argument_specs"].values()
    for name, option in entry["options"].items()
    if option["type"] == "bool"
}
CONDITIONS = ("when", "that", "failed_when", "changed_when", "until")
INLINE = re.compile(r"\bif (.+?) else\b")
# Variables that only -e gives have their default where they are read.
DEFAULT = re.compile(r"\|default\((?:true|false)\)")
GIVEN = ("fleet_", "show_", "rehearse_")
WORD = re.compile(r"\b(?<!\.)(\w+)\b(?P<filters>(?: *\| *\w+(?:\([^)]*\))?)*)")


def conditions(value: object) -> Iterator[str]:
    """What has to be true or false, in tasks and in templates."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in CONDITIONS:
                yield from (one for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, str))
            yield from conditions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from conditions(inner)
    elif isinstance(value, str):
        yield from INLINE.findall(value)


def switches(path: Path) -> set[str]:
    """Boolean variables that the file's reader can give with -e."""
    own = {
        name
        for play in yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, value in (play.get("vars") or {}).items()
        if isinstance(value, bool) and "hosts" in play
    }
    return OPTIONS | own


def bare(condition: str, names: set[str]) -> list[str]:
    """Switches in it that would be a string there; also those that only the playbook's default makes one."""
    found = []
    for word in WORD.finditer(condition):
        filters = word["filters"].replace(" ", "")
        is_given = bool(DEFAULT.search(filters)) and word[1].startswith(GIVEN)
        if (word[1] in names or is_given) and not filters.endswith("|bool"):
            found.append(word[1])
    return found


@pytest.mark.parametrize("path", TASKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_switch_in_a_condition_is_read_as_one(path: Path) -> None:
    said = list(conditions(yaml.safe_load(path.read_text(encoding="utf-8"))))
    assert [name for condition in said for name in bare(condition, switches(path))] == []


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("vfio_host_drivers and x", ["vfio_host_drivers"]),
        ("vfio_host_drivers | bool and x | default(true)", []),
        ("done and fleet_reboot | default(true)", ["fleet_reboot"]),
        ("done and fleet_reboot | default(true) | bool", []),
    ],
)
def test_a_switch_that_would_be_a_string_is_noticed(condition: str, found: list[str]) -> None:
    assert bare(condition, OPTIONS) == found


def test_the_switch_that_the_first_task_asks_is_one_in_every_form() -> None:
    variables = yaml.safe_load((ROOT / "roles/vfio_host/vars/main.yml").read_text(encoding="utf-8"))
    text = variables["vfio_host_uses_record"].strip("{} ")
    forms: dict[str, t.Any] = {"false": "false", "no": "no", "capital": "True", "one": "1", "whole": True, "not": False}
    made = {name: "{{ " + text.replace("vfio_host_use_record", f"given.{name}") + " }}" for name in forms}
    words = ["-a", json.dumps({"msg": made}), "-e", json.dumps({"given": forms, "vfio_host_hardware": []})]
    command = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "ansible.builtin.debug", *words]
    ran = subprocess.run(command, capture_output=True, check=True, timeout=240, text=True)
    found = json.loads(ran.stdout.partition("=>")[2])["msg"]
    assert found == {"false": False, "no": False, "capital": True, "one": True, "whole": True, "not": False}
