# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree's architecture, by which units and udev rules are chosen: of the running kernel, else of systemd's programs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.architecture import ARCHITECTURE, NAMES, of_release, of_tree
from ansible_collections.vfio.variants.tests.unit.trees import Tree


def program(bits: int, order: int, machine: int) -> bytes:
    return b"\x7fELF" + bytes((bits, order, 1)) + bytes(9) + struct.pack("<HH" if order == 1 else ">HH", 3, machine) + bytes(40)


@pytest.mark.parametrize(
    ("told", "name"),
    [("x86_64", "x86-64"), ("aarch64", "arm64"), ("ppc64le", "ppc64-le"), ("i686", "x86"), ("armv7l", "arm"), ("alien", None)],
)
def test_the_running_kernel_tells_it(tmp_path: Path, told: str, name: str | None) -> None:
    found = of_tree(Tree(tmp_path).file(ARCHITECTURE, f"{told}\n").host())
    assert found == name
    assert name is None or name in NAMES


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (program(2, 1, 62), "x86-64"),
        (program(2, 1, 183), "arm64"),
        (program(2, 1, 21), "ppc64-le"),
        (program(2, 2, 21), "ppc64"),
        (program(2, 2, 22), "s390x"),
        # A kernel of 64 bits runs programs of 32, too.
        (program(1, 1, 3), None),
        (b"#!/bin/sh\n# longer than a header\n", None),
        (b"\x7fELF", None),
    ],
)
@pytest.mark.parametrize("path", ["/usr/bin/udevadm", "/usr/lib/systemd/systemd"])
def test_where_no_kernel_runs_a_program_tells_it(tmp_path: Path, path: str, content: bytes, name: str | None) -> None:
    assert of_tree(Tree(tmp_path).file(path, content).host()) == name


@pytest.mark.parametrize(
    ("release", "name"),
    [("6.12.38+deb13-amd64", "x86-64"), ("5.14.0-570.el9.x86_64", "x86-64"), ("6.1.0-37-arm64", "arm64"), ("6.12.1-generic", None)],
)
def test_a_release_may_end_with_it(release: str, name: str | None) -> None:
    assert of_release(release) == name
