# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is recorded can be read as a log, also when the log is slow or full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.access_log import Access, AccessLog, FunctionEvent
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user import recorder as recorder_module
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.recorder import Recorder


def test_what_is_recorded_is_what_is_read(tmp_path: Path):
    recorder = Recorder(str(tmp_path / "log"))
    recorder.event("CONNECT")
    recorder.access("R", "BAR0", 0x10, b"\x01\x02\x03\x04")
    recorder.event("DISCONNECT", "for a\nreason")
    recorder.close()
    connect, access, disconnect = AccessLog.read(tmp_path / "log").entries
    assert isinstance(connect, FunctionEvent)
    assert (connect.name, connect.detail) == ("CONNECT", "")
    assert isinstance(access, Access)
    assert (access.direction, access.region, access.offset, access.length, access.value) == ("R", "BAR0", 0x10, 4, 0x04030201)
    assert isinstance(disconnect, FunctionEvent)
    assert disconnect.detail == "for a reason"
    assert connect.seconds <= access.seconds <= disconnect.seconds


def test_a_long_value_is_shown_by_its_first_bytes(tmp_path: Path):
    recorder = Recorder(str(tmp_path / "log"))
    recorder.access("R", "CFG", 0, bytes(range(1, 200)))
    recorder.close()
    (access,) = AccessLog.read(tmp_path / "log").accesses()
    assert (access.length, access.value) == (199, 0x0807060504030201)


def test_a_second_server_writes_behind_the_first(tmp_path: Path):
    for _start in range(2):
        recorder = Recorder(str(tmp_path / "log"))
        recorder.event("LISTEN")
        recorder.close()
    assert len(AccessLog.read(tmp_path / "log").events("LISTEN")) == 2


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def drain(reader: int) -> bytes:
    data = b""
    while True:
        try:
            data += os.read(reader, 65536)
        except BlockingIOError:
            return data


def test_lines_wait_while_a_pipe_is_full_and_none_is_lost(pipe: Path, tmp_path: Path):
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    recorder = Recorder(str(pipe))
    for number in range(5000):
        recorder.event("DMA_MAP", str(number))
    assert recorder.behind
    data = drain(reader)
    while recorder.behind:
        recorder.flush()
        data += drain(reader)
    recorder.close()
    os.close(reader)
    (tmp_path / "log").write_bytes(data)
    assert [event.detail for event in AccessLog.read(tmp_path / "log").events()] == [str(number) for number in range(5000)]


def test_what_had_to_be_dropped_is_said(pipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recorder_module, "PENDING_MAX", 10)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    recorder = Recorder(str(pipe))
    while not recorder.behind:
        recorder.event("DMA_MAP")
    for _event in range(29):
        recorder.event("DMA_UNMAP")
    data = drain(reader)
    recorder.event("CONNECT")
    data += drain(reader)
    recorder.close()
    os.close(reader)
    (tmp_path / "log").write_bytes(data)
    log = AccessLog.read(tmp_path / "log")
    dropped = 29 - len(log.events("DMA_UNMAP"))
    assert dropped >= 19
    assert [event.detail for event in log.events("LOST")] == [str(dropped)]
