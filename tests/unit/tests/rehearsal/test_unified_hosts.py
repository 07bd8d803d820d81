# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with a unified kernel image: drawn as the others, on a machine whose ports have their buses in the order of the slots."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import emulated_functions
import machine
import pytest
import rehearsal_records
import rehearsal_table
import unified_host
import world_generator
from rehearsal_records import RehearsedHost
from world_configuration import World

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import Firmware
from ansible_collections.vfio.variants.tests.uefi.materials import Materials


def test_a_seed_stands_for_the_same_host_either_way() -> None:
    plain, unified = world_generator.draw(7), world_generator.draw(7, unified=True)
    assert (unified.name, unified.unified) == ("unified-7", True)
    assert dataclasses.replace(unified, name=plain.name, unified=False) == plain
    assert World.parse(unified.as_json()) == unified


def test_the_buses_have_the_numbers_of_the_other_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Firmware, "write_variables", lambda *_args, **_more: None)
    words = unified_host.started(Materials(Path("/packages")), emulated_functions.arguments(), Path("/here/unified.efi"))
    ports = {part[len("id=") :]: word for word in words for part in word.split(",")[1:2] if word.startswith("pcie-root-port,")}
    assert len(ports) == 2
    in_order = sorted(ports, key=lambda name: ports[name].rpartition("addr=")[2])
    on = {name: next(word for word in words if f"bus={name}," in word) for name in in_order}
    behind = [one.address for name in in_order for one in machine.FUNCTIONS if on[name].startswith(f"{one.model},")]
    assert behind == ["0000:01:00.0", "0000:02:00.0"]
    assert "-bios" not in words
    assert words[-2:] == ["-kernel", "/here/unified.efi"]


def test_they_are_kept_behind_the_others_and_have_a_row() -> None:
    one = RehearsedHost("unified-3", "7.3", "7.3.1", "dracut", (), (), (), "", 100.0, 20.0, unified=True)
    assert RehearsedHost.parse(one.text()) == one
    rows = rehearsal_table.rendered([one]).splitlines()
    assert "| a unified kernel image, by UEFI | 1 | 0 | 0 | 0 | 0 | 0 | 0 |" in rows


def test_the_order_is_that_of_the_seeds(tmp_path: Path) -> None:
    names = {"unified-1": True, "world-2": False}
    known = {name: RehearsedHost(name, "7.3", "", "", (), (), (), "", 1.0, 1.0, unified) for name, unified in names.items()}
    rehearsal_records.write(tmp_path / "kept", known)
    assert list(rehearsal_records.read(tmp_path / "kept")) == ["world-2", "unified-1"]
