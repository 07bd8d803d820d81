# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own variants, built by the collection itself from the kernel's source package for Debian's stock kernels."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import lzma
import re
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

import kernel_offers
import layers
from build_root import BuildRoot, Release, become_root, build_root
from chroot_runner import ChrootRunner, install_kernel
from kernel_offers import Archive, Deb, Offer
from matrix import RELEASES, say
from target import Target

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.kernel_identity import KernelIdentity
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, PackageRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.host import cache as machine_cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.known_variants import DEVICES
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, MissingPackage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.tests import marked_page
from ansible_collections.vfio.variants.tests.unit import rpm_packages

PAGE = Path(__file__).resolve().parents[2] / "docs/drivers.md"
_BEGIN, _END = "<!-- own variants: written by tests/kernels/variants --table -->", "<!-- end of own variants -->"
#: What has to build, by architecture, and since which series; of the others it is only said why they do not.
BUILT = {
    "amd64": {"mlx5": "6.12", "nvgrace_gpu": "6.12", "qat": "6.12", "virtio": "6.12"},
    # Intel's cards are for amd64 alone; virtio's emulation of legacy devices, which its driver could not do without at first, as well.
    "arm64": {"mlx5": "6.12", "nvgrace_gpu": "6.12", "virtio": "7.2"},
}
VARIANTS = tuple(sorted({module[: -len("_vfio_pci")] for *_id, module, _since in DEVICES}))
#: The architecture, besides this machine's, for whose kernels they are built: that of NVIDIA's Grace.
CROSSED = "arm64"


@dataclass(frozen=True)
class Outcome:
    """What came of one variant for one kernel.

    ``built``: how many aliases the module has. ``why``: what the collection says where nothing is built.
    """

    kernel: str
    variant: str
    built: int = 0
    why: str = ""
    failed: bool = False
    refusal: str = ""
    """Why it is built only with `ignore_kconfig`."""
    suite: str = ""
    in_kernel: bool = False


@dataclass(frozen=True)
class Results:
    """The last outcome of each variant and kernel, so that what parts of the matrix gave can be shown together."""

    cache: Cache

    @property
    def _place(self) -> Path:
        return self.cache.root / "kernels" / "own-variants.json"

    def all(self) -> list[Outcome]:
        known = json.loads(self._place.read_text(encoding="utf-8")) if self._place.exists() else []
        return [Outcome(**outcome) for outcome in known]

    def add(self, outcome: Outcome) -> None:
        others = [one for one in self.all() if (one.kernel, one.variant) != (outcome.kernel, outcome.variant)]
        found = sorted([*others, outcome], key=lambda one: (version_key(one.kernel), one.variant))
        write_atomic(self._place, json.dumps([dataclasses.asdict(one) for one in found], indent=1))

    @property
    def _runs(self) -> Path:
        return self._place.with_name("own-variants-run.json")

    def ran(self) -> set[tuple[str, str]]:
        """Kernels and variants that a guest with the kernel has bound a function to, the last time that one was asked."""
        known = json.loads(self._runs.read_text(encoding="utf-8")) if self._runs.exists() else []
        return {(str(kernel), str(variant)) for kernel, variant in known}

    def note_run(self, kernel: str, variants: t.Iterable[str], well: bool) -> None:
        """Whether these variants have worked on the kernel."""
        runs = {(kernel, variant) for variant in variants}
        found = self.ran() | runs if well else self.ran() - runs
        write_atomic(self._runs, json.dumps(sorted(found), indent=1))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/kernels/variants", description="Build the kernel's own variants from its source packages.")
    parser.add_argument("series", nargs="*", help="only kernels of these series, for example 6.12")
    parser.add_argument("--variant", action="append", help="only this variant")
    parser.add_argument("--rpm", action="store_true", help="out of a package of sources that rpmbuild makes of each kernel's source")
    parser.add_argument("--table", action="store_true", help="write the last results, of other runs too, into docs/drivers.md")
    options = parser.parse_args(arguments)
    become_root()
    cache = Cache.at(None)
    mounts = layers.own_mounts(cache)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as place:
        # The cache of this machine's own runs is not for a test.
        t.cast("t.Any", machine_cache).DIRECTORY = place
        for release in RELEASES:
            with cache.lock(f"kernels-{release.name}"):
                root = build_root(release, cache, say)
            archive = kernel_offers.read(cache, say)
            for series in (one for one in release.series if one in (options.series or release.series)):
                for kernel in kernels_of(root, release, series, archive, cache, mounts):
                    chosen = dataclasses.replace(kernel, as_rpm=options.rpm)
                    outcomes += chosen.check(options.variant or VARIANTS)
    if options.table:
        write_table(Results(cache))
    failed = sum(outcome.failed for outcome in outcomes)
    say(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed or not outcomes else 0


def kernels_of(root: BuildRoot, release: Release, series: str, archive: Archive, cache: Cache, mounts: Path) -> t.Iterator[Kernel]:
    """The newest of the root's own, and the same one for the other architecture."""
    for name in root.kernels(series)[-1:]:
        yield Kernel(name, root, archive, cache, mounts)
        compiler = archive.cross_compiler(release.suite.base, release.compiler, CROSSED)
        wanted = f"{name.removesuffix('-amd64')}-{CROSSED}"
        offers = [offer for choice in archive.choices() for offer in choice if offer.release == wanted]
        if offers and offers[0].compiler == release.compiler and compiler:
            yield Kernel(wanted, root, archive, cache, mounts, offers[0], compiler)
        else:
            say("\n".join(ArchiveUnavailableError([MissingPackage(f"{wanted} or a compiler for it", "no index names it")]).lines()))


@dataclass(frozen=True)
class Kernel:
    """`offer`: where the root does not have its headers, which are laid over it, and the `compiler` with them."""

    release: str
    root: BuildRoot
    archive: Archive
    cache: Cache
    mounts: Path
    offer: Offer | None = None
    compiler: tuple[Deb, ...] = ()
    as_rpm: bool = False
    """Whether its source is in a package of sources of RPM, in the place of Debian's."""

    def check(self, variants: t.Iterable[str]) -> list[Outcome]:
        """Each variant is built, looked at and removed again."""
        try:
            with self.with_source() as (host, _root):
                series = KernelIdentity.read(host, self.release).series
                return [self._noted(self._about(self._outcome(host, variant, series))) for variant in variants]
        except ArchiveUnavailableError as error:
            say("\n".join(error.lines()))
            return []

    @contextlib.contextmanager
    def with_source(self) -> t.Iterator[tuple[Host, BuildRoot]]:
        """A copy of the root that has the kernel's source package, as a host and as a root; ArchiveUnavailableError where there is none."""
        identity = KernelIdentity.read(Host(str(self._headers())), self.release)
        name = f"linux-source-{identity.series}"
        debs = [deb for deb in self.archive.debs_named(name, "") if deb.version == identity.package]
        if not debs:
            raise ArchiveUnavailableError([MissingPackage(f"{name} {identity.package}", "no index names it")])
        needed = (*self.compiler, *(self.offer.debs if self.offer else ()), debs[0])
        with layers.laid_over(self.root, needed, self.cache, self.mounts, say) as root:
            if self.as_rpm:
                self._pack(root.tree / "usr/src", name)
            yield self._host(root, debs[0]), root

    def _pack(self, folder: Path, name: str) -> None:
        """The archive as a distribution with RPM has it, whose kernels are called after version and release of the package."""
        archive = folder / f"{name}.tar.xz"
        version, _dash, release = self.release.partition("-")
        files = {f"linux-{self.release}.tar.xz": archive.read_bytes(), "patch-redhat.patch": b""}
        rpm_packages.make(rpm_packages.Made("kernel", release, "w1.gzdio", files, version=version), folder)
        archive.unlink()

    def modules(self, host: Host, variants: t.Iterable[str]) -> dict[str, bytes]:
        """``*.ko``: the modules of these variants, as the collection has installed them on the host.

        Those as well whose Kconfig wants a driver of their physical functions that the kernel does not have.
        """
        for variant in variants:
            wanted = PackageRequest(source=KernelVariant(variant), kernels=(self.release,), ignore_kconfig=True)
            steps.run(host, wanted, check_mode=False)
        return self._installed(host)

    def _installed(self, host: Host) -> dict[str, bytes]:
        folder = Path(host.root) / "lib/modules" / self.release / "updates/dkms"
        return {
            path.name.removesuffix(".xz"): lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
            for path in sorted(folder.iterdir())
        }

    @property
    def _target(self) -> Target:
        return Target(self.release, self.offer.architecture if self.offer else "amd64")

    def _headers(self) -> Path:
        """The tree that the kernel's own headers are in."""
        return layers.layer(self.offer.debs[0], self.cache, say) if self.offer else self.root.tree

    def _about(self, outcome: Outcome) -> Outcome:
        """With what is known of the kernel: the suite that has it, and whether it was built with the variant."""
        options = (self._headers() / f"usr/src/linux-headers-{self.release}/include/config/auto.conf").read_text(encoding="utf-8")
        in_kernel = f"\n{option_of(outcome.variant)}=" in options
        suite = self.offer.suite if self.offer else self.root.suite_of(self.release)
        return dataclasses.replace(outcome, suite=suite, in_kernel=in_kernel)

    def _noted(self, outcome: Outcome) -> Outcome:
        said = outcome.why or f"{outcome.built} aliases"
        say(f"{'FAILED' if outcome.failed else 'ok'} {outcome.kernel} {outcome.variant}: {said}")
        Results(self.cache).add(outcome)
        return outcome

    def _host(self, root: BuildRoot, source: Deb) -> Host:
        """The root as a host with this kernel: of the kernel itself, only the headers are there."""
        install_kernel(root, self.release)
        status = root.tree / "var/lib/dpkg/status"
        entry = f"Package: {source.package}\nStatus: install ok installed\nVersion: {source.version}\n\n"
        status.write_text(status.read_text(encoding="utf-8") + entry, encoding="utf-8")
        return Host(str(root.tree), ChrootRunner(root, self._target.crossing))

    def _outcome(self, host: Host, variant: str, series: str, ignores_kconfig: bool = False) -> Outcome:
        wanted = PackageRequest(source=KernelVariant(variant), kernels=(self.release,), ignore_kconfig=ignores_kconfig)
        try:
            result = steps.run(host, wanted, check_mode=False).result()
        except HostError as error:
            is_wanted = has_to_build(variant, self._target.architecture, series)
            if "Kconfig" in error.msg and is_wanted and not ignores_kconfig:
                return dataclasses.replace(self._outcome(host, variant, series, ignores_kconfig=True), refusal=error.msg)
            left = list((Path(host.root) / "usr/src").glob("linux-vfio-*"))
            return Outcome(self.release, variant, why=error.msg, failed=bool(left) or is_wanted)
        found = [set(module["aliases"]) for module in result["kernels"][self.release]["modules"].values()]
        machines = {int.from_bytes(content[18:20], "little") for content in self._installed(host).values()}
        again = steps.run(host, wanted, check_mode=False).result()["changed"]
        gone = PackageRequest(source=KernelVariant(variant), state="absent")
        removed = steps.run(host, gone, check_mode=False).result()["changed"]
        well = found == [expected_aliases(variant, series)] and machines == {self._target.machine} and not again and removed
        what = f"has {sorted(found[0])}, for machines {machines}, again {again}"
        return Outcome(self.release, variant, len(found[0]), "" if well else what, failed=not well)


def option_of(variant: str) -> str:
    """The option of the kernel that its own variant is built by."""
    return f"CONFIG_{variant.upper()}_VFIO_PCI"


def has_to_build(variant: str, architecture: str, series: str) -> bool:
    since = BUILT[architecture].get(variant)
    return since is not None and version_key(since) <= version_key(series)


def expected_aliases(variant: str, series: str) -> set[str]:
    """What the table of known devices says that the variant serves in a kernel of this series."""
    rows = (row for row in DEVICES if row[2] == f"{variant}_vfio_pci" and version_key(row[3]) <= version_key(series))
    return {f"vfio_pci:v{vendor:08X}d{device:08X}sv*sd*bc*sc*i*" for vendor, device, _module, _since in rows}


def rows(outcomes: t.Iterable[Outcome], ran: t.Container[tuple[str, str]]) -> list[str]:
    """Of the table, one for each variant and kernel. `ran`: kernels and variants that have been put to work in a guest."""
    lines = []
    for one in sorted(outcomes, key=lambda outcome: (outcome.variant, version_key(outcome.kernel))):
        built = f"{one.built} device{'s' if one.built != 1 else ''}" if one.built and not one.why else "no"
        run = "yes" if (one.kernel, one.variant) in ran else "no"
        cells = (f"`{one.variant}`", one.kernel, f"Debian {one.suite}", "yes" if one.in_kernel else "no", buildable(one), built, run)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def write_table(results: Results) -> None:
    """The part of the page on drivers that says what was really built and run."""
    head = ["| variant | kernel | distribution | in the kernel | can be built | built here | run here |", f"|{'---|' * 7}"]
    marked_page.rewrite(PAGE, _BEGIN, _END, "\n".join([*head, *rows(results.all(), results.ran())]))


def buildable(outcome: Outcome) -> str:
    """In a few words."""
    if not outcome.why:
        return "with `ignore_kconfig`" if outcome.refusal else "yes"
    lacking = re.search(r"built without (.*?)\.?$", outcome.why)
    hidden = re.search(r"does not export ([\w, ]+?)(?: and|,? which|$)", outcome.why)
    if lacking:
        return f"no: the kernel lacks {lacking[1]}"
    if hidden:
        return f"no: the kernel does not export `{hidden[1].split(',')[0]}`"
    return "not in this Linux" if "has no variant" in outcome.why else "no"
