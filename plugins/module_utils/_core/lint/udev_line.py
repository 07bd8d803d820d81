# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of a udev rules file as its author meant it: read leniently, so that what udev refuses can be named."""

from __future__ import annotations

import dataclasses
import re
import typing as t

ASKED_ONLY = frozenset(
    ("ACTION", "CONST", "DEVPATH", "KERNEL", "KERNELS", "SUBSYSTEM", "SUBSYSTEMS", "DRIVER", "DRIVERS", "ATTRS", "TAGS", "TEST", "RESULT")
)
"""Keys that can only be compared (parse_token() in systemd's udev-rules.c)."""
ASSIGNED_ONLY = frozenset(("GOTO", "GROUP", "LABEL", "MODE", "OPTIONS", "OWNER", "RUN", "SECLABEL"))
UDEV_KEYS = ASKED_ONLY | ASSIGNED_ONLY | {"ATTR", "ENV", "IMPORT", "NAME", "PROGRAM", "SYMLINK", "SYSCTL", "TAG"}
ABOUT_DRIVERS = re.compile(
    r"vfio|pci-stub|over+r*i+d+e?|drivers?_probe|drivers_autoprobe|\bnew_id\b|unbind|\bkmod\b.*\bload\b", re.IGNORECASE
)
"""Lines that are about the driver of a PCI device, misspelt ones too."""
CURLY = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u2032\u2033\u00ab\u00bb"
"""Quotes of word processors and web pages."""
_KEY = re.compile(
    r"[\s,]*(?P<name>[A-Za-z_]+)\s*(?P<attribute>\{[^}\"]*\}?|\([^)\"]*\))?\s*(?P<operator>==|!=|\+=|-=|:=|=)\s*(?P<prefix>[ei]{0,2})"
    r"(?P<quote>[\"'" + CURLY + r"]?)"
)


@dataclasses.dataclass(frozen=True)
class Written:
    """One key as it is written; ``quote`` is the character that begins its value, ``closed`` whether it ends with a quote, too."""

    name: str
    attribute: str | None
    operator: str
    prefix: str
    quote: str
    value: str
    text: str
    brackets: str = "{}"
    closed: bool = True

    @property
    def is_match(self) -> bool:
        return self.operator in ("==", "!=")

    @property
    def named(self) -> str:
        """The key with its attribute, as rules name it."""
        return self.name if self.attribute is None else f"{self.name}{{{self.attribute}}}"

    def said(self, operator: str | None = None, value: str | None = None) -> str:
        """The key as it should be written."""
        return f'{self.named}{operator or self.operator}{self.prefix}"{self.value if value is None else value}"'


@dataclasses.dataclass(frozen=True)
class UdevLine:
    """A rule as it is written; ``rest`` is what follows the last key that can be recognized."""

    path: str
    number: int
    text: str
    keys: tuple[Written, ...]
    rest: str

    @property
    def source(self) -> str:
        return f"{self.path}:{self.number}"

    @property
    def is_about_drivers(self) -> bool:
        return ABOUT_DRIVERS.search(self.text) is not None

    @property
    def is_of_another_bus(self) -> bool:
        """Whether the rule asks for devices that are not PCI functions."""
        asked = [key.value for key in self.keys if key.name in ("SUBSYSTEM", "SUBSYSTEMS") and key.operator == "=="]
        return any("pci" not in value.lower() and not re.search(r"[*?\[]", value) for value in asked)

    @property
    def is_of_functions_alone(self) -> bool:
        """Whether the rule asks for PCI functions and nothing else."""
        return any((key.name, key.operator, key.value) == ("SUBSYSTEM", "==", "pci") for key in self.keys)

    def matching(self, *names: str) -> t.Iterator[Written]:
        return (key for key in self.keys if key.is_match and key.name in names)

    def assigned(self, name: str, attribute: str | None = None) -> Written | None:
        return next((key for key in self.keys if not key.is_match and (key.name, key.attribute) == (name, attribute)), None)


def lines_of(text: str, path: str) -> t.Iterator[UdevLine]:
    """The rules of a file, continued lines joined."""
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip().lstrip("\ufeff")
        if line.startswith("#"):
            continue
        start = start if pending else number
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        line, pending = pending + line, ""
        if line:
            keys, rest = _keys(line)
            yield UdevLine(path, start, line, keys, rest)


def _keys(line: str) -> tuple[tuple[Written, ...], str]:
    found: list[Written] = []
    position = 0
    while position < len(line):
        match = _KEY.match(line, position)
        if match is None:
            break
        value, end, closed = _value(line, match.end(), match["quote"])
        given = match["attribute"]
        brackets = "" if given is None else given[0] + (given[-1] if len(given) > 1 and given[-1] in "})" else "")
        attribute = None if given is None else given.strip("{}()")
        text = line[match.start() : end].strip(", \t")
        operator, prefix = match["operator"], match["prefix"]
        found.append(Written(match["name"], attribute, operator, prefix, match["quote"], value, text, brackets or "{}", closed))
        position = end
    return tuple(found), line[position:].strip(" \t,")


def _value(line: str, start: int, quote: str) -> tuple[str, int, bool]:
    """The value that begins at ``start``, where it ends, and whether a quote ends it."""
    if not quote:
        match = re.compile(r"[^\s,]*").match(line, start)
        return (match[0], match.end(), False) if match else ("", start, False)
    ends = '"' if quote == '"' else "'" if quote == "'" else CURLY + '"'
    position = start
    while position < len(line) and line[position] not in ends:
        position += 2 if line[position] == "\\" else 1
    if position >= len(line):
        # The value goes on to the end of the line.
        return line[start:], len(line), False
    return line[start:position], position + 1, True
