# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core's exception: one sentence for the operator, and what to do."""

from __future__ import annotations

import typing as t

NEAR = 0.75
"""How similar a known name must be to what was written to be suggested, for difflib: one wrong letter in four, or two that changed places
in a longer name.  Below that, a suggestion is a guess and misleads."""
LONGEST_SHOWN = 200
"""Characters of a value that a message shows."""


def cut(text: str, most: int = LONGEST_SHOWN) -> str:
    """The text as a message shows it: one of more than ``most`` characters is cut."""
    return text if len(text) <= most else f"{text[: most - 50]}… ({len(text)} characters)"


def shown(value: object) -> str:
    """A value as a message shows it: as Python writes it, cut if it is long."""
    try:
        return cut(repr(value))
    except (ValueError, RecursionError):
        # An integer of more digits than Python converts, or too many lists in each other.
        return "a value that is too long to be shown"


def of_system(error: OSError) -> str:
    """What the operating system says, as a sentence with the file that it is about."""
    what = f"{error.filename}: " if error.filename else ""
    return f"{what}{error.strerror or error}."


class HostError(Exception):
    """An error for the operator: one sentence that names the option, file or device, and what to do.

    ``msg`` says what was found and where, ``hint`` what the operator can do.  `run_module()` passes both to ``fail_json`` as
    one text, so neither may need a developer to understand it.  ``facts`` are extra return values, such as the end of a build log.
    """

    def __init__(self, msg: str, hint: str | None = None, facts: t.Mapping[str, t.Any] | None = None) -> None:
        super().__init__(msg)
        self.msg = msg
        self.hint = hint
        self.facts: dict[str, t.Any] = dict(facts or {})

    def __str__(self) -> str:
        return f"{self.msg} {self.hint}" if self.hint else self.msg


class CorruptFileError(HostError):
    """The content of a file is corrupt."""
