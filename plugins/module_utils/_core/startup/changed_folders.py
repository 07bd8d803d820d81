# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that a script writes by their names alone, once it has gone to their folder: `cd /sys/bus/pci/drivers/x; echo … > unbind`."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line

_NAMES = (
    "bind|unbind|remove|rescan|reset|reset_method|reset_subordinate|uevent|new_id|remove_id|driver_override|drivers_probe|drivers_autoprobe"
    "|sriov_numvfs|sriov_drivers_autoprobe"
)
_GOES = re.compile(
    r"(?:^|[\s;&|({\"'`])(?:(?:cd|pushd)[ \t]+(?:-[LPe@n]+[ \t]+)*(?:--[ \t]+)?"
    r"|(?:env|sudo|make|git|start-stop-daemon)(?:[ \t][^;|&\n]*?)?[ \t](?:-[CD][ \t]*|--(?:chdir|directory)[ \t=]))"
    r"(\"[^\"\n]*\"|'[^'\n]*'|[^\s;&|)`\"']+)"
)
_WRITES = re.compile(rf"((?:>>?\|?|\btee\b(?:[ \t]+-a)?|\bof=)[ \t]*)([\"']?)(?:\./)?({_NAMES})(?=[\"'\s;&|)]|$)")
_WRITES_TO_NAMED = re.compile(
    r"(?:>>?\|?|\btee\b(?:[ \t]+-a)?|\bof=)[ \t]*[\"']?"
    r"(\$(?:[A-Za-z_]\w*|[*@1-9]|\{(?:[A-Za-z_]\w*(?:\[[^\]\s]*\])?|[*@1-9])\}))(?=[\"'\s;&|)]|$)[\"']?"
)
_SEARCHED = re.compile(r"(?<![\w$])CDPATH=(\"[^\"\n]*\"|'[^'\n]*'|[^\s;&|:]+)")
_BACK = "$OLDPWD"
_MAY_BE_SYSFS = re.compile(r"/sys/|/?[^/]*\$")


def with_folders(lines: t.Sequence[Line], folder: str = "") -> tuple[Line, ...]:
    """The lines with whole paths in place of such names; ``folder`` is the one that the program begins in, if it matters."""
    if not folder and not any(_GOES.search(line.text) for line in lines):
        return tuple(lines)
    found: list[Line] = []
    searched = ""
    for line in lines:
        searched = next((match[1].strip("\"'") for match in _SEARCHED.finditer(line.text)), searched)
        text, folder = _followed(line.text, folder, searched)
        found.append(line if text == line.text else dataclasses.replace(line, text=text))
    return tuple(found)


def _followed(text: str, folder: str, searched: str) -> tuple[str, str]:
    """A line with whole paths, and the folder behind it; ``searched`` is where `cd` looks for others, if the script says so."""
    parts: list[str] = []
    position = 0
    for goes in _GOES.finditer(text):
        parts.append(_named(text[position : goes.end()], folder))
        position = goes.end()
        target = goes[1].strip("\"'")
        if target == "-":
            folder = _BACK
        elif target.startswith(("/", "$", "~")):
            folder = target
        else:
            above = folder or searched
            folder = posixpath.join(above, target) if above else ""
    return "".join((*parts, _named(text[position:], folder))), folder


def _named(text: str, folder: str) -> str:
    if not _MAY_BE_SYSFS.match(folder):
        return text
    place = folder.rstrip("/")
    # A name in a variable can be a whole path as well.
    text = _WRITES_TO_NAMED.sub(lambda found: f"{found[0]} > {place}/{found[1]}", text)
    return _WRITES.sub(lambda found: f"{found[1]}{found[2]}{place}/{found[3]}", text)
