# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One play with the role over hosts of public reports, and what is wrong with what it came to."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.tests.public_hosts.hosts import HOSTS
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.trees import Tree

Result = dict[str, t.Any]
ROLE: Result = {
    "ansible.builtin.include_role": {"name": "vfio.variants.vfio_host"},
    "vars": {
        "vfio_host_root": "{{ tree }}",
        "vfio_host_hardware": "{{ hardware }}",
        "vfio_host_claims": "{{ claims }}",
        "vfio_host_drivers": False,
    },
}
PLAY: Result = {
    "hosts": "all",
    "gather_facts": False,
    "tasks": [
        {
            "block": [ROLE, {"ansible.builtin.set_fact": {"answer": {"report": "{{ vfio_host_report }}"}}}],
            "rescue": [{"ansible.builtin.set_fact": {"answer": {"refused": "{{ ansible_failed_result.msg }}"}}}],
        },
        {"ansible.builtin.copy": {"content": "{{ answer | to_json }}", "dest": "{{ tree }}.json", "mode": "0600"}},
    ],
}


@dataclasses.dataclass(frozen=True)
class Laid:
    """A host before the play: its tree as an image, the devices that it was read with, and the content of its files."""

    name: str
    tree: Tree
    hardware: t.Sequence[Result]
    files: t.Mapping[str, bytes]

    @classmethod
    def out(cls, name: str, place: Path) -> Laid:
        tree = HOSTS[name].lay_out(place)
        hardware = device_info(tree.host(Commands(place)))["devices"]
        # As an image of that host: what runs is another machine.
        for folder in ("/sys", "/proc"):
            shutil.rmtree(tree.place(folder))
            tree.directory(folder)
        return cls(name, tree, hardware, files_of(place))

    def variables(self) -> Result:
        said = {"tree": str(self.tree.root), "hardware": self.hardware, "claims": list(HOSTS[self.name].claims)}
        return {**said, "ansible_connection": "local", "ansible_python_interpreter": sys.executable}

    def owners(self) -> dict[str, tuple[str | None, str]]:
        """The drivers at the next boot as the files are now."""
        found = device_info(self.tree.host(Commands(self.tree.root)), hardware=self.hardware)["devices"]
        return {device["address"]: (device["next_driver"], device["certainty"]) for device in found}


def files_of(root: Path) -> dict[str, bytes]:
    """All but what is of a running system."""
    passing = ("run/", "tmp/", "var/cache/")
    names = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(passing)}


def played(folder: Path, names: t.Iterable[str]) -> dict[str, list[str]]:
    """What is wrong with what the role came to, for each of these hosts, which are laid out in the folder."""
    hosts = [Laid.out(name, folder / f"host{number}") for number, name in enumerate(names)]
    before = {host.name: host.owners() for host in hosts}
    inventory = {"all": {"hosts": {host.tree.root.name: host.variables() for host in hosts}}}
    (folder / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    (folder / "play.yml").write_text(json.dumps([PLAY]), encoding="utf-8")
    command = ["ansible-playbook", "--inventory", str(folder / "inventory.json"), "--forks", "2", str(folder / "play.yml")]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=1800, text=True)
    found: dict[str, list[str]] = {}
    for host in hosts:
        answer = Path(f"{host.tree.root}.json")
        if answer.exists():
            found[host.name] = judged(host, before[host.name], json.loads(answer.read_text(encoding="utf-8")))
        else:
            found[host.name] = [f"the play came to no end: {ran.stdout}{ran.stderr}"]
    return found


def judged(host: Laid, before: t.Mapping[str, tuple[str | None, str]], answer: Result) -> list[str]:
    words = HOSTS[host.name].refused
    if "refused" in answer:
        said = str(answer["refused"])
        wrong = [] if words is not None and words in said else [f"refused: {said}"]
        changed = {name for name, content in files_of(host.tree.root).items() if host.files.get(name) != content}
        return [*wrong, *(f"refused, and {name} was written" for name in sorted(changed))]
    if words is not None:
        return [f"carried out, not refused with {words!r}"]
    claimed = {device["address"]: (device["claimed"], "certain") for device in answer["report"]["devices"]}
    after, expected = host.owners(), {**before, **claimed}
    wrong = [f"{address}: {after[address]}, not {expected[address]}" for address in expected if after[address] != expected[address]]
    return wrong if claimed else ["no device was claimed"]
