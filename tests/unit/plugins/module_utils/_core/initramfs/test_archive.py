# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of cpio archives are read as strictly as the kernel reads them, and no archive makes its reader go on for ever or fill memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs import image as images
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import Link, archive, packed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

IMAGE = f"/boot/initrd.img-{DEBIAN_13}"
WHOLE = archive({"etc/modprobe.d/x.conf": "blacklist nouveau\n"})
FIELDS = 13


def read(tmp_path: Path, content: bytes) -> Image:
    return Image.read(Tree(tmp_path).file(IMAGE, content).host(Commands(tmp_path)), IMAGE, DEBIAN_13)


@pytest.mark.parametrize(
    "written",
    [b"-0000070", b"+0000012", b"0x000012", b"0_000012", b" 0000012", b"0000012 ", b"0000 012", b"\xef\xbc\x91\xef\xbc\x91\xef\xbc"],
)
@pytest.mark.parametrize("field", range(FIELDS))
def test_every_field_of_a_header_is_eight_hexadecimal_digits(tmp_path: Path, field: int, written: bytes) -> None:
    assert len(written) == 8
    at = 6 + 8 * field
    with pytest.raises(CorruptFileError, match="the archive is corrupt at byte 0"):
        read(tmp_path, WHOLE[:at] + written + WHOLE[at + 8 :])


def test_digits_of_either_case_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE[:6] + WHOLE[6:110].lower() + WHOLE[110:]).text("etc/modprobe.d/x.conf") == b"blacklist nouveau\n"


@pytest.mark.parametrize("name", ["etc/modprobe.d/x.conf", f"usr/lib/modules/{DEBIAN_13}/vfio-pci.ko", "usr/share/x"])
def test_a_file_that_says_to_be_larger_than_the_archive_is_damage(tmp_path: Path, name: str) -> None:
    whole = archive({name: "x"})
    at = 6 + 8 * 6
    with pytest.raises(CorruptFileError):
        read(tmp_path, whole[:at] + b"FFFFFFFF" + whole[at + 8 :])


def test_more_names_and_contents_than_fit_the_limit_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("LARGEST_NAMES", "LARGEST_TEXTS", "LARGEST_MODULES"):
        monkeypatch.setattr(images, limit, 1 << 20)
    few = archive({f"usr/share/{number}": "" for number in range(100)})
    assert len(read(tmp_path, few).names) == 100
    many = archive({f"usr/share/{number}": "" for number in range(5000)})
    with pytest.raises(CorruptFileError, match=f"^{re.escape(IMAGE)} cannot be read: its names need more than 1 MiB\\.$"):
        read(tmp_path, packed(many, "gzip"))
    with pytest.raises(CorruptFileError, match="its configuration has more than 1 MiB"):
        read(tmp_path, packed(archive({f"etc/modprobe.d/{number}.conf": "#" * 100_000 for number in range(20)}), "gzip"))


@pytest.mark.parametrize(
    "names",
    [
        [f"{number}{'x' * 60}" for number in range(1800)],
        # Each folder on the way is a text of its own.
        [f"{number}{'/x' * 400}" for number in range(3)],
        # One character that is not ASCII makes all of a text wider.
        [f"{number}\N{GRINNING FACE}{'x' * 1000}" for number in range(100)],
    ],
    ids=["many", "deep", "wide"],
)
def test_names_count_by_the_memory_that_they_need(tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST_NAMES", 1 << 20)
    assert len(read(tmp_path, archive(dict.fromkeys(names[: len(names) // 3], ""))).names) == len(names) // 3
    with pytest.raises(CorruptFileError, match="its names need more than 1 MiB"):
        read(tmp_path, archive(dict.fromkeys(names, "")))


def test_the_folders_of_an_archive_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST_NAMES", 1 << 20)
    deep = "a/" * 100
    assert len(read(tmp_path, archive({f"{deep}{number}": "" for number in range(800)})).names) == 800


def test_long_targets_of_links_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST_NAMES", 1 << 20)
    with pytest.raises(CorruptFileError, match="its names need more than 1 MiB"):
        read(tmp_path, archive({str(number): Link("x" * 4000) for number in range(100)}))


def test_modules_that_are_compared_have_a_limit_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST_MODULES", 1 << 20)
    tree = Tree(tmp_path).file(IMAGE, archive({f"usr/lib/modules/{DEBIAN_13}/vfio.ko": bytes((1 << 20) + 1)}))
    assert Image.read(tree.host(), IMAGE, DEBIAN_13).fingerprints == {}
    with pytest.raises(CorruptFileError, match="the modules that are compared have more than 1 MiB"):
        Image.read(tree.host(), IMAGE, DEBIAN_13, ["vfio"])


def test_streams_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST_STREAM", 3 << 20)
    one = packed(archive({"usr/share/x": bytes(1 << 20)}), "gzip")
    assert read(tmp_path, one * 2).names == {"usr/share/x"}
    with pytest.raises(CorruptFileError, match="it unpacks to more than "):
        read(tmp_path, one * 3)
