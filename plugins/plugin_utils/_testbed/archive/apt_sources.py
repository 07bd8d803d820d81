# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian archive that this machine's own apt configuration names."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

_DEBIAN_KEYRING = "debian-archive"
_ALIASES = frozenset({"stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"})
_USABLE = ("http://", "https://", "file:/")


@dataclass(frozen=True)
class Source:
    """One enabled `deb` entry of sources.list(5)."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str
    file: str


def main_archive(root: Path, codename: str) -> str:
    """The address of the Debian main archive.

    The archive's own Release file, which apt keeps, says whether it is Debian's; without it (apt-get update never ran)
    the entry's keyring and address must do.  Archives of third parties often carry Debian's suite names.
    """
    fitting = [source for source in read_sources(root) if _may_be_main(source, codename)]
    by_release = [source for source in fitting if _origin(root, source) == ("Debian", "Debian")]
    if by_release:
        return by_release[0].uri
    unknown = [source for source in fitting if _origin(root, source) is None]
    ranked = sorted(unknown, key=_likeness, reverse=True)
    if ranked and _likeness(ranked[0]) > 0:
        return ranked[0].uri
    raise HostError(
        f"No entry of this machine's apt configuration is the Debian main archive ({len(fitting)} carry the suite {codename}).",
        "Name the archive with the option mirror.",
    )


def read_sources(root: Path) -> list[Source]:
    """The enabled entries of sources.list and sources.list.d, both formats, in apt's order."""
    apt = root / "etc/apt"
    found: list[Source] = []
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))):
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        name = str(path.relative_to(root))
        found += _deb822(text, name) if path.suffix == ".sources" else _one_line(text, name)
    return found


def _one_line(text: str, file: str) -> list[Source]:
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"\s*deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<rest>[^#]+?)\s*(?:#.*)?", line)
        if match is None:
            continue
        words = match["rest"].split()
        if len(words) < 2:
            continue
        options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
        found.append(Source(words[0].rstrip("/"), (words[1],), tuple(words[2:]), options.get("signed-by", ""), file))
    return found


def _deb822(text: str, file: str) -> list[Source]:
    found = []
    for stanza in _stanzas(text):
        if stanza.get("enabled", "yes").lower() in ("no", "false", "0", "off") or "deb" not in stanza.get("types", "").split():
            continue
        suites = tuple(stanza.get("suites", "").split())
        components = tuple(stanza.get("components", "").split())
        keyring = stanza.get("signed-by", "")
        found += [Source(uri.rstrip("/"), suites, components, keyring, file) for uri in stanza.get("uris", "").split()]
    return found


def _stanzas(text: str) -> t.Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line.startswith("#"):
            continue
        elif line[0].isspace():
            if last:
                fields[last] += " " + line.strip()
        elif ":" in line:
            name, value = line.split(":", 1)
            last = name.strip().lower()
            fields[last] = value.strip()


def _may_be_main(source: Source, codename: str) -> bool:
    names = {codename, *_ALIASES}
    return source.uri.startswith(_USABLE) and "main" in source.components and any(suite.rstrip("/") in names for suite in source.suites)


def _origin(root: Path, source: Source) -> tuple[str, str] | None:
    """Origin and Label of the Release file that apt downloaded from this source; None when it has none yet."""
    lists = root / "var/lib/apt/lists"
    place = re.sub(r"^[a-z+]+:/*", "", source.uri).replace("_", "%5f").replace("/", "_")
    for suite in source.suites:
        for kind in ("InRelease", "Release"):
            path = lists / f"{place}_dists_{suite.replace('/', '_')}_{kind}"
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")[:4096]
                fields = dict(re.findall(r"^(Origin|Label): *(.*?) *$", text, re.MULTILINE))
                return fields.get("Origin", ""), fields.get("Label", "")
    return None


def _likeness(source: Source) -> int:
    """How much an entry looks like Debian's own: its keyring decides, then the customary path."""
    keyring = 2 if _DEBIAN_KEYRING in source.signed_by else (-4 if source.signed_by else 0)
    return keyring + (1 if source.uri.rsplit("/", 1)[-1] == "debian" else 0)


def of_this_machine() -> str:
    """The Debian main archive of this very machine."""
    release = Path("/etc/os-release")
    text = release.read_text(encoding="utf-8") if release.is_file() else ""
    match = re.search(r'^VERSION_CODENAME="?(\w+)"?$', text, re.MULTILINE)
    return main_archive(Path("/"), match[1] if match else "stable")
