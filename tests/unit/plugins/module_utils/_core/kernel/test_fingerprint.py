# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two module files are one build."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.fingerprint import Fingerprint
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import module, packed


def same(tmp_path: Path, one: bytes, other: bytes) -> bool:
    host = Host(str(tmp_path), Commands(tmp_path))
    return Fingerprint.of(host, one, "one").is_same(Fingerprint.of(host, other, "other"))


@pytest.mark.parametrize("program", ["xz", "gzip", "zstd"])
def test_a_compressed_module_is_the_same_as_the_plain_one(tmp_path: Path, program: str) -> None:
    assert same(tmp_path, packed(module(), program), module())


def test_an_unsigned_module_stays_the_same_when_dracut_strips_it(tmp_path: Path) -> None:
    assert same(tmp_path, module(debug=b"debug information"), module())


def test_another_build_is_another_module(tmp_path: Path) -> None:
    assert not same(tmp_path, module("first"), module("second"))


def test_another_signature_makes_another_module(tmp_path: Path) -> None:
    assert not same(tmp_path, module(signature=b"old key"), module(signature=b"new key"))


def test_a_signature_on_either_side_makes_another_module_of_the_same_build(tmp_path: Path) -> None:
    assert not same(tmp_path, module(signature=b"key"), module())
    assert not same(tmp_path, module(), module(signature=b"key"))


def test_the_build_id_is_the_linker_s_without_the_header_of_its_note(tmp_path: Path) -> None:
    built = Fingerprint.of(Host(str(tmp_path), Commands(tmp_path)), module("first build"), "built")
    assert built.build_id == hashlib.sha1(b"first build", usedforsecurity=False).hexdigest()


def test_modules_without_a_build_id_are_compared_as_they_are(tmp_path: Path) -> None:
    assert same(tmp_path, b"\x7fELF one", b"\x7fELF one")
    assert not same(tmp_path, b"\x7fELF one", b"\x7fELF two")
