# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories and images that systemd lays over /usr and /opt, and over /etc (systemd-sysext(8))."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import brought_texts
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import IsStarted

MOST_FILES = 2000
DEEPEST = 16
LARGEST = 256 << 10
_TEXTS: t.Final[tuple[tuple[str, str], ...]] = (
    ("udev/rules.d", ".rules"),
    ("tmpfiles.d", ".conf"),
    ("sysctl.d", ".conf"),
    ("modules-load.d", ".conf"),
)
# Files that nothing starts or reads at boot, whatever is in them.
_INERT = re.compile(r"/(?:share/(?:doc|man|info|locale|licenses|icons|fonts)|include|extension-release\.d)/")


@dataclasses.dataclass(frozen=True)
class ExtensionKind:
    """``below`` is what such an extension may hold, ``release`` where it says what it is for."""

    unit: str
    places: tuple[str, ...]
    below: tuple[str, ...]
    release: str


KINDS = (
    ExtensionKind(
        "systemd-sysext.service",
        ("/etc/extensions", "/var/lib/extensions", "/usr/local/lib/extensions", "/usr/lib/extensions", "/.extra/sysext"),
        ("usr", "opt"),
        "usr/lib/extension-release.d",
    ),
    ExtensionKind(
        "systemd-confext.service",
        ("/var/lib/confexts", "/usr/local/lib/confexts", "/usr/lib/confexts", "/.extra/confext"),
        ("etc",),
        "etc/extension-release.d",
    ),
)


def read(host: Host, judge: ProgramAnalysis, is_started: IsStarted) -> t.Iterator[Influence]:
    """What the extensions bring, where the service is started that lays them over the root."""
    for kind in KINDS:
        for place in kind.places if is_started(kind.unit) else ():
            for name in host.names(place) if host.is_dir(place) else ():
                path = f"{place}/{name}"
                if not host.is_dir(path) or name.endswith(".v"):
                    yield Influence(path, "is laid over the root: what it brings is not read", UNBOUNDED)
                elif _is_for(host, f"{path}/{kind.release}/extension-release.{name}"):
                    yield from _of_folder(host, judge, path, kind)


def _is_for(host: Host, release: str) -> bool:
    """Whether an extension can be for this system; without saying so it is for none (extension_release_validate())."""
    wanted = _assignments(host, release).get("ID")
    own = _assignments(host, "/etc/os-release") or _assignments(host, "/usr/lib/os-release")
    return host.is_file(release) and (wanted in (None, "_any") or not own or wanted == own.get("ID", "linux"))


def _assignments(host: Host, path: str) -> dict[str, str]:
    text = head_text(host, path, LARGEST)
    return {name: value.strip().strip("\"'") for name, equals, value in (line.partition("=") for line in text.split("\n")) if equals}


def _of_folder(host: Host, judge: ProgramAnalysis, path: str, kind: ExtensionKind) -> t.Iterator[Influence]:
    files = [file for below in kind.below for file in _files(host, f"{path}/{below}", 0)]
    if len(files) > MOST_FILES:
        yield Influence(path, f"lays more than {MOST_FILES} files over the root", UNBOUNDED)
        return
    for file in files:
        laid = file.removeprefix(path)
        if not _INERT.search(laid):
            yield from _of_file(host, judge, file, laid)


def _files(host: Host, folder: str, depth: int) -> t.Iterator[str]:
    for name in host.names(folder) if host.is_dir(folder) and depth < DEEPEST else ():
        path = f"{folder}/{name}"
        if host.is_dir(path) and host.link(path) is None:
            yield from _files(host, path, depth + 1)
        else:
            yield path


def _of_file(host: Host, judge: ProgramAnalysis, path: str, laid: str) -> t.Iterator[Influence]:
    """One file, which comes to lie at ``laid``."""
    folder, _slash, name = laid.rpartition("/")
    suffix = next((suffix for place, suffix in _TEXTS if folder.endswith(f"/{place}")), None)
    if suffix is not None and not name.endswith(suffix):
        # Their readers look at files with the suffix alone.
        return
    content = host.head(path, LARGEST + 1) if host.is_file(path) else None
    if host.exists(laid) or host.link(laid) is not None:
        yield Influence(path, f"is laid over {laid}", UNBOUNDED)
    elif content is None or len(content) > LARGEST:
        if host.link(path) is not None and "/systemd/system/" in laid:
            yield from _of_unit(host, judge, "", path, laid)
        elif suffix is not None or _may_act(laid):
            yield Influence(path, "is laid over the root: what it brings is not read", UNBOUNDED)
    elif suffix is not None:
        yield from _of_text(judge, content.decode("utf-8", "surrogateescape"), path, laid)
    elif "/systemd/system/" in laid:
        yield from _of_unit(host, judge, content.decode("utf-8", "surrogateescape"), path, laid)
    elif _may_act(laid):
        yield Influence(path, f"is laid over the root at {laid}", UNBOUNDED)
    elif content.startswith((b"#!", b"\x7fELF")):
        yield from judge.of_file(path, path)


def _of_text(judge: ProgramAnalysis, text: str, path: str, laid: str) -> t.Iterator[Influence]:
    folder, _slash, name = laid.rpartition("/")
    if folder.endswith("/rules.d"):
        yield from brought_texts.of_rules(judge, text, path, name)
    else:
        known = {"tmpfiles.d": brought_texts.of_tmpfiles, "sysctl.d": brought_texts.of_sysctl, "modules-load.d": brought_texts.of_load_list}
        yield from known[folder.rpartition("/")[2]](judge, text, path)


def _of_unit(host: Host, judge: ProgramAnalysis, text: str, path: str, laid: str) -> t.Iterator[Influence]:
    """A unit, a part of one, or a link that has a unit started or is its other name."""
    folder, _slash, name = laid.rpartition("/")
    unit = name if folder.endswith("/system") or not folder.endswith(".d") else folder.rpartition("/")[2].removesuffix(".d")
    if host.link(path) is None:
        yield from brought_texts.of_unit(judge, text, path, unit)
    elif unit.startswith(brought_texts.UNITS_OF_DRIVERS) or judge.unit is None:
        yield Influence(path, f"is laid over the root at {laid}", UNBOUNDED)
    else:
        yield from judge.unit(unit, path)


def _may_act(laid: str) -> bool:
    """Whether what lies there may be run or read at boot by itself."""
    return (
        re.search(r"/(?:systemd|udev|modprobe\.d|modules|firmware|dracut|driverctl|environment)(?:/|$)|\.d/|/init\.d|/cron", laid)
        is not None
    )
