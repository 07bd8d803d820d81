# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role vfio_host under Mitogen's strategy, which large fleets use: the same answers as under Ansible's own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from ansible_collections.vfio.variants.tests.unit.converged_hosts import CLAIM, converged
from devtool.environment import Environment

SECONDS = 300
ROLE, RECORD = "role.yml", "record.yml"
DRIFTED = "/etc/modprobe.d/site.conf"
PACKAGES = ("ansible_mitogen", "mitogen")

Outcome = tuple[str, bool, str]
"""What was tried, whether it came out as it should, and what was printed."""


def outcomes(folder: Path, main: Environment, mitogen: Environment, variables: Mapping[str, str]) -> Iterator[Outcome]:
    root = folder / "root"
    tree = converged(root)
    _write(folder, root, main.program("python"))
    env = _variables(folder, mitogen, variables)

    def run(playbook: str, strategy: str) -> subprocess.CompletedProcess[str]:
        argv = [main.program("ansible-playbook"), "-i", "hosts.yml", playbook]
        given = {**env, "ANSIBLE_STRATEGY": strategy}
        out = subprocess.PIPE
        return subprocess.run(argv, cwd=folder, env=given, stdout=out, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)

    recorded = run(RECORD, "linear")
    yield "the record is made under Ansible's own strategy", recorded.returncode == 0, recorded.stdout
    for strategy in ("linear", "mitogen_linear"):
        ended = run(ROLE, strategy)
        yield f"nothing to do, {strategy}", found_everything_done(ended.stdout), ended.stdout
    tree.file(DRIFTED, "options e1000e debug=2\n")
    for strategy in ("linear", "mitogen_linear"):
        ended = run(ROLE, strategy)
        yield f"a file that was changed is noticed, {strategy}", noticed(ended.stdout, DRIFTED), ended.stdout


def found_everything_done(output: str) -> bool:
    return bool(re.search(r"^(?:local)?host +: ok=3 +changed=0 .* failed=0", output, re.MULTILINE))


def noticed(output: str, path: str) -> bool:
    return f"{path} is not as it was" in re.sub(r"\s+", " ", output) and bool(re.search(r"^host .* failed=1", output, re.MULTILINE))


def _variables(folder: Path, mitogen: Environment, variables: Mapping[str, str]) -> dict[str, str]:
    beside = folder / "mitogen"
    beside.mkdir()
    # Its packages alone: the rest of that environment is pip.
    for name in PACKAGES:
        (beside / name).symlink_to(mitogen.packages / name)
    path = os.pathsep.join((str(beside), variables.get("PYTHONPATH", ""))).rstrip(os.pathsep)
    return {
        **variables,
        "PYTHONPATH": path,
        "ANSIBLE_STRATEGY_PLUGINS": str(beside / "ansible_mitogen/plugins/strategy"),
        "ANSIBLE_REMOTE_TMP": str(folder / "remote"),
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_NOCOLOR": "1",
    }


def record_playbook(hosts: str, given: Mapping[str, object]) -> str:
    """A play that does the role's last task alone."""
    role = {"name": "vfio.variants.vfio_host", "tasks_from": "record"}
    return _play(hosts, tasks=[{"ansible.builtin.include_role": role, "vars": dict(given)}])


def _play(hosts: str, **play: object) -> str:
    return yaml.safe_dump([{"hosts": hosts, "gather_facts": False, **play}])


def _write(folder: Path, root: Path, python: str) -> None:
    given = {"vfio_host_claims": [CLAIM], "vfio_host_root": str(root), "vfio_host_drivers": False}
    (folder / ROLE).write_text(_play("all", roles=[{"role": "vfio.variants.vfio_host", "vars": given}]), encoding="utf-8")
    (folder / RECORD).write_text(record_playbook("all", given), encoding="utf-8")
    hosts = {"all": {"hosts": {"host": {"ansible_connection": "local", "ansible_python_interpreter": python}}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
