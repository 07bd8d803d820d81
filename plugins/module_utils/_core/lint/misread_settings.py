# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of dracut, mkinitcpio, initramfs-tools and systemd-tmpfiles that these read otherwise than their author meant."""

from __future__ import annotations

import difflib
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import (
    DRACUT,
    INITRAMFS_CONF,
    INITRAMFS_CONFS,
    INITRAMFS_LISTS,
    INITRAMFS_MODULES,
    MKINITCPIO,
    TMPFILES,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.numbered_matches import numbered_matches
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import WORDS
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.ignored_lines import PUT_ASIDE
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.misread_lists import is_directive, names_a_module
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_line import CURLY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

OF_DRACUT = ("add_drivers", "force_drivers", "omit_drivers", "filesystems", "drivers", "add_dracutmodules", "install_items")
"""Settings of dracut.conf(5) that are lists."""
OF_MKINITCPIO = ("MODULES", "BINARIES", "FILES", "HOOKS")
DRIVERS = ("add_drivers", "force_drivers", "omit_drivers", "drivers")
ASSIGNED = re.compile(r"^[ \t]*(?P<name>\w+)(?P<before>[ \t]*)(?P<operator>=\+|\+?=)(?P<after>[ \t]*)(?P<value>.*)$", re.MULTILINE)
KNOWN = ("most", "dep", "list", "netboot")
"""Values of MODULES=, of which mkinitramfs takes any other for `most`."""
DRIVER_PATH = re.compile(r"/sys/bus/pci/(?:devices|drivers|drivers_probe)\b")


def settings_that_are_not_read(host: HostPolicy) -> t.Iterator[Finding]:
    """A file beside those that are read, whose name does not end in .conf."""
    readers = {DRACUT[1]: "dracut", MKINITCPIO[1]: "mkinitcpio", TMPFILES: "systemd-tmpfiles"}
    for file in host.files.settings:
        reader = readers.get(file.directory)
        if reader is None or file.name.endswith(".conf") or PUT_ASIDE.search(file.name) or not _matters(file, host):
            continue
        said = f"{file.path}: {reader} does not read it, because its name does not end in .conf."
        yield Finding("no-conf-suffix", file.path, f"{said} Rename it to {posixpath.splitext(file.path)[0]}.conf, or remove it.")


def _matters(file: PolicyFile, host: HostPolicy) -> bool:
    words = re.split(r"[^\w-]+", file.text or "")
    named = any(normalize_module_name(word) in host.contenders for word in words)
    return DRIVER_PATH.search(file.text or "") is not None if file.directory == TMPFILES else named


def mistakes_of_dracut(host: HostPolicy) -> t.Iterator[Finding]:
    """dracut.conf is a shell's text: a blank beside `=` is a command, and a list is joined as it stands."""
    for file in host.files.settings:
        if not file.path.startswith(DRACUT[0]):
            continue
        for number, text in enumerate((file.text or "").split("\n"), 1):
            if is_directive(text.split()) and text.split()[0] in WORDS and _matters(file, host):
                source = f"{file.path}:{number}"
                said = f"{source}: `{text.strip()}` is a line for /etc/modprobe.d, and dracut takes it for a command."
                yield Finding("dracut-misread", source, f"{said} Move it to a file in /etc/modprobe.d whose name ends in .conf.")
        for line, match in numbered_matches(ASSIGNED, file.text or "", "name"):
            name, value = match["name"], match["value"].strip()
            source = f"{file.path}:{line}"
            words = re.split(r"[\s,]+", value.split("#")[0].strip().strip(f"\"'{CURLY}").strip())
            if not any(normalize_module_name(word) in host.contenders for word in words):
                continue
            found = _of_dracut(match, name)
            if found is not None:
                why, meant = found
                joined = " ".join(word for word in words if word)
                yield Finding("dracut-misread", source, f'{source}: `{match[0].strip()}` {why}. Write `{meant}+=" {joined} "`.')


def _of_dracut(match: re.Match[str], name: str) -> tuple[str, str] | None:
    value = match["value"].split("#")[0].strip()
    if name == "add_dracutmodules":
        return "names kernel modules, and takes dracut's own modules", "add_drivers"
    near = next(iter(difflib.get_close_matches(name, OF_DRACUT, 1, 0.8)), None)
    if near is None:
        return None
    if near != name:
        return "is a setting that dracut does not know", near
    if match["before"] or match["after"] or match["operator"] == "=+":
        return "is not an assignment for the shell that reads it", name
    if value[:1] and value[0] in CURLY:
        return "has typographic quotes, which are none for the shell", name
    if "," in value and name in DRIVERS:
        return "has commas, and dracut takes names between blanks", name
    quoted = value[:1] in ('"', "'")
    if match["operator"] == "+=" and name in DRIVERS and not (quoted and value[1:2].isspace()):
        return "joins its first name to the last one of another file, as it does not begin with a blank", name
    return None


def mistakes_of_mkinitcpio(host: HostPolicy) -> t.Iterator[Finding]:
    """MODULES is an array of the shell: names between blanks, in brackets."""
    for file in host.files.settings:
        if not file.path.startswith(MKINITCPIO[0]):
            continue
        for line, match in numbered_matches(ASSIGNED, file.text or "", "name"):
            name, value = match["name"], match["value"].split("#")[0].strip()
            words = [word for word in re.split(r"[\s,()\"']+", value) if word]
            near = next(iter(difflib.get_close_matches(name.upper(), OF_MKINITCPIO, 1, 0.8)), None)
            if near != "MODULES" or not any(normalize_module_name(word) in host.contenders for word in words):
                continue
            source = f"{file.path}:{line}"
            why = "is a setting that mkinitcpio does not know" if near != name else None
            if why is None and (match["before"] or match["after"] or match["operator"] == "=+"):
                why = "is not an assignment for the shell that reads it"
            if why is None and "," in value:
                why = "has commas, and mkinitcpio takes names between blanks"
            if why is not None:
                yield Finding("mkinitcpio-misread", source, f"{source}: `{match[0].strip()}` {why}. Write `MODULES=({' '.join(words)})`.")


def mistakes_of_initramfs_tools(host: HostPolicy) -> t.Iterator[Finding]:
    """A list beside the one that is read, and modules in place of what is to be guessed."""
    for file in host.files.settings:
        if file.directory == INITRAMFS_LISTS and names_a_module(file.text or "", host):
            said = f"{file.path}: initramfs-tools does not read it, because it reads {INITRAMFS_MODULES} alone."
            yield Finding("list-unread", file.path, f"{said} Put its lines there.")
        if file.path != INITRAMFS_CONF and (file.directory != INITRAMFS_CONFS or PUT_ASIDE.search(file.name)):
            continue
        for line, match in numbered_matches(ASSIGNED, file.text or "", "name"):
            value = match["value"].split("#")[0].strip().strip("\"'")
            if match["name"] != "MODULES" or value in KNOWN or not value or "$" in value:
                continue
            source = f"{file.path}:{line}"
            said = f"{source}: mkinitramfs does not know the value in `{match[0].strip()}`, and takes it for `MODULES=most`. Write that"
            names = any(normalize_module_name(word) in host.contenders for word in re.split(r"[\s,]+", value))
            listed = f", and the modules into {INITRAMFS_MODULES}, one a line" if names else ""
            yield Finding("initramfs-misread", source, f"{said}{listed}.")


def lines_of_tmpfiles_without_dashes(host: HostPolicy) -> t.Iterator[Finding]:
    """tmpfiles.d(5): what is written is the seventh word; after a path come mode, user, group and age."""
    for file in host.files.settings:
        for number, line in enumerate((file.text or "").split("\n"), 1) if file.directory == TMPFILES else ():
            words = line.split()
            if len(words) < 3 or words[0][:1] not in "wf" or not DRIVER_PATH.match(words[1]) or len(words) > 6:
                continue
            source, value = f"{file.path}:{number}", [word for word in words[2:] if word != "-"]
            if value:
                said = f"{source}: systemd-tmpfiles takes `{value[-1]}` in `{line.strip()}` for a mode, a user, a group or an age."
                meant = f"Write `{words[0]} {words[1]} - - - - {' '.join(value)}`."
                yield Finding("tmpfiles-misread", source, f"{said} {meant}")
