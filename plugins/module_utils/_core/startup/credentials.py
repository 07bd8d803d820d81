# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials that systemd's programs take rules, units and settings from (systemd.system-credentials(7), systemd.exec(5))."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import brought_texts, systemd_version
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.asked_units import units_of_options
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.link_files import sets_functions

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis

STORES = ("/etc/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore")
SEALED = (
    "/etc/credstore.encrypted",
    "/usr/local/lib/credstore.encrypted",
    "/usr/lib/credstore.encrypted",
    *(f"{one}/loader/credentials" for one in ("/boot", "/efi", "/boot/efi")),
)
"""Where they are encrypted."""
LARGEST = 1 << 20
# systemd reads no rules and no units from credentials before (its NEWS: "CHANGES WITH 256").
WITH_RULES = 256
# By name; what else there is, is for programs that do not act on drivers.
ACTING = re.compile(
    r"udev\.rules\.|udev\.conf\.|(?:tmpfiles|sysctl|fstab)\.extra$|systemd\.(?:extra-unit|unit-dropin)\.|network\.|import\.pull$|imds\."
)
# The versions of systemd since which some of them are read (systemd.system-credentials(7)); the first two by generators.
SINCE = {"fstab.extra": 254, "import.pull": 257, "imds.": 261}
FETCHING = ("import.pull", "imds.")
PULLS = ("systemd.pull", "rd.systemd.pull")
"""Words of the command line that have images downloaded, as the credential import.pull does (systemd-import-generator(8))."""
_DATA = ("/home", "/media", "/mnt", "/tmp")  # noqa: S108 - only compared
"""Where file systems are mounted that have nothing that is read or run at boot."""
_DELAYS = re.compile(r"^[ \t]*(?:event_timeout|exec_delay|timeout_signal)[ \t]*=", re.MULTILINE)
_ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "s": " ", "\\": "\\", '"': '"', "'": "'"}


def read(host: Host, judge: ProgramAnalysis, cmdline: Cmdline, source: str) -> t.Iterator[Influence]:
    """What the credentials of a host do; ``source`` is where its command line stands."""
    known = systemd_version.version(host)
    for name, text in _given(cmdline):
        yield from _of(judge, name, text, f"{source}: systemd.set_credential={name}", known, for_manager=True)
    for word in PULLS:
        for value in cmdline.values_for_systemd(word):
            yield Influence(f"{source}: {word}={value}", "has something fetched at boot, which is not known", UNBOUNDED)
    for place in STORES:
        for name in host.names(place) if host.is_dir(place) else ():
            content = host.head(f"{place}/{name}", LARGEST + 1) or b""
            text = None if len(content) > LARGEST else content.decode("utf-8", "surrogateescape")
            yield from _of(judge, name, text, f"{place}/{name}", known, for_manager=False)
    for path in sealed(host):
        place, _slash, name = path.rpartition("/")
        yield from _of(judge, name.removesuffix(".cred"), None, path, known, for_manager=place.endswith("credentials"))


def sealed(host: Host) -> list[str]:
    """Those that only this host can open."""
    return [f"{place}/{name}" for place in SEALED if host.is_dir(place) for name in host.names(place)]


def _given(cmdline: Cmdline) -> t.Iterator[tuple[str, str | None]]:
    for value in cmdline.values_for_systemd("systemd.set_credential"):
        name, _colon, text = value.partition(":")
        yield name, _unescaped(text)
    for value in cmdline.values_for_systemd("systemd.set_credential_binary"):
        name, _colon, text = value.partition(":")
        try:
            yield name, base64.b64decode(text, validate=True).decode("utf-8", "surrogateescape")
        except (binascii.Error, ValueError):
            yield name, None


def _unescaped(text: str) -> str | None:
    """As cunescape(); None where it has what is not known here."""
    if any(match[3] and match[3] not in _LETTERS for match in _ESCAPED.finditer(text)):
        return None
    return _ESCAPED.sub(
        lambda match: chr(int(match[1], 16)) if match[1] else chr(int(match[2], 8)) if match[2] else _LETTERS[match[3]], text
    )


def _is_read(name: str, version: int | None, for_manager: bool) -> bool:
    """Whether something reads it.  The manager and its generators have their own credentials alone, services have those of all stores."""
    if not ACTING.match(name):
        return False
    since = next((number for start, number in SINCE.items() if name.startswith(start)), None)
    if since is not None or name.startswith("systemd."):
        is_given = for_manager or name.startswith("imds.")
        return is_given and (version is None or version >= (since or WITH_RULES))
    return name.endswith(".extra") or version is None or version >= WITH_RULES


def _of(judge: ProgramAnalysis, name: str, text: str | None, source: str, version: int | None, for_manager: bool) -> t.Iterator[Influence]:
    if not _is_read(name, version, for_manager):
        return
    if text is None:
        yield Influence(source, "brings configuration for systemd's programs, which is not read", UNBOUNDED)
    elif name.startswith(FETCHING):
        yield Influence(source, "has something fetched at boot, which is not known", UNBOUNDED)
    elif name == "fstab.extra":
        yield from _mounts(judge, text, source)
    elif name.endswith(".extra"):
        of = brought_texts.of_tmpfiles if name == "tmpfiles.extra" else brought_texts.of_sysctl
        yield from of(judge, text, source)
    elif name.startswith("udev.rules."):
        yield from brought_texts.of_rules(judge, text, source, f"{name.removeprefix('udev.rules.')}.rules")
    elif name.startswith("systemd."):
        unit = name.removeprefix("systemd.extra-unit.").removeprefix("systemd.unit-dropin.").partition("~")[0]
        yield from brought_texts.of_unit(judge, text, source, unit)
    elif name.startswith("udev.conf.") and _DELAYS.search(text):
        yield Influence(source, "changes how long udev's programs run", UNBOUNDED)
    elif sets_functions(text):
        yield Influence(source, "makes systemd-udevd set the number of virtual functions", frozenset(("create",)))


def _mounts(judge: ProgramAnalysis, text: str, source: str) -> t.Iterator[Influence]:
    """Lines of fstab: what is mounted may bring programs and configuration, and start units."""
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        place = words[1]
        if place.startswith("/") and not any(place == folder or place.startswith(f"{folder}/") for folder in _DATA):
            yield Influence(f"{source}:{number}", f"mounts {words[0]} at {place}, whose contents are not known", UNBOUNDED)
        for unit in units_of_options(words[3] if len(words) > 3 else ""):
            yield from judge.unit(unit, f"{source}:{number}") if judge.unit is not None else ()
