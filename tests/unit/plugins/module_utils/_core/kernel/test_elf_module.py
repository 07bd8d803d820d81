# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel module files, read whatever their width, byte order, compression and signature."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo, Signer, signer
from ansible_collections.vfio.variants.tests.unit.module_files import elf, module_file, signed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, V100_VARIANT, Tree


def name(of: Signer | None) -> str | None:
    return None if of is None else of.name


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
    assert (name(info.signer), info.aliases) == ("DKMS module signing key", ALIASES)


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


MAGIC = b"~Module signature appended~\n"


def trailer(kind: int, name: int = 0, key: int = 0, length: int = 0) -> bytes:
    """struct module_signature of include/linux/module_signature.h, and the magic behind it."""
    return bytes((0, 0, kind, name, key, 0, 0, 0)) + length.to_bytes(4, "big") + MAGIC


@pytest.mark.parametrize(
    "content",
    [
        MAGIC,
        b"\0" * 11 + MAGIC,
        trailer(2),
        trailer(2, length=1),
        # Name, key or message longer than the file: alone, and only together.
        b"abc" + trailer(1, name=4),
        b"abc" + trailer(1, key=4),
        b"abc" + trailer(1, name=2, key=1, length=1),
        b"abc" + trailer(1, name=1, key=1, length=2),
        b"abc" + trailer(2, length=3),
        MAGIC + b"more",
    ],
)
def test_a_signature_that_does_not_fit_into_the_file_names_nobody(content: bytes) -> None:
    assert signer(content) is None


def test_a_signature_whose_parts_reach_beyond_the_file_is_not_read_though_its_message_could_be() -> None:
    whole = signed(b"", "somebody")
    length = len(whole) - len(trailer(2))
    assert name(signer(whole[:length] + trailer(2, length=length))) == "somebody"
    assert signer(whole[:length] + trailer(2, name=1, length=length)) is None
    assert signer(whole[:length] + trailer(2, key=1, length=length)) is None


def test_an_old_signature_has_the_signers_name_as_it_is() -> None:
    assert name(signer(b"module" + b"My Key" + b"id" + b"signature" + trailer(1, name=6, key=2, length=9))) == "My Key"
    assert signer(b"module" + b"id" + b"signature" + trailer(1, key=2, length=9)) is None


def der(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


def test_a_signer_that_is_named_by_its_key_alone_is_told_by_that() -> None:
    """SignerIdentifier of RFC 5652: the subject key identifier, [0], in place of issuer and serial number."""
    info = der(0x30, der(0x02, b"\3") + der(0x80, bytes.fromhex("a1b2c3")))
    data = der(0x30, der(0x02, b"\1") + der(0x31, b"") + der(0x30, b"") + der(0x31, info))
    message = der(0x30, der(0x06, b"\x2a") + der(0xA0, data))
    assert name(signer(b"module" + message + trailer(2, length=len(message)))) == "a1:b2:c3"
    for cut in range(1, len(message)):
        assert signer(b"module" + message[:-cut] + trailer(2, length=len(message) - cut)) is None


def test_what_the_file_says_twice_is_taken_from_the_first_and_what_says_nothing_is_passed_over() -> None:
    content = elf(
        {".modinfo": b"version=1\0version=2\0junk\0srcversion=\0parmtype=ids:string\0parmtype=nvlink:array of int\0parmtype=a:b:c\0"}
    )
    info = ModuleInfo.parse(content, "gpu.ko")
    assert (info.version, info.srcversion, info.vermagic) == ("1", "", None)
    assert info.parameters == {"ids", "nvlink", "a"}


@pytest.mark.parametrize(("section", "versioned"), [("__versions", True), ("__version_ext_names", True), (".other", False)])
def test_versions_of_symbols_are_known_by_their_section(section: str, versioned: bool) -> None:
    assert ModuleInfo.parse(elf({".modinfo": b"a=b\0", section: b"x"}), "gpu.ko").versioned is versioned
