# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The partition by which the host's shim and GRUB start a kernel with the arguments that it would have without them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import boot_words
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.signed_start import (
    PARTITION,
    grub_words,
    lay_out,
)

#: arch/x86/include/asm/setup.h
COMMAND_LINE_SIZE = 2048
PROGRAMS = {"shim": "/boot/efi/EFI/debian/shimx64.efi", "grub": "/boot/efi/EFI/debian/GRUBX64.efi"}


def made(folder: Path, *arguments: str, grub: bytes = b"x/EFI/ubuntu\0x") -> str | None:
    place = folder / "root/boot/efi/EFI/debian"
    place.mkdir(parents=True)
    (place / "shimx64.efi").write_bytes(b"shim")
    (place / "GRUBX64.efi").write_bytes(grub)
    (folder / "kernel").write_bytes(b"kernel")
    (folder / "initrd").write_bytes(b"images")
    return lay_out(PROGRAMS, folder / "root", folder, folder / "kernel", folder / "initrd", arguments)


def test_the_firmware_finds_shim_and_shim_finds_grub_and_that_its_configuration(tmp_path: Path) -> None:
    assert made(tmp_path, "root=LABEL=rehearsal", "quiet") is None
    found = {
        str(path.relative_to(tmp_path / PARTITION)): path.read_bytes() for path in (tmp_path / PARTITION).rglob("*.*") if path.is_file()
    }
    configurations = {name for name in found if name.endswith("grub.cfg")}
    # Which of these folders it looks into is compiled into it.
    assert configurations == {f"EFI/{name}/grub.cfg" for name in ("BOOT", "debian", "ubuntu")}
    assert b"if linux /linux 'root=LABEL=rehearsal' 'quiet'; then\n  initrd /initrd.img\n" in found["EFI/debian/grub.cfg"]
    assert (found["EFI/BOOT/BOOTX64.EFI"], found["EFI/BOOT/grubx64.efi"], found["initrd.img"]) == (b"shim", b"x/EFI/ubuntu\0x", b"images")
    assert (tmp_path / PARTITION / "linux").read_bytes() == b"kernel"


def test_a_second_boot_has_nothing_of_the_first(tmp_path: Path) -> None:
    (tmp_path / PARTITION / "EFI/old").mkdir(parents=True)
    assert made(tmp_path, "quiet") is None
    assert not (tmp_path / PARTITION / "EFI/old").exists()


def test_every_argument_that_a_rehearsal_adds_can_be_handed_over() -> None:
    added, _removed = boot_words.kernel_arguments(["ro"], ["module.sig_enforce=1"])
    words = grub_words(added)
    assert words is not None
    assert "'dyndbg=file drivers/base/dd.c +p'" in words
    assert [word.strip("'") for word in words if "dyndbg" not in word] == [word for word in added if "dyndbg" not in word]


@pytest.mark.parametrize(
    ("argument", "word"),
    [
        ("vfio-pci.ids=10de:1db1,10de:*", "'vfio-pci.ids=10de:1db1,10de:*'"),
        ('a.b="c d"', "'a.b=c d'"),
        ('"a.b=c d"', "'a.b=c d'"),
        ("it's", None),
        ("back\\slash", None),
        ('a="b" c"', None),
    ],
)
def test_what_grub_would_change_is_not_handed_over(argument: str, word: str | None) -> None:
    """It puts a backslash before quotes and backslashes, and words with blanks into quotes."""
    assert grub_words([argument]) == (None if word is None else [word])


def test_the_name_that_grub_puts_before_them_counts() -> None:
    free = COMMAND_LINE_SIZE - 1 - len("BOOT_IMAGE=/linux ")
    assert grub_words(["x" * free]) is not None
    assert grub_words(["x" * (free + 1)]) is None


@pytest.mark.parametrize("gone", PROGRAMS.values())
def test_what_was_not_sent_is_said(tmp_path: Path, gone: str) -> None:
    assert made(tmp_path, "quiet") is None
    (tmp_path / "root" / gone.lstrip("/")).unlink()
    why = lay_out(PROGRAMS, tmp_path / "root", tmp_path, tmp_path / "kernel", None, ["quiet"])
    assert why == "these programs were not sent"


def settings_of(**given: t.Any) -> boot_words.Plan:
    usual: dict[str, t.Any] = {"kernel": Path("/k"), "initrds": (), "arguments": ("quiet",), "storage": "virtio_blk", "iommu": "intel"}
    return boot_words.Plan(**{**usual, "memory": 1 << 30, "cpus": 1, **given})


def test_either_the_firmware_or_the_emulator_starts_the_kernel() -> None:
    by_emulator, by_firmware = (boot_words._start(settings_of(partition=place), Path("/i")) for place in (None, Path("/p")))
    assert by_emulator == ("-kernel", "/k", "-initrd", "/i", "-append", "quiet")
    assert "-kernel" not in by_firmware
    assert any("file=fat:/p," in word for word in by_firmware)
