# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes to files that `find`, `xargs` or `parallel` hands to a command, so that the command does not name them.  (find(1), xargs(1))"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.tokens import NAMES, WrittenAct, acting

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act

_FIND = re.compile(r"(?:^|[\s;&|({`])(?:/\S*/)?find\s([^\n]*)")
_RUNS = re.compile(r"\s-(?:exec|execdir|ok|okdir)\s|\|\s*(?:sudo\s+)?(?:xargs|parallel)\b")
_NAMED = re.compile(r"\s-i?(?:name|path|wholename)\s+(\"[^\"]*\"|'[^']*'|\S+)")
_HANDED = re.compile(r"(?:^|[\s;&|({`])(?:xargs|parallel)\s([^\n]*)")
# Where the command writes: what it is handed, or a file of the folder that it is run in.
_INTO_HANDED = r">\s*[\\\"']*(?:\{\}|%|\$\{?[0-9@*]\}?)[\\\"']*(?=[\s;\"'&|)}]|$)"
_WRITES = re.compile(rf"{_INTO_HANDED}|\b(?:tee|cp|dd|install|mv|truncate|sponge)\s")
_IN_FOLDER = re.compile(r"-(?:execdir|okdir)\b.*>\s*[\"']?\w")
_WRITES_HANDED = re.compile(rf"{_INTO_HANDED}|\btee\b(?:\s+-a)?\s*(?:\{{\}}|<|$)")
_ANY: t.Final[tuple[Act, ...]] = ("bind", "new_id", "override", "remove", "unbind")


def written(text: str, names_sysfs: bool) -> t.Iterator[WrittenAct]:
    """What a line of the shell so writes to.  ``names_sysfs``: whether the script does so anywhere."""
    found = _FIND.search(text)
    if found is not None and _RUNS.search(found[1]) is not None:
        if _is_in_sysfs(found[1], names_sysfs) and (_WRITES.search(found[1]) or _IN_FOLDER.search(found[1])):
            yield from _of_names([one.strip("\"'") for one in _NAMED.findall(found[1])], found.start())
        return
    handed = _HANDED.search(text)
    if handed is not None and (_WRITES_HANDED.search(handed[1]) or ("/sys/" in handed[1] and ">" in handed[1])):
        yield WrittenAct("runs a command that writes to files which it is handed", _ANY, handed.start())


def _is_in_sysfs(words: str, names_sysfs: bool) -> bool:
    """Whether the folders that are searched may be in sysfs."""
    places: list[str] = []
    for word in words.split():
        if word.startswith(("-", "(", "!", "\\")) and places:
            break
        if not word.startswith("-"):
            places.append(word.strip("\"'"))
    return any(place.startswith("/sys") or (place[:1] in ("$", "`", ".") and names_sysfs) for place in places or ["."])


def _of_names(patterns: t.Sequence[str], start: int) -> t.Iterator[WrittenAct]:
    """The attributes that act among the files of these names; any file's where there is no name."""
    last = [pattern.rpartition("/")[2] for pattern in patterns]
    if not last or any("$" in name for name in last):
        yield WrittenAct("writes to files that it finds in sysfs", _ANY, start)
        return
    for attribute in (name for name in NAMES if any(matches(name, pattern) for pattern in last)):
        yield from (WrittenAct(attribute, token.acts, start) for token in acting(f"> /sys/bus/{attribute}"))
