# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One kernel to build for: its headers, in a build root, and how make is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from build_root import BuildRoot
from configurations import CLANG
from imitation import Version
from kernel_offers import CROSS, series_of

#: By Debian's architecture: what Linux calls it, where that is another than this machine's, and ELF's number of the machine (elf.h).
_LINUX = {"arm64": "arm64", "ppc64el": "powerpc"}
_MACHINE = {"amd64": 62, "arm64": 183, "ppc64el": 21}


@dataclass(frozen=True)
class Target:
    """`release`: the kernel's, as uname says it. `imitated`: what its headers are changed to, if they are.

    `configuration`: what they are configured for instead, one of those of configurations.py.
    """

    release: str
    architecture: str = "amd64"
    imitated: Version | None = None
    configuration: str = ""

    @property
    def name(self) -> str:
        if self.configuration:
            return f"{self.release} configured for {self.configuration}"
        return f"{self.imitated.name} imitated" if self.imitated else self.release

    @property
    def clang(self) -> bool:
        """Whether clang has built it."""
        return self.configuration == CLANG

    @property
    def is_real(self) -> bool:
        """Whether its headers are those of a kernel that there is."""
        return self.imitated is None and not self.configuration

    @property
    def series(self) -> str:
        if self.imitated:
            return self.imitated.name
        return "{}.{}".format(*series_of(self.release))

    @property
    def native(self) -> bool:
        """Whether DKMS could be asked to build for it in the root, as on a host that runs it."""
        return self.architecture == "amd64" and self.is_real

    @property
    def make(self) -> tuple[str, ...]:
        crossing = (f"{name}={value}" for name, value in self.crossing.items())
        return (f"KDIR=/lib/modules/{self.release}/build", *crossing, *(("LLVM=1",) if self.clang else ()))

    @property
    def crossing(self) -> dict[str, str]:
        """What the kernel's Makefile has to be told on this machine, by an argument or by the environment."""
        if self.architecture == "amd64":
            return {}
        return {"ARCH": _LINUX[self.architecture], "CROSS_COMPILE": f"{CROSS[self.architecture]}-"}

    @property
    def machine(self) -> int:
        return _MACHINE[self.architecture]

    def common(self, root: BuildRoot) -> Path:
        """The folder of the headers that the kernel shares with others."""
        return root.tree / "usr/src" / (root.tree / "lib/modules" / self.release / "source").readlink().name
