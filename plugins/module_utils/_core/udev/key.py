# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One key of a udev rule, and how udev compares it with what an event has (token_match_string() in udev-rules.c)."""

from __future__ import annotations

import dataclasses
import functools
import re

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches

_GLOB = re.compile(r"[*?\[]")
_OF_ANOTHER = re.compile(r"\[([^\]/]+)/([^\]]+)\](.+)", re.DOTALL)
PCI = "pci"
# udev sorts a line's keys by these before it carries them out (sort_tokens()): comparisons, imports, then assignments.
_MATCHED = (
    "ACTION DEVPATH KERNEL SYMLINK NAME ENV CONST TAG SUBSYSTEM DRIVER ATTR SYSCTL KERNELS SUBSYSTEMS DRIVERS ATTRS TAGS TEST".split()
)
_IMPORTED = ("file", "program", "builtin", "db", "cmdline", "parent")
_ASSIGNED = "OPTIONS OWNER GROUP MODE TAG SECLABEL ENV NAME SYMLINK ATTR SYSCTL RUN".split()
# What the kernel's buses and classes themselves belong to: each of these words stands for all three.
_SUBSYSTEMS = ("subsystem", "bus", "class")
PARENTS = frozenset(("KERNELS", "SUBSYSTEMS", "DRIVERS", "ATTRS", "TAGS"))
"""Keys that one device of the event's and those above it must match together."""


@dataclasses.dataclass(frozen=True)
class Key:
    """One ``KEY{attribute}operator"value"`` of a rule."""

    name: str
    attribute: str | None
    operator: str
    value: str
    ignores_case: bool = False

    @functools.cached_property
    def is_match(self) -> bool:
        return self.operator in ("==", "!=")

    @functools.cached_property
    def is_run(self) -> bool:
        """Whether udev runs it while it compares, and goes on by its result: PROGRAM and IMPORT, with any operator but `-=`."""
        return self.name in ("PROGRAM", "IMPORT")

    @property
    def written(self) -> str:
        """As a rule has it."""
        attribute = "" if self.attribute is None else f"{{{self.attribute}}}"
        return f'{self.name}{attribute}{self.operator}{"i" if self.ignores_case else ""}"{self.value}"'

    @property
    def is_negated(self) -> bool:
        return self.operator == "!="

    @functools.cached_property
    def order(self) -> int:
        """Its place among a rule's keys."""
        if self.name == "PROGRAM":
            return len(_MATCHED)
        if self.name == "IMPORT":
            kind = self.attribute if self.attribute in _IMPORTED else "program"
            return len(_MATCHED) + 1 + _IMPORTED.index(kind or "program")
        if self.name == "RESULT":
            return len(_MATCHED) + 10
        if self.is_match:
            return _MATCHED.index(self.name) if self.name in _MATCHED else 0
        after = _ASSIGNED.index(self.name) if self.name in _ASSIGNED else 0
        # A builtin comes before a program.
        return len(_MATCHED) + 20 + 2 * after + (self.name == "RUN" and self.attribute != "builtin")

    @functools.cached_property
    def words(self) -> list[str]:
        """A command's words."""
        return [word.strip("'\"") for word in self.value.split()]

    @functools.cached_property
    def is_builtin(self) -> bool:
        """Whether a command is one of udev's own: IMPORT{program} of such a name is one, too."""
        return self.attribute == "builtin" or (self.name == "IMPORT" and self.attribute == "program" and self.words[:1] == ["kmod"])

    @functools.cached_property
    def of_another(self) -> tuple[str, str, str] | None:
        """Subsystem, name and attribute if the key names another device: ``ATTR{[pci/0000:3b:00.0]vendor}``."""
        match = _OF_ANOTHER.fullmatch(self.attribute or "") if self.name in ("ATTR", "ATTRS") else None
        return None if match is None else (match[1], match[2], match[3].lstrip("/"))

    def matches(self, fact: str) -> bool:
        """Whether the key's comparison holds for this value."""
        return self._finds(fact) != self.is_negated

    def matches_attribute(self, value: str) -> bool:
        """Blanks at the end of an attribute's value count only if the key's own value has some there (token_match_attr())."""
        return self.matches(value if self.value[-1:].isspace() else value.rstrip())

    def _finds(self, fact: str) -> bool:
        value = self.value
        if self.ignores_case:
            fact, value = fact.lower(), value.lower()
        if self.name == "SUBSYSTEM" and value in _SUBSYSTEMS:
            return fact in _SUBSYSTEMS
        if not self._is_pattern:
            return fact in value.split("|") if "|" in value else fact == value
        return any(matches(fact, pattern) for pattern in value.split("|"))

    @functools.cached_property
    def _is_pattern(self) -> bool:
        """A backslash is a sign only where another part of the value makes it a pattern (string_is_glob())."""
        return _GLOB.search(self.value) is not None


def attribute_of_another(key: Key) -> tuple[str, str] | None:
    """The address and the attribute, if a key refers to a given PCI function and not to the event's own device."""
    found = key.of_another
    return None if found is None or found[0] != PCI or key.name != "ATTR" else (found[1], found[2])
