# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A modprobe that a rule runs, with its options (modprobe(8))."""

from __future__ import annotations

import dataclasses
import re

_PROGRAM = re.compile(r"(?:/usr)?/s?bin/modprobe")
_ODD = re.compile(r"[;&|<>`*?()$]")
_WITH_VALUE = frozenset(("-C", "-d", "-S", "--config", "--dirname", "--set-version"))
_QUIET = frozenset("qvs")
_LONG_QUIET = frozenset(("quiet", "verbose", "syslog", "first-time"))
_DRY = frozenset(("dry-run", "show", "show-depends", "show-config", "showconfig", "resolve-alias", "help", "version", "show-exports"))


@dataclasses.dataclass(frozen=True)
class ModprobeCommand:
    """``is_plain`` if all that it does is to load by these names; ``parameters`` if it gives the module options."""

    names: tuple[str, ...]
    honours_blacklist: bool = False
    removes: bool = False
    loads: bool = True
    parameters: bool = False
    is_plain: bool = True

    @classmethod
    def parse(cls, text: str) -> ModprobeCommand | None:
        """None if it is another program's command line.  A program without its path is sought in udev's own folder, and not found there."""
        words = [word.strip("'\"") for word in text.split()]
        if not words or _PROGRAM.fullmatch(words[0]) is None or any(_ODD.search(word) for word in words):
            return None
        return cls._of(words[1:])

    @classmethod
    def _of(cls, words: list[str]) -> ModprobeCommand:
        names: list[str] = []
        letters: set[str] = set()
        long: set[str] = set()
        skip = other = False
        for place, word in enumerate(words):
            if skip:
                skip = False
            elif word == "--":
                names += words[place + 1 :]
                break
            elif word.split("=")[0] in _WITH_VALUE:
                skip, other = "=" not in word, True
            elif word.startswith("--"):
                long.add(word[2:])
            elif word.startswith("-"):
                letters.update(word[1:])
            else:
                names.append(word)
        all_ = "a" in letters or "all" in long or "r" in letters or "remove" in long
        modules = names if all_ else names[:1]
        rest = letters - _QUIET - set("ab") or long - _LONG_QUIET - {"all", "use-blacklist"}
        return cls(
            tuple(modules),
            honours_blacklist="b" in letters or "use-blacklist" in long,
            removes="r" in letters or "remove" in long,
            loads=not (letters & set("nDcRVh") or long & _DRY),
            parameters=not all_ and len(names) > 1,
            is_plain=not rest and not other and (all_ or len(names) <= 1),
        )
