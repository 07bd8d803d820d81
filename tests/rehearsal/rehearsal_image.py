# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a host's initramfs that mounts its root from a disk: the guest's programs, without the root that they bring along."""

from __future__ import annotations

import lzma
import shlex
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import world_guests
from build_root import build_root
from guest_release import of_series
from kernel import Kernel, module_name, read_dependencies, unsigned
from world_archive import EntryArchive
from world_boot import nomatch
from world_configuration import World

from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs import archive
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Say

#: What the root can be on, and its modules in the order in which they are wanted.
DISKS = {"virtio_blk": ("virtio_pci", "virtio_blk"), "ahci": ("sd_mod", "ahci")}
#: The checksum of ext4, which the later kernels have built in, and the file system.
_FILE_SYSTEM = ("crc32c_generic", "ext4")
_GUEST, _WORLD_GUEST = (Path(__file__).resolve().parents[1] / name / "guest" for name in ("rehearsal", "world"))
_SHARED = ("50-quick.conf", "leave-image")


@dataclass(frozen=True)
class DiskImages:
    """``kernels`` are all guests by series: the packages of a release are kept together."""

    kernels: t.Mapping[str, Kernel]
    cache: Cache
    say: Say
    _parts: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)

    def image(self, world: World, disk: str) -> bytes:
        kernel = self.kernels[world.series]
        made = EntryArchive()
        copy_without(kernel.base.read_bytes(), "root", made)
        made.folder("/root")
        for name in _SHARED:
            made.file(f"/forecast/{name}", (_WORLD_GUEST / name).read_bytes())
        made.file("/forecast/enter-root", (_GUEST / "enter-root").read_bytes())
        made.file("/forecast/wanted", f"nomatch={shlex.quote(nomatch(world))}\n")
        modules = self._modules(kernel, disk)
        for name, content in modules.items():
            made.file(f"/forecast/storage/{name}", content)
        made.file("/forecast/storage/order", "".join(f"{name}\n" for name in modules))
        return made.content()

    def _modules(self, kernel: Kernel, disk: str) -> dict[str, bytes]:
        """In the order in which they are put in."""
        if (kernel.series, disk) not in self._parts:
            full = self._packages(kernel) / "usr/lib/modules" / kernel.release
            dependencies = read_dependencies(full)
            by_name = {module_name(path): path for path in dependencies}
            found: dict[str, bytes] = {}
            for name in (*DISKS[disk], *_FILE_SYSTEM):
                if name not in by_name:
                    # It is a part of the kernel.
                    continue
                for path in (*reversed(dependencies[by_name[name]]), by_name[name]):
                    content = (full / path).read_bytes()
                    found.setdefault(f"{module_name(path)}.ko", unsigned(lzma.decompress(content) if path.endswith(".xz") else content))
            self._parts[kernel.series, disk] = found
        return self._parts[kernel.series, disk]

    def _packages(self, kernel: Kernel) -> Path:
        """Those of the guests, which were made before. Others build with the release for hours, and hold its lock for so long."""
        release = of_series(kernel.series)
        for tree in sorted((self.cache.root / "world").glob(f"packages-{release.name}-*")):
            if (tree / "usr/lib/modules" / kernel.release).is_dir() and not tree.name.endswith("-new"):
                return tree
        with self.cache.lock(f"kernels-{release.name}"):
            root = build_root(release, self.cache, self.say)
        releases = [one.release for series, one in self.kernels.items() if series in release.series]
        return world_guests._unpacked(release, root, releases, self.cache, self.say)


@dataclass
class _Bytes:
    content: bytes
    position: int = 0

    def read(self, size: int) -> bytes:
        found = self.peek(size)
        self.position += len(found)
        return found

    def peek(self, size: int) -> bytes:
        return self.content[self.position : self.position + size]

    def skip(self, size: int) -> None:
        self.position += size


def copy_without(content: bytes, folder: str, target: EntryArchive) -> None:
    """All entries of the archives but the folder and what is in it."""
    reader = _Bytes(content)
    archive.skip_padding(reader)
    while reader.peek(1):
        for one in archive.members(reader):
            if one.name == folder or one.name.startswith(f"{folder}/"):
                continue
            if one.is_file:
                target.file(one.name, reader.read(one.size), one.mode & 0o777)
            elif one.is_link:
                target.link(one.name, reader.read(one.size).decode())
            else:
                target.folder(one.name)
        archive.skip_padding(reader)
