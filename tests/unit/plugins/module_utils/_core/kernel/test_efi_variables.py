# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EFI variables as the firmware left them, damaged ones included: they say what boots next."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.efi_variables import GLOBAL, LOADER, VARIABLES
from ansible_collections.vfio.variants.tests.unit.trees import Tree


def host(root: Path, name: str, content: bytes, vendor: str = LOADER) -> Host:
    return Tree(root).file(f"{VARIABLES}/{name}-{vendor}", b"\x06\0\0\0" + content).host()


def test_a_text_ends_where_it_says(tmp_path: Path) -> None:
    content = "debian.conf\0rest".encode("utf-16-le")
    assert efi_variables.text(host(tmp_path, "LoaderEntryDefault", content), "LoaderEntryDefault") == "debian.conf"


def test_half_a_character_at_its_end_does_not_fail(tmp_path: Path) -> None:
    content = "debian.conf".encode("utf-16-le") + b"x"
    found = host(tmp_path, "LoaderEntryDefault", content)
    assert efi_variables.text(found, "LoaderEntryDefault") == "debian.conf\N{REPLACEMENT CHARACTER}"
    assert efi_variables.texts(found, "LoaderEntryDefault") == ("debian.conf\N{REPLACEMENT CHARACTER}",)


def test_a_list_has_each_text_but_empty_ones(tmp_path: Path) -> None:
    content = "a.conf\0\0b.conf\0".encode("utf-16-le")
    assert efi_variables.texts(host(tmp_path, "LoaderEntries", content), "LoaderEntries") == ("a.conf", "b.conf")


def test_the_firmwares_order_has_whole_numbers_alone(tmp_path: Path) -> None:
    assert efi_variables.numbers(host(tmp_path, "BootOrder", b"\x03\0\x01\x02\x05", GLOBAL), "BootOrder") == (3, 0x201)


def test_a_variable_without_a_value_is_not_set(tmp_path: Path) -> None:
    empty = host(tmp_path, "LoaderEntryDefault", b"")
    assert efi_variables.text(empty, "LoaderEntryDefault") is None
    assert efi_variables.text(empty, "LoaderEntryOneShot") is None
    assert efi_variables.are_readable(empty)
    assert not efi_variables.are_readable(Tree(tmp_path / "other").host())
