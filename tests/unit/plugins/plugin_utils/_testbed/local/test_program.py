# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of this machine, run within a time limit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require, run


def test_both_streams_are_returned() -> None:
    assert sorted(run(("sh", "-c", "echo one; echo two >&2"), timeout=30).splitlines()) == ["one", "two"]


def test_each_line_is_heard_even_the_last_without_an_end() -> None:
    heard: list[str] = []
    run(("printf", "a\\nb"), timeout=30, on_line=heard.append)
    assert heard == ["a", "b"]


def test_a_failure_shows_what_the_program_said() -> None:
    with pytest.raises(HostError, match="status 3: no such luck"):
        run(("sh", "-c", "echo no such luck; exit 3"), timeout=30)


def test_at_the_time_limit_the_whole_group_ends(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(HostError, match="more than 0 s"):
        run(("sh", "-c", f"(sleep 2; touch {mark}) & echo begun; wait"), timeout=0.3)
    time.sleep(2.5)
    assert not mark.exists()


def test_a_program_that_leaves_something_running_is_over_when_it_ends_itself() -> None:
    began = time.monotonic()
    assert run(("sh", "-c", "sleep 20 & echo done"), timeout=30) == "done"
    assert time.monotonic() - began < 10


def test_a_program_that_closes_its_output_is_waited_for_no_longer_than_the_limit() -> None:
    with pytest.raises(HostError, match="took more than"):
        run(("sh", "-c", "exec >&- 2>&-; sleep 20"), timeout=0.5)


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(HostError, match="apt-get install its-package"):
        require("no-such-program-anywhere", "its-package")
