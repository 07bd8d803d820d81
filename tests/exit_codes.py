# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the programs of the tests end: with a count, with the sentence that says why there is none, or by a signal."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import EXIT_STATUS, ArchiveUnavailableError

_ENDING = threading.Event()


def is_ending() -> bool:
    """Whether a signal has ended the program: an exception reaches its main thread alone, so that other threads have to look."""
    return _ENDING.is_set()


@contextlib.contextmanager
def ended_by_exception(*signals: signal.Signals) -> Iterator[None]:
    """Inside, these signals end the program by way of an exception, so that what it has begun is ended and removed.

    A signal that whoever started the program has it ignore, as nohup does, stays ignored.
    """

    def end(number: int, _frame: object) -> None:
        _ENDING.set()
        sys.exit(128 + number)

    before = {ending: signal.getsignal(ending) for ending in signals}
    for ending, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(ending, end)
    try:
        yield
    finally:
        for ending, handler in before.items():
            signal.signal(ending, handler)


def exit_code(work: Callable[[], int]) -> int:
    """What the work returns; an archive that does not deliver and an error of the testbed are said in place of a traceback.

    A signal that ends the program ends its machines, too.
    """
    try:
        with ended_by_exception(signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            return work()
    except ArchiveUnavailableError as error:
        print("\n".join([*error.lines(), "0 passed, 0 failed"]), flush=True)
        return EXIT_STATUS
    except HostError as error:
        print(f"FAILED: {error}", flush=True)
        return 1
