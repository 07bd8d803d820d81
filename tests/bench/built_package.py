# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`dkms_package` beside bare `dkms install` of the same sources, in roots of Debian releases with the headers of their kernels."""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
import sys
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import FolderOnHost, PackageRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.side_by_side import processors
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.tests.bench.ratios import Ratio
from ansible_collections.vfio.variants.tests.bench.stopwatch import timed

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/kernels"))
from build_root import BuildRoot, Release, build_root
from chroot_runner import ChrootRunner, install_kernel
from layers import laid_over, own_mounts
from matrix import RELEASES, say

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 3
SEVERAL = 2
PACKAGE_VERSION = re.compile(r'PACKAGE_VERSION="([^"]+)"')
NAME, SOURCES = "vfio-variants", "/root/package"


class CountingRunner(ChrootRunner):
    """Counts the programs that it runs."""

    count = 0

    def __call__(self, args: list[str], **options: t.Any) -> tuple[int, str, str]:
        self.count += 1
        return super().__call__(args, **options)


def own_place() -> Path:
    """A folder in memory for what is built; the program may start again for it."""
    return own_mounts(Cache.at(None))


class Package:
    """The sources in a root in which kernels count as installed."""

    def __init__(self, root: BuildRoot, kernels: tuple[str, ...]) -> None:
        self._root = root
        self.kernels = kernels
        self._version = PACKAGE_VERSION.search((root.tree / SOURCES.lstrip("/") / "dkms.conf").read_text(encoding="utf-8"))
        self.runner = CountingRunner(root, {})

    def _run(self, **wanted: t.Any) -> None:
        steps.run(Host(str(self._root.tree), self.runner), PackageRequest(**wanted), check_mode=False)

    def ours(self) -> None:
        self._run(source=FolderOnHost(SOURCES), kernels=self.kernels)

    def theirs(self) -> None:
        """One kernel after the other: the first time with the sources, which are added then."""
        if self._version is None:
            raise SystemExit(f"error: {SOURCES}/dkms.conf has no version.")
        for kernel, named in zip(self.kernels, (SOURCES, *(f"{NAME}/{self._version[1]}" for _other in self.kernels[1:])), strict=True):
            done = self._root.run("dkms", "install", named, "-k", kernel)
            if done.status:
                raise SystemExit(f"error: dkms install failed:\n{done.output}{done.errors}")

    def _taken_out(self, work: t.Callable[[], None]) -> tuple[float, float]:
        wall, processor = timed(work)
        self._run(name=NAME, state="absent")
        return wall, processor

    def ratio(self, name: str, what: str) -> Ratio:
        # What a first time does only once is in none.
        self._taken_out(self.theirs)
        rounds = [(self._taken_out(self.ours), self._taken_out(self.theirs)) for _round in range(ROUNDS)]
        wall, processor = (statistics.median(one[at] / other[at] for one, other in rounds) for at in (0, 1))
        how = f"{NAME} for {what}, {statistics.median(other[1] for _one, other in rounds):.1f} s to install"
        return Ratio(name, how, processor, wall)


def measure(place: Path) -> Iterator[Ratio]:
    with _prepared(place, RELEASES[0], 1) as package:
        yield package.ratio("dkms_package that builds and installs, in dkms install", " ".join(package.kernels))
        package.ours()
        before = package.runner.count
        package.ours()
        if package.runner.count != before:
            raise SystemExit(f"error: with nothing to do, dkms_package has started {package.runner.count - before} programs.")
    with _prepared(place, RELEASES[1], SEVERAL) as package:
        what = f"{' and '.join(package.kernels)} on {processors()} processors"
        yield package.ratio(f"dkms_package for {SEVERAL} kernels, in dkms install for one after the other", what)


@contextlib.contextmanager
def _prepared(place: Path, release: Release, kernels: int) -> Iterator[Package]:
    """A root in which so many kernels count as installed, each of another series, and the sources lie."""
    cache = Cache.at(None)
    with cache.lock(f"kernels-{release.name}"):
        found = build_root(release, cache, say)
    newest = [known[-1] for series in release.series if (known := found.kernels(series))][-kernels:]
    if len(newest) < kernels:
        raise SystemExit(f"error: {release.name} has the headers of {len(newest)} kernels, of {kernels} that are wanted.")
    with laid_over(found, (), cache, place, say) as root:
        for kernel in newest:
            install_kernel(root, kernel)
        shutil.copytree(REPOSITORY / "files/kernel" / NAME, root.tree / SOURCES.lstrip("/"))
        yield Package(root, tuple(newest))
