# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's cards that NVSwitches connect, as on HGX and DGX boards, and the program that configures the switches.

NVIDIA's Fabric Manager User Guide: the fabric manager initialises switches and links when it starts, for the cards that it finds;
FABRIC_MODE in its file says for whom.  Until then CUDA answers with error 802 on such a card, unless its links are switched off.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import NVIDIA

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

CLASS_BRIDGE_OTHER, CLASS_3D_CONTROLLER = 0x0680, 0x0302
MANAGER = ("/usr/bin/nv-fabricmanager", "/usr/sbin/nv-fabricmanager", "/usr/local/bin/nv-fabricmanager")
SHARED = 1
"""The mode for guests that have cards alone, for which it gives them partitions of the switches."""
SETTINGS = "/usr/share/nvidia/nvswitch/fabricmanager.cfg"
MODE = re.compile(r"^[ \t]*FABRIC_MODE[ \t]*=[ \t]*([0-9]+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Fabric:
    """``switches`` are empty where they are no PCI functions of the host, as since the fourth generation of NVLink switches.

    ``mode`` is the number of `FABRIC_MODE`, which ``source`` has; None without a fabric manager.
    """

    cards: tuple[Device, ...]
    switches: tuple[Device, ...]
    mode: int | None
    source: str = ""

    @classmethod
    def read(cls, host: Host, inventory: Inventory) -> Fabric | None:
        """None where no cards are connected by switches, as far as the host's functions and programs show."""
        own = [device for device in inventory.devices if device.vendor == NVIDIA and not device.is_virtual]
        cards = tuple(device for device in own if device.class_code >> 8 == CLASS_3D_CONTROLLER)
        switches = tuple(device for device in own if device.class_code >> 8 == CLASS_BRIDGE_OTHER)
        if len(cards) < 2:
            return None
        managed = any(host.exists(path) for path in MANAGER)
        if not switches and not managed:
            return None
        mode, source = _mode(host) if managed else (None, "")
        return cls(cards, switches, mode, source)


def mode_in(text: str | None) -> int:
    """The mode by the content of a fabric manager's settings; without a line that sets it the mode is 0."""
    found = MODE.findall(text or "")
    return int(found[-1][:3]) if found else 0


def _mode(host: Host) -> tuple[int, str]:
    try:
        text = host.text_or_none(SETTINGS)
    except HostError:
        text = None
    return mode_in(text), SETTINGS
