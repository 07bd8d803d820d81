# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An equal request has an equal key; every option, every source file and every line of code makes another one."""

from __future__ import annotations

import itertools
import re
import shutil
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from jinja2 import Environment, nodes

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.report.role_options import REQUEST
from ansible_collections.vfio.variants.plugins.plugin_utils.request_key import CODE, COLLECTION, code_digest, folders_of, key_of
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

ROLES = ROOT / "roles"
FULL: dict[str, t.Any] = {
    "claims": [{"devices": "10de:1db1"}],
    "state": "present",
    "strategy": "override",
    "kernels": "all",
    "group": "claim",
    "live": True,
    "check_winner": True,
    "timeout": 60,
    "iommu": True,
    "iommu_passthrough": False,
    "drivers": True,
    "drivers_sources": ["vfio-variants"],
    "drivers_variants": [],
    "drivers_kernel_sources": [],
    "drivers_kernels": "all",
    "drivers_timeout": 900,
    "drivers_dependencies": True,
}
OTHERS: dict[str, t.Any] = {
    "claims": [{"devices": "10de:1db1", "driver": "vfio-pci"}],
    "state": "absent",
    "strategy": "ids",
    "kernels": "running",
    "group": "ignore",
    "live": False,
    "check_winner": False,
    "timeout": 61,
    "iommu": False,
    "iommu_passthrough": True,
    "drivers": False,
    "drivers_sources": ["vfio-variants", "files/other"],
    "drivers_variants": ["mlx5"],
    "drivers_kernel_sources": ["/srv/linux"],
    "drivers_kernels": ["6.12.107+deb13-amd64"],
    "drivers_timeout": 901,
    "drivers_dependencies": False,
}


@pytest.fixture(autouse=True)
def _run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "this run"
    folder.mkdir()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(folder))


def nowhere(name: str) -> Path:
    raise HostError(f"There is no {name}.")


def test_an_equal_request_has_an_equal_key() -> None:
    assert key_of(FULL, {}) == key_of(dict(reversed(FULL.items())), {})


@pytest.mark.parametrize("option", OTHERS)
def test_every_option_counts(option: str) -> None:
    assert key_of({**FULL, option: OTHERS[option]}, {}) != key_of(FULL, {})


def test_the_options_are_those_of_the_module_and_of_the_role() -> None:
    assert set(FULL) == set(OTHERS) == set(REQUEST) == set(of_role())


def of_role(**variables: t.Any) -> dict[str, t.Any]:
    """The request that the role makes of its defaults and these variables."""
    text = yaml.safe_load((ROLES / "vfio_host/vars/main.yml").read_text(encoding="utf-8"))["vfio_host_request"]
    defaults = yaml.safe_load((ROLES / "vfio_host/defaults/main.yml").read_text(encoding="utf-8"))
    templar = Templar(DataLoader(), variables={**defaults, "vfio_host_claims": [], **variables})
    request: dict[str, t.Any] = templar.template(trust_as_template(text))
    return request


def test_values_of_the_role_keep_their_types_and_expressions_in_them_are_evaluated() -> None:
    claims = [{"devices": trust_as_template("{{ wanted }}"), "guards": {"in_use": "ignore"}}]
    request = of_role(vfio_host_claims=claims, wanted=["10de:1db1"], vfio_host_live=False, vfio_drivers_timeout=7)
    assert request["claims"] == [{"devices": ["10de:1db1"], "guards": {"in_use": "ignore"}}]
    assert (request["live"], request["drivers"], request["drivers_timeout"], request["timeout"]) == (False, True, 7, 60)
    assert request["drivers_sources"] == ["vfio-variants"]


def test_every_option_of_the_role_that_decides_what_it_does_is_in_the_request() -> None:
    specs = yaml.safe_load((ROLES / "vfio_host/meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = {name.removeprefix("vfio_host_") for name in specs["argument_specs"]["main"]["options"]}
    # Whether to rehearse a reboot, and whether and how long to wait for one: a run that needs one leaves no record, nor does an image.
    assert options - set(REQUEST) == {"reboot", "reboot_timeout", "rehearse", "use_record", "root", "hardware"}


def test_the_defaults_of_the_drivers_role_are_those_that_the_request_takes() -> None:
    own, theirs = (
        yaml.safe_load((ROLES / role / "defaults/main.yml").read_text(encoding="utf-8")) for role in ("vfio_host", "vfio_drivers")
    )
    taken = {name for name in own if name.startswith("vfio_drivers_")}
    named = {f"vfio_{name}" for name in REQUEST if name.startswith("drivers_")} - {"vfio_drivers_kernels"}
    assert taken == named
    assert {name: own[name] for name in taken} == {name: theirs[name] for name in taken}
    for name in taken & {f"vfio_{name}" for name, option in REQUEST.items() if "default" in option}:
        assert REQUEST[name.removeprefix("vfio_")]["default"] == theirs[name]


def test_a_run_with_nothing_to_do_makes_ansible_import_no_filters() -> None:
    variables = yaml.safe_load((ROLES / "vfio_host/vars/main.yml").read_text(encoding="utf-8"))["vfio_host_request"]
    tasks = yaml.safe_load((ROLES / "vfio_host/tasks/main.yml").read_text(encoding="utf-8"))
    before_its_end = str([*itertools.takewhile(lambda task: "ansible.builtin.include_tasks" not in task, tasks)])
    assert "end_role" in before_its_end
    environment = Environment(autoescape=True)
    found = [environment.parse(text) for text in (variables, *re.findall(r"{{.*?}}", before_its_end))]
    found += [environment.parse(f"{{{{ {task['when']} }}}}") for task in tasks if "when" in task]
    assert len(found) >= 6
    assert [node for tree in found for node in tree.find_all((nodes.Filter, nodes.Test))] == []


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    for folder in CODE:
        shutil.copytree(COLLECTION / folder, tmp_path / "collection" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "collection"


def test_a_copy_of_the_code_has_the_same_digest(collection: Path) -> None:
    assert code_digest(collection) == code_digest()


@pytest.mark.parametrize(
    "file",
    [
        "plugins/module_utils/_core/forecast/forecast.py",
        "plugins/modules/boot_policy.py",
        "plugins/action/dkms_package.py",
        "roles/vfio_host/tasks/present.yml",
        "roles/vfio_drivers/defaults/main.yml",
    ],
)
def test_code_that_was_changed_in_place_counts(collection: Path, file: str) -> None:
    before = code_digest(collection)
    with open(collection / file, "a", encoding="utf-8") as code:
        code.write("# mended\n")
    assert code_digest(collection) != before


def test_a_file_of_code_more_or_less_counts(collection: Path) -> None:
    before = code_digest(collection)
    (collection / "plugins/modules/device_info.py").rename(collection / "plugins/modules/device_inf.py")
    assert code_digest(collection) != before


def test_the_drivers_sources_count_with_each_of_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tmp_path / "mine"
    shutil.copytree(ROOT / "files/kernel/template", sources)
    request = {**FULL, "drivers_sources": ["mine"]}
    before = key_of(request, folders_of(request, lambda _name: sources))
    with open(sources / "example_vfio_pci.c", "a", encoding="utf-8") as code:
        code.write("/* mended */\n")
    # In another run.
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    assert key_of(request, folders_of(request, lambda _name: sources)) != before


def test_no_sources_are_read_if_no_drivers_are_wanted() -> None:
    assert folders_of({**FULL, "drivers": False}, nowhere) == {}


@pytest.mark.parametrize("sources", ["vfio-variants", [1], {"a": 1}, None])
def test_sources_that_are_not_a_list_of_names_are_refused(sources: object) -> None:
    with pytest.raises(HostError, match=r"request\.drivers_sources"):
        folders_of({**FULL, "drivers_sources": sources}, nowhere)
