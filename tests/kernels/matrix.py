# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels that the driver packages are built for, and the one that they must refuse."""

from __future__ import annotations

import argparse
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imitation
import kernel_offers
import layers
import package as driver_package
from build_root import BuildRoot, Release, become_root, build_root
from kernel_offers import Archive, Deb
from package import Package
from tally import Check, Tally
from target import Target

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.suite import Suite

RELEASES = (
    Release("bookworm", Suite("bookworm"), series=("6.1",), refused=("5.10", "bullseye"), compiler="gcc-12"),
    Release("trixie", Suite("trixie-backports"), series=("6.12", "7.2", "7.3"), checkpatch="6.12", compiler="gcc-14"),
)
#: Roots that hold a compiler and no kernel of their own.
COMPILERS = (Release("forky", Suite("forky"), series=(), compiler="gcc-16", packages=("gcc-16", "pahole")),)
PACKAGE = Package(Path(__file__).resolve().parents[2] / "files/kernel/vfio-variants")
TEMPLATE = Package(PACKAGE.folder.parent / "template")

_STYLE: tuple[Check, ...] = (driver_package.has_kernel_style,)
_BUILDS: tuple[Check, ...] = (driver_package.probes_its_headers, driver_package.builds_without_warning)
_IOMMUFD: tuple[Check, ...] = (driver_package.takes_iommufd,)
_INSTALLS: tuple[Check, ...] = (driver_package.installs_with_dkms,)
_REFUSALS: tuple[Check, ...] = (driver_package.is_refused_by_make, driver_package.is_skipped_by_dkms)
_AT_A_TIME = 2


@dataclass(frozen=True)
class Job:
    """Checks of packages on one kernel, whose headers are the root's own or those of the `debs` laid over it."""

    target: Target
    root: BuildRoot
    debs: tuple[Deb, ...]
    checks: tuple[tuple[Package, Check], ...]

    @property
    def kernel(self) -> str:
        """What the checks' results hold for, besides the packages and, with all that is declared here, the checks."""
        return f"{self.target.name} {self.target.release} {self.root.place.name} {[deb.sha256 for deb in self.debs]}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/kernels/run", description="Build the kernel drivers for the kernels they support.")
    parser.add_argument("series", nargs="*", help="only kernels of these series, for example 5.15 6.12")
    parser.add_argument("--rebuild", action="store_true", help="build also what was built before")
    options = parser.parse_args(arguments)
    become_root()
    cache = Cache.at(None)
    mounts = layers.own_mounts(cache)
    tally = Tally(cache.root / "kernels" / "results", options.rebuild, say)
    try:
        jobs = _jobs(cache, tally)
        chosen = [job for job in jobs if not options.series or job.target.series in options.series]
        missing = sorted(set(options.series) - {job.target.series for job in jobs})
        if missing:
            parser.error(f"no kernel {', '.join(missing)}; there are {', '.join(dict.fromkeys(job.target.series for job in jobs))}")
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(lambda job: _run(job, cache, mounts, tally), chosen))
        if not options.series:
            _compare_switches(chosen, tally)
            tally.forget_others()
            layers.forget_others((deb for job in jobs for deb in job.debs), cache)
    except HostError as error:
        tally.fail("the build matrix", str(error))
    say(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


def say(line: str) -> None:
    print(line, flush=True)


def _jobs(cache: Cache, tally: Tally) -> list[Job]:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        asked = pool.submit(kernel_offers.read, cache, say)
        made = {release: pool.submit(_made, release, cache) for release in (*RELEASES, *COMPILERS)}
        roots = {release: future.result() for release, future in made.items()}
        offered = asked.result()
    for index in offered.unread:
        say(f"the archive cannot be read for {index}; what it had when it last could is built")
    own = [job for release in RELEASES for job in _own_jobs(release, roots[release])]
    kernels = {job.target.release for job in own}
    return own + _offered_jobs(offered, roots, kernels, tally) + _imitated_jobs(own, tally)


def _made(release: Release, cache: Cache) -> BuildRoot:
    with cache.lock(f"kernels-{release.name}"):
        return build_root(release, cache, say)


def _own_jobs(release: Release, root: BuildRoot) -> list[Job]:
    jobs = []
    for series in release.series:
        for kernel in root.kernels(series):
            style = _each(PACKAGE, TEMPLATE, checks=_STYLE) if series == release.checkpatch else ()
            own = _each(PACKAGE, checks=(*_BUILDS, *_IOMMUFD, *_INSTALLS))
            jobs.append(
                Job(Target(kernel), root, (), style + own + _each(TEMPLATE, checks=(driver_package.builds_without_warning, *_INSTALLS)))
            )
    if release.refused:
        series, suite = release.refused
        kernels = root.kernels(series)
        if not kernels:
            say(f"{series}: {suite} has no headers of this kernel any more; that it is refused is left to the unit tests")
        jobs += [Job(Target(kernel), root, (), _each(PACKAGE, TEMPLATE, checks=_REFUSALS)) for kernel in kernels]
    return jobs


def _offered_jobs(offered: Archive, roots: t.Mapping[Release, BuildRoot], known: t.Container[str], tally: Tally) -> list[Job]:
    jobs = []
    by_compiler = {release.compiler: release for release in roots}
    for offer in offered.offers():
        if offer.release in known:
            continue
        release = by_compiler.get(offer.compiler)
        if release is None:
            tally.fail(offer.release, f"{offer.suite} has it built by {offer.compiler}, and no build root has that compiler")
            continue
        target = Target(offer.release, offer.architecture)
        cross = () if target.native else offered.cross_compiler(release.suite.base, offer.compiler)
        if not target.native and not cross:
            tally.fail(offer.release, f"{release.suite.base} has no {offer.compiler} for {offer.architecture}")
            continue
        checks = _each(PACKAGE, checks=(*_BUILDS, *(_INSTALLS if target.native else ())))
        jobs.append(Job(target, roots[release], cross + offer.debs, checks))
    return jobs


def _imitated_jobs(own: t.Sequence[Job], tally: Tally) -> list[Job]:
    jobs = []
    for version in imitation.VERSIONS:
        origin = next((job for job in own if job.target.series == version.series), None)
        if origin is None:
            tally.fail(f"{version.name} imitated", f"the archive has no {version.series} any more to make its headers from")
            continue
        target = Target(origin.target.release, imitated=version)
        jobs.append(Job(target, origin.root, (), _each(PACKAGE, checks=(*_BUILDS, *_IOMMUFD))))
    return jobs


def _each(*packages: Package, checks: tuple[Check, ...]) -> tuple[tuple[Package, Check], ...]:
    return tuple((package, check) for package in packages for check in checks)


def _run(job: Job, cache: Cache, mounts: Path, tally: Tally) -> None:
    """Unless all is known already, in a root made for this and gone afterwards."""
    if all(tally.repeat(job.target, job.kernel, package, check) for package, check in job.checks):
        return
    try:
        with layers.laid_over(job.root, job.debs, cache, mounts) as root:
            if job.target.imitated:
                imitation.imitate(job.target.imitated, job.target.common(root) / "include")
            for package, check in job.checks:
                if not tally.repeat(job.target, job.kernel, package, check):
                    tally.run(job.target, job.kernel, package, check, root)
    except (HostError, imitation.ImitationError) as error:
        tally.fail(job.target.name, str(error))


def _compare_switches(jobs: t.Iterable[Job], tally: Tally) -> None:
    """Each branch of the compatibility header has to have been compiled, and each time without it, too."""
    probe = driver_package.probes_its_headers
    probed = [tally.result(job.target, job.kernel, PACKAGE, probe) for job in jobs if (PACKAGE, probe) in job.checks]
    seen = [driver_package.switches_in(text) for text in probed if text is not None]
    for switch in sorted(PACKAGE.switches | frozenset().union(*seen)):
        on = sum(switch in switches for switches in seen)
        if 0 < on < len(seen):
            tally.succeed(f"{switch}: compiled", f"with it for {on} kernels, without it for {len(seen) - on}")
        else:
            tally.fail(f"{switch}: compiled", f"with it for {on} kernels and without it for {len(seen) - on}: a branch was never compiled")
