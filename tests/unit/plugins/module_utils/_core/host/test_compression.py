# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small stream that unpacks to gigabytes stops at the stated limit, whatever packed it, with its memory and disk bounded."""

from __future__ import annotations

import hashlib
import io
import re
import resource
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import zstd_frame
from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import unpacked, unpacked_bytes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import InstalledModules
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import PACKERS, module, packed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

LIMIT = 1 << 20
BOMB = bytes(48 << 20)


def host(tmp_path: Path) -> Host:
    return Host(str(tmp_path), Commands(tmp_path))


@pytest.mark.sampled(4)
@pytest.mark.parametrize("program", PACKERS)
def test_a_stream_that_unpacks_to_more_than_the_limit_is_left(tmp_path: Path, program: str) -> None:
    stream = packed(BOMB, program)
    tracemalloc.start()
    try:
        with (
            pytest.raises(CorruptFileError, match="it unpacks to more than 1 MiB"),
            unpacked(host(tmp_path), io.BytesIO(stream), LIMIT) as reader,
        ):
            reader.skip(len(BOMB) + 1)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize("program", PACKERS)
def test_a_stream_that_just_fits_is_unpacked_whole(tmp_path: Path, program: str) -> None:
    # Long enough to be handed out in pieces, and not a multiple of them.
    plain = bytes(range(256)) * (LIMIT // 256 - 1) + b"the end"
    with unpacked(
        host(tmp_path), io.BytesIO(packed(plain, program) + b"behind it" * (program in ("gzip", "xz", "bzip2"))), len(plain)
    ) as reader:
        assert reader.read(len(plain) + 1) == plain


@pytest.mark.parametrize("program", ["gzip", "xz", "bzip2"])
def test_what_stands_behind_a_stream_is_left_for_the_next_reader(tmp_path: Path, program: str) -> None:
    file = io.BytesIO(packed(BOMB[: LIMIT + 5], program) + b"behind it")
    with unpacked(host(tmp_path), file) as reader:
        reader.read(3)
    assert file.read() == b"behind it"


@pytest.mark.sampled(4)
@pytest.mark.parametrize("program", PACKERS)
def test_a_module_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.vfio.variants.plugins.module_utils._core.host.compression.LARGEST_FILE", LIMIT)
    with pytest.raises(CorruptFileError, match="it unpacks to more than 1 MiB"):
        unpacked_bytes(host(tmp_path), packed(BOMB, program))


@pytest.mark.parametrize(("program", "ending"), [("zstd", "zst"), ("xz", "xz"), ("gzip", "gz")])
def test_a_module_that_ends_too_early_is_named(tmp_path: Path, program: str, ending: str) -> None:
    name = f"vfio-pci.ko.{ending}"
    tree = Tree(tmp_path).kernel(DEBIAN_13, modules={"vfio_pci": []})
    path = f"/lib/modules/{DEBIAN_13}/{name}"
    tree.file(path, packed(module(), program)[:-20]).file(f"/lib/modules/{DEBIAN_13}/modules.dep", f"{name}:\n")
    here = tree.host(Commands(tmp_path))
    with pytest.raises(CorruptFileError, match=f"^{re.escape(path)} cannot be read: "):
        InstalledModules.read(here, DEBIAN_13, ["vfio_pci"])
    with pytest.raises(HostError, match=f"^{re.escape(path)} is not a kernel module: "):
        ModuleInfo.read(here, path)


# -- where a frame of zstd ends


@pytest.mark.parametrize("options", [("-1",), ("-19",), ("--no-check",), ("--content-size", "-3")])
@pytest.mark.parametrize(
    "plain",
    [b"", b"one", BOMB[:LIMIT], hashlib.shake_128(b"any").digest(3 << 18), bytes(range(256)) * 5000],
    ids=["empty", "short", "zeros", "any", "all"],
)
def test_the_end_of_a_frame_is_where_zstd_has_written_the_next_one(plain: bytes, options: tuple[str, ...]) -> None:
    frame = subprocess.run(["zstd", "-q", "-c", *options], input=plain, stdout=subprocess.PIPE, check=True).stdout
    for behind in (b"", b"\0\0behind it", frame):
        file = io.BytesIO(b"before" + frame + behind)
        file.seek(6)
        assert (zstd_frame.length(file), file.tell()) == (len(frame), 6)
    assert zstd_frame.length(io.BytesIO(frame[:-1])) is None


def test_of_several_frames_one_is_unpacked_where_the_kernel_takes_one(tmp_path: Path) -> None:
    file = io.BytesIO(packed(b"first", "zstd") + packed(b"second", "zstd") + b"behind it")
    found = []
    for _frame in range(2):
        with unpacked(host(tmp_path), file, is_whole=False) as reader:
            found.append(reader.read(100))
    assert (found, file.read()) == ([b"first", b"second"], b"behind it")
    both = io.BytesIO(packed(b"first", "zstd") + packed(b"second", "zstd"))
    with unpacked(host(tmp_path), both) as reader:
        assert reader.read(100) == b"firstsecond"
