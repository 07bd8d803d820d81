# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the archive that Ansible sends each file of the core is compiled once, and is what it would be anywhere else."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils import _core

CORE = Path(_core.__file__).parent
PACKAGE = "ansible_collections/vfio/variants/plugins/module_utils/_core"
PROGRAM = """
import builtins, collections, json, sys
counts = collections.Counter()
compiled = builtins.compile
def counted(source, name, *rest, **more):
    counts[str(name).rpartition("/_core/")[2]] += "/_core/" in str(name)
    return compiled(source, name, *rest, **more)
builtins.compile = counted
sys.path.insert(0, sys.argv[1])
{statement}
print(json.dumps({{"counts": {{name: count for name, count in counts.items() if count}}, "found": {found}}}))
"""
PLACE = "ansible_collections.vfio.variants.plugins.module_utils._core"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core as Ansible packs it."""
    path = tmp_path_factory.mktemp("sent") / "payload.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        folders = PACKAGE.split("/")
        for depth in range(1, len(folders)):
            packed.writestr("/".join((*folders[:depth], "__init__.py")), "")
        for file in sorted(CORE.rglob("*.py")):
            packed.write(file, f"{PACKAGE}/{file.relative_to(CORE)}")
        for room in CORE.iterdir():
            if room.is_dir() and room.name != "__pycache__":
                packed.writestr(f"{PACKAGE}/{room.name}/__init__.py", "")
    return path


def imported(archive: Path, statement: str, found: str = "None") -> dict[str, t.Any]:
    """What a Python of its own says after this statement."""
    program = PROGRAM.format(statement=statement, found=found)
    argv = [sys.executable, "-I", "-S", "-c", program, str(archive)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, t.Any] = json.loads(done.stdout)
    return answer


def test_no_file_is_compiled_twice(archive: Path) -> None:
    counts = imported(archive, f"import {PLACE}.report.whole_host")["counts"]
    # That of the package itself Python finds in its own way.
    assert counts.pop("__init__.py", 0) <= 2
    assert len(counts) > 200
    assert set(counts.values()) == {1}


def test_a_file_is_the_one_in_the_archive(archive: Path) -> None:
    found = imported(archive, f"from {PLACE}.host import errors", "[errors.__file__, errors.__name__, errors.__package__]")["found"]
    assert found == [f"{archive}/{PACKAGE}/host/errors.py", f"{PLACE}.host.errors", f"{PLACE}.host"]


def test_what_is_not_there_cannot_be_imported(archive: Path) -> None:
    statement = f"""
try:
    import {PLACE}.host.nothing
    said = ""
except ModuleNotFoundError as error:
    said = str(error)
"""
    assert imported(archive, statement, "said")["found"] == f"No module named '{PLACE}.host.nothing'"


def test_a_traceback_shows_the_line(archive: Path) -> None:
    statement = f"""
import traceback
from {PLACE}.host import errors
try:
    errors.cut(None)
except TypeError:
    said = traceback.format_exc()
"""
    assert "return text if len(text)" in imported(archive, statement, "said")["found"]


def test_the_code_of_the_archive_has_the_digest_of_that_on_a_disk(archive: Path) -> None:
    statement = f"""
from {PLACE}.host.code_digest import code_digest
from {PLACE}.kernel.kernels import Kernel
"""
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.code_digest import code_digest
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

    assert imported(archive, statement, "code_digest(Kernel.read)")["found"] == code_digest(Kernel.read)


def test_nothing_looks_for_reference_cycles_in_a_process_that_ends_with_its_module(archive: Path) -> None:
    statement = f"import gc; before = gc.isenabled(); import {PLACE}"
    assert imported(archive, statement, "[before, gc.isenabled()]")["found"] == [True, False]


def test_on_a_disk_python_imports_as_ever() -> None:
    assert gc.isenabled()
    assert not any(isinstance(finder, _core.Archive) for finder in sys.meta_path)
