# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guest is made of: firmware, boot loaders, a kernel and the programs that put them together, from Debian's packages."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image import esp
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import run
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import firmware

SUITE = Suite("trixie")
PACKAGES = (
    *("busybox-static", "dosfstools", "linux-image-amd64", "mtools", "systemd-boot-efi", "systemd-ukify"),
    *(*esp.PACKAGES, *firmware.PACKAGES),
)
_SECONDS = 1800
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class Materials:
    """The packages' files below ``root``."""

    root: Path

    def path(self, pattern: str) -> Path:
        """The only file that the pattern fits."""
        found = sorted(self.root.glob(pattern))
        if len(found) != 1:
            raise HostError(f"The packages of {self.root} hold {len(found)} files {pattern}, and not one.")
        return found[0]

    @property
    def kernel(self) -> Path:
        return self.path("boot/vmlinuz-*")

    @property
    def release(self) -> str:
        return self.kernel.name.removeprefix("vmlinuz-")

    def module(self, name: str) -> bytes:
        """A module's file without its compression."""
        return lzma.decompress(self.path(f"usr/lib/modules/{self.release}/{name}").read_bytes())

    def run(self, program: str, *words: str | Path, env: t.Mapping[str, str] | None = None) -> str:
        """A program of the packages, by its own dynamic loader."""
        loader = (self.root / "usr/lib64/ld-linux-x86-64.so.2", "--library-path", self.root / _LIBRARIES)
        return run((*loader, self.root / program, *words), timeout=300, env=env)

    def ukify(self, *words: str | Path) -> None:
        """systemd's own maker of unified kernel images and of their addons."""
        stub = self.root / "usr/lib/systemd/boot/efi"
        env = {"PYTHONPATH": str(self.root / "usr/lib/python3/dist-packages"), "PATH": os.environ["PATH"]}
        kind = stub / ("linuxx64.efi.stub" if any(str(word).startswith("--linux") for word in words) else "addonx64.efi.stub")
        run((sys.executable, self.root / "usr/bin/ukify", "build", f"--stub={kind}", *words), timeout=300, env=env)


def provide(cache: Cache, say: Say) -> Materials:
    """Unpacked into the cache, where they stay."""
    place = cache.root / "uefi" / hashlib.sha256(json.dumps((SUITE.name, PACKAGES)).encode()).hexdigest()[:16]
    with cache.lock(f"uefi-{place.name}"):
        if not place.is_dir():
            progress = Progress("the UEFI guest", say)
            with cache.building(place) as folder:
                root_tree.extract(SUITE, apt_sources.of_this_machine(), PACKAGES, folder / "root", progress, _SECONDS)
            progress("unpacked")
    return Materials(place / "root")
