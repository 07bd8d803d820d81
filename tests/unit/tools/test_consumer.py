# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of somebody else's works with the built archive alone, and its scenario is short."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
import yaml

from devtool import consumer as consumers
from devtool.checkout import Checkout
from devtool.consumer import QUICK, Consumer, prepare
from devtool.environment import Environment

ROOT = Path(__file__).resolve().parents[3]
HERE = ROOT / consumers.SOURCE
SCENARIO = HERE / "molecule/default"
LINES = 25
BRIEF = ("the playbook of the site", "its documentation", "the scenario's playbooks")
"""Of the owner's commands, all of which `make consumer` and `make test-all` run."""


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Consumer:
    checkout = Checkout.here()
    place = tmp_path_factory.mktemp("consumer")
    with checkout.copied("consumer") as tree:
        return prepare(checkout, tree, place, Environment(Path(sys.prefix)), os.environ)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("about", BRIEF)
def test_a_command_of_the_repositorys_owner_ends_well(consumer: Consumer, about: str) -> None:
    ended = consumer.run(QUICK[about])
    assert ended.returncode == 0, ended.stdout


def test_the_collection_is_that_of_the_archive(consumer: Consumer) -> None:
    ended = consumer.run(("ansible-galaxy", "collection", "list", "--format", "json"))
    found = json.loads(ended.stdout[ended.stdout.index("{") :])
    library = Path(consumer.env["ANSIBLE_COLLECTIONS_PATH"])
    assert [place for place, collections in found.items() if "vfio.variants" in collections] == [str(library / "ansible_collections")]
    assert (library / "ansible_collections/vfio/variants/MANIFEST.json").is_file()
    assert not set(consumer.env) & {"PYTHONPATH", "ANSIBLE_CONFIG"}


def test_nothing_in_the_repository_names_this_tree() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in HERE.rglob("*") if path.is_file()}
    assert texts
    assert [name for name, text in texts.items() if re.search(r"ansible_collections|plugin_utils|(\.\./){3}", text)] == []


def test_a_scenario_is_shorter_than_25_lines() -> None:
    texts = [(SCENARIO / name).read_text(encoding="utf-8") for name in ("molecule.yml", "create.yml", "destroy.yml")]
    counted = [line for text in texts for line in text.splitlines() if line.strip() and not line.startswith(("#", "---"))]
    assert len(counted) < LINES


NAMES = """
- hosts: localhost
  gather_facts: false
  vars_files: ["{names}"]
  tasks:
    - ansible.builtin.copy: {{dest: "{target}", mode: "0600", content: "{{{{ testbed_names | to_json }}}}"}}
"""


def machine_names(folder: Path, project: str, scenario: str, *platforms: str) -> dict[str, str]:
    """The names that the collection's playbooks give to a scenario's machines."""
    names = ROOT / "playbooks/testbed/vars/names.yml"
    (folder / "names.yml").write_text(NAMES.format(names=names, target=folder / "names.json"), encoding="utf-8")
    given = {"molecule_yml": {"scenario": {"name": scenario}, "platforms": [{"name": name} for name in platforms]}}
    place = Path(sys.executable).parent
    env = {**os.environ, "MOLECULE_PROJECT_DIRECTORY": project}
    argv = ("ansible-playbook", "--inventory", "localhost,", "--connection", "local", "--extra-vars", json.dumps(given), "names.yml")
    ended = Consumer(folder, env, place).run(argv)
    assert ended.returncode == 0, ended.stdout
    found: dict[str, str] = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.sampled(4)
def test_machines_of_two_projects_or_scenarios_never_share_a_name(tmp_path: Path) -> None:
    platforms = ("gpu-host", "GPU host", "x" * 60, "9")
    found = [
        machine_names(tmp_path, project, scenario, *platforms)
        for project, scenario in (("/srv/a/site", "default"), ("/srv/b/site", "default"), ("/srv/a/site", "other"))
    ]
    given = [name for names in found for name in names.values()]
    assert len(set(given)) == len(given) == len(found) * len(platforms)
    assert [name for name in given if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name)] == []
    assert machine_names(tmp_path, "/srv/a/site", "default", *platforms) == found[0]


def test_the_guide_shows_the_scenario_as_it_is() -> None:
    text = (ROOT / "docs/testbed.md").read_text(encoding="utf-8")
    for name in ("molecule.yml", "create.yml", "destroy.yml"):
        shown = yaml.safe_load(re.search(rf"^`molecule/default/{name}`:\n\n```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1])  # type: ignore[index]
        assert shown == yaml.safe_load((SCENARIO / name).read_text(encoding="utf-8")), name
