# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the host is read for a function, and what is not because nothing on it could be named there."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import Arguments, HostUses
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Host

if t.TYPE_CHECKING:
    from pathlib import Path

NOTHING_TO_NAME: dict[str, t.Callable[[Host], object]] = {
    "a disk's controller without a disk": lambda host: host.function("nvme").file(f"{host.card}/nvme/nvme0/uevent", "DEVNAME=nvme0\n"),
    "a card for displays": lambda host: host.function("gpu").file(f"{host.card}/drm/card0/uevent", "DEVNAME=dri/card0\n"),
    "an accelerator": lambda host: host.function("gpu", class_code=0x120000),
    "a network card without an interface": lambda host: host.function("nic"),
}
SOMETHING: dict[str, t.Callable[[Host], object]] = {
    "a disk": lambda host: host.nvme_disk("p1"),
    "an interface": lambda host: host.nic(),
    "a port, whose place is named": lambda host: host.function("serial"),
    "a debugging port": lambda host: host.function("usb"),
    "a function of a class that says nothing": lambda host: host.function("gpu", class_code=0x118000),
    "a terminal": lambda host: host.function("gpu").file(f"{host.card}/tty/ttyS4/dev", "4:68\n"),
    "a virtio device": lambda host: host.function("virtio").folder("virtio0"),
    "a chip": lambda host: host.function("gpu").file(f"{host.card}/tpm/tpm0/uevent", "DEVNAME=tpm0\n"),
    "a token": lambda host: host.function("gpu").file(f"{host.card}/hidraw/hidraw2/uevent", "DEVNAME=hidraw2\n"),
}


def read(host: Host) -> tuple[int, list[str]]:
    """How often the kernels' arguments were read for the card, and which programs were asked."""
    times, asked = [], []

    def arguments() -> Arguments:
        times.append(1)
        return Arguments()

    def program(args: list[str], **_options: t.Any) -> tuple[int, str, str]:
        asked.append(" ".join(args))
        return 1, "", ""

    there = host.program("/usr/bin/ip", "exit 1").tree.host(program)
    inventory = Inventory.read(there)
    device = inventory.get(CARD)
    assert device is not None
    HostUses(there, inventory, arguments).of(device)
    return len(times), asked


@pytest.mark.parametrize("what", NOTHING_TO_NAME)
def test_what_kernels_are_told_and_the_network_are_read_for_what_they_could_name(tmp_path: Path, what: str) -> None:
    host = Host(tmp_path)
    NOTHING_TO_NAME[what](host)
    assert read(host) == (0, [])


@pytest.mark.parametrize("what", SOMETHING)
def test_they_are_read_once_for_what_may_be_named(tmp_path: Path, what: str) -> None:
    host = Host(tmp_path)
    SOMETHING[what](host)
    assert read(host)[0] == 1
