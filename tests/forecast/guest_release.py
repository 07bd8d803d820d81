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
import kernel_offers
import template
import variants
from build_root import BuildRoot, Release, add_kernel, become_root, build_root
from image import DRACUT_FILES
from kernel import Kernel, copy_modules, depmod
from matrix import RELEASES
from release import PACKAGES, ReleaseTree, unpack
from shortages import Shortages

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, marked
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Say

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
    """Changes when a guest that is made now would be another one, the archive's day aside."""
    text = hashlib.sha256(repr((variants.digest(), PACKAGES)).encode())
    for path in (*(_HERE / name for name in _SOURCES), *sorted((_HERE / "guest").iterdir())):
        text.update(path.name.encode() + path.read_bytes())
    return text.hexdigest()[:16]


def provide(release: Release, cache: Cache, say: Say) -> dict[str, Kernel]:
    """The guests of a release by series: from the cache, or made now. What of it the archive does not have is named, and left out.

    ArchiveUnavailableError when there is nothing to make any of.
    """
    place = cache.root / "forecast" / f"{release.name}-{digest()}"
    shortages = Shortages(place / "shortages.json")
    with cache.lock(place.name):
        absent = [series for series in release.series if not (place / series).is_dir()]
        if absent and not shortages.are_recent:
            become_root()
            _forget_old(release, place)
            with cache.lock(f"kernels-{release.name}"):
                _add(release, absent, place, cache, say)
        made = {series: _read(release, series, place) for series in release.series if (place / series).is_dir()}
    for series in release.series:
        for one in shortages.of(series):
            say(marked(one, made[series].release if series in made else ""))
    return made


def _forget_old(release: Release, place: Path) -> None:
    for older in place.parent.glob(f"{release.name}-*"):
        # A run that began before the sources changed may be at it still.
        if older != place and older.stat().st_mtime < time.time() - _DAY:
            shutil.rmtree(older)


def _read(release: Release, series: str, place: Path) -> Kernel:
    folder = place / series
    return Kernel(series, (folder / "release").read_text(encoding="utf-8"), release.suite.name, folder)


def _add(release: Release, series: t.Sequence[str], place: Path, cache: Cache, say: Say) -> None:
    """Make the guests of these series, as far as their kernels can be had."""
    root = build_root(release, cache, say)
    place.mkdir(parents=True, exist_ok=True)
    shortages = Shortages(place / "shortages.json")
    work = place.with_name(f"{place.name}-work")
    shutil.rmtree(work, ignore_errors=True)
    with cache.lock(work.name), cache.building(work) as folder:
        unpacked = ReleaseTree(folder / "unpacked")
        kernels = _unpacked(release, root, series, unpacked.root, cache, say)
        for one in series:
            shortages.note(one, root.shortages.of(one))
        for one, name in kernels.items():
            _make(release, root, one, name, unpacked, folder)
            (folder / one).rename(place / one)
            kernel = _read(release, one, place)
            say(f"Linux {name} for the fast guest: {kernel.base.stat().st_size >> 20} MiB of programs and modules")
    shutil.rmtree(work)


def _unpacked(release: Release, root: BuildRoot, series: t.Sequence[str], target: Path, cache: Cache, say: Say) -> dict[str, str]:
    """The kernels that were unpacked, one of each series that can be had: another one where the archive lacks its image."""
    kernels = {one: root.kernels(one)[-1] for one in series if root.kernels(one)}
    tried = set(kernels.values())
    while kernels:
        try:
            unpack(release.suite, {kernel: root.suite_of(kernel) for kernel in kernels.values()}, target, say)
        except ArchiveUnavailableError as error:
            lacking = {one: [each for each in error.missing if kernel in each.name] for one, kernel in kernels.items()}
            if not any(lacking.values()):
                raise
            for one, missing in lacking.items():
                if missing:
                    others = release.candidates(kernel_offers.read(cache, say, renewed=True), one)
                    other = add_kernel(root, [offer for offer in others if offer.release not in tried], one, say)
                    root.shortages.note(one, [*missing, *root.shortages.of(one)])
                    kernels = {**kernels, one: other.release} if other else {key: value for key, value in kernels.items() if key != one}
                    tried.update(kernels.values())
        else:
            break
    return kernels


def _make(release: Release, root: BuildRoot, series: str, name: str, unpacked: ReleaseTree, place: Path) -> None:
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
