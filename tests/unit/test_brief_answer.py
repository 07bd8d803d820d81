# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ansible -m vfio.variants.device_info` shows of the brief answer, and what the module's documentation says of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.plugins.module_utils._core.report.summary import DEVICE
from ansible_collections.vfio.variants.plugins.modules import device_info as module
from ansible_collections.vfio.variants.tests.unit.test_reported_hosts import GPU, booting
from ansible_collections.vfio.variants.tests.unit.trees import Tree

LONGEST_LINE = 650
"""Characters of `-o` for one card."""


def ad_hoc(tree: Tree, *arguments: str, callback: str = "default", options: str = f"devices={GPU}") -> str:
    """What `ansible` shows of the module's answer about the tree."""
    command = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "vfio.variants.device_info", *arguments]
    environment = {"ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_CALLBACK_RESULT_FORMAT": callback, "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
    command = ["env", *(f"{name}={value}" for name, value in environment.items()), *command, "-a", f"root={tree.root} {options}"]
    ran = subprocess.run(command, capture_output=True, check=True, timeout=120, text=True)
    return ran.stdout


@pytest.mark.sampled(5)
def test_a_host_is_one_short_line_with_o(tmp_path: Path) -> None:
    tree = booting(tmp_path)
    (line,) = ad_hoc(tree, "-o").splitlines()
    answer = json.loads(line.partition("=> ")[2])
    assert answer["summary"].startswith("1 function, next boot ")
    assert "nouveau" in answer["summary"]
    assert "devices" not in answer
    assert ad_hoc(tree, "-o", options=f"devices={GPU} detail=line").splitlines() == [line]
    (line,) = ad_hoc(tree, "-o", options="").splitlines()
    assert json.loads(line.partition("=> ")[2])["summary"].startswith("2 functions, next boot ")
    assert len(line) <= LONGEST_LINE / 2


@pytest.mark.sampled(5)
def test_a_card_is_one_line_with_o_where_its_fields_are_asked_for(tmp_path: Path) -> None:
    (line,) = ad_hoc(booting(tmp_path), "-o", options=f"devices={GPU} detail=brief").splitlines()
    assert json.loads(line.partition("=> ")[2])["devices"][0]["next_driver"] == "nouveau"
    assert len(line) <= LONGEST_LINE


@pytest.mark.sampled(5)
def test_a_card_is_a_screen_of_yaml(tmp_path: Path) -> None:
    said = ad_hoc(booting(tmp_path), callback="yaml")
    assert "    next_driver: nouveau\n" in said
    assert len(said.splitlines()) <= 24
    assert yaml.safe_load(said.partition("=>")[2])["devices"][0]["address"] == GPU


def test_every_field_of_the_brief_answer_is_documented_as_being_in_it() -> None:
    contains = yaml.safe_load(module.RETURN)["devices"]["contains"]
    told = {name for name, said in contains.items() if "detail=full" not in said.get("returned", "")}
    assert told == set(DEVICE)
