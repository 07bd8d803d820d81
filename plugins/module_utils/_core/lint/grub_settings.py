# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/default/grub and its drop-ins, as the shell that reads them and GRUB take what their author has written."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import FOLDER, VARIABLES
from ansible_collections.vfio.variants.plugins.module_utils._core.host.numbered_matches import numbered_matches
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.joined_words import is_word
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.put_aside import SUFFIXES, is_put_aside
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_line import CURLY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

OTHERS = (
    *("GRUB_CMDLINE_LINUX_RECOVERY", "GRUB_CMDLINE_XEN", "GRUB_CMDLINE_XEN_DEFAULT", "GRUB_CMDLINE_LINUX_XEN_REPLACE"),
    *("GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT", "GRUB_CMDLINE_NETBSD", "GRUB_CMDLINE_NETBSD_DEFAULT", "GRUB_CMDLINE_GNUMACH"),
)
"""What grub-mkconfig reads besides."""
MISTAKEN = dict.fromkeys(
    ("GRUB_CMDLINE", "GRUB_LINUX", "GRUB_KERNEL_CMDLINE", "GRUB_LINUX_CMDLINE", "GRUB_CMDLINE_KERNEL"), "GRUB_CMDLINE_LINUX"
)
LINE = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<name>(?:GRUB|grub)\w*)(?P<before>[ \t]*)(?P<operator>\+?=)(?P<after>[ \t]*)(?P<value>.*)$", re.MULTILINE
)
QUOTED = re.compile(r"([\"'])(.*?)(?<!\\)\1")
LISTED = re.compile(r"((?:\.ids|[._]blacklist|\.pre|load)=[^\s\"';]*);(?=[\w:-]+(?:[\s\"',;]|$))")
OUTSIDE = re.compile(r"(?<!\\)[;&|]")
SettingLine = tuple[str, "re.Match[str]"]


def mistakes_in_settings(host: HostPolicy) -> t.Iterator[Finding]:
    """A blank beside `=`, no quotes, a semicolon, a misspelt variable."""
    for source, match in _lines(host):
        found = _mistake(match)
        if found is not None:
            why, meant = found
            yield Finding("grub-setting", source, f"{source}: `{match[0].strip()}` {why}. Write `{meant}`.")


def _mistake(match: re.Match[str]) -> tuple[str, str] | None:
    name, value = match["name"], match["value"].strip()
    # In a list of one word a comma is meant.
    value = LISTED.sub(r"\1,", value)
    words = " ".join(_words(value))
    meant = f'{name}{match["operator"]}"{words}"'
    if name not in (*VARIABLES, *OTHERS):
        near = MISTAKEN.get(name.upper()) or next(iter(difflib.get_close_matches(name.upper(), VARIABLES, 1, 0.85)), None)
        return None if near is None else ("sets a variable that grub-mkconfig does not read", meant.replace(name, near, 1))
    if match["before"] or match["after"]:
        return "is not an assignment for the shell that reads it, as there is a blank beside `=`", meant
    if value[:1] and value[0] in CURLY:
        return "has typographic quotes, which are none for the shell", meant
    if value[:1] not in ('"', "'") and len(value.split("#")[0].split()) > 1:
        return "has no quotes, so that its first word alone counts", meant
    quoted = QUOTED.match(match["value"].strip())
    if quoted is None and value[:1] in ('"', "'") and "GRUB_" in match.string[match.end() :].partition(value[0])[0]:
        return "has no closing quote, so that the next lines count as a part of it", meant
    ends = None if quoted is None else OUTSIDE.search(quoted[2])
    return None if ends is None else (f"has `{ends[0]}`, at which GRUB ends the kernel's command line", meant)


def settings_that_are_replaced(host: HostPolicy) -> t.Iterator[Finding]:
    """A later assignment, as in a drop-in of an image for clouds, without the words of the one before."""
    before: dict[str, SettingLine] = {}
    for source, match in _lines(host, every=True):
        name, value = match["name"], match["value"]
        if (
            match["operator"] == "="
            and not match["before"]
            and not match["after"]
            and f"${name}" not in value
            and f"${{{name}}}" not in value
        ):
            place, earlier = before.get(name, ("", match))
            lost = [word for word in _words(earlier["value"]) if is_word(word) and word not in _words(value)] if place else []
            if lost:
                said = f"{place}: `{lost[0]}` in {name} has no effect, because {source} sets {name} again, without it."
                yield Finding("grub-setting-replaced", place, f'{said} Write it there, or `{name}="${name} {lost[0]}"` into a later file.')
            before[name] = (source, match)


def settings_that_are_not_read(host: HostPolicy) -> t.Iterator[Finding]:
    """A drop-in whose name does not end in .cfg."""
    for file in host.files.grub:
        if file.directory != FOLDER or file.name.endswith(".cfg") or not _is_about_drivers(file):
            continue
        ending = SUFFIXES.search(file.name)
        stem = file.path[: -len(ending[0])] if ending is not None else re.sub(r"\.c\w*$", "", file.path)
        meant = stem if stem.endswith(".cfg") else f"{stem}.cfg"
        if (ending is None and is_put_aside(file.name)) or any(other.path == meant for other in host.files.grub):
            continue
        said = f"{file.path}: grub-mkconfig does not read it, because its name does not end in .cfg."
        yield Finding("no-cfg-suffix", file.path, f"{said} Rename it to {meant}, or remove it.")


def _is_about_drivers(file: PolicyFile) -> bool:
    return any(is_word(word) for match in LINE.finditer(file.text or "") for word in _words(match["value"]))


def _lines(host: HostPolicy, every: bool = False) -> t.Iterator[SettingLine]:
    """The assignments in the files that are read; unless ``every`` only those about drivers."""
    for file in host.files.grub:
        if file.directory == FOLDER and not file.name.endswith(".cfg"):
            continue
        for line, match in numbered_matches(LINE, file.text or "", "name"):
            if every or any(is_word(word) for word in _words(match["value"])):
                yield f"{file.path}:{line}", match


def _words(value: str) -> list[str]:
    return re.sub(f"[\"'{CURLY};]", " ", value.split(" #", maxsplit=1)[0]).split()
