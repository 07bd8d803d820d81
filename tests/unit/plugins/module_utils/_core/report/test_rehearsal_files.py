# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lists of its kernels is what its boot loader starts."""

from __future__ import annotations

import gzip
import json
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.report.rehearsal_files import LIST, FilesRequest, gather
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage, unified_image
from ansible_collections.vfio.variants.tests.unit.cmdline_hosts import ARCH, ROOT, arch_unified

IMAGE = "/boot/EFI/Linux/arch-linux.efi"


def listed(root: Path, folder: Path) -> dict[str, t.Any]:
    gather(str(root), None, FilesRequest(str(folder), ("next",), 1 << 30))
    found: dict[str, t.Any] = json.loads(gzip.decompress((folder / LIST).read_bytes()))
    return found


def test_a_unified_image_has_the_kernel_its_initramfs_and_its_arguments(tmp_path: Path) -> None:
    host = arch_unified(tmp_path / "root")
    sections = [(".uname", ARCH.encode()), (".cmdline", f"{ROOT} quiet".encode()), (".linux", bzimage(ARCH)), (".initrd", b"x")]
    (host.tree.root / IMAGE.lstrip("/")).write_bytes(unified_image(sections))
    found = listed(host.tree.root, tmp_path)
    (kernel,) = found["kernels"]
    assert (kernel["image"], kernel["initrds"], kernel["arguments"][-1]) == (IMAGE, [IMAGE], "quiet")
    assert IMAGE in {entry[0] for entry in found["entries"]}
