# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine gets the kernel and the initramfs that the host's boot loader would start, whatever file they are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.kernel_parts import copy_kernel, joined
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage, unified_image


def test_images_are_joined_at_multiples_of_four(tmp_path: Path) -> None:
    for name, content in {"first": b"12345", "second": b"6"}.items():
        (tmp_path / name).write_bytes(content)
    found = joined([tmp_path / "first", tmp_path / "second"], tmp_path / "all")
    assert found is not None
    assert found.read_bytes() == b"12345\0\0\x006\0\0\0"
    assert joined([], tmp_path / "none") is None


def test_both_come_out_of_a_unified_image(tmp_path: Path) -> None:
    image = tmp_path / "linux.efi"
    kernel, archive = bzimage("6.12.1"), b"07070100" * 100
    image.write_bytes(unified_image([(".osrel", b"ID=x"), (".cmdline", b"quiet"), (".linux", kernel), (".initrd", archive)]))
    copy_kernel(image, tmp_path / "kernel")
    assert (tmp_path / "kernel").read_bytes()[: len(kernel)] == kernel
    found = joined([image], tmp_path / "all")
    assert found is not None
    assert found.read_bytes()[: len(archive)] == archive
    assert b"quiet" not in found.read_bytes()


@pytest.mark.parametrize("content", [b"plain", unified_image([(".setup", b"1"), (".text", b"2")])])
def test_any_other_kernel_is_copied_whole(tmp_path: Path, content: bytes) -> None:
    """One with an EFI stub is a program, too."""
    (tmp_path / "vmlinuz").write_bytes(content)
    copy_kernel(tmp_path / "vmlinuz", tmp_path / "kernel")
    assert (tmp_path / "kernel").read_bytes() == content
