# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel that the host's own shim and GRUB start in the machine, as its firmware starts them: each of them is verified, and the kernel.

GRUB gets a configuration of the rehearsal's: which entry of the host's comes next is what the forecast has determined.
"""

from __future__ import annotations

import re
import shutil
import typing as t
from pathlib import Path

PARTITION = "partition"
#: What stands on the console where shim does not let GRUB start the kernel.
REFUSED = "The kernel of the rehearsal was refused."
_KERNEL, _INITRD, _CONFIGURATION = "linux", "initrd.img", "grub.cfg"
_FIRST, _SECOND = "EFI/BOOT/BOOTX64.EFI", "EFI/BOOT"
#: What QEMU's file system in a folder has room for, with as much left as FAT itself takes.
_MOST_BYTES = 400 << 20
#: GRUB gives the kernel a word with blanks in quotes of its own (grub_create_loader_cmdline() in grub-core/lib/cmdline.c).
_IN_QUOTES = re.compile(r'"(?P<all>[\w.]+=[^"\'\\]*)"|(?P<name>[\w.]+=)"(?P<value>[^"\'\\]*)"')
#: Where GRUB looks for its configuration is compiled into it.
_PREFIX = re.compile(rb"/EFI/([A-Za-z0-9_-]{1,32})\0")
#: GRUB puts the file's name before the arguments; COMMAND_LINE_SIZE in arch/x86/include/asm/setup.h, with the NUL at the end.
_NAMED, _LONGEST = len(f"BOOT_IMAGE=/{_KERNEL} "), 2047


def words_for(partition: Path) -> tuple[str, ...]:
    """QEMU's arguments for the disk that the firmware starts from; it has the controller that the machine has anyway."""
    # A disk for IDE can be written to: what is written goes to a file that QEMU removes.
    drive = f"file=fat:{partition},if=none,id=loaders,format=raw,snapshot=on"
    return ("-drive", drive, "-device", "ide-hd,drive=loaders,bus=ide.1,bootindex=0")


def lay_out(
    programs: t.Mapping[str, str], root: Path, folder: Path, kernel: Path, initrd: Path | None, arguments: t.Sequence[str]
) -> str | None:
    """Make the partition below ``folder``, of the host's ``programs`` in ``root``.  Why it cannot be, as a part of a sentence, or None."""
    shim, grub = (root / path.lstrip("/") for path in (programs["shim"], programs["grub"]))
    words = grub_words(arguments)
    if words is None:
        return "GRUB does not hand over all of the kernel's arguments as they are"
    images = [kernel, *((initrd,) if initrd else ())]
    if not shim.is_file() or not grub.is_file():
        return "these programs were not sent"
    if sum(path.stat().st_size for path in images) > _MOST_BYTES:
        return f"the kernel and its initramfs have more than {_MOST_BYTES >> 20} MiB"
    partition = folder / PARTITION
    shutil.rmtree(partition, ignore_errors=True)
    names = {"BOOT", Path(programs["grub"]).parent.name, *(one.decode() for one in _PREFIX.findall(grub.read_bytes()))}
    for name in names:
        (partition / "EFI" / name).mkdir(parents=True, exist_ok=True)
        (partition / "EFI" / name / _CONFIGURATION).write_text(configuration(words, initrd is not None), encoding="utf-8")
    shutil.copyfile(shim, partition / _FIRST)
    shutil.copyfile(grub, partition / _SECOND / grub.name.lower())
    for path, name in zip(images, (_KERNEL, _INITRD), strict=False):
        shutil.copyfile(path, partition / name)
    return None


def configuration(words: t.Sequence[str], has_initrd: bool) -> str:
    """GRUB's: without a menu, and with an end where the kernel is refused."""
    initrd = f"  initrd /{_INITRD}\n" if has_initrd else ""
    return f"if linux /{_KERNEL} {' '.join(words)}; then\n{initrd}  boot\nfi\necho '{REFUSED}'\nsleep 2\nhalt\n"


def grub_words(arguments: t.Sequence[str]) -> list[str] | None:
    """The kernel's arguments as words of GRUB's language; None where it would hand over other ones."""
    found = []
    for one in arguments:
        quoted = _IN_QUOTES.fullmatch(one)
        plain = (quoted["all"] or f"{quoted['name']}{quoted['value']}") if quoted else one
        if any(letter in plain for letter in "\"'\\\n") or (" " in plain and not quoted):
            return None
        found.append(f"'{plain}'")
    return found if _NAMED + len(" ".join(arguments)) <= _LONGEST else None
