# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports within the core run one way, and what decides is pure; each check is shown to fail on a broken core."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.rooms import CORE, KINDS, ORDER, PACKAGE, PICTURE, arrows, faults, picture, read_core


def test_the_core_keeps_to_its_rooms() -> None:
    assert faults(read_core()) == []


def test_every_room_exists_and_has_files() -> None:
    assert sorted(ORDER) == sorted(path.name for path in CORE.iterdir() if path.is_dir() and path.name != "__pycache__")


def test_the_picture_shows_the_imports_as_they_are() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(read_core()), "run tools/run python tests/unit/rooms.py"


def test_the_picture_has_an_arrow_for_each_import_between_rooms() -> None:
    drawn = PICTURE.read_text(encoding="utf-8")
    assert [arrow for arrow in arrows(read_core()) if f"{arrow[0]} imports from {arrow[1]}<" not in drawn] == []


def core_with(module: str, *lines: str) -> dict[str, ast.Module]:
    """The core with one file more, or with further lines in one of its files."""
    modules = read_core()
    before = ast.unparse(modules[module]) if module in modules else ""
    return {**modules, module: ast.parse(before + "\n" + "\n".join(lines))}


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("kernel.aliases", f"from {PACKAGE}.policy.rules import rule_lines", "policy comes after kernel"),
        ("attic.rules", "import re", "lies in no room that is known"),
        ("rules", "import re", "lies in no room that is known"),
        ("forecast.any_name_at_all", "import os", "imports os"),
        ("forecast.equivalence", "import time", "imports time"),
        ("forecast.equivalence", "import os.path as path", "imports os"),
        ("forecast.equivalence", "from os.path import exists", "imports os"),
        ("forecast.equivalence", "import concurrent.futures", "imports concurrent"),
        ("forecast.equivalence", "import importlib", "imports importlib"),
        ("forecast.equivalence", "import io", "imports io"),
        ("forecast.equivalence", "__import__('os')", "uses __import__"),
        ("kernel.aliases", "import yaml", "imports yaml"),
        ("kernel.aliases", "open('/etc/passwd')", "uses open"),
        ("kernel.aliases", "read = open", "uses open"),
        ("kernel.aliases", "from io import open as read", "uses io.open"),
        ("dkms.source_tree", "io.open('/etc/passwd')", "uses io.open"),
        ("forecast.equivalence", "posixpath.exists('/etc/modprobe.d')", "uses posixpath.exists"),
        ("dkms.source_tree", "tarfile.open('/srv/all.tar')", "uses tarfile.open"),
        ("kernel.aliases", "host.write_atomic('/etc/modprobe.d/site.conf', b'')", "changes the host by write_atomic(); kernel reads"),
        ("lint.findings", "tree.write_atomic('/etc/modprobe.d/site.conf', b'')", "changes the host by write_atomic(); lint decides"),
        ("report.summary", "self._host.write_attributes((), 5)", "changes the host by write_attributes(); report answers"),
        ("kernel.aliases", "from ..policy.rules import rule_lines", "imports ..policy.rules, which is not the full name"),
        ("kernel.aliases", "from . import modprobe", "imports .modprobe, which is not the full name"),
        ("kernel.aliases", f"from {PACKAGE} import policy", "_core.policy, which is not the full name"),
        ("kernel.aliases", f"from {PACKAGE}.attic import rules", "_core.attic.rules, which is not the full name"),
        ("host.errors", "from ansible_collections.vfio.variants.plugins.modules import iommu", "modules.iommu, which is not the full name"),
        ("policy.any_name_at_all", f"from {PACKAGE}.host.host import Host", "imports host.host, a part of the door"),
        ("lint.any_name_at_all", f"from {PACKAGE}.host.file_transaction import apply", "imports host.file_transaction, a part of the door"),
        ("claim.any_name_at_all", f"from {PACKAGE}.dkms.change import Change", "imports dkms.change, which changes the host"),
        ("host.errors", f"from {PACKAGE}.host.host import Host", "a circle"),
    ],
)
def test_a_broken_core_is_noticed(module: str, line: str, fault: str) -> None:
    assert any(fault in found for found in faults(core_with(module, line)))


def test_a_file_of_no_room_is_read(tmp_path: Path) -> None:
    (tmp_path / "attic").mkdir()
    for name in ("__init__.py", "rules.py", "attic/aliases.py"):
        (tmp_path / name).write_text("import re\n")
    assert [found.partition(" ")[0] for found in faults(read_core(tmp_path))] == ["attic.aliases", "rules"]


def test_a_file_for_types_only_may_be_imported_by_what_decides() -> None:
    assert faults(core_with("policy.any_name_at_all", f"from {PACKAGE}.host.file_change import FileChange")) == []


def test_the_mission_of_each_room_is_one_of_those_that_are_explained() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    assert all(f">{kind}<" in text for kind in KINDS.values())
