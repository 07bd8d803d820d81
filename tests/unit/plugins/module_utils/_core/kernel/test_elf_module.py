# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel module files, read whatever their width, byte order, compression and signature."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.tests.unit.module_files import elf, module_file, signed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, V100_VARIANT, Tree

ALIASES = (V100_VARIANT, "pci:v00001234d*sv*sd*bc*sc*i*")


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("big_endian", [True, False])
def test_fields_are_read_from_every_kind_of_elf_file(wide: bool, big_endian: bool) -> None:
    content = module_file(DEBIAN_12, ALIASES, wide=wide, big_endian=big_endian, srcversion="ABC", version="0.1.0")
    info = ModuleInfo.parse(content, "gpu.ko")
    assert (info.aliases, info.srcversion, info.version, info.signer) == (ALIASES, "ABC", "0.1.0", None)
    assert info.fits(DEBIAN_12)


def test_a_module_for_a_kernel_whose_name_only_begins_alike_does_not_fit() -> None:
    assert not ModuleInfo.parse(module_file(f"{DEBIAN_12}2"), "gpu.ko").fits(DEBIAN_12)


def test_a_module_without_fields_fits_no_kernel() -> None:
    info = ModuleInfo.parse(elf({".modinfo": b""}), "gpu.ko")
    assert (info.vermagic, info.aliases, info.fits(DEBIAN_12)) == (None, (), False)


def test_the_signer_is_named() -> None:
    info = ModuleInfo.parse(signed(module_file(DEBIAN_12, ALIASES), "DKMS module signing key"), "gpu.ko")
    assert (info.signer, info.aliases) == ("DKMS module signing key", ALIASES)


def test_a_damaged_signature_names_nobody() -> None:
    whole = signed(module_file(DEBIAN_12), "somebody")
    damaged = whole.replace(b"\x30\x82", b"\x30\xff", 1)
    assert damaged != whole
    assert ModuleInfo.parse(damaged, "gpu.ko").signer is None


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".xz", lzma.compress), (".gz", gzip.compress)])
def test_a_compressed_file_is_read_like_a_plain_one(tmp_path: Path, suffix: str, pack: type[bytes]) -> None:
    host = Tree(tmp_path).file(f"/gpu.ko{suffix}", pack(module_file(DEBIAN_12, ALIASES))).host()
    assert ModuleInfo.read(host, f"/gpu.ko{suffix}").aliases == ALIASES


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", b"\x7fELF", b"\x7fELF\2\1", module_file(DEBIAN_12)[:-70], elf({".text": b"\x90"}), lzma.compress(b"junk")[:-9]],
    ids=["empty", "text", "magic only", "cut header", "cut table", "no modinfo", "cut xz"],
)
def test_a_file_that_is_not_a_module_is_named(tmp_path: Path, content: bytes) -> None:
    host = Tree(tmp_path).file("/gpu.ko", content).host()
    with pytest.raises(HostError, match=r"^/gpu\.ko is not a kernel module"):
        ModuleInfo.read(host, "/gpu.ko")
