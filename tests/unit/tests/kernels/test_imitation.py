# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from imitation import VERSIONS, Change, ImitationError, Version, changed, imitate

PROBE = Path(__file__).resolve().parents[4] / "files/kernel/vfio-variants/probe-kernel.sh"
WITHOUT_FEATURE = Change("vfio.h", r"^int feature\(.*?\);\n")


def number(version: Version) -> tuple[int, ...]:
    return tuple(int(part) for part in version.name.split("."))


def test_a_declaration_goes_and_all_others_stay() -> None:
    assert changed("int a(void);\nint feature(int x,\n\t    int y);\nint b(void);\n", [WITHOUT_FEATURE]) == "int a(void);\nint b(void);\n"


@pytest.mark.parametrize("header", ["int a(void);\n", "int feature(int x);\nint a(void);\nint feature(int y);\n"])
def test_a_header_that_is_not_as_it_was_is_not_taken_for_an_old_one(header: str) -> None:
    with pytest.raises(ImitationError, match="not one"):
        changed(header, [WITHOUT_FEATURE])


def test_each_header_gets_its_own_changes(tmp_path: Path) -> None:
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux/vfio.h").write_text("int feature(void);\nint a(void);\n")
    (tmp_path / "linux/pci.h").write_text("int feature(void);\n\tbool managed;\n")
    imitate(Version("5.1", "6.1", (WITHOUT_FEATURE, Change("pci.h", r"^\tbool managed;\n")), frozenset()), tmp_path)
    assert (tmp_path / "linux/vfio.h").read_text() == "int a(void);\n"
    assert (tmp_path / "linux/pci.h").read_text() == "int feature(void);\n"


@pytest.mark.parametrize(("older", "newer"), list(itertools.pairwise(VERSIONS)), ids=lambda version: version.name)
def test_linux_has_never_taken_back_an_interface_that_the_drivers_use(older: Version, newer: Version) -> None:
    assert number(older) < number(newer)
    assert older.switches <= newer.switches


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_version_has_only_interfaces_that_the_probe_asks_for(version: Version) -> None:
    assert version.switches <= set(re.findall(r"VARIANT_HAVE_\w+", PROBE.read_text(encoding="utf-8")))
