# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian release in a folder, with its compiler, its DKMS and the headers of some of its kernels."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import deb_files
import kernel_offers
from kernel_offers import Archive, Deb, Offer
from shortages import Shortages

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.recipe import Recipe
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, MissingPackage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress

#: pahole brings the libraries along that the programs of a kernel's headers are linked with.
_TOOLS = ("dkms", "gcc", "kmod", "libc6-dev", "make", "openssl", "pahole", "perl", "xz-utils")
#: With clang, what a build takes of binutils otherwise.
_WITH = {"clang": ("lld", "llvm")}
#: Of link-time optimisation, which no module is built with: 60 MB.
_UNREAD = ("usr/bin/*-lto-dump-*", "usr/lib/gcc/*/*/lto1", "usr/libexec/gcc/*/*/lto1")
_CHECKPATCH = ("scripts/checkpatch.pl", "scripts/spelling.txt", "scripts/const_structs.checkpatch")
_SETUP_SECONDS = 1800
_DAY = 24 * 3600
_TIMED_OUT = 124
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
Say = t.Callable[[str], None]


@dataclass(frozen=True)
class Release:
    """`series`: the kernels to build for. `refused`: a series, and the suite that has it, that the package must refuse.

    `compiler`: which compiler the root is for, and so for which other kernels it can build. `checkpatch`: of which series' source.
    """

    name: str
    suite: Suite
    compiler: str
    series: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None
    checkpatch: str = ""

    def recipe(self, mirror: str) -> Recipe:
        return Recipe(self.suite.sources(mirror), (*_TOOLS, self.compiler, *_WITH.get(self.compiler, ())))

    def candidates(self, archive: Archive, series: str) -> list[Offer]:
        """The kernels of a series that can be had for this release, in the order in which they are tried."""
        if self.refused and series == self.refused[0]:
            return archive.of_series(series, (self.refused[1],))
        return archive.of_series(series, (self.suite.name, self.suite.base, f"{self.suite.base}-security"), self.compiler)


@dataclass(frozen=True)
class Finished:
    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class BuildRoot:
    """`place` holds the tree and what is known of it, so that the one never outlives the other."""

    place: Path

    @property
    def tree(self) -> Path:
        return self.place / "tree"

    def kernels(self, series: str) -> list[str]:
        """The releases of this series whose headers are here, the newest last."""
        return sorted((path.name for path in (self.place / "kernels").glob(f"{series}.*")), key=kernel_offers.order)

    def suite_of(self, kernel: str) -> str:
        """The suite that a kernel here comes from."""
        return (self.place / "kernels" / kernel).read_text(encoding="utf-8")

    @property
    def shortages(self) -> Shortages:
        """Why something (the series of a kernel, a tool) is not here, or is not the newest."""
        return Shortages(self.place / "shortages.json")

    def run(self, *argv: str, folder: str = "/", seconds: float = 600) -> Finished:
        """Run a program in the tree, in name spaces of its own: its mounts and its children end with it."""
        inside = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", f"--root={self.tree}", f"--wd={folder}")
        try:
            done = subprocess.run(
                (*inside, "nice", *argv),
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Finished(_TIMED_OUT, "", f"{argv[0]} took more than {seconds:.0f} s and was stopped.")
        return Finished(done.returncode, done.stdout, done.stderr)


def build_root(release: Release, cache: Cache, say: Say) -> BuildRoot:
    """The build root of a release: from the cache, or made now. The caller holds the cache's lock of it.

    ArchiveUnavailableError when its compiler and tools cannot be had. What of its kernels cannot is noted, and asked for again later.
    """
    mirror = apt_sources.of_this_machine()
    recipe = release.recipe(mirror)
    # The mirror is where the packages come from, not what they are.
    key = dataclasses.replace(recipe, sources=release.suite.name).key((repr((release, _CHECKPATCH)).encode(),))
    place = cache.root / "kernels" / f"{release.name}-{key}"
    if not place.is_dir():
        for older in place.parent.glob(f"{release.name}-*"):
            # Another checkout of another version may be at it still.
            if older.stat().st_mtime < time.time() - _DAY:
                shutil.rmtree(older)
        # Of this name is the lock by which others who build beside it tell that its maker is alive.
        with cache.lock(place.name), cache.building(place) as folder:
            progress = Progress(f"{release.name} with compiler", say)
            root_tree.install(recipe, (), release.suite, mirror, folder / "tree", progress, _SETUP_SECONDS)
            for path in (path for pattern in _UNREAD for path in (folder / "tree").glob(pattern)):
                path.unlink()
            (folder / "kernels").mkdir()
    root = BuildRoot(place)
    if not root.shortages.are_recent:
        _add_missing(root, release, cache, say)
    return root


def add_kernel(root: BuildRoot, offers: t.Iterable[Offer], series: str, say: Say) -> Offer | None:
    """Unpack the headers of the first of these kernels that can be had. What cannot is noted."""
    missing: list[MissingPackage] = []
    for offer in offers:
        try:
            for deb in offer.debs:
                deb_files.unpack(deb, root.tree, say)
        except ArchiveUnavailableError as error:
            missing += error.missing
            continue
        write_atomic(root.place / "kernels" / offer.release, offer.suite)
        root.shortages.note(series, missing)
        return offer
    root.shortages.note(series, missing or [MissingPackage(f"a kernel {series}", "no index names one")])
    return None


def become_root() -> None:
    """Start this program again as root, unless it is: a chroot needs it."""
    if os.geteuid() != 0:
        kept = "--preserve-env=PATH,PYTHONPATH,HOME,XDG_CACHE_HOME,http_proxy,https_proxy,no_proxy"
        os.execvp("sudo", ["sudo", "--non-interactive", kept, sys.executable, *sys.argv])


def _add_missing(root: BuildRoot, release: Release, cache: Cache, say: Say) -> None:
    wanted = [*release.series, *((release.refused[0],) if release.refused else ())]
    series = [one for one in wanted if not root.kernels(one)]
    checkers = [name for name, path in _checkers(root, release).items() if not path.exists()]
    if not series and not checkers:
        return
    archive = kernel_offers.read(cache, say)
    for one in series:
        if add_kernel(root, release.candidates(archive, one), one, say) is None:
            # What the archive named and did not have it may have replaced by now.
            renewed = kernel_offers.read(cache, say, renewed=True)
            if renewed != archive:
                add_kernel(root, release.candidates(renewed, one), one, say)
    for name in checkers:
        _add_checker(root, name, archive.debs_named(name, release.suite.base), say)


def _checkers(root: BuildRoot, release: Release) -> dict[str, Path]:
    """sparse; and checkpatch.pl, which Debian ships only within the kernel's source. By the name of the package."""
    found = {"sparse": root.tree / "usr/bin/sparse"}
    if release.checkpatch:
        found[f"linux-source-{release.checkpatch}"] = root.tree / "usr/share/checkpatch"
    return found


def _add_checker(root: BuildRoot, name: str, debs: t.Sequence[Deb], say: Say) -> None:
    missing: list[MissingPackage] = []
    for deb in debs:
        try:
            if name == "sparse":
                # Without the LLVM that the package depends on for other programs.
                deb_files.unpack(deb, root.tree, say, "./usr/bin/sparse")
            else:
                _add_checkpatch(root, deb, say)
        except ArchiveUnavailableError as error:
            missing += error.missing
            continue
        root.shortages.note(name, missing)
        return
    root.shortages.note(name, missing or [MissingPackage(name, "no index names it")])


def _add_checkpatch(root: BuildRoot, deb: Deb, say: Say) -> None:
    target = root.tree / "usr/share/checkpatch"
    folder = target.with_name("checkpatch.new")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    members = (f"{deb.package}/{name}" for name in _CHECKPATCH)
    deb_files.unpack_inner(deb, f"./usr/src/{deb.package}.tar.xz", folder, say, *members)
    folder.rename(target)
