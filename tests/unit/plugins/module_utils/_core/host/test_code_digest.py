# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was cached counts for the code that made it: that file, and all that it imports, however it was brought to the host."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import kernel_cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host import code_digest as code
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.code_digest import NoSourceError, code_digest
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.tests.unit.payloads import packed_with
from ansible_collections.vfio.variants.tests.unit.rooms import own_imports, read_core

CORE = Path(code.FOLDER)
BELOW = Path("ansible_collections/vfio/variants/plugins/module_utils/_core")
ASK = (
    f"from {code.PACKAGE}boot.kernel_cache import read_kernel\n"
    f"from {code.PACKAGE}host.code_digest import code_digest\n"
    "print(code_digest(read_kernel))"
)


def answer(path: Path) -> str:
    done = subprocess.run([sys.executable, "-S", "-c", ASK], env={"PYTHONPATH": str(path)}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(CORE, tmp_path / "copy" / BELOW, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


def packed(copy: Path, module: str) -> Path:
    """An archive as Ansible sends one, with what a module needs."""
    place = copy.parent / f"{module}.zip"
    files = sorted(packed_with(module))
    with zipfile.ZipFile(place, "w") as archive:
        for folder in (*tuple(BELOW.parents)[:-1], BELOW, *{(BELOW / file).parent for file in files}):
            archive.writestr(f"{folder}/__init__.py", "")
        for file in files:
            archive.write(copy / BELOW / file, BELOW / file)
    return place


@pytest.mark.sampled(3)
def test_it_is_the_same_from_a_directory_and_from_each_modules_archive(copy: Path) -> None:
    found = code_digest(kernel_cache.read_kernel)
    assert answer(copy) == found
    assert answer(packed(copy, "initramfs")) == found
    assert answer(packed(copy, "device_info")) == found


def test_no_import_of_the_core_is_overlooked() -> None:
    core = read_core()
    for module, tree in core.items():
        source = code._source(module.replace(".", "/"))
        assert source is not None
        assert {name.replace("/", ".") for name in source[1]} == own_imports(tree, core)


@pytest.mark.parametrize("file", ["boot/kernel_cache.py", "kernel/kernels.py", "kernel/pattern.py", "host/errors.py"])
def test_a_line_that_was_mended_in_place_makes_another_one(copy: Path, file: str) -> None:
    with open(copy / BELOW / file, "a", encoding="utf-8") as source:
        source.write("# mended\n")
    assert answer(copy) != code_digest(kernel_cache.read_kernel)


def test_a_file_that_has_no_part_in_it_does_not_count(copy: Path) -> None:
    with open(copy / BELOW / "forecast/forecast.py", "a", encoding="utf-8") as source:
        source.write("# mended\n")
    assert answer(copy) == code_digest(kernel_cache.read_kernel)


def test_a_function_with_some_of_its_arguments_is_that_function() -> None:
    assert code_digest(functools.partial(kernel_cache.read_kernel, Host())) == code_digest(kernel_cache.read_kernel)


def test_without_its_source_nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "FOLDER", str(tmp_path))
    for made in (code._digest, code._source):
        made.cache_clear()
    try:
        with pytest.raises(NoSourceError):
            code_digest(kernel_cache.read_kernel)
    finally:
        for made in (code._digest, code._source):
            made.cache_clear()


def test_what_other_code_has_cached_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("1", encoding="ascii")
    made: list[str] = []

    def make() -> str:
        made.append("made")
        return "value"

    def ask() -> None:
        cache = Cache(Host(), True, str(tmp_path / "kept"), settled=0)
        cache.remembered("kind", str(tmp_path / "file"), make, str, str)
        cache.concluded("other", "subject", "given", make, str, str)

    ask()
    ask()
    assert len(made) == 2
    monkeypatch.setattr(
        "ansible_collections.vfio.variants.plugins.module_utils._core.host.cache.code_digest", lambda _make: os.urandom(8).hex()
    )
    ask()
    assert len(made) == 4
