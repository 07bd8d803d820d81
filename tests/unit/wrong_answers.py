# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that answer as none may, for tests of what asks hosts in a process of its own."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.vfio.variants.tests.fuzz.asked_host import Question
from ansible_collections.vfio.variants.tests.fuzz.option_sets import Called


def _asked(work: t.Callable[[dict[str, t.Any]], object]) -> dict[str, Question]:
    return {"m": Question(Called({}, work), {})}


TRACEBACK = _asked(lambda _options: 1 // 0)
NEVER = _asked(lambda _options: time.sleep(60))
MEMORY = _asked(lambda _options: len(b"x" * (400 << 20)))
NOTHING = _asked(lambda _options: None)
