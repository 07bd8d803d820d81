# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's answers about where its devices sit."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.control import Control, addresses

GPU = {"bus": 1, "slot": 0, "function": 0, "qdev_id": "gpu0"}
PORT = {"bus": 0, "slot": 16, "function": 1, "qdev_id": "port-gpu0", "pci_bridge": {"bus": {"number": 0}, "devices": [GPU]}}
HOST_BRIDGE = {"bus": 0, "slot": 0, "function": 0, "qdev_id": ""}


def serve(path: Path, *answers: dict[str, object]) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def answer() -> None:
        client, _address = listener.accept()
        with listener, client, client.makefile("rw", encoding="utf-8") as stream:
            stream.write(json.dumps({"QMP": {}}) + "\n")
            stream.flush()
            for line in ({"return": {}}, *answers):
                stream.readline()
                stream.write(json.dumps({"event": "NICE_TO_KNOW"}) + "\n" + json.dumps(line) + "\n")
                stream.flush()

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


def test_devices_behind_bridges_are_found_by_the_numbers_the_firmware_gave() -> None:
    assert addresses([{"bus": 0, "devices": [HOST_BRIDGE, PORT]}]) == {"port-gpu0": "0000:00:10.1", "gpu0": "0000:01:00.0"}


def test_events_between_question_and_answer_are_passed_over(tmp_path: Path) -> None:
    thread = serve(tmp_path / "control.sock", {"return": [{"devices": [GPU]}]})
    with Control(tmp_path / "control.sock") as control:
        assert addresses(control.ask("query-pci")) == {"gpu0": "0000:01:00.0"}
    thread.join()


def test_what_qemu_refuses_is_told(tmp_path: Path) -> None:
    thread = serve(tmp_path / "control.sock", {"error": {"desc": "not today"}})
    with Control(tmp_path / "control.sock") as control, pytest.raises(HostError, match="not today"):
        control.ask("quit")
    thread.join()


def test_a_socket_that_is_not_there_leaves_none_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError) as caught:
        Control(tmp_path / "control.sock")
    assert caught.value.__traceback__ is not None  # It holds the object, whose socket is closed all the same.
    assert len(os.listdir("/proc/self/fd")) == before
