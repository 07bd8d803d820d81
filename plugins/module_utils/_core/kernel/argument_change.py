# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that a command line shall have, or shall not have; the others stay as they are, byte for byte and in order."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import END, WORD, Cmdline, name_and_value

EACH_COUNTS = frozenset(
    (
        "console",
        "earlycon",
        "earlyprintk",
        "initcall_blacklist",
        "memmap",
        "modprobe.blacklist",
        "pci",
        "rd.driver.blacklist",
        "rd.driver.post",
        "rd.driver.pre",
        "rd.luks.uuid",
        "rd.lvm.lv",
        "rd.md.uuid",
        "systemd.mask",
        "systemd.wants",
        "video",
    )
)
"""Of these every occurrence counts; of other names the last one does."""
OF_THE_LOADER = ("BOOT_IMAGE", "initrd", "root")
"""Without these, or with others, a host does not boot."""
# Shells and GRUB's own language make something else of these.
UNSAFE = re.compile(r"[^\x20-\x7e]|[\\$`';&|<>{}]")
ALLOWED = (
    "Allowed is one argument as the kernel reads it, such as `iommu=pt`: printable ASCII, blanks inside double quotes only, "
    "and none of the characters \\ $ ` ' ; & | < > { }."
)
MOST_WORDS = 256


@dataclasses.dataclass(frozen=True)
class ArgumentChange:
    """The arguments, as written; ``wanted`` is False if they shall not be there."""

    words: tuple[str, ...]
    wanted: bool = True

    @classmethod
    def parse(cls, words: t.Sequence[str], wanted: bool) -> ArgumentChange:
        """Raises HostError, naming the option, for what is not one argument or cannot be changed safely."""
        if not words:
            raise HostError("arguments: the list is empty.", ALLOWED)
        if len(words) > MOST_WORDS:
            raise HostError(f"arguments: these are {len(words)} arguments; at most {MOST_WORDS} are allowed.")
        for word in words:
            _refuse(word)
        return cls(tuple(dict.fromkeys(words)), wanted)

    def missing(self, cmdline: Cmdline) -> tuple[str, ...]:
        """The arguments that the kernel is not given, or of which a later one with another value counts."""
        given = cmdline.of_kernel
        lacking: list[str] = []
        for word in self.words:
            last = given.last(name_and_value(word)[0])
            is_last = last is not None and any(_same(last, one) for one in self.words)
            if not any(_same(word, one) for one in given.arguments) or not (is_last or _key(word) in EACH_COUNTS):
                lacking.append(word)
        return tuple(lacking)

    def found(self, cmdline: Cmdline) -> tuple[str, ...]:
        """Those of the kernel's arguments that are meant, as they are written there."""
        return tuple(word for word in cmdline.of_kernel.arguments if self.means(word))

    def means(self, word: str) -> bool:
        """Whether it is one of these; without `=` a name that shall not be there means each of its values."""
        return any(_same(one, word) or (not self.wanted and "=" not in one and _key(one) == _key(word)) for one in self.words)

    def holds(self, cmdline: Cmdline) -> bool:
        return not (self.missing(cmdline) if self.wanted else self.found(cmdline))

    def foreign(self, cmdline: Cmdline) -> tuple[str, ...]:
        """All other words, those behind `--` included."""
        kernel = cmdline.of_kernel.arguments
        return (*(word for word in kernel if not self.means(word)), *cmdline.arguments[len(kernel) :])

    def edited(self, text: str, escape: str = "") -> str:
        """One command line with the arguments, or without them.  ``escape`` is what stands before a double quote in it."""
        # A line that a backslash continues in the next one: for a shell there is nothing.
        flat = text.replace("\\\n", "  ") if escape else text
        spans = [(found.start(), found.end(), found[0].replace(f'{escape}"', '"')) for found in WORD.finditer(flat)]
        end = next((number for number, (_start, _end, word) in enumerate(spans) if name_and_value(word) == (END, None)), None)
        kernel = spans if end is None else spans[:end]
        if not self.wanted:
            for start, stop, word in reversed(kernel):
                text = _cut(text, start, stop) if self.means(word) else text
            return text
        missing = self.missing(Cmdline(tuple(word for _start, _end, word in spans)))
        added = " ".join(word.replace('"', f'{escape}"') for word in missing)
        if not added:
            return text
        if end is not None:
            place = spans[end][0]
            return f"{text[:place]}{added} {text[place:]}"
        # In front of what ends the line, which for a shell may be a backslash that continues it with nothing.
        line = re.sub(r"(?:\\?\n)+\Z" if escape else r"\n+\Z", "", text)
        newline = text[len(line) :]
        return f"{line} {added}{newline}" if line else f"{added}{newline}"


def _refuse(word: str) -> None:
    if (
        UNSAFE.search(word)
        or not WORD.fullmatch(word)
        or word.count('"') % 2
        or word.startswith(("#", "="))
        or name_and_value(word) == (END, None)
    ):
        raise HostError(f"arguments: {shown(word)} is not allowed.", ALLOWED)
    name = name_and_value(word)[0]
    if name in OF_THE_LOADER:
        raise HostError(f"arguments: {shown(word)} is not allowed: the host boots by what its loader and installer gave as {name}.")


def _key(word: str) -> str:
    return normalize_module_name(name_and_value(word)[0])


def _same(one: str, other: str) -> bool:
    return _key(one) == _key(other) and name_and_value(one)[1] == name_and_value(other)[1]


def _cut(text: str, start: int, stop: int) -> str:
    """Without a word and the one blank that separated it."""
    if start > 0 and text[start - 1] in " \t":
        return text[: start - 1] + text[stop:]
    return text[:start] + text[stop + (text[stop : stop + 1] in (" ", "\t")) :]
