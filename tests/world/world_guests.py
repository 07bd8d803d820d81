# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the guests: the fast guest's kernels with more of their modules, and the root with systemd."""

from __future__ import annotations

import fnmatch
import hashlib
import lzma
import os
import shutil
import typing as t
from pathlib import Path

import base_archive
import emulated_functions
import guest_release
import kernel_offers
import systemd_root
from archive import MERGED, Archive, padded
from build_root import BuildRoot, Release, become_root, build_root
from kernel import _TEXTS, _WANTED, UPDATES, Kernel, depmod, module_name, read_dependencies, unsigned
from release import ReleaseTree

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say

_HERE = Path(__file__).resolve().parent
_SOURCES = ("emulated_functions.py", "systemd_root.py", "world_guests.py")
_TAKEN_OVER = ("release", "vmlinuz", "vmlinux", "initramfs-tools", "dracut")
_SECONDS = 1800
#: What base_archive has of a root.
_IN_BASE = ("etc", "usr/lib/modprobe.d", "usr/lib/modules", "usr/lib/modules-load.d", "usr/lib/udev")
_OF_ROOT = ("usr", "var", "boot", "home", "root", "srv")
_NO_COMMON = ("boot/config-",)


def digest() -> str:
    """Changes when a guest made now would be another one, the archive's day aside."""
    text = hashlib.sha256(guest_release.digest().encode())
    for name in sorted(_SOURCES):
        text.update(name.encode() + (_HERE / name).read_bytes())
    return text.hexdigest()[:16]


def provide(release: Release, series: t.Collection[str], cache: Cache, say: Say) -> dict[str, Kernel]:
    """The guests of a release by series: from the cache, or made now."""
    place = cache.root / "world" / f"{release.name}-{digest()}"
    with cache.lock(f"world-{place.name}"):
        absent = [one for one in release.series if not (place / one).is_dir()]
        if absent:
            _add(release, absent, place, cache, say)
    return {one: _read(release, one, place) for one in release.series if one in series and (place / one).is_dir()}


def _read(release: Release, series: str, place: Path) -> Kernel:
    folder = place / series
    return Kernel(series, (folder / "release").read_text(encoding="utf-8"), release.suite.name, folder)


def _add(release: Release, series: t.Sequence[str], place: Path, cache: Cache, say: Say) -> None:
    become_root()
    fast = guest_release.provide(release, cache, say)
    work = place.with_name(f"{place.name}-work")
    shutil.rmtree(work, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    with cache.lock(f"kernels-{release.name}"):
        root = build_root(release, cache, say)
    unpacked = ReleaseTree(_unpacked(release, root, [kernel.release for kernel in fast.values()], cache, say))
    for one, kernel in ((one, kernel) for one, kernel in fast.items() if one in series):
        _make(kernel, unpacked, work / one)
        (work / one).rename(place / one)
        say(f"Linux {kernel.release} with systemd {unpacked.systemd_version}: {(place / one / 'base.cpio').stat().st_size >> 20} MiB")
    shutil.rmtree(work, ignore_errors=True)


def _unpacked(release: Release, root: BuildRoot, kernels: t.Sequence[str], cache: Cache, say: Say) -> Path:
    """The packages' tree, kept for when only what is made of it changes."""
    key = hashlib.sha256(repr((systemd_root.PACKAGES, sorted(kernels))).encode()).hexdigest()[:16]
    tree = cache.root / "world" / f"packages-{release.name}-{key}"
    if not tree.is_dir():
        mirror = apt_sources.of_this_machine()
        others = sorted({root.suite_of(kernel) for kernel in kernels} - {release.suite.name, release.suite.base})
        further = "".join(kernel_offers.sources(mirror, other) for other in others)
        packages = (*systemd_root.PACKAGES, *(f"linux-image-{kernel}" for kernel in kernels))
        new = tree.with_name(f"{tree.name}-new")
        progress = Progress(f"{release.suite.name} with systemd", say)
        root_tree.extract(release.suite, mirror, packages, new, progress, _SECONDS, further=further)
        for name in MERGED:
            # Before trixie some packages' files are outside /usr still.
            if (new / name).is_dir() and not (new / name).is_symlink():
                shutil.copytree(new / name, new / "usr" / name, symlinks=True, copy_function=os.link, dirs_exist_ok=True)
                shutil.rmtree(new / name)
        new.rename(tree)
    return tree


def _make(fast: Kernel, unpacked: ReleaseTree, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in _TAKEN_OVER:
        source = fast.folder / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            os.link(source, folder / name)
    kernel = Kernel(fast.series, fast.release, fast.suite, folder)
    _copy_modules(unpacked, fast, kernel)
    systemd_root.lay_out(unpacked, kernel)
    base_archive.make(unpacked, kernel)
    rest = Archive()
    _add_root(rest, folder / "root")
    base = kernel.base.read_bytes()
    kernel.base.write_bytes(padded(base) + padded(rest.content()))


def _copy_modules(unpacked: ReleaseTree, fast: Kernel, kernel: Kernel) -> None:
    """Those that matter for these functions, and the fast guest's own: uncompressed, with indices."""
    full, target = unpacked.modules(kernel.release), kernel.modules
    depmod(unpacked.root, kernel.release)
    target.mkdir(parents=True)
    for name in _TEXTS:
        shutil.copy(full / name, target / name)
    for place in sorted(_chosen(full)):
        copy = target / place.removesuffix(".xz")
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = (full / place).read_bytes()
        copy.write_bytes(unsigned(lzma.decompress(content) if place.endswith(".xz") else content))
    shutil.copytree(fast.modules / UPDATES, target / UPDATES)
    depmod(kernel.folder / "root", kernel.release)


def _chosen(full: Path) -> set[str]:
    dependencies = read_dependencies(full)
    by_name = {module_name(path): path for path in dependencies}
    patterns = (*_WANTED, "overlay")
    names = {name for name in by_name if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}
    for line in (full / "modules.alias").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[1].startswith("pci:") and any(fnmatch.fnmatchcase(modalias, words[1]) for modalias in emulated_functions.MODALIASES):
            names.add(words[2].replace("-", "_"))
    kept: set[str] = set()
    for name in names:
        kept |= {by_name[name], *dependencies[by_name[name]]}
    return kept


def _add_root(archive: Archive, root: Path) -> None:
    for top in _OF_ROOT:
        for path in sorted((root / top).rglob("*")):
            place = str(path.relative_to(root))
            if any(f"{place}/".startswith(f"{known}/") for known in _IN_BASE) or place.startswith(_NO_COMMON):
                continue
            if path.is_symlink():
                archive.link(f"/root/{place}", str(path.readlink()))
            elif path.is_dir():
                archive.folder(f"/root/{place}")
            else:
                archive.file(f"/root/{place}", path.read_bytes(), path.stat().st_mode & 0o777)
