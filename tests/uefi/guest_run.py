# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One guest with UEFI firmware, which boots as often as its changes ask, and what it said at each boot."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import BARE, emulation_words
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import Ended, run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import Firmware
from ansible_collections.vfio.variants.tests.exit_codes import is_ending
from ansible_collections.vfio.variants.tests.uefi.materials import Materials
from ansible_collections.vfio.variants.tests.uefi.observed_boots import SeenBoot

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu

TIMEOUT = 1500.0


def boot(qemu: Qemu, materials: Materials, disk: Path, folder: Path) -> tuple[SeenBoot, ...]:
    """All boots, in order."""
    store = folder / "vars.fd"
    Firmware(materials.root).write_variables(store, secure_boot=False)
    return parse(reported(qemu, from_disk(materials, disk, store), folder).report)


def from_disk(materials: Materials, disk: Path, store: Path) -> tuple[str, ...]:
    """QEMU's words for a machine whose firmware starts from that disk.  ``store`` has the firmware's variables."""
    drive = ("-drive", f"file={disk},if=none,id=esp,format=raw,cache=unsafe", "-device", "virtio-blk-pci,drive=esp,bootindex=0")
    return (*Firmware(materials.root).words(store), *drive)


def reported(qemu: Qemu, firmware: t.Sequence[str], folder: Path) -> Ended:
    """What the guest wrote until it was off.  ``firmware``: QEMU's words for it and for what it starts.  HostError if QEMU failed."""
    words = (
        *emulation_words("multi", 512, without=("smbus", "usb", "vmport", "graphics")),
        *("-smp", "1", "-m", "768M", *BARE),
        *firmware,
    )
    ended = run_to_end(folder, qemu, words, TIMEOUT, is_ending)
    if ended.problem:
        raise HostError(f"A boot with UEFI firmware went wrong: {ended.problem}\n{ended.console[-1500:]}")
    return ended


def parse(report: str) -> tuple[SeenBoot, ...]:
    """What the guest's init wrote.  HostError if it met a problem, or a boot did not come to its end."""
    found: list[SeenBoot] = []
    for number, text in enumerate(report.split("@boot ")[1:]):
        lines = [line.rstrip("\r") for line in text.split("\n")]
        problem = next((line for line in lines if line.startswith("@problem ")), None)
        if problem is not None or "@end" not in lines or lines[0] != str(number):
            raise HostError(f"Boot {number} of the guest went wrong: {problem or lines[-3:]}")
        values: dict[str, list[str]] = {}
        for line in lines[1:]:
            key, _blank, value = line.partition(" ")
            values.setdefault(key, []).append(value)
        pairs = (value.split(" ") for value in values.get("@variable", []))
        found.append(
            SeenBoot(
                cmdline=values["@cmdline"][0],
                loaded=tuple(sorted(values.get("@loaded", []))),
                parameters=base64.b64decode(values["@parameters"][0]),
                variables={name: base64.b64decode(content) for name, content in pairs},
            )
        )
    return tuple(found)
