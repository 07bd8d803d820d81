# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine has Secure Boot with the host's keys only where its modules load by them, too."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import Firmware
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import host_keys
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.host_keys import MachineKeys


@pytest.mark.parametrize(
    ("signed_here", "keys_of_firmware", "number"),
    [
        ([], True, 2),
        ([], False, 2),
        (["nvidia"], True, 2),
        # The machine owner's keys come from shim there, which the machine does not have.
        (["nvidia"], False, 0),
    ],
)
def test_the_keys_of_the_host_are_the_machines_where_they_do_there_what_they_do_on_the_host(
    signed_here: list[str], keys_of_firmware: bool, number: int
) -> None:
    known = {"keys": ["6f6e65", "74776f"], "owner_keys": ["6f6e65"], "signed_here": signed_here, "keys_of_firmware": keys_of_firmware}
    assert host_keys.keys_for(known, by_shim=False) == MachineKeys((b"one", b"two")[:number])
    # With shim each key is where it is on the host.
    assert host_keys.keys_for(known, by_shim=True) == MachineKeys(database=(b"two",), owner=(b"one",))


@pytest.mark.parametrize("keys", [host_keys.NO_KEYS, MachineKeys((b"one", b"two")), MachineKeys((b"one",), (b"two", b"three"))])
def test_secure_boot_is_on_with_keys_alone_each_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: MachineKeys) -> None:
    written: dict[str, t.Any] = {}
    monkeypatch.setattr(Firmware, "write_variables", lambda _self, store, **more: written.update(store=store, **more))
    words = host_keys.firmware_words(Firmware(Path("/packages")), tmp_path, keys)
    assert any(word.endswith(f"file={written['store']}") for word in words)
    assert written["secure_boot"] == (len(keys) > 0)
    assert tuple(path.read_bytes() for path in written["database"]) == keys.database
    assert tuple(path.read_bytes() for path in written["owner"]) == keys.owner
