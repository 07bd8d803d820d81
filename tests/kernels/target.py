# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One kernel to build for: its headers, in a build root, and how make is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from build_root import BuildRoot
from imitation import Version
from kernel_offers import CROSS, FLAVOURS, series_of

#: By Debian's architecture: what make is told, and ELF's number of the machine (elf.h).
_MAKE = {"amd64": (), "ppc64el": ("ARCH=powerpc", f"CROSS_COMPILE={CROSS}-")}
_MACHINE = {"amd64": 62, "ppc64el": 21}


@dataclass(frozen=True)
class Target:
    """`release`: the kernel's, as uname says it. `imitated`: what its headers are changed to, if they are."""

    release: str
    architecture: str = "amd64"
    imitated: Version | None = None

    @property
    def name(self) -> str:
        return f"{self.imitated.name} imitated" if self.imitated else self.release

    @property
    def series(self) -> str:
        if self.imitated:
            return self.imitated.name
        return "{}.{}".format(*series_of(self.release))

    @property
    def native(self) -> bool:
        """Whether DKMS could be asked to build for it in the root, as on a host that runs it."""
        return self.architecture == "amd64" and self.imitated is None

    @property
    def make(self) -> tuple[str, ...]:
        return (f"KDIR=/lib/modules/{self.release}/build", *_MAKE[self.architecture])

    @property
    def machine(self) -> int:
        return _MACHINE[self.architecture]

    def common(self, root: BuildRoot) -> Path:
        """The folder of the headers that all flavours of the kernel share."""
        flavour = next(name for name in FLAVOURS[self.architecture] if self.release.endswith(f"-{name}"))
        return root.tree / "usr/src" / f"linux-headers-{self.release.removesuffix(f'-{flavour}')}-common"
