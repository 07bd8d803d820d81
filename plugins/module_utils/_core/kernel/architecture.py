# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The architecture of a tree's kernel, by systemd's names (architecture_table in src/basic/architecture.c)."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

# For what uname says, of those machines that have PCI.
_ARCHITECTURES: t.Mapping[str, str] = {
    "x86_64": "x86-64",
    "i686": "x86",
    "i386": "x86",
    "aarch64": "arm64",
    "ppc64le": "ppc64-le",
    "ppc64": "ppc64",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loongarch64": "loongarch64",
    "armv7l": "arm",
}
ARCHITECTURE = "/proc/sys/kernel/arch"
"""Linux has it since 6.1; an initramfs has no /proc yet when it is read."""
PROGRAMS = (
    "/usr/bin/udevadm",
    "/bin/udevadm",
    "/usr/sbin/udevadm",
    "/sbin/udevadm",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
)
# By class (2: 64 bits), byte order (1: little) and machine of an ELF file (elf.h, linux/elf-em.h).
_MACHINES: t.Mapping[tuple[int, int, int], str] = {
    (2, 1, 62): "x86-64",
    (2, 1, 183): "arm64",
    (2, 1, 21): "ppc64-le",
    (2, 2, 21): "ppc64",
    (2, 2, 22): "s390x",
    (2, 1, 243): "riscv64",
    (2, 1, 258): "loongarch64",
}
NAMES = frozenset(
    "x86 x86-64 ppc ppc-le ppc64 ppc64-le ia64 parisc parisc64 s390 s390x sparc sparc64 mips mips-le mips64 mips64-le alpha arm arm-be "
    "arm64 arm64-be sh sh64 m68k tilegx cris nios2 riscv32 riscv64 arc arc-be loongarch64".split()
)
# Distributions end a kernel's release so.
_RELEASES = {"amd64": "x86-64", "x86_64": "x86-64", "arm64": "arm64", "aarch64": "arm64", "ppc64le": "ppc64-le", "riscv64": "riscv64"}


def of_tree(tree: FileTree) -> str | None:
    """As the running kernel or the programs of systemd tell it; None if neither does."""
    return _ARCHITECTURES.get((tree.text_or_none(ARCHITECTURE) or "").strip()) or _of_programs(tree)


def of_release(release: str) -> str | None:
    """As the end of a kernel's release tells it."""
    return _RELEASES.get(re.split(r"[-.]", release)[-1])


def _of_programs(tree: FileTree) -> str | None:
    """The architecture that a program is for, where every kernel that can run it is of that one; None if it is not known."""
    for path in PROGRAMS:
        head = tree.head(path, 20) or b""
        if len(head) == 20 and head[:4] == b"\x7fELF":
            return _MACHINES.get((head[4], head[5], int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")))
    return None
