# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the programs of the tests end: with a count, with the sentence that says why there is none, or by a signal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import EXIT_STATUS, ArchiveUnavailableError


def end_by_exception(*signals: signal.Signals) -> None:
    """Have these signals end the program by way of an exception, so that what it has begun is ended and removed."""
    for ending in signals:
        signal.signal(ending, lambda number, _frame: sys.exit(128 + number))


def exit_code(work: Callable[[], int]) -> int:
    """What the work returns; an archive that does not deliver and an error of the testbed are said in place of a traceback."""
    try:
        return work()
    except ArchiveUnavailableError as error:
        print("\n".join([*error.lines(), "0 passed, 0 failed"]), flush=True)
        return EXIT_STATUS
    except HostError as error:
        print(f"FAILED: {error}", flush=True)
        return 1
