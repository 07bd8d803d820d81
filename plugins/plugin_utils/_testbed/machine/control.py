# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's control socket (QMP): where its devices sit, and its end."""

from __future__ import annotations

import json
import os
import socket
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError


class Control:
    def __init__(self, path: Path, timeout: float = 30) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        # By way of the folder's descriptor, because a socket's path may have 107 bytes only and caches lie deep.
        folder = os.open(path.parent, os.O_PATH)
        try:
            self._socket.connect(f"/proc/self/fd/{folder}/{path.name}")
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(folder)
        self._stream = self._socket.makefile("rw", encoding="utf-8")
        self._receive("QMP")
        self.ask("qmp_capabilities")

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def ask(self, command: str, **arguments: t.Any) -> t.Any:
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        return self._receive("return")

    def _receive(self, field: str) -> t.Any:
        while line := self._stream.readline():
            answer: dict[str, t.Any] = json.loads(line)
            if "error" in answer:
                raise HostError(f"QEMU refused a command: {answer['error'].get('desc')}")
            if field in answer:
                return answer[field]
        raise HostError("QEMU closed its control socket.")


def addresses(buses: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
    """QEMU's answer to query-pci as device id → address in the guest; bus numbers are those the guest's firmware gave."""
    found: dict[str, str] = {}
    for bus in buses:
        for device in bus.get("devices", ()):
            if device.get("qdev_id"):
                found[device["qdev_id"]] = f"0000:{device['bus']:02x}:{device['slot']:02x}.{device['function']}"
            found.update(addresses([device["pci_bridge"]] if "pci_bridge" in device else ()))
    return found
