# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server in a process of its own, and a small client that speaks to it over its real socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated import function as function_module
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.access_log import AccessLog
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction

MODULE = "ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user"
COLLECTIONS_ROOT = Path(function_module.__file__).parents[7]
HEADER = struct.Struct("<HHIII")
TIME_LIMIT = 20.0

CONFIG = 7
VERSION, DMA_MAP, GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, SET_IRQS, READ, WRITE, RESET = 1, 2, 4, 5, 7, 8, 9, 10, 13


@dataclass(frozen=True)
class Reply:
    id: int
    error: int
    body: bytes


class Client:
    """Speaks the protocol by its numbers, not through the server's own definitions: what both got wrong would look right."""

    def __init__(self, path: Path, agree: bool = True) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIME_LIMIT)
        self.sock.connect(str(path))
        self._id = 0
        if agree:
            capabilities = json.dumps({"capabilities": {"max_data_xfer_size": 1048576}}).encode() + b"\0"
            self.version = self.ask(VERSION, struct.pack("<HH", 0, 0) + capabilities)

    def close(self) -> None:
        self.sock.close()

    def send(self, command: int, body: bytes, flags: int = 0, descriptors: t.Sequence[int] = ()) -> int:
        self._id += 1
        message = HEADER.pack(self._id, command, HEADER.size + len(body), flags, 0) + body
        socket.send_fds(self.sock, [message], list(descriptors))
        return self._id

    def ask(self, command: int, body: bytes = b"", descriptors: t.Sequence[int] = ()) -> Reply:
        number = self.send(command, body, descriptors=descriptors)
        reply = self.receive()
        assert reply.id == number
        return reply

    def receive(self) -> Reply:
        number, _command, size, flags, error = HEADER.unpack(self._exactly(HEADER.size))
        assert flags & 0xF == 1, "the server sent something that is not a reply"
        assert bool(flags & 0x20) == bool(error)
        return Reply(number, error, self._exactly(size - HEADER.size))

    def is_disconnected(self) -> bool:
        """Whether the server ends the connection within the time limit; whatever it sends before does not matter."""
        try:
            while self.sock.recv(4096):
                pass
        except ConnectionResetError:
            pass
        return True

    def read(self, region: int, offset: int, length: int = 4) -> int:
        reply = self.ask(READ, struct.pack("<QII", offset, region, length))
        assert reply.error == 0
        assert len(reply.body) == 16 + length
        return int.from_bytes(reply.body[16:], "little")

    def write(self, region: int, offset: int, value: int, length: int = 4) -> None:
        reply = self.ask(WRITE, struct.pack("<QII", offset, region, length) + value.to_bytes(length, "little"))
        assert reply.error == 0
        assert len(reply.body) == 16

    def region(self, index: int) -> tuple[int, int]:
        """Size and flags of a region."""
        reply = self.ask(GET_REGION_INFO, struct.pack("<IIIIQQ", 32, 0, index, 0, 0, 0))
        assert reply.error == 0
        _argsz, flags, echoed, _capabilities, size, _offset = struct.unpack("<IIIIQQ", reply.body)
        assert echoed == index
        return size, flags

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.sock.recv(length - len(data))
            assert part, "the server closed the connection"
            data += part
        return data


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    socket: Path
    log_file: Path
    clients: list[Client] = field(default_factory=list)

    def connect(self, agree: bool = True) -> Client:
        self.clients.append(Client(self.socket, agree))
        return self.clients[-1]

    def log(self) -> AccessLog:
        return AccessLog.read(self.log_file)

    def log_holds(self, name: str, count: int = 1) -> bool:
        """Whether an event comes up in the log within the time limit."""
        return eventually(lambda: len(self.log().events(name)) >= count)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIME_LIMIT)

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + TIME_LIMIT
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


Starter = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts servers: ``start(options, *more arguments)``. All are gone after the test."""
    servers: list[Server] = []

    def start_server(
        options: Mapping[str, t.Any],
        *arguments: str,
        at: Path | None = None,
        log: Path | None = None,
        stdout: int | None = None,
    ) -> Server:
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        description = folder / "function.json"
        description.write_text(PciFunction.from_options(options).to_json())
        path, log_file = at or folder / "socket", log or folder / "log"
        command = [sys.executable, "-m", MODULE, "--socket", str(path), "--log", str(log_file), "--function", str(description)]
        process = subprocess.Popen(
            [*command, "--errors", str(folder / "errors"), *arguments],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
        )
        servers.append(Server(process, path, log_file))
        # A socket that an earlier server left is there from the start; the log then says when this one listens.
        assert eventually(path.exists if at is None else lambda: log_file.exists() and bool(AccessLog.read(log_file).events("LISTEN")))
        return servers[-1]

    yield start_server
    for server in servers:
        for client in server.clients:
            client.close()
        server.process.kill()
        server.process.wait(TIME_LIMIT)


@pytest.fixture
def v100(start: Starter) -> Server:
    return start({"profile": "v100-sxm2-16gb"})
