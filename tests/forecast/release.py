# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian release unpacked: the programs that the guest runs, its rules and settings, and some of its kernels."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import kernel_offers
from archive import MERGED

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.progress import Progress, Say
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.suite import Suite

PACKAGES = ("bash", "busybox", "dracut-core", "driverctl", "initramfs-tools-core", "kmod", "systemd", "udev")
_SECONDS = 1800
_PLACES = ("usr/bin", "usr/sbin", "usr/lib/systemd")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
#: Opened by systemd's programs when they first need them, so that no header names them.
_OPENED_LATER = ("libkmod.so.2",)


def unpack(suite: Suite, kernels: t.Mapping[str, str], target: Path, say: Say) -> None:
    """Into the new folder `target`, with the packages' dependencies; nothing is configured or run.

    `kernels`: the suite that each comes from.
    """
    images = (f"linux-image-{kernel}" for kernel in kernels)
    progress = Progress(f"{suite.name} for the fast guest", say)
    mirror = apt_sources.of_this_machine()
    others = sorted(set(kernels.values()) - {suite.name, suite.base})
    further = "".join(kernel_offers.sources(mirror, other) for other in others)
    root_tree.extract(suite, mirror, (*PACKAGES, *images), target, progress, _SECONDS, further=further)
    for name in MERGED:
        # Before trixie some packages' files are outside /usr still, which on a real system is a link's doing.
        if (target / name).is_dir() and not (target / name).is_symlink():
            shutil.copytree(target / name, target / "usr" / name, symlinks=True, copy_function=os.link, dirs_exist_ok=True)
            shutil.rmtree(target / name)


@dataclass(frozen=True)
class ReleaseTree:
    """An unpacked release, all of whose programs and libraries are below /usr."""

    root: Path

    def modules(self, kernel: str) -> Path:
        return self.root / "usr/lib/modules" / kernel

    def boot_file(self, name: str, kernel: str) -> Path:
        """`vmlinuz` or `config`, which newer packages keep beside the modules."""
        for place in (self.root / "boot" / f"{name}-{kernel}", self.modules(kernel) / name):
            if place.is_file():
                return place
        raise HostError(f"The package of kernel {kernel} holds no {name}.")

    def program(self, name: str) -> Path:
        for place in _PLACES:
            if (self.root / place / name).is_file():
                return self.root / place / name
        raise HostError(f"The packages of {self.root} hold no program {name}.")

    def installed(self, path: Path) -> str:
        """Where a file of this tree lies on a machine."""
        return f"/{path.relative_to(self.root)}"

    @property
    def loader(self) -> Path:
        return self.root / _LIBRARIES / "ld-linux-x86-64.so.2"

    def libraries(self, programs: t.Iterable[Path]) -> list[Path]:
        """The shared libraries of programs, as the release's own loader finds them."""
        folder = self.root / _LIBRARIES
        later = [folder / name for name in _OPENED_LATER]
        found: dict[Path, None] = {}
        for program in (*programs, *later):
            words = (self.loader, "--library-path", f"{folder}:{folder}/systemd", "--list", program)
            listed = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
            found.update((Path(line.split(" => ")[1].split(" (")[0]), None) for line in listed.stdout.splitlines() if " => /" in line)
        return [*found, *later]

    @property
    def systemd_version(self) -> str:
        """`257`, as the name of systemd's own library says it."""
        for path in (self.root / _LIBRARIES / "systemd").glob("libsystemd-shared-*.so"):
            return path.name.removeprefix("libsystemd-shared-").removesuffix(".so")
        raise HostError(f"The packages of {self.root} hold no systemd.")
