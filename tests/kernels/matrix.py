# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels that the driver packages are built for, and the one that they must refuse."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import configurations
import floor
import imitation
import kernel_offers
import layers
import llvm_requirements
import package as driver_package
from build_root import BuildRoot, Release, become_root, build_root
from counts import Check, Counts, Kind
from kernel_offers import Archive, Deb, Offer
from package import Package
from shortages import Shortages
from target import Target

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, MissingPackage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache

RELEASES = (
    Release("bookworm", Suite("bookworm"), "gcc-12", series=("6.1",), refused=("5.10", kernel_offers.REFUSED_SUITE)),
    Release("trixie", Suite("trixie-backports"), "gcc-14", series=("6.12", "7.2", "7.3"), checkpatch="6.12"),
)
#: Roots that hold a compiler and no kernel of their own.
COMPILERS = (Release("forky", Suite("forky"), "gcc-16"),)
#: A root with LLVM, and kernels of gcc's whose headers are made those of clang's there.
CLANG = Release("clang", Suite("trixie"), "clang", series=("6.12",))
#: The suite whose arm64 kernels are imitated with pages of 64 KiB.
_LARGE_PAGES = "trixie"
PACKAGE = Package(Path(__file__).resolve().parents[2] / "files/kernel/vfio-variants")
TEMPLATE = Package(PACKAGE.folder.parent / "template")
MIGRATION = Package(PACKAGE.folder.parent / "migration-template")

_STYLE: tuple[Check, ...] = (driver_package.has_kernel_style,)
_BUILDS: tuple[Check, ...] = (driver_package.probes_its_headers, driver_package.builds_without_warning)
_IOMMUFD: tuple[Check, ...] = (driver_package.takes_iommufd,)
_INSTALLS: tuple[Check, ...] = (driver_package.installs_with_dkms,)
_REFUSALS: tuple[Check, ...] = (driver_package.is_refused_by_make, driver_package.is_skipped_by_dkms)
_AT_A_TIME = 2
Checks = tuple[tuple[Package, Check], ...]


@dataclass(frozen=True)
class Option:
    """One kernel that a job may be about, whose headers are the root's own or those of the `debs` laid over it."""

    target: Target
    root: BuildRoot
    debs: tuple[Deb, ...] = ()

    @property
    def kernel(self) -> str:
        """What the checks' results hold for, besides the packages and, with all that is declared here, the checks."""
        return f"{self.target.name} {self.target.release} {self.root.place.name} {[deb.sha256 for deb in self.debs]}"


@dataclass(frozen=True)
class Job:
    """Checks of packages on the first kernel, of those that `options` finds in the archive, whose packages can be had."""

    name: str
    about: Kind
    options: t.Callable[[Archive], t.Sequence[Option]]
    checks: Checks


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/kernels/run", description="Build the kernel drivers for the kernels they support.")
    parser.add_argument("series", nargs="*", help="only kernels of these series, for example 5.15 6.12")
    parser.add_argument("--rebuild", action="store_true", help="build also what was built before")
    parser.add_argument("--sample", action="store_true", help="of the kernels that other suites have, only what the floor needs")
    options = parser.parse_args(arguments)
    become_root()
    cache = Cache.at(None)
    mounts = layers.own_mounts(cache)
    counts = Counts(cache.root / "kernels" / "results", options.rebuild, say)
    try:
        matrix = Matrix(cache, mounts, counts)
        jobs = matrix.jobs(options.sample)
        chosen = [job for job in jobs if not options.series or job.about[1] in options.series]
        if options.series and not chosen:
            parser.error(f"no kernel {', '.join(options.series)}; there are {', '.join(dict.fromkeys(job.about[1] for job in jobs))}")
        matrix.run(chosen)
        if not options.series:
            matrix.compare_switches()
            counts.forget_old()
            layers.forget_old(cache)
    except HostError as error:
        counts.fail("the build matrix", str(error))
    return counts.end(options.series)


def say(line: str) -> None:
    print(line, flush=True)


class Matrix:
    """What the archive offers to build for, and what of it was built."""

    def __init__(self, cache: Cache, mounts: Path, counts: Counts) -> None:
        self._cache = cache
        self._mounts = mounts
        self._counts = counts
        self._roots: dict[str, BuildRoot] = {}
        self._built: list[Option] = []
        self._renewal = threading.Lock()
        self._archive = Archive((), ())

    def jobs(self, sample: bool) -> list[Job]:
        self._make_roots(RELEASES if sample else (*RELEASES, *COMPILERS, CLANG))
        own = [job for release in RELEASES if release.compiler in self._roots for job in self._own_jobs(release)]
        origins = [option for job in own for option in job.options(self._archive)]
        offered = self._jobs_for_the_floor(origins) if sample else self._offered_jobs(origins)
        return own + offered + self._imitated_jobs(origins) + ([] if sample else [*self._clang_jobs(), *self._jobs_with_large_pages()])

    def run(self, jobs: t.Iterable[Job]) -> None:
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(self._run, jobs))

    def compare_switches(self) -> None:
        """Each branch of the compatibility header has to have been compiled, and each time without it, too."""
        probe = driver_package.probes_its_headers
        probed = [self._counts.result(option.target, option.kernel, PACKAGE, probe) for option in self._built]
        seen = [driver_package.switches_in(text) for text in probed if text is not None]
        for switch in sorted(PACKAGE.switches | frozenset().union(*seen)):
            on = sum(switch in switches for switches in seen)
            counted = f"with it for {on} kernels, without it for {len(seen) - on}"
            if 0 < on < len(seen):
                self._counts.succeed(f"{switch}: compiled", counted)
            elif self._counts.is_complete:
                self._counts.fail(f"{switch}: compiled", f"{counted}: a branch was never compiled")
            else:
                say(f"{switch}: compiled {counted}, as other kernels are missing")

    def _make_roots(self, releases: t.Sequence[Release]) -> None:
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            asked = pool.submit(kernel_offers.read, self._cache, say)
            for release, root in zip(releases, pool.map(self._made, releases), strict=True):
                if root:
                    self._roots[release.compiler] = root
            self._archive = asked.result()
        for index in self._archive.unread:
            before = any(f"{deb.suite} {deb.architecture}" == index for deb in self._archive.debs)
            self._counts.lack(
                [MissingPackage(f"the index of {index}", "it cannot be read")], index, "what it said before" if before else ""
            )

    def _made(self, release: Release) -> BuildRoot | None:
        try:
            with self._cache.lock(f"kernels-{release.name}"):
                return build_root(release, self._cache, say)
        except ArchiveUnavailableError as error:
            about = [("amd64", series) for series in release.series]
            self._counts.lack(error.missing, f"kernels built in {release.name}", about=about)
            return None

    def _own_jobs(self, release: Release) -> list[Job]:
        root = self._roots[release.compiler]
        jobs = []
        for series in (*release.series, *((release.refused[0],) if release.refused else ())):
            kernels = root.kernels(series)
            missing = root.shortages.of(series)
            if missing:
                self._counts.lack(missing, f"Linux {series} of {release.name}", ", ".join(kernels), about=[("amd64", series)])
            checks = self._own_checks(release, series)
            jobs += [_job(Option(Target(kernel), root), checks) for kernel in kernels if checks]
        return jobs

    def _own_checks(self, release: Release, series: str) -> Checks:
        if release.refused and series == release.refused[0]:
            return _each(PACKAGE, TEMPLATE, checks=_REFUSALS)
        own = _each(PACKAGE, checks=(*_BUILDS, *_IOMMUFD, *_INSTALLS))
        template = _each(TEMPLATE, checks=(driver_package.builds_without_warning, driver_package.makes_other_drivers, *_INSTALLS))
        template += _each(MIGRATION, checks=(driver_package.builds_without_warning,))
        root = self._roots[release.compiler]
        if not (root.tree / "usr/bin/sparse").exists():
            self._counts.lack(root.shortages.of("sparse"), f"Linux {series} of {release.name}", about=[("amd64", series)])
            return ()
        if series != release.checkpatch:
            return own + template
        if not (root.tree / "usr/share/checkpatch").exists():
            self._counts.lack(root.shortages.of(f"linux-source-{series}"), "the style of the sources")
            return own + template
        return _each(PACKAGE, TEMPLATE, MIGRATION, checks=_STYLE) + own + template

    def _offered_jobs(self, own: t.Sequence[Option]) -> list[Job]:
        """A job for each suite's newest kernel of each series and flavour."""
        known = frozenset(option.target.release for option in own)
        newest = [choice[0] for choice in self._archive.choices() if choice[0].release not in known]
        return [
            _offered_job(offer, partial(self._options, (offer,), known), _of_templates(offer)) for offer in newest if self._can_build(offer)
        ]

    def _jobs_for_the_floor(self, own: t.Sequence[Option]) -> list[Job]:
        """For what the floor needs and no root has, one job each, about the first kernel of any suite that can be had."""
        jobs = []
        for about in floor.missed_builds((option.target.architecture, option.target.series) for option in own):
            found = [choice[0] for choice in self._archive.choices() if floor.is_of(*_about(choice[0]), about)]
            if not any(offer.compiler in self._roots for offer in found):
                self._make_roots(COMPILERS)
            likes = sorted((offer for offer in reversed(found) if self._can_build(offer)), key=lambda offer: bool(offer.flavour))
            if likes:
                jobs.append(_offered_job(likes[0], partial(self._options, tuple(likes), frozenset())))
            elif not found:
                missing = MissingPackage(f"a kernel {about[1]} for {about[0]}", "no index names one")
                self._counts.lack([missing], f"Linux {about[1]}", about=[about])
        return jobs

    def _can_build(self, offer: Offer) -> bool:
        """Whether there is a root with its compiler; what is missing is named."""
        if offer.compiler in self._roots:
            return True
        missing = MissingPackage(offer.compiler, f"no release that a build root is made of has it, and {offer.release} is built by it")
        self._counts.lack([missing], f"{offer.release} of {offer.suite}", about=[_about(offer)])
        return False

    def _options(self, likes: tuple[Offer, ...], known: frozenset[str], archive: Archive) -> list[Option]:
        """The kernels of the suites that are like these, the newest first, up to one that is built anyhow."""
        found: list[Option] = []
        for like in likes:
            base = next(release.suite.base for release in (*RELEASES, *COMPILERS) if release.compiler == like.compiler)
            for offer in (one for choice in archive.choices() if _kind(choice[0]) == _kind(like) for one in choice):
                if offer.release in known or offer.compiler != like.compiler:
                    break
                target = Target(offer.release, offer.architecture)
                cross = () if target.native else archive.cross_compiler(base, offer.compiler, offer.architecture)
                if target.native or cross:
                    found.append(Option(target, self._roots[like.compiler], cross + offer.debs))
        return found

    def _imitated_jobs(self, own: t.Sequence[Option]) -> list[Job]:
        jobs = []
        for version in imitation.VERSIONS:
            origin = next((option for option in own if option.target.series == version.series), None)
            if origin is None:
                missing = MissingPackage(f"a kernel {version.series}", "to make the headers of another one from")
                self._counts.lack([missing], f"{version.name} imitated")
                continue
            option = Option(Target(origin.target.release, imitated=version), origin.root)
            jobs.append(_job(option, _each(PACKAGE, checks=(*_BUILDS, *_IOMMUFD))))
        return jobs

    def _clang_jobs(self) -> list[Job]:
        """A sample has none: LLVM is a few hundred megabytes."""
        root = self._roots.get(CLANG.compiler)
        jobs = []
        for series in CLANG.series if root else ():
            kernels = root.kernels(series) if root else []
            if root and not kernels:
                self._counts.lack(root.shortages.of(series), f"Linux {series} as clang builds it")
            checks = _each(PACKAGE, checks=(*_BUILDS, *_IOMMUFD, *_INSTALLS, llvm_requirements.asks_for_llvm))
            checks += _each(TEMPLATE, MIGRATION, checks=(driver_package.builds_without_warning,))
            jobs += [_job(Option(Target(kernel, configuration=configurations.CLANG), root), checks) for kernel in kernels[-1:] if root]
        return jobs

    def _jobs_with_large_pages(self) -> list[Job]:
        """Debian has no arm64 kernel with pages of 64 KiB: the headers of one with 16 KiB are made such."""
        likes = [choice[0] for choice in self._archive.choices() if choice[0].flavour == "arm64-16k" and choice[0].suite == _LARGE_PAGES]
        jobs = [_offered_job(like, partial(self._with_large_pages, like)) for like in likes if self._can_build(like)]
        return [dataclasses.replace(job, name=f"{job.name} with pages of 64 KiB") for job in jobs]

    def _with_large_pages(self, like: Offer, archive: Archive) -> list[Option]:
        found = self._options((like,), frozenset(), archive)
        large = configurations.PAGES_OF_64K
        return [dataclasses.replace(one, target=dataclasses.replace(one.target, configuration=large)) for one in found]

    def _run(self, job: Job) -> None:
        """On the first kernel that can be had, after the archive was asked again what it has."""
        missing: list[MissingPackage] = []
        tried: set[str] = set()
        for renewed in (False, True):
            if renewed:
                with self._renewal:
                    self._archive = kernel_offers.read(self._cache, say, renewed=True)
            for option in job.options(self._archive):
                if option.kernel in tried:
                    continue
                tried.add(option.kernel)
                lately = self._shortages(option)
                if lately.are_recent:
                    missing += lately.of(option.target.release)
                    continue
                try:
                    self._check(option, job.checks)
                except ArchiveUnavailableError as error:
                    lately.note(option.target.release, error.missing)
                    missing += error.missing
                    continue
                if missing:
                    self._counts.lack(missing, job.name, option.target.release)
                return
        missing = missing or [MissingPackage(job.name, "no index names what building for it takes")]
        self._counts.lack(missing, job.name, about=[job.about])

    def _shortages(self, option: Option) -> Shortages:
        """What of this kernel's packages the archive did not have, where it was asked for them."""
        return Shortages(self._cache.root / "kernels" / "missing" / f"{hashlib.sha256(option.kernel.encode()).hexdigest()[:16]}.json")

    def _check(self, option: Option, checks: Checks) -> None:
        """Unless all is known already, in a root made for this and gone afterwards."""
        target, kernel = option.target, option.kernel
        well = all(self._counts.repeat(target, kernel, package, check) for package, check in checks)
        if not well:
            well = self._check_in_layers(option, checks)
        if well and target.is_real and (PACKAGE, driver_package.builds_without_warning) in checks:
            self._counts.cover(target.architecture, target.series)
        if (PACKAGE, driver_package.probes_its_headers) in checks:
            self._built.append(option)

    def _check_in_layers(self, option: Option, checks: Checks) -> bool:
        target, kernel = option.target, option.kernel
        try:
            with layers.laid_over(option.root, option.debs, self._cache, self._mounts, say) as root:
                if target.imitated:
                    imitation.imitate(target.imitated, target.common(root) / "include")
                if target.configuration:
                    configurations.imitate(root, target.release, target.configuration)
                done = [
                    self._counts.repeat(target, kernel, package, check) or self._counts.run(target, kernel, package, check, root)
                    for package, check in checks
                ]
        except ArchiveUnavailableError:
            raise
        except (HostError, imitation.ImitationError) as error:
            self._counts.fail(target.name, str(error))
            return False
        return all(done)


def _job(option: Option, checks: Checks) -> Job:
    return Job(option.target.name, (option.target.architecture, option.target.series), lambda _archive: (option,), checks)


def _offered_job(offer: Offer, options: t.Callable[[Archive], t.Sequence[Option]], more: Checks = ()) -> Job:
    checks = _each(PACKAGE, checks=(*_BUILDS, *(_INSTALLS if offer.architecture == "amd64" else ())))
    return Job(f"{offer.release} of {offer.suite}", _about(offer), options, checks + more)


def _of_templates(offer: Offer) -> Checks:
    """For the usual kernels of other architectures than the roots' own kernels are of."""
    if offer.architecture == "amd64" or offer.flavour:
        return ()
    return _each(TEMPLATE, MIGRATION, checks=(driver_package.builds_without_warning,))


def _about(offer: Offer) -> Kind:
    return offer.architecture, "{}.{}".format(*offer.series)


def _kind(offer: Offer) -> tuple[str, str, str, tuple[int, int]]:
    return offer.suite, offer.architecture, offer.flavour, offer.series


def _each(*packages: Package, checks: tuple[Check, ...]) -> Checks:
    return tuple((package, check) for package in packages for check in checks)
