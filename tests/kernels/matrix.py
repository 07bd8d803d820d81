# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels that the driver package is built for, and the one that it must refuse."""

from __future__ import annotations

import argparse
import time
import typing as t
from pathlib import Path

import package as driver_package
from build_root import BuildRoot, Release, become_root, build_root
from package import CheckError, Package

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.suite import Suite

RELEASES = (
    Release("bookworm", Suite("bookworm"), series=("6.1",), refused=("5.10", "bullseye")),
    Release("trixie", Suite("trixie-backports"), series=("6.12", "7.2", "7.3"), checkpatch="6.12"),
)
PACKAGE = Package(Path(__file__).resolve().parents[2] / "files/kernel/vfio-variants")

Check = t.Callable[[Package, BuildRoot, str], str]
BUILDS: tuple[Check, ...] = (driver_package.builds_without_warning, driver_package.installs_with_dkms)
REFUSALS: tuple[Check, ...] = (driver_package.is_refused_by_make, driver_package.is_skipped_by_dkms)


class Tally:
    """Runs checks, says how each ended, and counts. A check that passed is not run again until the package changes."""

    def __init__(self, again: bool) -> None:
        self.passed = 0
        self.failed = 0
        self._again = again

    def run(self, name: str, root: BuildRoot, check: t.Callable[[], str]) -> None:
        known = root.results / f"{name.replace(' ', '-')}.{PACKAGE.digest()}"
        start = time.monotonic()
        if known.is_file() and not self._again:
            self._pass(name, f"{known.read_text(encoding='utf-8')}; known from before")
            return
        try:
            result = check()
        except CheckError as failure:
            self.failed += 1
            say(f"{name}: FAILED\n{failure}")
            return
        known.write_text(result, encoding="utf-8")
        self._pass(name, f"{result} ({time.monotonic() - start:.0f} s)")

    def _pass(self, name: str, result: str) -> None:
        self.passed += 1
        say(f"{name}: ok, {result}")


def main(arguments: list[str]) -> int:
    known = [series for release in RELEASES for series in _series(release)]
    parser = argparse.ArgumentParser(prog="tests/kernels/run", description="Build the kernel drivers for the kernels they support.")
    parser.add_argument("series", nargs="*", help=f"only these kernels: {', '.join(known)}")
    parser.add_argument("--rebuild", action="store_true", help="build also what was built before")
    options = parser.parse_args(arguments)
    unknown = set(options.series) - set(known)
    if unknown:
        parser.error(f"no kernel {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    become_root()
    tally = Tally(options.rebuild)
    cache = Cache.at(None)
    try:
        for release in RELEASES:
            wanted = [series for series in _series(release) if not options.series or series in options.series]
            if wanted:
                with cache.lock(f"kernels-{release.name}"):
                    _check_release(release, wanted, build_root(release, cache, say), tally)
    except HostError as error:
        say(f"FAILED: {error}")
        tally.failed += 1
    say(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


def say(line: str) -> None:
    print(line, flush=True)


def _series(release: Release) -> tuple[str, ...]:
    return (*release.series, *((release.refused[0],) if release.refused else ()))


def _check_release(release: Release, wanted: list[str], root: BuildRoot, tally: Tally) -> None:
    if release.checkpatch:
        tally.run("kernel style", root, lambda: driver_package.has_kernel_style(PACKAGE, root))
    for series in wanted:
        checks = BUILDS if series in release.series else REFUSALS
        kernels = root.kernels(series)
        if not kernels:
            say(f"{series}: the archive has no headers of this kernel any more; that it is refused is left to the unit tests")
        for kernel in kernels:
            for check in checks:
                name = f"{kernel} {check.__name__.replace('_', ' ')}"
                tally.run(name, root, lambda check=check, kernel=kernel: check(PACKAGE, root, kernel))  # type: ignore[misc]
