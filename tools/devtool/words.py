# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that no text known to git has a word of words.toml, and says what to write instead.

Run it as `python -m devtool.words`, for all files, or with the names of some.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from devtool.checkout import Checkout
from devtool.errors import DevtoolError

LIST = Path(__file__).with_name("words.toml")
# A phrase may continue on the next line of a comment, and an identifier may contain it.
_SPACE = r"(?:[\s_]+(?:(?:#|//|\*)\s+)?)"
# A word in an identifier begins after any other character than a letter, or with a capital: `read_word`, `ReadWord`.
_BEGIN, _END = re.compile(r"(?<![A-Za-z])|(?<=[a-z])(?=[A-Z])"), r"(?![a-z])"


@dataclass(frozen=True)
class Word:
    """A word or phrase to avoid, as a regular expression in which a blank stands for any white space, and what to write instead."""

    text: str
    instead: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Raises re.error."""
        phrase = self.text.replace(" ", _SPACE)
        return re.compile(f"(?i:{phrase}){_END}")

    def found(self, text: str) -> Iterator[re.Match[str]]:
        # Its beginning apart: a pattern that starts with alternatives takes five times as long, as it is tried at each place.
        return (match for match in self.pattern.finditer(text) if _BEGIN.match(text, match.start()))


@dataclass(frozen=True)
class Allowance:
    """A word, or with `*` each word, that is legitimate in the files that match a pattern, and why."""

    files: str
    word: str
    reason: str


@dataclass(frozen=True)
class WordList:
    words: tuple[Word, ...]
    allowed: tuple[Allowance, ...]

    @classmethod
    def read(cls, path: Path = LIST) -> WordList:
        """Raises DevtoolError if the list is malformed."""
        try:
            content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
            words = tuple(Word(**entry) for entry in content["words"])
            allowed = tuple(Allowance(**entry) for entry in content.get("allowed", ()))
            # Each is compiled here, so that a broken one is named.
            tuple(word.pattern for word in words)
        except (OSError, KeyError, TypeError, re.error, tomllib.TOMLDecodeError) as error:
            raise DevtoolError(f"{path.name} cannot be used as a word list: {error}.") from error
        unknown = sorted({entry.word for entry in allowed} - {word.text for word in words} - {"*"})
        if unknown:
            raise DevtoolError(f"{path.name}: '{unknown[0]}' is allowed somewhere, but is not in the list.")
        return cls(words, allowed)

    def findings(self, name: str, text: str) -> Iterator[str]:
        """A line for each word in a file's text or path, with file and line."""
        for word in self.words:
            if any(fnmatchcase(name, entry.files) and entry.word in ("*", word.text) for entry in self.allowed):
                continue
            for match in word.found(name):
                yield f"{name}: '{match[0]}' in the path: write {word.instead}"
            for match in word.found(text):
                found = " ".join(match[0].split())
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: '{found}': write {word.instead}"


def texts(root: Path, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and content of each file that is a text."""
    for name in names:
        path = root / name
        if path.is_symlink() or not path.is_file() or path == LIST:
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            yield name, content.decode("utf-8", "replace")


def main(asked: Sequence[str]) -> int:
    try:
        checkout, word_list = Checkout.here(), WordList.read()
        names = list(asked) or checkout.files()
        found = [line for name, text in texts(checkout.root, names) for line in word_list.findings(name, text)]
    except DevtoolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join((*found, f"{len(found)} words to replace" if found else "no words to replace")))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
