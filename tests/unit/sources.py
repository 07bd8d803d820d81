# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of Linux and of the programs of a boot, as Debian's packages have them, for facts that the core has from them.

`LINUX`: Linux 6.12 from the package linux-source-6.12, 6.12.117-1~deb12u1.  What is below `excerpts` is of larger files only the lines
about a PCI driver and how it is registered.  `PROGRAMS`: in one folder each, named by package and version, files of the sources of
systemd and kmod; of the binary packages dracut-core and initramfs-tools-core scripts; of systemd, udev and dbus-daemon manual pages,
and of systemd's NEWS below `excerpts` what it says of udev, its rules, modules and credentials; of the sources of grub2, syslinux and
libvirt files, and of the binary packages grub-common, grub2-common, grub-efi-amd64-bin, u-boot-menu, cron, systemd-cron, at, anacron,
cloud-init, dkms and linux-libc-dev scripts, lists, units and manual pages.  They are from Debian 12 and 13; what has the version 262 or
112 is from Debian's unstable release.

`LOADERS`: lines that are quoted from the sources of proxmox-boot-tool and Limine, which Debian does not have, with the commits.

To make an archive again, unpack these packages and run `tools/run python tests/unit/sources.py linux FOLDER`, or `programs FOLDER` for
the folder that has theirs; further names of files are added.
"""

from __future__ import annotations

import gzip
import io
import re
import sys
import tarfile
import typing as t
from pathlib import Path

FILES = Path(__file__).with_name("files")
EXCERPTS = "excerpts/"
_REGISTRATION = re.compile(
    r"^static struct pci_driver\s+\w+ = \{\n[\s\S]*?^\};\n|^#define\s+\w+\s+\"[^\"\n]*\".*\n"
    r"|^(?:static |const )*char \w+\[\]\s*=\s*\"[^\"\n]*\";\n"
    r"|^\s*(?:module_init|\w*_initcall(?:_sync)?|__initcall|cpufreq_governor_init|\w*module_\w*driver\w*|builtin_\w*driver)\([^;{]*\);?\n",
    re.MULTILINE,
)

_NEWS = re.compile(
    r"^CHANGES WITH \d+.*\n|^ +\* (?:(?!\n\n)[\s\S])*?(?:udev rules? |udev builtin|modules-load|credentials? )(?:(?!\n\n)[\s\S])*\n",
    re.MULTILINE,
)


class Sources:
    """The files of an archive, by their paths."""

    def __init__(self, archive: str) -> None:
        self.archive = FILES / archive
        self._kept: dict[str, str] = {}

    @property
    def texts(self) -> t.Mapping[str, str]:
        if not self._kept:
            with tarfile.open(self.archive) as archive:
                found = ((member.name, archive.extractfile(member)) for member in archive if member.isfile())
                self._kept.update((name, file.read().decode()) for name, file in found if file is not None)
        return self._kept

    def text(self, path: str, begin: str = "", end: str = "") -> str:
        """A file, or what stands in it from the words ``begin`` to the next ``end``."""
        whole = self.texts[path]
        start = whole.index(begin)
        return whole[start : whole.index(end, start + len(begin)) if end else None]

    def registration(self, path: str) -> str:
        """What a driver's file says of its name and of how it is registered."""
        return self.texts[EXCERPTS + path if EXCERPTS + path in self.texts else path]

    def numbers(self, path: str, begin: str, end: str) -> set[int]:
        """Every hexadecimal number of such a part that has four digits."""
        return {int(one, 16) for one in re.findall(r"\b0x([0-9a-fA-F]{4})\b", self.text(path, begin, end))}

    def quoted(self, path: str, begin: str = "", end: str = "") -> tuple[str, ...]:
        """What stands between double quotes in such a part."""
        return tuple(re.findall(r'"((?:[^"\\\n]|\\.)*)"', self.text(path, begin, end)))

    def macro(self, path: str, name: str) -> int:
        """What a `#define` gives to a name; decimal or hexadecimal, in brackets or not."""
        found = re.search(rf"^#\s*define\s+{name}\s+\(?(\w+)\)?", self.texts[path], re.MULTILINE)
        assert found is not None, name
        return int(found[1], 0)


class Facts:
    """Lines that are quoted from files of programs that no package of Debian has, by program and file."""

    def __init__(self, name: str) -> None:
        self._text = (FILES / name).read_text()

    def lines(self, program: str, path: str) -> tuple[str, ...]:
        """The lines of a program's file, whatever its version."""
        found = re.findall(rf"^== {re.escape(program)}[^:\n]*: {re.escape(path)} .*\n((?:(?!==|\n).*\n)*)", self._text, re.MULTILINE)
        assert found, (program, path)
        return tuple(line for part in found for line in part.splitlines())

    def variable(self, program: str, path: str, name: str) -> str:
        """What a shell's line assigns."""
        (value,) = (line.partition("=")[2].strip('"') for line in self.lines(program, path) if line.startswith(f"{name}="))
        return value


LINUX = Sources("linux-sources.tar.xz")
PROGRAMS = Sources("program-sources.tar.xz")
LOADERS = Facts("loader-facts.txt")


# -- making the archives


def _content(folder: Path, name: str) -> bytes:
    content = (folder / name.removeprefix(EXCERPTS)).read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    wanted = _NEWS if "/NEWS" in name else _REGISTRATION
    return "".join(wanted.findall(content.decode())).encode() if name.startswith(EXCERPTS) else content


def _pack(sources: Sources, folder: Path, more: t.Sequence[str]) -> None:
    before = list(sources.texts) if sources.archive.exists() else []
    with tarfile.open(sources.archive, "w:xz", preset=9) as archive:
        for name in sorted({*before, *more}):
            path = next(one for one in (name, f"{name}.gz") if (folder / one.removeprefix(EXCERPTS)).exists())
            content = _content(folder, path)
            entry = tarfile.TarInfo(path.removesuffix(".gz"))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    _pack({"linux": LINUX, "programs": PROGRAMS}[sys.argv[1]], Path(sys.argv[2]), sys.argv[3:])
