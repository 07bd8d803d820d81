# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks for a fleet, run on trees that stand for hosts, and the examples of their guide."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.tests.unit.converged_hosts import CLAIM, converged
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

GUIDE = (ROOT / "docs/fleet.md").read_text(encoding="utf-8")
PLAYBOOKS = ROOT / "playbooks"
HOSTS = ("host1", "host2", "host3")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def documents() -> list[t.Any]:
    return [yaml.safe_load(block) for block in blocks("yaml")]


def test_every_example_is_what_it_looks_like() -> None:
    inventory, variables, pull, environment, job = documents()
    assert "vfio_host_claims" in inventory["all"]["children"]["gpu_hosts"]["vars"]
    assert pull[0]["roles"][0]["role"] == "vfio.variants.vfio_host"
    assert set(job[0]["tasks"][0]["awx.awx.job_template"]["extra_vars"]) <= set(variables)
    assert environment["dependencies"]["galaxy"]["collections"] == ["vfio.variants"]
    unit = configparser.ConfigParser()
    unit.read_string(blocks("ini")[0])
    assert unit["Service"]["Type"] == "oneshot"


def test_every_hook_that_an_example_names_is_there_and_is_a_list_of_tasks() -> None:
    named = set(re.findall(r"\b(?:un)?drain_\w+\.yml", GUIDE))
    there = {path.name for path in (PLAYBOOKS / "fleet").glob("*drain_*.yml")}
    assert named == there
    for name in there:
        assert all("name" in task for task in yaml.safe_load((PLAYBOOKS / "fleet" / name).read_text(encoding="utf-8")))


def test_the_guide_has_every_variable_with_its_default() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*PLAYBOOKS.glob("*.yml"), *(PLAYBOOKS / "fleet").glob("*.yml"))]
    own = {"fleet_guests", "fleet_guest", "fleet_left", "fleet_hook"}
    used = {name for text in texts for name in re.findall(r"\bfleet_\w+", text)} - own
    table = "\n".join(line for line in GUIDE.splitlines() if line.startswith("| `fleet_"))
    assert used == set(re.findall(r"`(fleet_\w+)`", table))
    for name, value in re.findall(r"(fleet_\w+) \| default\(([^)]+)\)", "\n".join(texts)):
        if value not in ("''", "inventory_hostname"):
            row = next(line for line in table.splitlines() if f"`{name}`" in line)
            assert f"`{value}`" in row.replace("`gpu_hosts`", "`'gpu_hosts'`")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hosts on which everything is done, and the playbook that has recorded it."""
    folder = tmp_path_factory.mktemp("fleet")
    for name in HOSTS:
        converged(folder / name)
    shared = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    claims = {"vfio_host_claims": [CLAIM], "vfio_host_drivers": False, "vfio_host_live": False}
    hosts = {name: {"vfio_host_root": str(folder / name)} for name in HOSTS}
    inventory = {"gpu_hosts": {"hosts": hosts, "vars": {**shared, **claims}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    record = {"ansible.builtin.include_role": {"name": "vfio.variants.vfio_host", "tasks_from": "record"}}
    play = [{"hosts": "all", "gather_facts": False, "tasks": [record]}]
    (folder / "record.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    assert run(folder, folder / "record.yml").returncode == 0
    return folder


def run(folder: Path, playbook: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    given = [word for name, value in variables.items() for word in ("-e", yaml.safe_dump({name: value}, default_flow_style=True).strip())]
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1", "ANSIBLE_REMOTE_TMP": str(folder / "remote")}
    argv = [program, "-i", "hosts.yml", *given, str(playbook)]
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)


def recap(output: str) -> dict[str, dict[str, int]]:
    lines = re.findall(r"^(host\d) +: (.*)$", output, re.MULTILINE)
    return {name: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)} for name, counts in lines}


@pytest.mark.sampled(2)
def test_a_roll_over_hosts_that_are_done_asks_each_of_them_and_drains_none(fleet: Path) -> None:
    (fleet / "never.yml").write_text(yaml.safe_dump([{"ansible.builtin.fail": {"msg": "It was drained."}}]), encoding="utf-8")
    done = run(fleet, PLAYBOOKS / "deploy.yml", fleet_drain="never.yml", fleet_undrain="undrain_kubernetes.yml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert {name: (counts["changed"], counts["failed"]) for name, counts in recap(done.stdout).items()} == dict.fromkeys(HOSTS, (0, 0))


@pytest.mark.sampled(4)
@pytest.mark.parametrize("hook", ["fleet_drain", "fleet_undrain"])
def test_a_hook_that_is_not_there_stops_the_roll_before_its_first_host(fleet: Path, hook: str) -> None:
    done = run(fleet, PLAYBOOKS / "deploy.yml", **{hook: "misspelt.yml"})
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "there is no file misspelt.yml. Name one of the collection's hooks, a path from the directory in which" in said
    assert "Ask whether everything is as the last run left it" not in done.stdout


@pytest.mark.sampled(3)
def test_the_canary_that_is_not_as_it_was_stops_the_roll(fleet: Path) -> None:
    site = fleet / "host1/etc/modprobe.d/site.conf"
    before = site.read_text(encoding="ascii")
    site.write_text("options e1000e debug=7\n", encoding="ascii")
    try:
        done = run(fleet, PLAYBOOKS / "deploy.yml")
    finally:
        site.write_text(before, encoding="ascii")
    assert done.returncode != 0
    assert {name: counts["failed"] for name, counts in recap(done.stdout).items()} == {"host1": 1}
    assert "/etc/modprobe.d/site.conf is not as it was." in done.stdout.replace("\n", " ")
