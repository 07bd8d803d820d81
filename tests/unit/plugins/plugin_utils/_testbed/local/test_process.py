# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that may have been replaced by strangers with the same pid."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import Process, parse_stat


@pytest.fixture(name="child")
def fixture_child() -> t.Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


def test_a_running_child_is_alive(child: subprocess.Popen[bytes]) -> None:
    assert Process.of(child.pid).alive()


def test_a_child_is_dead_before_anybody_asked_for_its_status(child: subprocess.Popen[bytes]) -> None:
    process = Process.of(child.pid)
    process.stop(10)
    assert not process.alive()
    assert child.wait() == -15


def test_a_child_that_ignores_the_request_is_ended() -> None:
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        Process.of(child.pid).stop(0.3)
        assert child.wait() == -9


def test_a_stranger_with_the_same_pid_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    process = Process.of(child.pid)
    former = dataclasses.replace(process, start=process.start - 1)
    assert not former.alive()
    former.stop(1)
    assert process.alive()


def test_a_process_of_an_earlier_boot_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    process = Process.of(child.pid)
    dataclasses.replace(process, boot="an earlier one").stop(1)
    assert process.alive()


def test_a_process_that_is_gone_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    process = Process.of(child.pid)
    child.kill()
    child.wait()
    assert not process.alive()
    process.stop(1)


def test_a_name_with_parentheses_and_blanks_does_not_confuse() -> None:
    line = "42 (a) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1"
    assert parse_stat(line) == ("S", 987654)


def test_this_very_process_is_alive() -> None:
    assert Process.of(os.getpid()).alive()
