# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a long run says what it has done so far: sentence by sentence, to whoever has called it."""

from __future__ import annotations

import typing as t

Tell = t.Callable[[str], None]


def untold(_sentence: str) -> None:
    """For a caller who does not want to know."""


class LoggingModule(t.Protocol):
    """The part of `AnsibleModule` that is needed here."""

    def log(self, msg: str) -> None: ...


class Count:
    """Tells of each of ``total`` things that it is done."""

    def __init__(self, tell: Tell, total: int) -> None:
        self._tell = tell
        self._total = total
        self._done = 0

    def done(self, what: str) -> None:
        self._done += 1
        self._tell(f"{what}, {self._done} of {self._total}")


def in_log(module: LoggingModule) -> Tell:
    """Into the host's log, through Ansible, which keeps it out with `no_log` and `no_target_syslog`.  No character makes it fail."""
    return lambda sentence: module.log(sentence.replace("\0", " ").encode("ascii", "backslashreplace").decode())
