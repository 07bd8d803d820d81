# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves a device on a unix socket: one client after the other, until told to stop."""

from __future__ import annotations

import contextlib
import os
import select
import socket

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user import protocol
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.device import VfioUserDevice
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.recorder import Recorder
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.session import Session

RECEIVE = 1 << 16
LOG_RETRY_MS = 100


class ClientConnection:
    """A client's socket with what has come in and what is still to go out. Nothing here waits for the client."""

    def __init__(self, sock: socket.socket, session: Session) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._session = session
        self._incoming = bytearray()
        self._outgoing = bytearray()

    @property
    def events(self) -> int:
        # No further request is looked at before the last answer is out, so that a client that never reads cannot fill our memory.
        return select.POLLOUT if self._outgoing else select.POLLIN

    def proceed(self) -> bool:
        """Reads, answers and sends as far as possible now; False at the end of the stream. Raises ProtocolError and OSError."""
        if self._outgoing:
            self._send()
        elif not self._receive():
            return False
        while not self._outgoing and (message := protocol.take_message(self._incoming)) is not None:
            self._outgoing += self._session.answer(message)
            self._send()
        return True

    def _receive(self) -> bool:
        data, descriptors, _flags, _address = socket.recv_fds(self.sock, RECEIVE, protocol.MAX_FDS)
        for descriptor in descriptors:
            # Guest memory and eventfds: the function does no DMA and raises no interrupt.
            os.close(descriptor)
        self._incoming += data
        return bool(data)

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            del self._outgoing[: self.sock.send(self._outgoing)]


class Server:
    """The loop. ``stop`` is a file descriptor that becomes readable when the server is to end."""

    def __init__(self, device: VfioUserDevice, path: str, recorder: Recorder, stop: int) -> None:
        self._device = device
        self._recorder = recorder
        self._stop = stop
        self._path = path
        self._connection: ClientConnection | None = None
        self._listener = _listen(path)

    def serve(self) -> None:
        """Returns when told to stop; the socket is gone then."""
        self._recorder.event("LISTEN", self._path)
        try:
            while not self._turn():
                pass
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._listener.close()
            if self._connection is not None:
                self._disconnect("the server ends")

    def _turn(self) -> bool:
        """Waits for something to happen and deals with it; True when that was the order to stop."""
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        # While a client is served others wait in the socket's queue: a machine that starts again connects before its forerunner is gone.
        if self._connection is None:
            poll.register(self._listener, select.POLLIN)
        else:
            poll.register(self._connection.sock, self._connection.events)
        ready = {descriptor for descriptor, _events in poll.poll(LOG_RETRY_MS if self._recorder.behind else None)}
        self._recorder.flush()
        if self._stop in ready:
            return True
        if self._connection is None:
            if ready:
                self._connect()
        elif ready:
            self._proceed(self._connection)
        return False

    def _connect(self) -> None:
        try:
            sock, _address = self._listener.accept()
        except OSError:
            return  # gone again before it was accepted
        self._connection = ClientConnection(sock, Session(self._device, self._recorder))
        self._recorder.event("CONNECT")

    def _proceed(self, connection: ClientConnection) -> None:
        try:
            if not connection.proceed():
                self._disconnect("")
        except BlockingIOError:
            pass
        except protocol.ProtocolError as error:
            self._disconnect(f"protocol error: {error}")
        except OSError as error:
            self._disconnect(error.strerror or str(error))

    def _disconnect(self, why: str) -> None:
        if self._connection is not None:
            self._connection.sock.close()
            self._connection = None
            self._recorder.event("DISCONNECT", why)


def _listen(path: str) -> socket.socket:
    """A listening socket that only its owner can connect to, in the place of whatever an earlier server left there.

    It is renamed to its place once it listens: whoever waits for the path to appear may connect as soon as it does.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    unready = os.path.join(os.path.dirname(path), f".{os.getpid()}")
    mask = os.umask(0o177)
    try:
        listener.bind(unready)
    finally:
        os.umask(mask)
    listener.listen(8)
    os.rename(unready, path)
    return listener
