# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`dkms_package` beside bare `dkms install` of the same sources, in a root of a Debian release with the headers of one of its kernels."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import sys
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import FolderOnHost, PackageRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.tests.bench.ratios import Ratio
from ansible_collections.vfio.variants.tests.bench.stopwatch import timed

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/kernels"))
from build_root import BuildRoot, build_root
from chroot_runner import ChrootRunner, install_kernel
from layers import laid_over, own_mounts
from matrix import RELEASES, say

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 3
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


def measure(place: Path) -> Iterator[Ratio]:
    with _prepared(place) as (root, kernel):
        runner = CountingRunner(root, {})

        def run(**wanted: t.Any) -> None:
            steps.run(Host(str(root.tree), runner), PackageRequest(**wanted), check_mode=False)

        def ours() -> None:
            run(source=FolderOnHost(SOURCES), kernels=(kernel,))

        def theirs() -> None:
            done = root.run("dkms", "install", SOURCES, "-k", kernel)
            if done.status:
                raise SystemExit(f"error: dkms install failed:\n{done.output}{done.errors}")

        def taken_out(work: t.Callable[[], None]) -> tuple[float, float]:
            wall, processor = timed(work)
            run(name=NAME, state="absent")
            return wall, processor

        # What a first time does only once is in none.
        taken_out(theirs)
        rounds = [(taken_out(ours), taken_out(theirs)) for _round in range(ROUNDS)]
        wall, processor = (statistics.median(one[at] / other[at] for one, other in rounds) for at in (0, 1))
        how = f"{NAME} for {kernel}, {statistics.median(other[1] for _one, other in rounds):.1f} s to install"
        yield Ratio("dkms_package that builds and installs, in dkms install", how, processor, wall)
        ours()
        before = runner.count
        ours()
        if runner.count != before:
            raise SystemExit(f"error: with nothing to do, dkms_package has started {runner.count - before} programs.")


@contextlib.contextmanager
def _prepared(place: Path) -> Iterator[tuple[BuildRoot, str]]:
    """A root in which the kernel counts as installed and the sources lie."""
    cache, release = Cache.at(None), RELEASES[0]
    with cache.lock(f"kernels-{release.name}"):
        found = build_root(release, cache, say)
    kernel = found.kernels(release.series[-1])[-1]
    with laid_over(found, (), cache, place, say) as root:
        install_kernel(root, kernel)
        shutil.copytree(REPOSITORY / "files/kernel" / NAME, root.tree / SOURCES.lstrip("/"))
        yield root, kernel
