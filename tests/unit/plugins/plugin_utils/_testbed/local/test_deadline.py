# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time limits on a busy machine."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.deadline import Deadline, stretch


@pytest.mark.parametrize(("load", "processors", "factor"), [(0.0, 2, 1.0), (2.0, 2, 1.0), (6.0, 2, 3.0), (400.0, 2, 6.0)])
def test_a_second_counts_less_while_more_wants_to_run_than_can(load: float, processors: int, factor: float) -> None:
    assert stretch(load, processors) == factor


def test_a_limit_of_nothing_has_passed_when_asked_for_the_first_time() -> None:
    assert Deadline(0.0).passed()


def test_a_fresh_limit_has_not_passed() -> None:
    assert not Deadline(600).passed()
