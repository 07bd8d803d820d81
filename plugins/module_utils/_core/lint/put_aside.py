# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files about VFIO that nobody reads, because of an ending that an editor or a person has added, and no other file has their place."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import named_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.ignored_lines import PUT_ASIDE
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_line import lines_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

SUFFIXES = re.compile(r"(?:\.(?:bak|backup|disabled|old|orig|save|txt)|~)$")
KINDS = (("/modprobe.d/", ".conf", "kmod"), ("/udev/rules.d/", ".rules", "udev"), ("/modules-load.d/", ".conf", "systemd-modules-load"))


def is_put_aside(name: str) -> bool:
    """Whether a file's name shows that it is not meant to be read, which `.txt` does not."""
    return PUT_ASIDE.search(name) is not None and not name.endswith(".txt")


def files_that_are_put_aside(host: HostPolicy) -> t.Iterator[Finding]:
    """`vfio.conf.txt`, `vfio.conf.bak`: quiet where a file of the same name without the ending is read."""
    files = (*host.files.modprobe, *host.files.rules, *host.files.lists)
    there = {file.path for file in files}
    for file in files:
        ending = SUFFIXES.search(file.name)
        kind = next((kind for kind in KINDS if kind[0] in file.path), None)
        if ending is None or kind is None or not host.is_site(file.path):
            continue
        _folder, suffix, reader = kind
        stem = file.path[: -len(ending[0])]
        meant = stem if stem.endswith(suffix) else f"{stem}{suffix}"
        about = None if meant in there else _about(file, reader, host)
        if about is not None:
            said = f"{file.path}: {reader} does not read it, because its name ends in {ending[0]}: `{about}` in it has no effect."
            yield Finding("put-aside", file.path, f"{said} Rename it to {meant}, or remove it.")


def _about(file: PolicyFile, reader: str, host: HostPolicy) -> str | None:
    """The first line that gives devices to VFIO; in a text file, which nobody writes to put something aside, that is about drivers."""
    text = file.text or ""
    if reader == "udev":
        found = (line.text for line in lines_of(text, file.path) if line.keys and line.is_about_drivers and not line.is_of_another_bus)
        return next(found, None)
    names = host.contenders if file.name.endswith(".txt") else host.vfio_modules
    if reader == "kmod":
        directives = ModprobeConfig.parse(text, file.path).directives
        said = (str(entry) for entry in directives if _names_any(named_modules(entry.command, entry.arguments), names))
        return next(said, None)
    return next((line.strip() for line in text.splitlines() if _names_any(line.split()[:1], names)), None)


def _names_any(words: t.Iterable[str], names: t.Container[str]) -> bool:
    return any(normalize_module_name(word) in names for word in words)
