# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which nothing is configured but that its network card's virtual functions are made."""

from __future__ import annotations

import machine
from world_configuration import Entry, World

_UNIT = """[Unit]
Description=Make virtual functions

[Service]
Type=oneshot
ExecStart=/usr/bin/udevadm settle
ExecStart=/bin/sh -c 'echo {count} >/sys/bus/pci/devices/{address}/sriov_numvfs'
"""


def plain(series: str) -> World:
    unit = _UNIT.format(count=machine.VIRTUAL_FUNCTIONS, address=machine.PHYSICAL_FUNCTION)
    root = {
        "/etc/systemd/system/functions.service": Entry(unit),
        "/etc/systemd/system/multi-user.target.wants/functions.service": Entry(link="../functions.service"),
    }
    return World("plain", series, root=root, missing_modules=("rival_pci",))
