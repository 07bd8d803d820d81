# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian release unpacked: the programs that the guest runs, its rules and settings, and some of its kernels."""

from __future__ import annotations

import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.progress import Progress, Say
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.suite import Suite

PACKAGES = ("bash", "busybox", "dracut-core", "driverctl", "initramfs-tools-core", "kmod", "systemd", "udev")
_SECONDS = 1800
_PLACES = ("usr/bin", "usr/sbin", "usr/lib/systemd", "bin", "sbin", "lib/systemd")
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
_LOADERS = ("usr/lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2")
#: Opened by systemd's programs when they first need them, so that no header names them.
_OPENED_LATER = ("libkmod.so.2",)


def unpack(suite: str, kernels: t.Iterable[str], target: Path, say: Say) -> None:
    """Into the new folder `target`, with the packages' dependencies; nothing is configured or run."""
    images = (f"linux-image-{kernel}" for kernel in kernels)
    progress = Progress(f"{suite} for the fast guest", say)
    root_tree.extract(Suite(suite), apt_sources.of_this_machine(), (*PACKAGES, *images), target, progress, _SECONDS)


@dataclass(frozen=True)
class ReleaseTree:
    """An unpacked release; before trixie some of its files are below /lib still."""

    root: Path

    def folder(self, path: str) -> Path:
        """`lib/udev/rules.d` wherever this release has it."""
        for place in (self.root / "usr" / path, self.root / path):
            if place.is_dir():
                return place
        raise HostError(f"The packages of {self.root} hold no folder {path}.")

    def modules(self, kernel: str) -> Path:
        return self.folder(f"lib/modules/{kernel}")

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
        """Where a file of this tree lies on a machine whose /usr is merged."""
        relative = path.relative_to(self.root)
        return f"/{relative}" if relative.parts[0] == "usr" else f"/usr/{relative}"

    @property
    def loader(self) -> Path:
        return next(self.root / path for path in _LOADERS if (self.root / path).exists())

    def libraries(self, programs: t.Iterable[Path]) -> list[Path]:
        """The shared libraries of programs, as the release's own loader finds them."""
        folders = [self.root / path for path in _LIBRARIES]
        path = ":".join(str(place) for folder in folders for place in (folder, folder / "systemd"))
        found: dict[Path, None] = {}
        later = [folder / name for name in _OPENED_LATER for folder in folders if (folder / name).exists()]
        for program in (*programs, *later):
            listed = subprocess.run(
                (self.loader, "--library-path", path, "--list", program), capture_output=True, text=True, check=True, timeout=60
            )
            found.update((Path(line.split(" => ")[1].split(" (")[0]), None) for line in listed.stdout.splitlines() if " => /" in line)
        return [*found, *later]

    @property
    def systemd_version(self) -> str:
        """`257`, as the name of systemd's own library says it."""
        for folder in _LIBRARIES:
            for path in (self.root / folder / "systemd").glob("libsystemd-shared-*.so"):
                return path.name.removeprefix("libsystemd-shared-").removesuffix(".so")
        raise HostError(f"The packages of {self.root} hold no systemd.")
