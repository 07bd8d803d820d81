# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as a process: it serves one client after the other, and goes when it is told to."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated import function as function_module
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.access_log import AccessLog
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PROFILES

MODULE = "ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user"
TIME_LIMIT = 20.0


def eventually(condition) -> bool:
    deadline = time.monotonic() + TIME_LIMIT
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(condition())


def test_it_removes_its_socket_and_ends_cleanly_on_sigterm(v100):
    assert v100.terminate() == 0
    assert not v100.socket.exists()


def test_it_ends_cleanly_while_a_client_is_connected(v100):
    client = v100.connect()
    assert v100.terminate() == 0
    assert client.is_disconnected()
    assert v100.log().events()[-1].name == "DISCONNECT"


def test_only_its_owner_can_connect(v100):
    assert v100.socket.stat().st_mode & 0o777 == 0o600


def test_it_takes_the_place_of_a_socket_that_a_killed_server_left(start, tmp_path):
    left = tmp_path / "left"
    first = start({"profile": "npu2"}, at=left)
    first.process.kill()
    first.process.wait()
    assert left.exists()
    second = start({"profile": "npu2"}, at=left)
    assert second.connect().read(7, 0) == 0x04EA1014


def test_a_machine_that_starts_again_finds_the_same_device_as_it_left_it(v100):
    first = v100.connect()
    first.write(1, 0x100, 0x12345678)
    first.close()
    second = v100.connect()
    assert second.read(1, 0x100) == 0x12345678
    assert [event.name for event in v100.log().events("CONNECT", "DISCONNECT")] == ["CONNECT", "DISCONNECT", "CONNECT"]


def test_a_second_client_waits_for_its_turn(v100):
    first = v100.connect()
    second = v100.connect(agree=False)
    number = second.send(1, b"\0\0\0\0")
    assert first.read(7, 0) == 0x1DB110DE
    first.close()
    assert second.receive().id == number


def test_a_client_that_dies_amid_a_message_leaves_the_server_serving(v100):
    client = v100.connect()
    client.sock.sendall(b"\x01\x00\x09")
    client.close()
    assert v100.connect().read(7, 0) == 0x1DB110DE


def test_a_client_that_never_reads_its_answers_is_neither_waited_for_nor_remembered(v100):
    greedy = v100.connect()
    read_a_mebibyte = struct.pack("<HHIIIQII", 1, 9, 32, 0, 0, 0, 1, 1 << 20)
    greedy.sock.sendall(read_a_mebibyte * 1000)
    assert eventually(lambda: len(v100.log().bar_accesses()) > 0)
    time.sleep(0.5)
    assert len(v100.log().bar_accesses()) < 5, "answers pile up for a client that takes none"
    assert v100.terminate() == 0


def test_a_client_that_reads_late_gets_all_its_answers(v100):
    client = v100.connect()
    client.sock.sendall(b"".join(struct.pack("<HHIIIQII", number, 9, 32, 0, 0, 0, 1, 1 << 18) for number in range(40)))
    assert [client.receive().id for _answer in range(40)] == list(range(40))


def test_it_lets_go_of_the_pipe_that_it_inherited(start):
    """Whoever starts a server and reads its output to the end must not wait until the server ends."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        server = start({"profile": "npu2"}, stdout=writer)
        os.close(writer)
        assert server.log_holds("LISTEN")
        assert pipe.read() == b""
    assert server.process.poll() is None


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        (b"{}", [], "This is not the description of a function: 'capabilities'."),
        (b"\xff", [], "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (None, [], "[Errno 2] No such file or directory:"),
        (b"npu2", ["--log", "/nonexistent/log"], "[Errno 2] No such file or directory: '/nonexistent/log'"),
        (b"npu2", ["--errors", "/nonexistent/errors"], "[Errno 2] No such file or directory: '/nonexistent/errors'"),
    ],
)
def test_a_server_that_cannot_start_says_so_in_one_line_and_leaves_no_socket(tmp_path: Path, content, arguments, sentence):
    description = tmp_path / "function.json"
    if content is not None:
        description.write_bytes(PROFILES["npu2"].to_json().encode() if content == b"npu2" else content)
    command = [sys.executable, "-m", MODULE, "--socket", str(tmp_path / "s"), "--log", str(tmp_path / "l"), "--function", str(description)]
    environment = {**os.environ, "PYTHONPATH": str(Path(function_module.__file__).parents[7])}
    result = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=TIME_LIMIT, check=False, env=environment)
    assert result.returncode == 1
    assert result.stderr.startswith(f"vfio-user server: {sentence}")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("s"))


def test_a_log_that_nobody_reads_does_not_hold_up_the_device(start, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        server = start({"profile": "npu2"}, log=pipe)
        client = server.connect()
        for _read in range(3000):  # some 90 kB of log, where a pipe holds 64
            client.read(7, 0)
        data = b""
        while data.count(b"R CFG") < 3000:
            try:
                data += os.read(reader, 65536)
            except BlockingIOError:
                assert server.process.poll() is None
    finally:
        os.close(reader)
    log = tmp_path / "copy"
    log.write_bytes(data)
    assert len(AccessLog.read(log).accesses()) == 3000
