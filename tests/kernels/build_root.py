# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian release in a folder, with its compiler, its DKMS and the headers of some of its kernels."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed import apt_sources, guest, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.guest_file import GuestFile
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.recipe import Recipe
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.suite import KEYRING, Suite

_SCRIPTS = Path(__file__).resolve().parent / "root"
_TOOLS = ("dkms", "gcc", "kmod", "libc6-dev", "make", "openssl", "perl", "xz-utils")
_FURTHER_SOURCES = "/etc/apt/further.list"
_SETUP_SECONDS = 1800
_TIMED_OUT = 124
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


@dataclass(frozen=True)
class Release:
    """`series`: the kernels to build for. `refused`: a series, and the suite that has it, that the package must refuse.

    `compiler`: which compiler the root is for, and so for which other kernels it can build. Where no series brings it along,
    `packages` has to, with what else building a kernel's modules takes.
    """

    name: str
    suite: Suite
    series: tuple[str, ...]
    refused: tuple[str, str] | None = None
    checkpatch: str = ""
    compiler: str = ""
    packages: tuple[str, ...] = ()

    def recipe(self, mirror: str) -> Recipe:
        scripts = [GuestFile(f"/usr/local/sbin/{path.name}", path.read_text("utf-8"), 0o755) for path in sorted(_SCRIPTS.iterdir())]
        commands: list[tuple[str, ...]] = [("add-checkers", *((self.checkpatch,) if self.checkpatch else ()))]
        commands += [("add-kernel", series) for series in self.series]
        if self.refused:
            series, suite = self.refused
            scripts.append(GuestFile(_FURTHER_SOURCES, f"deb [signed-by={KEYRING}] {mirror} {suite} main\n"))
            commands.append(("add-kernel", series, _FURTHER_SOURCES))
        return Recipe(
            sources=self.suite.sources(mirror),
            packages=(*_TOOLS, *self.packages),
            dpkg_options=guest.DPKG_OPTIONS,
            files_before_packages=tuple(scripts),
            files_after_packages=(),
            commands=tuple(commands),
            kernel_arguments=(),
            size=0,
        )


@dataclass(frozen=True)
class Finished:
    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class BuildRoot:
    """`place` holds the tree and what is known of builds in it, so that the one never outlives the other."""

    place: Path

    @property
    def tree(self) -> Path:
        return self.place / "tree"

    @property
    def results(self) -> Path:
        return self.place / "results"

    def kernels(self, series: str) -> list[str]:
        """The releases of this series whose headers are here."""
        headers = (path.name.removeprefix("linux-headers-") for path in (self.tree / "usr/src").glob(f"linux-headers-{series}.*"))
        return sorted(name for name in headers if not name.endswith("-common"))

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


def build_root(release: Release, cache: Cache, say: t.Callable[[str], None]) -> BuildRoot:
    """The build root of a release: from the cache, or made now. The caller holds the cache's lock of it."""
    mirror = apt_sources.of_this_machine()
    recipe = release.recipe(mirror)
    # The mirror is where the packages come from, not what they are.
    key = dataclasses.replace(recipe, sources=release.suite.name, files_before_packages=_apart_from_sources(recipe)).key(())
    place = cache.root / "kernels" / f"{release.name}-{key}"
    if not place.is_dir():
        for older in place.parent.glob(f"{release.name}-*"):
            shutil.rmtree(older)
        # Of this name is the lock by which others who build beside it tell that its maker is alive.
        with cache.lock(place.name), cache.building(place) as folder:
            progress = Progress(f"{release.name} with kernel headers", say)
            root_tree.install(recipe, (), release.suite, mirror, folder / "tree", progress, _SETUP_SECONDS)
            for lists in (folder / "tree/var/lib/apt/lists").glob("*_*"):
                lists.unlink()
            (folder / "results").mkdir()
    return BuildRoot(place)


def become_root() -> None:
    """Start this program again as root, unless it is: a chroot needs it."""
    if os.geteuid() != 0:
        kept = "--preserve-env=PATH,PYTHONPATH,HOME,XDG_CACHE_HOME,http_proxy,https_proxy,no_proxy"
        os.execvp("sudo", ["sudo", "--non-interactive", kept, sys.executable, *sys.argv])


def _apart_from_sources(recipe: Recipe) -> tuple[GuestFile, ...]:
    return tuple(file for file in recipe.files_before_packages if file.path != _FURTHER_SOURCES)
