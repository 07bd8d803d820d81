# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
import time

from ansible_collections.vfio.variants.tests.bench import stopwatch
from ansible_collections.vfio.variants.tests.bench.limits import COLD, LIMITS, WARM, Figure, missed


def figures(cold: float, warm: float) -> list[Figure]:
    # By the clock it took ages, as on a machine with other work.
    return [Figure("a host", limit, processor, 1e6) for limit, processor in ((COLD, cold), (WARM, warm))]


def test_a_limit_that_is_just_kept_does_not_fail_however_long_the_clock_ran() -> None:
    assert list(missed(figures(LIMITS[COLD], LIMITS[WARM]))) == []


def test_a_limit_that_is_missed_is_named_with_the_figure_and_the_value() -> None:
    assert list(missed(figures(LIMITS[COLD], LIMITS[WARM] + 7))) == [
        f"a host, {WARM}: {LIMITS[WARM] + 7:.0f} ms of processor time are more than the limit of {LIMITS[WARM]:.0f} ms"
    ]


def test_a_limit_for_which_nothing_was_measured_is_missed() -> None:
    assert len(list(missed(figures(1, 1)[:1]))) == 1
    assert len(list(missed([]))) == len(LIMITS)


def test_waiting_takes_time_by_the_clock_and_none_of_the_processor() -> None:
    took = stopwatch.timed(lambda: time.sleep(0.3))
    assert took.wall >= 0.3
    assert took.processor < 0.2


def test_what_a_program_works_counts_for_who_ran_it() -> None:
    program = "import time\nwhile time.process_time() < 0.5: pass"
    took = stopwatch.timed(lambda: subprocess.run([sys.executable, "-c", program], check=True, timeout=120))
    assert took.processor >= 0.5
