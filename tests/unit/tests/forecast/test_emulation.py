# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's emulator ends by itself, or at a limit that a busy machine stretches."""

from __future__ import annotations

import os
import sys
import time

import pytest
from emulation import emulate


def program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_what_ends_well_says_nothing_and_what_fails_says_what_it_wrote() -> None:
    assert emulate(program("pass"), {}, 60) == ""
    assert emulate(program("import sys; sys.exit('no such disk')"), {}, 60) == "QEMU ended with 1: no such disk\n"


@pytest.mark.parametrize(("load", "seconds"), [(0.0, 2), (3.0, 6)])
def test_a_hang_is_ended_later_where_more_wants_the_processors(monkeypatch: pytest.MonkeyPatch, load: float, seconds: float) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load * (os.cpu_count() or 1), 0.0, 0.0))
    start = time.monotonic()
    assert "the guest had not ended after" in emulate(program("import time; time.sleep(600)"), {}, seconds / max(load, 1.0))
    assert time.monotonic() - start >= seconds
