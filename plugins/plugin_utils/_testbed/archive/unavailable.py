# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive cannot deliver, told apart from everything else that can go wrong with a program that downloads.

apt and pip say so in their output only; their exit status is the same for a missing file and for a package that does not build.
"""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass
from urllib.parse import unquote

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

#: How a line begins that names a missing thing, wherever it is printed: it survives Ansible's and Molecule's output.
MARK = "archive unavailable: "
#: How a program ends that missed its floor because of the archive: EX_UNAVAILABLE of sysexits.h.
EXIT_STATUS = 69
#: Seconds between asking and asking again.
PAUSES = (5.0,)

_INSTEAD = "; instead: "
_ROUNDS = 3
# apt-get puts what is wrong with the files of this machine into the same sentence.
_LOCAL = re.compile(r"No space left|Permission denied|Read-only file system|Input/output error|quota exceeded|File too large")
_APT_FETCH = re.compile(r"E: Failed to fetch (?P<address>\S+)\s+(?P<reason>.+)")
_APT_OTHERS = (
    (re.compile(r"E: Unable to locate package (?P<name>\S+)"), "no index names it"),
    (re.compile(r"E: Version '(?P<version>[^']*)' for '(?P<name>[^']*)' was not found"), "no index names this version"),
    (re.compile(r"E: Package '(?P<name>[^']*)' has no installation candidate"), "no index names it"),
    (
        re.compile(r"E: The repository '\S+ (?P<name>\S+) Release' (?:does not have|no longer has) a Release file\."),
        "the suite has no Release file",
    ),
    (re.compile(r"E: The repository '\S+ (?P<name>\S+) (?:In)?Release' is not signed\."), "the suite is not signed"),
    (re.compile(r" (?P<name>[a-z0-9][a-z0-9+.-]+)(?::\w+)? : (?:Pre-)?Depends: (?P<reason>.+)"), ""),
)
#: The packages were delivered, and then this happened.
_APT_DELIVERED = re.compile(r"E: Sub-process \S+ returned an error code|dpkg: error processing (?:package|archive)")
_DEB = re.compile(r"/pool/(?:[^/]+/)*(?P<source>[^/]+)/(?P<name>[^/_]+)_(?P<version>[^/_]+)_\w+\.deb$")
_INDEX = re.compile(r"/dists/(?P<suite>.+?)/(?:[\w-]+/(?:binary-(?P<architecture>\w+)/)?)?(?:InRelease|Release|Packages)")
_PIP_REFUSED = re.compile(r"ERROR: Could not install requirement \S+ from (?P<address>\S+) .*?because of (?P<reason>.+?) for url")
_PIP_NONE = re.compile(r"ERROR: No matching distribution found for (?P<name>[A-Za-z0-9._-]+)(?P<wanted>\S*)")
_PIP_BROKEN = "after connection broken by"
_PIP_HASH = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"
_PIP_HASHED = re.compile(r"\S+ from (?P<address>\S+):$")
#: Up to pip 25, and since.
_PIP_OFFLINE = re.compile(
    r"ERROR: Could not install packages due to an OSError: (?P<reason>HTTPS?ConnectionPool.*?with url: (?P<address>\S+).*)"
)
_PIP_NETWORK = re.compile(r"error: (?P<reason>(?:connection|proxy-connection|ssl-verification)-(?:failed|timeout)|incomplete-download)$")
_PIP_FETCHED = re.compile(r".*(?:while fetching|Unable to fetch|URL:) (?P<address>\S+)")
_WHEEL = re.compile(r"/(?P<name>[^/]+?)-(?P<version>\d[^/-]*)(?:-[^/]+\.whl|\.tar\.gz|\.zip)(?:#|$)")


@dataclass(frozen=True)
class MissingPackage:
    """`source`: the source package, where a file of the pool is missing."""

    name: str
    reason: str
    version: str = ""
    source: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.reason})" if self.version else f"{self.name} ({self.reason})"


class ArchiveUnavailableError(HostError):
    """Nothing that was tried got it: neither asking again nor another version."""

    def __init__(self, missing: t.Sequence[MissingPackage]) -> None:
        super().__init__(MARK + "; ".join(str(one) for one in missing))
        self.missing = tuple(missing)

    def lines(self) -> list[str]:
        return [marked(one) for one in self.missing]


def in_apt_output(output: str) -> tuple[MissingPackage, ...]:
    """What apt-get, or mmdebstrap by way of it, could not get; nothing when it failed in another way."""
    found: dict[str, MissingPackage] = {}
    for line in output.splitlines():
        if _APT_DELIVERED.match(line):
            return ()
        fetched = _APT_FETCH.match(line)
        if fetched:
            if _LOCAL.search(fetched["reason"]):
                return ()
            one = _at(fetched["address"], _without_place(fetched["reason"]))
            found.setdefault(one.name, one)
            continue
        for pattern, reason in _APT_OTHERS:
            match = pattern.match(line)
            if match:
                words = match.groupdict()
                one = MissingPackage(words["name"], reason or f"it depends on {words['reason']}", words.get("version") or "")
                found.setdefault(one.name, one)
    return tuple(found.values())


def in_pip_output(output: str) -> tuple[MissingPackage, ...]:
    """What pip could not get; nothing when a package was delivered and does not build, or when requirements contradict."""
    found: dict[str, MissingPackage] = {}
    heading = ""
    for line in output.splitlines():
        # What pip says of a build's own requirements is drawn into a frame.
        text = line.strip(" │╰─>")
        network = _PIP_NETWORK.match(text)
        heading = network["reason"] if network else next((known for known in (_PIP_HASH, _PIP_BROKEN) if known in text), heading)
        one = _in_pip_line(text, heading)
        if one:
            found.setdefault(one.name, one)
    return tuple(found.values())


def _in_pip_line(line: str, heading: str) -> MissingPackage | None:
    for pattern in (_PIP_REFUSED, _PIP_OFFLINE):
        match = pattern.match(line)
        if match:
            return _wheel(match["address"], match["reason"])
    match = _PIP_NONE.match(line)
    if match:
        reason = "the index cannot be reached" if heading == _PIP_BROKEN else "the index does not have it"
        exact = match["wanted"].startswith("==")
        return MissingPackage(
            match["name"], reason if exact or not match["wanted"] else f"{reason} {match['wanted']}", match["wanted"][2:] if exact else ""
        )
    match = (_PIP_HASHED if heading == _PIP_HASH else _PIP_FETCHED).match(line) if heading else None
    if match is None:
        return None
    return _wheel(match["address"], "its content is not what the index says" if heading == _PIP_HASH else heading)


def _wheel(address: str, reason: str) -> MissingPackage:
    """What lies at an address of a Python package index."""
    match = _WHEEL.search(unquote(address))
    if match is None:
        return MissingPackage(address.rstrip("/").rpartition("/")[2], reason)
    return MissingPackage(match["name"].replace("_", "-"), reason, match["version"])


def _at(address: str, reason: str) -> MissingPackage:
    """What lies at an address of a Debian archive."""
    place = unquote(address)
    deb, index = _DEB.search(place), _INDEX.search(place)
    if deb:
        return MissingPackage(deb["name"], reason, deb["version"], deb["source"])
    if index:
        architecture = f" for {index['architecture']}" if index["architecture"] else ""
        return MissingPackage(f"the index of {index['suite']}{architecture}", reason)
    return MissingPackage(place, reason)


def _without_place(reason: str) -> str:
    """Without the address of the server, which differs from one time to the next."""
    return " ".join(re.sub(r"\[IP: [^]]*\]", "", reason).split())


def preferences(missing: t.Iterable[MissingPackage]) -> str:
    """The apt_preferences(5) by which apt takes another version of these, and of what was built together with them."""
    pins = {(one.source, one.version) for one in missing if one.source and one.version}
    return "".join(f"Package: {_packages_of(source)}\nPin: version {version}\nPin-Priority: -1\n\n" for source, version in sorted(pins))


def _packages_of(source: str) -> str:
    # The signed kernel is another source package than its headers.
    return "src:linux src:linux-signed-*" if source == "linux" or source.startswith("linux-signed-") else f"src:{source}"


T = t.TypeVar("T")


def asked_again(attempt: t.Callable[[], T], say: t.Callable[[str], None]) -> T:
    """What `attempt` returns, which is called again after each pause; whatever it raises the last time is raised."""
    for pause in PAUSES:
        try:
            return attempt()
        except ArchiveUnavailableError as error:
            say(f"the archive did not deliver {'; '.join(str(one) for one in error.missing)}; asking again in {pause:.0f} s")
            time.sleep(pause)
    return attempt()


def obtain(attempt: t.Callable[[tuple[MissingPackage, ...]], T], say: t.Callable[[str], None]) -> T:
    """What `attempt` returns; ArchiveUnavailableError when nothing helps.

    It is asked again, and then with what it shall do without: the versions that could not be had. Whatever else it raises
    ends this at once.
    """
    try:
        return asked_again(lambda: attempt(()), say)
    except ArchiveUnavailableError as error:
        avoided = tuple(one for one in error.missing if one.version)
        for _round in range(_ROUNDS if avoided else 0):
            try:
                result = attempt(avoided)
            except ArchiveUnavailableError as other:
                further = tuple(one for one in other.missing if one.version and one not in avoided)
                if not further:
                    break
                avoided += further
                continue
            for one in avoided:
                say(marked(one, "another version"))
            return result
        raise


def marked(missing: MissingPackage, instead: str = "") -> str:
    """The line that names it. `instead`: what was taken in its place."""
    return f"{MARK}{missing}{_INSTEAD}{instead}" if instead else f"{MARK}{missing}"


def named_in(lines: t.Iterable[str]) -> tuple[str, ...]:
    """The missing things that a program's output names, each once."""
    return tuple(dict.fromkeys(line.removeprefix(MARK).rstrip() for line in lines if line.startswith(MARK)))


def is_replaced(name: str) -> bool:
    """Whether the thing named so was missing and something took its place."""
    return _INSTEAD in name
