# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a running test machine: ssh to its port on the loopback device."""

from __future__ import annotations

import shlex
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require

ADDRESS = "127.0.0.1"
USER = "root"


@dataclass(frozen=True)
class Connection:
    port: int
    identity: Path
    known_hosts: Path

    @classmethod
    def prepare(cls, port: int, identity: Path, known_hosts: Path, host_key: str) -> Connection:
        """The connection to a machine whose host key is `host_key`; the file `known_hosts` is written."""
        known_hosts.write_text(f"[{ADDRESS}]:{port} {host_key}\n", encoding="utf-8")
        return cls(port, identity, known_hosts)

    @property
    def options(self) -> tuple[str, ...]:
        """Options of ssh that make it verify this machine and leave the user's own known_hosts alone."""
        known = ("-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null")
        return (*known, "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes")

    @property
    def words(self) -> tuple[str, ...]:
        ssh = require("ssh", "openssh-client")
        return (ssh, "-i", str(self.identity), "-p", str(self.port), *self.options, f"{USER}@{ADDRESS}")

    @property
    def text(self) -> str:
        """The command that a person types to log in."""
        return shlex.join(("ssh", *self.words[1:]))

    def answers(self) -> bool:
        """Whether an ssh server greets at the port: QEMU itself accepts connections long before the guest does."""
        try:
            with socket.create_connection((ADDRESS, self.port), 3) as client:
                client.settimeout(3)
                return client.recv(4).startswith(b"SSH")
        except OSError:
            return False

    def ask(self, command: str, timeout: float) -> str | None:
        """What `command` writes in the guest; None when it fails or takes longer than `timeout` seconds."""
        ssh, *words = self.words
        options = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, int(timeout))}", "-o", "LogLevel=ERROR", "-o", "ControlPath=none")
        try:
            done = subprocess.run(
                (ssh, *options, *words, command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=timeout,
                check=False,
                text=True,
            )
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None


def free_port(preferred: int | None = None) -> int:
    """A port of the loopback device that nobody uses at this moment; the preferred one when it is free."""
    for candidate in (preferred or 0, 0):
        with socket.socket() as probe:
            try:
                probe.bind((ADDRESS, candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise OSError("no free port on the loopback device")
