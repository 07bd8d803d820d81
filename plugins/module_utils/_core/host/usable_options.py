# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no option can mean is refused before anything converts or uses it: one check for every option of every module.

A NUL ends a path for the kernel, a line break ends a line of a generated file, and `.inf`, a number of a thousand digits or a list in
lists in lists are errors of Python where a conversion meets them.
"""

from __future__ import annotations

import math
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut, shown

MOST_ENTRIES = 8192
"""Of one list or dictionary: more PCI functions than any host has."""
MOST_VALUES = 1_000_000
DEEPEST = 32
LONGEST_TEXT = 4096
"""Characters of one text: PATH_MAX, and twice the longest command line of a kernel."""
LONGEST_LINES = 1 << 16
LONGEST_CONTENT = 1 << 20
LARGEST_NUMBER = 1 << 63
BLANKS = frozenset("\t\n\r")
INTERNAL = "_ansible_"
"""How Ansible's own entries among the options begin."""
MODULES = ("natives[]", "pending_modules[].name", "policy.modules[]", "modules[].name")
"""Options that are names of kernel modules."""
MODULE = re.compile(r"[^\s/]+")
SELECTORS = ("devices", "claims[].devices", "request.claims[].devices")
"""Options that are split into parts and stripped of blanks, so that they may have several lines, and be long."""
CONTENTS = ("_run.conf", "_run.manifest", "_run.packages[].conf", "_run.packages[].manifest")
"""Options that are the contents of files: they may have any character but NUL, and be longer still."""

PATHS = ("root", "dest", "folder", "cache")
"""Options of which nothing would be the directory in which the module runs."""
OptionPath = tuple[t.Union[str, int], ...]


def refuse_unusable(options: t.Mapping[t.Any, t.Any]) -> None:
    """Raises HostError for the first value that no option can mean, naming its option."""
    pending: list[tuple[OptionPath, t.Any]] = [
        ((str(name),), value) for name, value in options.items() if not str(name).startswith(INTERNAL)
    ]
    count = 0
    # Not by recursion: options can be nested more deeply than Python calls functions.
    while pending:
        place, value = pending.pop()
        count += 1
        if count > MOST_VALUES:
            raise HostError(f"{place[0]}: the options have more than {MOST_VALUES} values.")
        kind = _kind(place)
        if isinstance(value, t.Mapping):
            _refuse_large(place, value)
            for key in value:
                _refuse_text(place, str(key) if isinstance(key, str) else shown(key), False, LONGEST_TEXT)
            pending += [((*place, str(key)), one) for key, one in value.items()]
        elif isinstance(value, (list, tuple)):
            _refuse_large(place, value)
            pending += [((*place, number), one) for number, one in enumerate(value)]
        elif isinstance(value, str):
            _refuse_other_text(place, kind, value)
            _refuse_text(place, value, kind in SELECTORS or kind in CONTENTS, _longest(kind))
        elif isinstance(value, (int, float)):
            _refuse_number(place, value)


def _refuse_other_text(place: OptionPath, kind: str, text: str) -> None:
    if kind in PATHS and not text.strip():
        raise HostError(f"{_named(place)}: {shown(text)} is not a path.", "Write a path, or leave the option out.")
    if kind in MODULES and not MODULE.fullmatch(text):
        raise HostError(f"{_named(place)}: {shown(text)} is not a module's name.", "Write a name as in vfio-pci, without path or ending.")


def _longest(kind: str) -> int:
    return LONGEST_CONTENT if kind in CONTENTS else LONGEST_LINES if kind in SELECTORS else LONGEST_TEXT


def _refuse_large(place: OptionPath, value: t.Sized) -> None:
    if len(value) > MOST_ENTRIES:
        raise HostError(f"{_named(place)}: {len(value)} entries are too many.", f"Allowed are {MOST_ENTRIES}.")
    if len(place) > DEEPEST:
        raise HostError(f"{_named(place[:2])}: it is nested too deeply.", f"Allowed are {DEEPEST} levels.")


def _refuse_text(place: OptionPath, text: str, may_have_lines: bool, longest: int) -> None:
    if len(text) > longest:
        raise HostError(f"{_named(place)}: '{cut(text)}' is too long.", f"Allowed are {longest} characters.")
    if text.isprintable():
        return
    wrong = next((sign for sign in text if (sign < " " or sign == "\x7f") and not (may_have_lines and sign in BLANKS)), None)
    if wrong is not None:
        raise HostError(
            f"{_named(place)}: {shown(text)} has the control character {wrong!r}.", "Write it on one line, without control characters."
        )
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise HostError(f"{_named(place)}: {shown(text)} is not text.", "It has half of a pair of UTF-16.") from None


def _refuse_number(place: OptionPath, value: float) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise HostError(f"{_named(place)}: {value} is not a finite number.", "Write a number with digits.")
    if not -LARGEST_NUMBER <= value < LARGEST_NUMBER:
        raise HostError(f"{_named(place)}: a number of {int(value).bit_length()} bits is too large.", "Allowed are at most 64 bits.")


def _named(place: OptionPath) -> str:
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{cut(part)}" for part in place[:6])
    return cut(name.lstrip(".")).encode("utf-8", "backslashreplace").decode()


def _kind(place: OptionPath) -> str:
    """A place without numbers, as in `claims[].devices`.  What is inside a list of selectors is one of them."""
    kind = "".join("[]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return kind.replace("devices[]", "devices")
