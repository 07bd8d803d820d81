# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows can be written just so: every option exists, and takes the value given to it."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "vfio.variants"
SPEC_KEYS = ("aliases", "choices", "default", "elements", "required", "type")
FENCED = re.compile(r"^```ya?ml\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Options = dict[str, t.Any]


def ansible_doc(kind: str) -> dict[str, t.Any]:
    names = [f"{COLLECTION}.{path.stem}" for path in sorted((ROOT / "plugins" / kind).glob("*.py"))]
    kind = {"modules": "module"}.get(kind, kind)
    ran = subprocess.run(["ansible-doc", "--json", "--type", kind, *names], capture_output=True, check=True, timeout=120)
    documented: dict[str, t.Any] = json.loads(ran.stdout)
    return documented


MODULES = ansible_doc("modules")
FILTERS = ansible_doc("filter")
ROLES: dict[str, Options] = {
    path.parts[-3]: yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))
}
SHOWN = {
    **{name: [said["examples"]] for name, said in {**MODULES, **FILTERS}.items()},
    **{
        str(path.relative_to(ROOT)): [textwrap.dedent(found) for found in FENCED.findall(path.read_text(encoding="utf-8"))]
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "roles").glob("*/README.md")))
        if path.is_file()
    },
    **{str(path.relative_to(ROOT)): [path.read_text(encoding="utf-8")] for path in sorted((ROOT / "playbooks").glob("*/*.yml"))},
}
JOBS = sorted((ROOT / "playbooks/examples").glob("*.yml"))


def specification(options: Options) -> Options:
    """Documented options as Ansible's own validation takes them; validate-modules holds them equal to the module's."""
    return {
        name: {key: option[key] for key in SPEC_KEYS if key in option} | {"options": specification(option["suboptions"])}
        if "suboptions" in option
        else {key: option[key] for key in (*SPEC_KEYS, "options") if key in option}
        for name, option in options.items()
    }


def partly(options: Options) -> Options:
    return {name: {**option, "required": False} for name, option in options.items()}


def mappings(value: object) -> Iterator[dict[str, t.Any]]:
    """All mappings in it, at any depth."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(inner)


def refusals(specified: Options, given: dict[str, t.Any]) -> list[str]:
    # A template may become anything: whether the option exists is all there is to say about it.
    told = {name: value for name, value in given.items() if "{{" not in str(value)}
    validator = ArgumentSpecValidator(specified)
    unknown = sorted(given.keys() - specified.keys() - {alias for option in specified.values() for alias in option.get("aliases", ())})
    templated = [f"missing required arguments: {name}" for name in given.keys() - told.keys()]
    found = [message for message in validator.validate(told).error_messages if message not in templated]
    return [*found, *(f"there is no option {name}" for name in unknown)]


@pytest.mark.parametrize("place", SHOWN)
def test_examples_give_options_that_exist(place: str) -> None:
    found: list[str] = []
    for mapping in [mapping for shown in SHOWN[place] for mapping in mappings(yaml.safe_load(shown))]:
        for module in MODULES.keys() & mapping.keys():
            specified = specification(MODULES[module]["doc"].get("options", {}))
            found += [f"{mapping.get('name')}: {message}" for message in refusals(specified, mapping[module] or {})]
        for role, options in ROLES.items():
            variables = {name: value for name, value in mapping.items() if str(name).startswith(f"{role}_")}
            found += [f"{role}: {message}" for message in refusals(partly(options), variables)] if variables else []
        if "emulate" in mapping:
            found += refusals(specification(MODULES[f"{COLLECTION}.test_vm"]["doc"]["options"]["functions"]["suboptions"]), mapping)
    assert found == []


def test_every_module_filter_and_role_shows_how_it_is_used() -> None:
    shown = {name: "\n".join(texts) for name, texts in SHOWN.items()}
    assert [name for name in {**MODULES, **FILTERS} if name not in shown[name]] == []
    assert [role for role in ROLES if f"{COLLECTION}.{role}" not in shown.get(f"roles/{role}/README.md", "")] == []


def test_a_role_in_a_playbook_gets_all_that_it_requires() -> None:
    missing: list[str] = []
    for path in JOBS:
        for given in [mapping for mapping in mappings(yaml.safe_load(path.read_text(encoding="utf-8"))) if "role" in mapping]:
            options = ROLES[given["role"].removeprefix(f"{COLLECTION}.")]
            missing += [f"{path.name}: {message}" for message in refusals(options, given["vars"])]
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
