# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian kernel for the guest: its image, and those of its modules that can matter there."""

from __future__ import annotations

import fnmatch
import lzma
import shutil
import struct
import typing as t
from dataclasses import dataclass
from pathlib import Path

import machine

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require, run

#: Beside what the guest's devices need: the VFIO drivers, and modules that a configuration may name and no device asks for.
_WANTED = ("vfio*", "iommufd", "pci_stub", "dummy", "e1000", "8139cp", "i2c_i801", "loop", "zram")
_TEXTS = ("modules.order", "modules.builtin", "modules.builtin.modinfo")
#: Where DKMS installs on Debian.
UPDATES = "updates/dkms"
_SIGNED = b"~Module signature appended~\n"
_SIGNATURE_HEAD = 12


@dataclass(frozen=True)
class Kernel:
    """In the folder: the image, the module tree ``modules`` (that of /lib/modules/RELEASE), the base archive, the functions."""

    series: str
    release: str
    suite: str
    folder: Path

    @property
    def image(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def started(self) -> Path:
        """The same kernel as QEMU is to start it."""
        return self.folder / "vmlinux"

    @property
    def modules(self) -> Path:
        return self.folder / "root/usr/lib/modules" / self.release

    @property
    def base(self) -> Path:
        return self.folder / "base.cpio"


def copy_modules(full: Path, kernel: Kernel, extra: t.Mapping[str, bytes]) -> None:
    """From the package's whole tree those that matter, uncompressed (unpacking them in the guest costs seconds), with indices."""
    target = kernel.modules
    target.mkdir(parents=True)
    for name in _TEXTS:
        shutil.copy(full / name, target / name)
    for place in sorted(chosen(full, kernel.release)):
        copy = target / place.removesuffix(".xz")
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = (full / place).read_bytes()
        copy.write_bytes(unsigned(lzma.decompress(content) if place.endswith(".xz") else content))
    updates = target / UPDATES
    updates.mkdir(parents=True)
    for name, content in extra.items():
        (updates / name).write_bytes(content)
    depmod(kernel.folder / "root", kernel.release)


def depmod(root: Path, release: str) -> None:
    """In the tree `root`; depmod looks below its /lib."""
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    run((require("depmod", "kmod"), "-b", root, release), timeout=300)


def chosen(full: Path, release: str) -> set[str]:
    """Paths of the modules to keep: named ones, those with an alias of the guest's devices, and what they all depend on."""
    dependencies = read_dependencies(full)
    by_name = {module_name(path): path for path in dependencies}
    names = {name for name in by_name if any(fnmatch.fnmatchcase(name, pattern) for pattern in _WANTED)}
    for line in (full / "modules.alias").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[1].startswith("pci:") and any(fnmatch.fnmatchcase(modalias, words[1]) for modalias in machine.MODALIASES):
            names.add(words[2].replace("-", "_"))
    kept: set[str] = set()
    for name in names:
        kept |= {by_name[name], *dependencies[by_name[name]]}
    return kept


def unsigned(content: bytes) -> bytes:
    """A module without its signature, which the guest would take 30 ms each to verify (struct module_signature, then the mark)."""
    if not content.endswith(_SIGNED):
        return content
    end = len(content) - len(_SIGNED)
    (length,) = struct.unpack_from(">I", content, end - 4)
    return content[: end - _SIGNATURE_HEAD - length]


def read_dependencies(modules: Path) -> dict[str, tuple[str, ...]]:
    lines = (modules / "modules.dep").read_text(encoding="utf-8").splitlines()
    return {path: tuple(rest.split()) for path, _colon, rest in (line.partition(":") for line in lines)}


def module_name(path: str) -> str:
    """With underscores, as the kernel has it."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")
