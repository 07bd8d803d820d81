# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an event has open while udev goes through its rules: jumps that it may have taken, and what is to be run.

Each in a time that grows with the rules and not with their square: there are files of rules that somebody made to be slow.
"""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import AppliedKey

MOST_JUMPS = 32
"""Different jumps of a file that can be open at once; the longest files of distributions have five. With more, whether one of its rules
is reached is unknown."""


class Jumps:
    """The GOTOs of each file that may be taken; each with the key about the driver that must not hold, if there is one."""

    def __init__(self) -> None:
        self._open: dict[str, dict[tuple[str, Key | None], None]] = {}
        self._too_many: set[str] = set()

    def add(self, path: str, label: str, unless: Key | None) -> None:
        of_file = self._open.setdefault(path, {})
        of_file[label, unless] = None
        if len(of_file) > MOST_JUMPS:
            self._too_many.add(path)
            of_file.popitem()

    def end(self, path: str, label: str) -> None:
        """The label is there: what jumps to it goes on here."""
        of_file = self._open.get(path)
        if of_file is not None:
            left = {jump: None for jump in of_file if jump[0] != label}
            if left:
                self._open[path] = left
            else:
                del self._open[path]

    def __bool__(self) -> bool:
        return bool(self._open or self._too_many)

    def within(self, path: str) -> tuple[Key | None, ...]:
        """Of each jump over the place that is reached now, the key that must not hold; None if it cannot be said when it is taken."""
        if not self:
            return ()
        keys = tuple(unless for _label, unless in self._open.get(path, ()))
        return (*keys, None) if path in self._too_many else keys


class RunList:
    """udev's RUN list: `=` clears it, `:=` forbids later entries as well (TK_A_RUN_PROGRAM).

    A command that is in it twice is kept once: what a module brings when it is loaded does not change when it is asked for again.
    """

    def __init__(self) -> None:
        self._entries: list[AppliedKey] = []
        self._doubtful = 0
        """So many at the beginning may have been cleared."""
        self._certain: set[t.Hashable] = set()
        self._uncertain: set[t.Hashable] = set()

    def clear(self) -> None:
        self._entries, self._doubtful, self._certain, self._uncertain = [], 0, set(), set()

    def may_be_cleared(self) -> None:
        self._doubtful = len(self._entries)
        self._uncertain |= self._certain
        self._certain = set()

    def add(self, done: AppliedKey) -> None:
        """At the end, unless it is there: two commands of which one cannot be determined may differ."""
        if done.value is not None:
            known, what = self._certain if done.certain else self._uncertain, (done.key.attribute, done.key.value, done.value, done.drivers)
            if what in known:
                return
            known.add(what)
        self._entries.append(done)

    def all(self) -> tuple[AppliedKey, ...]:
        doubtful = (one if not one.certain else dataclasses.replace(one, certain=False) for one in self._entries[: self._doubtful])
        return (*doubtful, *self._entries[self._doubtful :])
