# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of the core: a sentence for the operator and what to do about it."""

from __future__ import annotations

import typing as t


class HostError(Exception):
    """What stands in the way, in one sentence naming the option, file or device, and what to do.

    ``msg`` says what was found and where; ``hint`` says what the operator can do.  Modules turn it into
    ``fail_json`` in one place, so neither may hold anything that only a developer understands.
    ``facts`` are extra return values, such as the last lines of a build log.
    """

    def __init__(self, msg: str, hint: str | None = None, facts: t.Mapping[str, t.Any] | None = None) -> None:
        super().__init__(msg)
        self.msg = msg
        self.hint = hint
        self.facts: dict[str, t.Any] = dict(facts or {})

    def __str__(self) -> str:
        return f"{self.msg} {self.hint}" if self.hint else self.msg


class CorruptFileError(HostError):
    """A file's content is broken, whoever reads it."""
