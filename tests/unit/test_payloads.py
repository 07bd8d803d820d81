# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each module carries to the host, which compiles it for each task: no file comes along unnoticed.

A limit is what a module has, and a little more; whoever raises one has looked at why.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.payloads import MODULES, packed_with, size
from ansible_collections.vfio.variants.tests.unit.rooms import PACKAGE

LIMITS = {
    "boot_policy": (340, 2_330_000),
    "claim_info": (369, 2_560_000),
    "collect": (314, 2_160_000),
    "device_claim": (367, 2_540_000),
    "device_info": (315, 2_160_000),
    "device_table": (0, 0),
    "dkms_package": (101, 640_000),
    "fleet_report": (0, 0),
    "host_claims": (427, 3_010_000),
    "host_report": (0, 0),
    "initramfs": (254, 1_672_000),
    "iommu": (125, 820_000),
    "kernel_cmdline": (122, 800_000),
    "rehearsal_files": (326, 2_240_000),
    "rehearse": (0, 0),
    "test_image": (0, 0),
    "test_vm": (0, 0),
    "unchanged_info": (14, 70_000),
    "unchanged_record": (425, 2_990_000),
}
"""Files of the core, and their bytes of source, by module."""
IMPORTED = {"boot_policy": 1_920_000, "claim_info": 1_890_000, "device_claim": 463_000, "host_claims": 2_171_000}
"""Bytes of the core's source that Python compiles before a module has done anything: what only some hosts need comes later."""
LISTED = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
files = (module.__file__ or "" for name, module in sys.modules.items() if name.startswith(sys.argv[2]))
print(json.dumps([file for file in files if not file.endswith("__init__.py")]))
"""
EXTRA = 41_000
"""Bytes that `unchanged_info` may send beyond a module that does nothing."""
ZIP = re.compile(r"zip_?data\s*=\s*(?:'''|\"\"\"|'|\")([A-Za-z0-9+/=\s]{1000,}?)['\"]", re.IGNORECASE)


def test_every_module_has_a_limit() -> None:
    assert sorted(LIMITS) == sorted(path.stem for path in MODULES.glob("*.py"))


@pytest.mark.parametrize("module", LIMITS)
def test_a_module_carries_no_more_than_it_may(module: str) -> None:
    files, source = LIMITS[module]
    packed = packed_with(module)
    assert len(packed) <= files
    assert size(packed) <= source


@pytest.mark.parametrize("module", LIMITS)
def test_a_limit_that_is_far_away_is_none(module: str) -> None:
    files, source = LIMITS[module]
    packed = packed_with(module)
    assert files - len(packed) <= 12
    assert source - size(packed) <= 60_000


@pytest.mark.parametrize("module", IMPORTED)
def test_a_module_imports_no_more_than_it_may(module: str) -> None:
    name = f"ansible_collections.vfio.variants.plugins.modules.{module}"
    done = subprocess.run([sys.executable, "-c", LISTED, name, f"{PACKAGE}."], check=True, capture_output=True, timeout=120)
    imported = sum(Path(file).stat().st_size for file in json.loads(done.stdout) if file)
    assert IMPORTED[module] - 60_000 <= imported <= IMPORTED[module]


def test_the_module_of_a_run_with_nothing_to_do_has_only_the_door_and_the_record() -> None:
    assert {name.partition("/")[0] for name in packed_with("unchanged_info")} == {"host"}


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What Ansible itself sends for a module that does nothing, and for the first one of the role."""
    folder = tmp_path_factory.mktemp("sent")
    tasks = [{"ansible.builtin.ping": {}}, {"vfio.variants.unchanged_info": {"request": {"drivers": False}, "root": str(folder)}}]
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    (folder / "play.json").write_text(json.dumps(play), encoding="utf-8")
    settings = {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_PIPELINING": "0", "ANSIBLE_REMOTE_TMP": str(folder / "remote")}
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    subprocess.run([program, "play.json"], cwd=folder, env={**os.environ, **settings}, check=True, capture_output=True, timeout=120)
    return {path.stem.removeprefix("AnsiballZ_"): path.read_bytes() for path in folder.rglob("AnsiballZ_*.py")}


def test_the_limits_are_about_what_ansible_packs(sent: dict[str, bytes]) -> None:
    (found,) = ZIP.findall(sent["unchanged_info"].decode())
    names = zipfile.ZipFile(io.BytesIO(base64.b64decode(found))).namelist()
    core = {name.partition("/_core/")[2] for name in names if "/_core/" in name and not name.endswith("__init__.py")}
    assert core == packed_with("unchanged_info")


def test_a_run_with_nothing_to_do_sends_little_more_than_an_empty_module(sent: dict[str, bytes]) -> None:
    assert len(sent["unchanged_info"]) - len(sent["ping"]) <= EXTRA
