# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows can be written just so: every option exists, and takes the value given to it."""

from __future__ import annotations

import re
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.tests.unit.documented_options import (
    COLLECTION,
    FILTERS,
    MODULES,
    ROLES,
    ROOT,
    module_refusals,
    refusals,
    role_refusals,
    specification,
)
from ansible_collections.vfio.variants.tests.unit.documented_pages import blocks, in_yaml, pages

PLAYBOOKS = ("playbooks/**/*.yml", "tests/consumer/**/*.yml")

SHOWN = {
    **{name: [said["examples"]] for name, said in {**MODULES, **FILTERS}.items()},
    **{str(path.relative_to(ROOT)): in_yaml(path.read_text(encoding="utf-8")) for path in pages()},
    **{str(path.relative_to(ROOT)): [path.read_text(encoding="utf-8")] for pattern in PLAYBOOKS for path in sorted(ROOT.glob(pattern))},
}
JOBS = sorted((ROOT / "playbooks/examples").glob("*.yml"))
# A block of YAML that is called something else would not be looked at.
LANGUAGES = {"", "c", "console", "diff", "ini", "makefile", "sh", "text", "xml", "yaml", "{toctree}"}
IN_YAML = re.compile(r"^[ -]*(?:role|hosts|roles|tasks|vfio\.variants\.\w+|(?:vfio|report|rehearse|show)_\w+): *(?:$|\S)", re.MULTILINE)
COPIED = re.compile(r"^<!-- (playbooks/\S+\.yml) -->\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def mappings(value: object) -> Iterator[dict[str, t.Any]]:
    """All mappings in it, at any depth."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(inner)


@pytest.mark.parametrize("place", SHOWN)
def test_examples_give_options_that_exist(place: str) -> None:
    found: list[str] = []
    for mapping in [mapping for shown in SHOWN[place] for mapping in mappings(yaml.safe_load(shown))]:
        for module in MODULES.keys() & mapping.keys():
            found += [f"{mapping.get('name')}: {message}" for message in module_refusals(module, mapping[module] or {})]
        for role in ROLES:
            variables = {name: value for name, value in mapping.items() if str(name).startswith(f"{role}_")}
            found += [f"{role}: {message}" for message in role_refusals(role, variables)] if variables else []
        if {"emulate", "preset"} & mapping.keys():
            found += refusals(specification(MODULES[f"{COLLECTION}.test_vm"]["doc"]["options"]["functions"]["suboptions"]), mapping)
    assert found == []


@pytest.mark.parametrize("place", SHOWN)
def test_examples_name_roles_and_playbooks_that_exist(place: str) -> None:
    named = [mapping for shown in SHOWN[place] for mapping in mappings(yaml.safe_load(shown))]
    roles = [name for mapping in named for name in (mapping.get("role"), *(mapping.get("roles") or ())) if isinstance(name, str)]
    own = [name.removeprefix(f"{COLLECTION}.") for name in roles if name.startswith(f"{COLLECTION}.")]
    playbooks = [str(mapping[key]) for mapping in named for key in ("import_playbook", "ansible.builtin.import_playbook") if key in mapping]
    files = [name.removeprefix(f"{COLLECTION}.").replace(".", "/") for name in playbooks if name.startswith(f"{COLLECTION}.")]
    assert sorted(set(own) - ROLES.keys()) == []
    assert [name for name in files if not (ROOT / "playbooks" / f"{name}.yml").is_file()] == []


def test_options_of_the_action_group_are_those_of_a_module() -> None:
    defaults = [
        mapping["module_defaults"][f"group/{COLLECTION}.vfio"]
        for texts in SHOWN.values()
        for shown in texts
        for mapping in mappings(yaml.safe_load(shown))
        if f"group/{COLLECTION}.vfio" in mapping.get("module_defaults", {})
    ]
    known = {option for said in MODULES.values() for option in said["doc"].get("options", {})}
    assert defaults
    assert [option for options in defaults for option in options if option not in known] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"devices": "10de:1db1", "expect": "winner"}, "expect"),
        ({"devices": "10de:1db1", "require": "winning"}, "value of require must be one of"),
        ({"devices": "10de:1db"}, "is not an ID"),
    ],
)
def test_a_value_that_the_module_would_refuse_is_noticed(given: dict[str, t.Any], said: str) -> None:
    assert [message for message in module_refusals(f"{COLLECTION}.claim_info", given) if said in message]
    assert role_refusals("vfio_host", {"vfio_host_claims": [given]}) != []


def test_every_module_filter_and_role_shows_how_it_is_used() -> None:
    shown = {name: "\n".join(texts) for name, texts in SHOWN.items()}
    assert [name for name in {**MODULES, **FILTERS} if name not in shown[name]] == []
    assert [role for role in ROLES if f"{COLLECTION}.{role}" not in shown.get(f"roles/{role}/README.md", "")] == []


def test_a_role_in_a_playbook_gets_all_that_it_requires() -> None:
    missing: list[str] = []
    for path in JOBS:
        for given in [mapping for mapping in mappings(yaml.safe_load(path.read_text(encoding="utf-8"))) if "role" in mapping]:
            role = given["role"].removeprefix(f"{COLLECTION}.")
            missing += [f"{path.name}: {message}" for message in role_refusals(role, given["vars"], whole=True)]
    assert JOBS
    assert missing == []


def test_ansible_reads_the_playbook_of_each_job() -> None:
    ran = subprocess.run(
        ["ansible-playbook", "--syntax-check", "--inventory", "localhost,", *map(str, JOBS)],
        capture_output=True,
        check=False,
        timeout=240,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [path.name for path in JOBS if f"playbook: {path}" not in ran.stdout] == []


def test_the_page_of_the_role_names_the_playbook_of_each_job() -> None:
    page = (ROOT / "roles/vfio_host/README.md").read_text(encoding="utf-8")
    assert re.findall(r"\(\.\./\.\./playbooks/examples/(\w+\.yml)\)", page) == [path.name for path in JOBS]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_example_of_a_page_is_passed_over(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = blocks(text)
    # A fence of another kind, or one that is not closed, would hide what is in it.
    assert len(re.findall(r"^ *(?:```|~~~)", text, re.MULTILINE)) == 2 * len(found)
    assert {language for language, _content in found} - LANGUAGES == set()
    assert [content for language, content in found if language != "yaml" and IN_YAML.search(content)] == []


def test_a_playbook_in_a_block_of_another_kind_is_noticed() -> None:
    assert IN_YAML.search("- hosts: all\n  roles:\n    - role: vfio.variants.report\n")
    assert IN_YAML.search("- vfio.variants.claim_info:\n    require: winner\n")
    assert IN_YAML.search("rehearse_claims:\n  - devices: 10de:1db1\n")
    assert not IN_YAML.search("ansible all -m vfio.variants.claim_info\ngpu-1 | SUCCESS\n0000:3b:00.0: nouveau\n")


def test_a_page_shows_each_job_as_its_playbook_has_it() -> None:
    shown = [found for page in pages() for found in COPIED.findall(page.read_text(encoding="utf-8"))]
    assert sorted(path for path, _content in shown) == [str(path.relative_to(ROOT)) for path in JOBS]
    different = [path for path, content in shown if yaml.safe_load(content) != yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))]
    assert different == []


@pytest.mark.parametrize("role", sorted(ROLES))
def test_the_page_of_a_role_says_how_to_install_it_as_the_readme_does(role: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    said = readme[readme.index("In the `requirements.yml`") : readme.index("Options that all tasks of a play share")].strip()
    assert "ansible-galaxy collection install -r requirements.yml" in said
    assert f"## Install\n\n{said}\n\n## Requirements\n" in (ROOT / f"roles/{role}/README.md").read_text(encoding="utf-8")
