# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a Debian release's guests, one for each of its kernels: from its packages and this collection's drivers."""

from __future__ import annotations

import hashlib
import shutil
import time
import typing as t
from pathlib import Path

import base_archive
import kernel_image
import template
import variants
from build_root import BuildRoot, Release, become_root, build_root
from image import DRACUT_FILES
from kernel import Kernel, copy_modules, depmod
from matrix import RELEASES
from release import PACKAGES, ReleaseTree, unpack

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.progress import Say

_HERE = Path(__file__).resolve().parent
#: What decides what a guest consists of.
_SOURCES = (
    "archive.py",
    "base_archive.py",
    "guest_release.py",
    "kernel.py",
    "kernel_image.py",
    "machine.py",
    "release.py",
    "template.py",
    "variants.py",
)
_DAY = 24 * 3600


def of_series(series: str) -> Release:
    for release in RELEASES:
        if series in release.series:
            return release
    raise HostError(f"series: there is no guest with kernel {series!r}.", f"There are {', '.join(s for r in RELEASES for s in r.series)}.")


def digest() -> str:
    """Changes when a guest made anew would be another one, the archive's day aside."""
    text = hashlib.sha256(repr((variants.digest(), PACKAGES)).encode())
    for path in (*(_HERE / name for name in _SOURCES), *sorted((_HERE / "guest").iterdir())):
        text.update(path.name.encode() + path.read_bytes())
    return text.hexdigest()[:16]


def provide(release: Release, cache: Cache, say: Say) -> dict[str, Kernel]:
    """The guests of a release by series: from the cache, or made now."""
    place = cache.root / "forecast" / f"{release.name}-{digest()}"
    with cache.lock(place.name):
        if not place.is_dir():
            become_root()
            for older in place.parent.glob(f"{release.name}-*"):
                # A run that began before the sources changed may be at it still.
                if older.stat().st_mtime < time.time() - _DAY:
                    shutil.rmtree(older)
            with cache.lock(f"kernels-{release.name}"), cache.building(place) as folder:
                _make(release, build_root(release, cache, say), folder, say)
    return {series: _read(release, series, place) for series in release.series}


def _read(release: Release, series: str, place: Path) -> Kernel:
    folder = place / series
    return Kernel(series, (folder / "release").read_text(encoding="utf-8"), release.suite.name, folder)


def _make(release: Release, root: BuildRoot, place: Path, say: Say) -> None:
    kernels = {series: _only(root, series) for series in release.series}
    unpacked = ReleaseTree(place / "unpacked")
    unpack(release.suite.name, kernels.values(), unpacked.root, say)
    for series, name in kernels.items():
        folder = place / series
        folder.mkdir()
        (folder / "release").write_text(name, encoding="utf-8")
        kernel = Kernel(series, name, release.suite.name, folder)
        shutil.copy(unpacked.boot_file("vmlinuz", name), kernel.image)
        kernel.started.write_bytes(kernel_image.unpacked(kernel.image.read_bytes()))
        # The whole tree's indices, by which those modules are found that matter.
        depmod(unpacked.root, name)
        copy_modules(unpacked.modules(name), kernel, variants.build(root, name))
        template.lay_out(unpacked, kernel)
        _copy_scripts(unpacked, kernel)
        base_archive.make(unpacked, kernel)
        say(f"Linux {name} for the fast guest: {kernel.base.stat().st_size >> 20} MiB of programs and modules")
    shutil.rmtree(unpacked.root)


def _only(root: BuildRoot, series: str) -> str:
    found = root.kernels(series)
    if not found:
        raise HostError(f"The archive has no headers of a kernel {series} any more.")
    return found[-1]


def _copy_scripts(unpacked: ReleaseTree, kernel: Kernel) -> None:
    own = kernel.folder / "initramfs-tools"
    own.mkdir()
    theirs = unpacked.root / "usr/share/initramfs-tools"
    shutil.copy(theirs / "init", own / "init")
    shutil.copytree(theirs / "scripts", own / "scripts")
    dracut = kernel.folder / "dracut"
    dracut.mkdir()
    for name in DRACUT_FILES:
        found: t.Sequence[Path] = sorted((unpacked.root / "usr/lib/dracut").rglob(name))
        if not found:
            raise HostError(f"dracut of {unpacked.root} has no {name}.")
        shutil.copy(found[0], dracut / name)
