# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the shell as it reads them: quotes within a word, strokes before letters, `$'…'`, and braces.  (bash(1), QUOTING)"""

from __future__ import annotations

import itertools
import re

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.tokens import LONGEST_LINE

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3}))")
_WITH_ESCAPES = re.compile(r"\$'((?:[^'\\]|\\.)*)'")
_PART = r"[\w/.*-]"
# Quotes that begin, end or are within a word.
_QUOTED = re.compile(rf"(?<={_PART})([\"'])({_PART}*)\1|([\"'])({_PART}*)\3(?={_PART})")
_STROKE = re.compile(r"(?<=[\w/])\\(?=[\w/])")
_BEFORE_A_COMMAND = re.compile(r"(?:(?<=[\s;&|({])|^)\\(?=[a-z])")
_BRACES = re.compile(r"\{([\w./-]*(?:,[\w./-]*)+)\}")
_WORD = re.compile(r"(?<![^\s;|&<>()\"'{}])[^\s;|&<>()\"'{}]*(?:\{[\w./-]*(?:,[\w./-]*)+\}[^\s;|&<>()\"'{}]*)+")
MOST_WORDS = 64


def with_plain_commands(text: str) -> str:
    """A line without the strokes that keep commands from being aliases, as in `\\rm`."""
    return _BEFORE_A_COMMAND.sub("", text) if "\\" in text else text


def read_by_shell(text: str) -> str:
    """A line with such words written out.  A stroke before a letter may be part of a text that is printed: the line itself counts, too."""
    if len(text) > LONGEST_LINE or not re.search(r"[\"'\\{]", text):
        return text
    plain = _WITH_ESCAPES.sub(lambda match: _ESCAPE.sub(_character, match[1]), text)
    plain = _STROKE.sub("", _QUOTED.sub(lambda match: match[2] or match[4] or "", plain))
    return _WORD.sub(lambda match: " ".join(_expanded(match[0])), plain)


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1], 16) if match[1] else int(match[2], 8) & 0xFF)


def _expanded(word: str) -> list[str]:
    """The words that braces make of one."""
    parts = _BRACES.split(word)
    choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
    return ["".join(one) for one in itertools.islice(itertools.product(*choices), MOST_WORDS)]
