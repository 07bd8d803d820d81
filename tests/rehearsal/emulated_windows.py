# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The windows of the functions of these guests as QEMU describes them once its firmware has placed them.

A rehearsed function has windows of the same sizes, without which a driver that declines it tells nothing.
"""

from __future__ import annotations

import tempfile
import typing as t
from pathlib import Path

import emulated_functions

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import CONTROL_SOCKET
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.control import Control
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu

_SECONDS = 240
#: linux/ioport.h
_IO, _MEMORY, _PREFETCHABLE, _SIZE_64 = 0x100, 0x200, 0x2000, 0x100000
#: Six windows and a ROM.
_LINES = 7
_UNPLACED = -1
Device = t.Mapping[str, t.Any]


def resources(qemu: Qemu) -> dict[str, str]:
    """The text of sysfs's ``resource`` by address.  Raises HostError if the firmware has not placed all within minutes."""
    wanted = {one.address for one in emulated_functions.FUNCTIONS}
    found: dict[str, Device] = {}
    with tempfile.TemporaryDirectory(prefix="windows-") as name:
        folder = Path(name)

        def all_placed() -> bool:
            found.clear()
            found.update(_placed(folder))
            return wanted <= found.keys()

        ended = run_to_end(folder, qemu, _words(), _SECONDS, all_placed)
    if wanted <= found.keys():
        return {address: _text(found[address]["regions"]) for address in wanted}
    raise HostError(f"The firmware has not placed the windows of {', '.join(sorted(wanted - found.keys()))}: {ended.problem}")


def _words() -> list[str]:
    """The guests' own machine with a firmware that numbers buses, and with its usual clock."""
    words = list(emulated_functions.arguments())
    for option in ("-bios", "-icount"):
        at = words.index(option)
        del words[at : at + 2]
    return [*words, "-qmp", f"unix:{CONTROL_SOCKET},server=on,wait=off"]


def _placed(folder: Path) -> dict[str, Device]:
    """By address, the devices that have all their windows; none as long as QEMU does not listen."""
    try:
        with Control(folder / CONTROL_SOCKET) as control:
            (root,) = control.ask("query-pci")
    except (FileNotFoundError, ConnectionRefusedError):
        return {}
    # Another firmware numbers the buses in another order: what is behind a port is known by its place.
    behind = {one.port: one.address for one in emulated_functions.FUNCTIONS if one.port}
    found: dict[str, Device] = {}
    for one in root["devices"]:
        place = f"{one['slot']:02x}.{one['function']}"
        found[f"0000:00:{place}"] = one
        # After the function that is plugged in come the virtual ones that it could have.
        for device in one.get("pci_bridge", {}).get("devices", ())[:1]:
            found[behind[place]] = device
    return {address: one for address, one in found.items() if all(region["address"] != _UNPLACED for region in one["regions"])}


def _text(regions: t.Iterable[Device]) -> str:
    lines = ["0x0 0x0 0x0"] * _LINES
    for region in regions:
        flags = _IO
        if region["type"] == "memory":
            flags = _MEMORY | (_PREFETCHABLE if region["prefetch"] else 0) | (_SIZE_64 if region["mem_type_64"] else 0)
        lines[region["bar"]] = f"{region['address']:#x} {region['address'] + region['size'] - 1:#x} {flags:#x}"
    return "".join(f"{line}\n" for line in lines)
