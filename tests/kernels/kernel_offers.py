# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernels Debian's suites offer headers for, and the packages that a build for each takes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import tempfile
import time
import typing as t
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import KEYRING
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import run

SUITES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "forky", "sid", "experimental")
#: Its kernels are too old: they are to be refused.
REFUSED_SUITE = "bullseye"
#: Theirs is an archive beside the main one.
SECURITY = ("bookworm-security", "trixie-security")
#: The kernel flavours built for, by Debian's architecture: the usual one first.
FLAVOURS = {
    "amd64": ("amd64", "cloud-amd64", "rt-amd64"),
    "arm64": ("arm64", "arm64-16k", "cloud-arm64", "rt-arm64"),
    "ppc64el": ("powerpc64le", "powerpc64le-64k"),
}
#: What Debian's cross compilers for an architecture are named after.
CROSS = {"arm64": "aarch64-linux-gnu", "ppc64el": "powerpc64le-linux-gnu"}

_OLDEST = (5, 15)
_ENDS = "|".join(name for names in FLAVOURS.values() for name in names)
_KERNEL_PACKAGE = rf"linux-headers-\d[^\n]*-(?:common|common-rt|{_ENDS})|linux-kbuild-\d[^\n]*"
_TRIPLETS = f"(?:{'|'.join(CROSS.values())})"
_CROSS_PACKAGE = rf"(?:gcc|cpp)-\d+-{_TRIPLETS}|binutils-{_TRIPLETS}"
_CHECKER_PACKAGE = r"sparse|linux-source-\d[\d.]*"
#: For modules that a guest needs beside those of its own devices, and for the configurations of kernels.
_KERNEL_FILES = r"linux-(?:image|modules)-\d[^\n]*-amd64|linux-config-\d[\d.]*"
_STANZA = re.compile(rf"^Package: (?:{_KERNEL_PACKAGE}|{_CROSS_PACKAGE}|{_CHECKER_PACKAGE}|{_KERNEL_FILES})\n(?:.+\n)*", re.MULTILINE)
_FIELD = re.compile(r"^(Package|Version|Depends|Filename|SHA256): (.*)$", re.MULTILINE)
_ASKED_AGAIN_AFTER = 24 * 3600
_INCOMPLETE_ASKED_AGAIN_AFTER = 3600
#: For an index that names what the archive turned out not to have.
_RENEWED_AFTER = 600
_UPDATE_SECONDS = 900
#: What an earlier answer was an answer to.
QUESTION = f"{SUITES} {SECURITY} {FLAVOURS} {_STANZA.pattern}"


@dataclass(frozen=True)
class Deb:
    """A package of the archive. `address`: where it is; `depends`: as in its control file."""

    package: str
    version: str
    suite: str
    architecture: str
    depends: str
    address: str
    sha256: str


@dataclass(frozen=True)
class Offer:
    """The headers of one kernel: its release, the suite and the architecture that have it, its compiler, its packages."""

    release: str
    suite: str
    architecture: str
    compiler: str
    debs: tuple[Deb, ...]

    @property
    def series(self) -> tuple[int, int]:
        return series_of(self.release)

    @property
    def flavour(self) -> str:
        """`cloud-amd64`: of another kind than the architecture's usual kernel; empty for that."""
        found = flavour_of(self.release, self.architecture)
        return "" if found == FLAVOURS[self.architecture][0] else found


@dataclass(frozen=True)
class Archive:
    """What the suites have that concerns us, and the indexes (suite and architecture) that could not be read."""

    debs: tuple[Deb, ...]
    unread: tuple[str, ...]

    @cached_property
    def _offers(self) -> tuple[Offer, ...]:
        return tuple(offer for offer in map(self._offer, self.debs) if offer)

    def choices(self) -> list[tuple[Offer, ...]]:
        """Of each series that a suite has, and that knows vfio-pci-core, the kernels of each flavour: the newest first."""
        found: dict[tuple[str, str, tuple[int, int]], list[Offer]] = {}
        for offer in self._offers:
            if offer.series >= _OLDEST:
                found.setdefault((offer.suite, offer.architecture + offer.flavour, offer.series), []).append(offer)
        return [tuple(sorted(offers, key=lambda offer: order(offer.release), reverse=True)) for offers in found.values()]

    def of_series(self, series: str, suites: t.Sequence[str], compiler: str = "") -> list[Offer]:
        """Usual kernels of this machine's architecture: the suites' own, those of the first and the newest before others.

        After them, with a `compiler`, whatever another suite has that was built by it.
        """
        usual = [offer for offer in self._offers if offer.architecture == "amd64" and not offer.flavour]
        found = [offer for offer in usual if "{}.{}".format(*offer.series) == series]
        found.sort(key=lambda offer: order(offer.release), reverse=True)
        own = [offer for suite in dict.fromkeys(suites) for offer in found if offer.suite == suite]
        # Fixes of a release are in an archive beside it, as a copy of what the release has or newer.
        return own + [offer for offer in found if offer.compiler == compiler and offer.release not in {one.release for one in own}]

    def debs_named(self, package: str, suite: str) -> list[Deb]:
        """The packages of this name, those of `suite` first."""
        found = [deb for deb in self.debs if (deb.package, deb.architecture) == (package, "amd64")]
        return sorted(sorted(found, key=lambda deb: order(deb.version), reverse=True), key=lambda deb: deb.suite != suite)

    def cross_compiler(self, suite: str, compiler: str, architecture: str) -> tuple[Deb, ...]:
        """`compiler` (gcc-14) for another architecture, in the release `suite`; empty when the suite has none."""
        triplet = CROSS[architecture]
        names = (f"{compiler}-{triplet}", f"{compiler.replace('gcc', 'cpp')}-{triplet}", f"binutils-{triplet}")
        found = [self._newest(name, suite) for name in names]
        return tuple(deb for deb in found if deb) if all(found) else ()

    def _offer(self, deb: Deb) -> Offer | None:
        release = deb.package.removeprefix("linux-headers-")
        ends = FLAVOURS.get(deb.architecture, ())
        # Realtime kernels up to 6.12 have some of their own.
        common = re.search(r"linux-headers-((\S+-)common(?:-rt)?)(?= |$)", deb.depends)
        kbuild = re.search(r"linux-kbuild-[^ ,]+", deb.depends)
        compiler = re.search(r"gcc-\d+", deb.depends)
        # Others only name a package, such as linux-headers-6.12-amd64.
        if not (common and kbuild and compiler) or release not in [common[2] + flavour for flavour in ends]:
            return None
        needed = [deb, self._newest(f"linux-headers-{common[1]}", deb.suite), self._newest(kbuild[0], deb.suite)]
        if not all(needed):
            return None
        return Offer(release, deb.suite, deb.architecture, compiler[0], tuple(found for found in needed if found))

    def _newest(self, package: str, suite: str) -> Deb | None:
        """For the machine that builds: amd64, or of all architectures."""
        found = [deb for deb in self.debs if (deb.package, deb.suite, deb.architecture) == (package, suite, "amd64")]
        return max(found, key=lambda deb: order(deb.version), default=None)


def read(cache: Cache, say: t.Callable[[str], None], *, renewed: bool = False) -> Archive:
    """What the archive has, as it said within the last day, or `renewed` within the last minutes. The caller need not be root."""
    known = cache.root / "kernels" / "archive.json"
    with cache.lock("kernels-archive"):
        before = _known(known)
        if before and time.time() - known.stat().st_mtime < _lasting(before, renewed):
            return before
        say("asking the archive which kernels it has")
        debs: list[Deb] = []
        unread: list[str] = []
        for architecture in FLAVOURS:
            found, missing = _ask(architecture)
            debs += found
            unread += missing
        # An index that a mirror is just replacing is read again later; until then what it said before holds.
        if before:
            debs += [deb for deb in before.debs if f"{deb.suite} {deb.architecture}" in unread]
        archive = Archive(tuple(dict.fromkeys(debs)), tuple(unread))
        known.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(known, json.dumps({**dataclasses.asdict(archive), "asked": QUESTION}))
    return archive


def _lasting(archive: Archive, renewed: bool) -> float:
    if renewed:
        return _RENEWED_AFTER
    return _INCOMPLETE_ASKED_AGAIN_AFTER if archive.unread else _ASKED_AGAIN_AFTER


def series_of(release: str) -> tuple[int, int]:
    """(6, 12) of 6.12.107+deb13-amd64."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None:
        raise ValueError(f"{release!r} is not a kernel's release")
    return int(numbers[1]), int(numbers[2])


def flavour_of(release: str, architecture: str) -> str:
    """`cloud-amd64` of 6.12.107+deb13-cloud-amd64."""
    return max((name for name in FLAVOURS[architecture] if release.endswith(f"-{name}")), key=len)


def order(version: str) -> list[tuple[int, int, str]]:
    """To sort versions by: numbers by value, and a tilde before everything, the end included."""
    parts = re.findall(r"\d+|~|[^\d~]+", version)
    return [(-1, 0, "") if part == "~" else (2, int(part), "") if part.isdigit() else (1, 0, part) for part in parts] + [(0, 0, "")]


def _known(path: Path) -> Archive | None:
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    if found.get("asked") != QUESTION:
        return None
    return Archive(tuple(Deb(**deb) for deb in found["debs"]), tuple(found["unread"]))


def sources(mirror: str, suite: str, architecture: str = "amd64") -> str:
    """The line of sources.list(5) for a suite."""
    place = f"{mirror.rstrip('/')}-security" if suite in SECURITY else mirror.rstrip("/")
    return f"deb [arch={architecture} signed-by={KEYRING}] {place} {suite} main\n"


def _ask(architecture: str) -> tuple[list[Deb], list[str]]:
    """The packages of this architecture in all suites, and the indexes not read."""
    mirror = apt_sources.of_this_machine()
    suites = [suite for suite in (*SUITES, *SECURITY) if architecture == "amd64" or suite != REFUSED_SUITE]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "lists/partial").mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text("".join(sources(mirror, suite, architecture) for suite in suites), encoding="utf-8")
        settings = {
            "Dir::State::lists": f"{folder}/lists",
            "Dir::State::status": f"{folder}/status",
            "Dir::Cache": str(folder),
            "Dir::Etc::sourcelist": f"{folder}/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "false",
            # A mirror may lag behind, and testing's Release files expire within days; the signature is checked all the same.
            "Acquire::Check-Valid-Until": "false",
            "APT::Sandbox::User": "root",
        }
        options = [word for setting, value in settings.items() for word in ("-o", f"{setting}={value}")]
        # Its status says that some index is missing, not which; the folder does.
        with contextlib.suppress(HostError):
            run(("apt-get", *options, "update"), timeout=_UPDATE_SECONDS)
        debs: list[Deb] = []
        unread: list[str] = []
        for suite in suites:
            found = sorted((folder / "lists").glob(f"*_dists_{suite}_main_binary-{architecture}_Packages"))
            if not found and _should_have(folder / "lists", suite, architecture):
                unread.append(f"{suite} {architecture}")
            for path in found:
                debs += parse(path.read_text(encoding="utf-8"), suite, architecture, sources(mirror, suite).split()[3])
    return debs, unread


def _should_have(lists: Path, suite: str, architecture: str) -> bool:
    """Not every suite has every architecture; of one that could not be reached it is assumed."""
    releases = [path.read_text(encoding="utf-8") for path in lists.glob(f"*_dists_{suite}_*Release")]
    return not releases or any(f" main/binary-{architecture}/Packages" in text for text in releases)


def parse(index: str, suite: str, architecture: str, place: str) -> list[Deb]:
    """The packages of an index that concern us; `place`: the address that their files' names are relative to."""
    found = []
    for stanza in _STANZA.findall(index):
        field = dict(_FIELD.findall(stanza))
        address = f"{place}/{field['Filename']}"
        found.append(Deb(field["Package"], field["Version"], suite, architecture, field.get("Depends", ""), address, field["SHA256"]))
    return found
