# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A QEMU with a vfio-user client: the system's when it has one, else a newer one unpacked into the cache."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    ArchiveUnavailableError,
    MissingPackage,
    marked,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import run
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say

OLDEST = (10, 1)
#: Those that have one, in the order in which they are asked.
_SUITES = (Suite("trixie-backports"), Suite("forky"), Suite("sid"))
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class QemuBuild:
    """The emulator of one architecture: its program, and the packages that it and its firmware are in."""

    program: str
    packages: tuple[str, ...]


AMD64 = QemuBuild("qemu-system-x86_64", ("qemu-system-x86", "qemu-utils", "seabios"))
ARM64 = QemuBuild("qemu-system-aarch64", ("qemu-system-arm", "qemu-utils", "qemu-efi-aarch64"))


@dataclass(frozen=True)
class Qemu:
    """How to call it: the words before the arguments of the emulator, those of its disk tool, and the environment.

    `root`: the tree that it and its firmware were unpacked into; None for the system's own.
    """

    emulator: tuple[str, ...]
    disk_tool: tuple[str, ...]
    version: str
    environment: t.Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None

    def with_words(self, words: t.Sequence[str]) -> Qemu:
        """The same with arguments that stand before all others."""
        return replace(self, emulator=(*self.emulator, *words))

    def create_overlay(self, overlay: Path, base: Path, base_format: str = "raw") -> None:
        arguments = ("create", "-q", "-f", "qcow2", "-F", base_format, "-b", str(base), str(overlay))
        run((*self.disk_tool, *arguments), timeout=60, env=self.environment)


def provide(cache: Cache, mirror: t.Callable[[], str], say: Say) -> Qemu:
    """A QEMU that can attach emulated functions. `mirror` is asked only when one must be unpacked."""
    return _of_system() or unpacked(AMD64, cache, mirror, say)


def parse_version(text: str) -> tuple[int, int] | None:
    match = re.search(r"QEMU emulator version (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _of_system() -> Qemu | None:
    emulator, disk_tool = shutil.which(AMD64.program), shutil.which("qemu-img")
    if emulator is None or disk_tool is None:
        return None
    text = run((emulator, "--version"), timeout=60)
    if (parse_version(text) or (0, 0)) < OLDEST or not _has_client((emulator,), {}):
        return None
    return Qemu((emulator,), (disk_tool,), text.splitlines()[0])


def unpacked(build: QemuBuild, cache: Cache, mirror: t.Callable[[], str], say: Say) -> Qemu:
    """The one in the cache, which is unpacked there if it is not yet."""
    keys = {suite: hashlib.sha256(json.dumps((suite.name, build.packages)).encode()).hexdigest()[:16] for suite in _SUITES}
    places = {suite: cache.qemu / key for suite, key in keys.items()}
    with cache.lock("qemu"):
        for place in places.values():
            if place.is_dir():
                return _called(build, place / "root")
        missing: list[MissingPackage] = []
        for suite, place in places.items():
            try:
                qemu = _made(build, suite, place, cache, mirror(), Progress("QEMU", say))
            except ArchiveUnavailableError as error:
                missing += [replace(one, reason=f"{one.reason}, in {suite.name}") for one in error.missing]
                continue
            for one in missing:
                say(marked(one, f"{qemu.version} of {suite.name}"))
            return qemu
    raise ArchiveUnavailableError(missing)


def _made(build: QemuBuild, suite: Suite, place: Path, cache: Cache, mirror: str, progress: Progress) -> Qemu:
    with cache.lock(place.name), cache.building(place) as folder:
        root_tree.extract(suite, mirror, build.packages, folder / "root", progress, timeout=1800, other_versions=False)
        made = _called(build, folder / "root")
        if not _has_client(made.emulator, made.environment):
            raise HostError(f"{made.version} of {suite.name} has no vfio-user-pci device.")
    progress("unpacked")
    return _called(build, place / "root")


def _called(build: QemuBuild, root: Path) -> Qemu:
    """Run by its own dynamic loader with its own libraries, so that neither a chroot nor the system's libc matters."""
    loader = (str(root / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", str(root / _LIBRARIES))
    data = [word for name in ("qemu", "seabios") for word in ("-L", str(root / "usr/share" / name))]
    environment = {"QEMU_MODULE_DIR": str(root / _LIBRARIES / "qemu")}
    emulator = (*loader, str(root / "usr/bin" / build.program), *data)
    version = run((*emulator, "--version"), timeout=60, env=environment).splitlines()[0]
    return Qemu(emulator, (*loader, str(root / "usr/bin/qemu-img")), version, environment, root)


def _has_client(emulator: t.Sequence[str], environment: t.Mapping[str, str]) -> bool:
    return '"vfio-user-pci"' in run((*emulator, "-device", "help"), timeout=60, env=environment)
