# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the guide to fleets, as they stand there: ansible-pull of its playbook, ansible-builder of its definition."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from ansible_collections.vfio.variants.tests.unit.converged_hosts import converged
from devtool.checkout import COLLECTION, Checkout
from devtool.environment import Environment
from devtool.mitogen_runs import Outcome, found_everything_done, record_playbook

SECONDS = 600
GUIDE = "docs/fleet.md"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECORD = "record.yml"
PULLED, BASE = "hosts: localhost\n  connection: local\n  gather_facts: false\n  roles:", "base_image:"
"""Words of the examples that are run."""


def example(guide: str, holds: str) -> str:
    """The block of YAML in the guide that has these words."""
    (found,) = (block for block in BLOCK.findall(guide) if holds in block)
    return str(found)


def outcomes(folder: Path, checkout: Checkout, main: Environment, builder: Environment, variables: Mapping[str, str]) -> Iterator[Outcome]:
    guide = (checkout.root / GUIDE).read_text(encoding="utf-8")
    yield from _pulled(folder, example(guide, PULLED), main, variables)
    yield from _environment(folder, example(guide, BASE), checkout, builder, variables)


def _pulled(folder: Path, playbook: str, main: Environment, variables: Mapping[str, str]) -> Iterator[Outcome]:
    """On a tree on which everything is done: what is pulled is the guide's playbook, and what it does is nothing."""
    root, source = folder / "root", folder / "source"
    converged(root)
    source.mkdir()
    (source / "local.yml").write_text(playbook, encoding="utf-8")
    given = {"vfio_host_root": str(root), "vfio_host_drivers": False}
    claims = yaml.safe_load(playbook)[0]["roles"][0]["vars"]
    (folder / RECORD).write_text(record_playbook("localhost", {**claims, **given}), encoding="utf-8")
    env = {**variables, "ANSIBLE_REMOTE_TMP": str(folder / "remote"), "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_NOCOLOR": "1"}
    env |= {f"GIT_{role}_{what}": "fleet@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    python = {"ansible_python_interpreter": main.program("python")}
    words = [word for name, value in {**given, **python}.items() for word in ("--extra-vars", json.dumps({name: value}))]
    for argv in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "The site's hosts"]):
        _run(["git", *argv], source, env)
    recorded = _run([main.program("ansible-playbook"), *words, "--connection", "local", RECORD], folder, env)
    yield "a record is made of what the playbook has done", recorded.returncode == 0, recorded.stdout
    pull = [main.program("ansible-pull"), "--url", str(source), "--directory", str(folder / "pulled"), *words]
    first = _run([*pull, "--only-if-changed", "local.yml"], folder, env)
    yield "a host pulls and finds everything done", found_everything_done(first.stdout), first.stdout
    again = _run([*pull, "--only-if-changed", "local.yml"], folder, env)
    yield "nothing is run where nothing is new", again.returncode == 0 and "PLAY RECAP" not in again.stdout, again.stdout


def _environment(
    folder: Path, definition: str, checkout: Checkout, builder: Environment, variables: Mapping[str, str]
) -> Iterator[Outcome]:
    file, context = folder / "execution-environment.yml", folder / "context"
    file.write_text(definition, encoding="utf-8")
    program = builder.program("ansible-builder")
    made = _run([program, "create", "--file", str(file), "--context", str(context)], folder, variables)
    collections = context / "_build/requirements.yml"
    asked = yaml.safe_load(collections.read_text(encoding="utf-8")) if collections.exists() else {}
    names = [one["name"] if isinstance(one, dict) else one for one in asked.get("collections", ())]
    yield "the definition becomes a build's context", made.returncode == 0 and names == ["vfio.variants"], made.stdout
    parent = checkout.tree / COLLECTION.parts[0]
    found = _run([program, "introspect", "--sanitize", str(parent.parent)], folder, variables)
    said = found.stdout
    yield "the collection says what it needs there", "jmespath" in said and "openssh-client" in said, said


def _run(argv: t.Sequence[str], folder: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    out = subprocess.PIPE
    return subprocess.run(argv, cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
