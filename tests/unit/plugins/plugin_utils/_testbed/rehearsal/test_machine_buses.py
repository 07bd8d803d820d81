# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU and SeaBIOS: each function of a host with several kinds of buses has the host's own address, unless it is said to have another."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import processes, qemu_program
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import (
    CONTROL_SOCKET,
    IOMMUS,
    NATIVE_HOTPLUG,
    accelerator_words,
    device_word,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.control import Control, addresses
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.host_function import EXPRESS_TO_CONVENTIONAL
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.places import MachinePlaces, place
from ansible_collections.vfio.variants.tests.unit.plugins.plugin_utils._testbed.rehearsal.test_places import (
    Function,
    bridge,
    function,
    switch,
)

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-system-x86_64") is None and not any(Cache.at(None).qemu.glob("*")), reason="QEMU was not unpacked yet"
)
#: How often nothing has changed before it is the end.
_SAME = 6
SMALL = "0x00000000e0000000 0x00000000e000ffff 0x0000000000040200\n"


def host() -> list[Function]:
    """Two sockets, of which the second one has a switch; a switch, a bridge to conventional PCI, and numbers that are left out."""
    first, second = "pci0000:00", "pci0000:3a"
    to_conventional = f"{first}/0000:00:1d.0/0000:0d:00.0"
    return [
        bridge(f"{first}/0000:00:01.0", 1),
        *switch(f"{first}/0000:00:01.0", 1, 0x00, 0x08, 0x10),
        bridge(f"{first}/0000:00:1c.0", 8),
        bridge(f"{first}/0000:00:1c.4", 12),
        function(f"{first}/0000:00:1c.4/0000:0c:00.0"),
        bridge(f"{first}/0000:00:1d.0", 13),
        bridge(to_conventional, 14, EXPRESS_TO_CONVENTIONAL),
        function(f"{to_conventional}/0000:0e:00.0"),
        function(f"{to_conventional}/0000:0e:05.0"),
        *(function(f"{first}/0000:00:{place}") for place in ("14.0", "1f.3", "1f.6")),
        bridge(f"{second}/0000:3a:00.0", 0x3B),
        *switch(f"{second}/0000:3a:00.0", 0x3B, 0x08),
        function(f"{second}/0000:3a:05.0"),
        bridge("pci0001:20/0001:20:01.0", 0x21),
        function("pci0001:20/0001:20:01.0/0001:21:00.0"),
    ]


def now_found(folder: Path) -> dict[str, str]:
    """Nothing while QEMU, which is said to run before it listens, has not come so far."""
    try:
        with Control(folder / CONTROL_SOCKET) as control:
            return addresses(control.ask("query-pci"))
    except (FileNotFoundError, ConnectionRefusedError):
        return {}


def found_by_firmware(places: MachinePlaces, folder: Path) -> dict[str, str]:
    """The address of each function by its name, once none changes any more."""
    qemu = qemu_program.provide(Cache.at(None), apt_sources.of_this_machine, lambda _text: None)
    functions = {one.function.id: one.function.emulated for one in places.placements.values() if one.function.emulated is not None}
    words: list[str] = [*accelerator_words("tcg"), "-m", "256M", "-nodefaults", "-no-user-config", "-display", "none"]
    words += ["-qmp", f"unix:{CONTROL_SOCKET},server=on,wait=off", *IOMMUS["intel"], *NATIVE_HOTPLUG, *places.words]
    words += [word for one in places.placements.values() for word in ("-device", device_word(one))]
    behind = [one.function.id for address, one in places.placements.items() if len(places.paths[address]) > 2]
    found: dict[str, str] = {}
    processes.prepare(folder, functions)
    try:
        assert processes.start(folder, functions, qemu, words), (folder / "qemu.log").read_text(encoding="utf-8")
        until, same = time.monotonic() + 120, 0
        while time.monotonic() < until:
            time.sleep(0.5)
            before, found = found, now_found(folder)
            same = same + 1 if found == before else 0
            if same >= _SAME and all(name in found and not found[name].startswith("0000:00:") for name in behind):
                return found
    finally:
        processes.end(folder)
    raise AssertionError("SeaBIOS has not numbered the buses within two minutes")


@pytest.fixture(name="booted", scope="module")
def fixture_booted(tmp_path_factory: pytest.TempPathFactory) -> tuple[MachinePlaces, dict[str, str]]:
    places = place([{**one, "resource": SMALL} for one in host()])
    found = found_by_firmware(places, tmp_path_factory.mktemp("m"))
    return places, {address: found[one.function.id] for address, one in places.placements.items()}


def test_what_is_not_said_to_be_elsewhere_is_at_its_own_address(booted: tuple[MachinePlaces, dict[str, str]]) -> None:
    places, found = booted
    assert len(found) == 16
    assert {address for address, there in found.items() if address != there} == places.moved.keys()


def test_what_is_said_to_be_elsewhere_is_where_nothing_of_the_host_is(booted: tuple[MachinePlaces, dict[str, str]]) -> None:
    places, found = booted
    assert places.moved.keys() == {"0000:00:1f.3", "0000:3a:05.0", "0001:21:00.0"}
    assert not {found[address] for address in places.moved} & {str(one["address"]) for one in host()}
