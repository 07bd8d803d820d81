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
MASKS = tuple(f"{folder}/systemd/system/nvidia-fabricmanager.service" for folder in ("/etc", "/run"))
LINKED_DIRECTLY = frozenset((0x15F9, 0x1DB1, 0x1DB5, 0x1DF5))
"""P100-SXM2 and V100-SXM2: of their form there is no board with switches, and from four cards on they are on one that links them."""
FEWEST_LINKED = 4
MODE = re.compile(r"^[ \t]*FABRIC_MODE[ \t]*=[ \t]*([0-9]+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Fabric:
    """``switches`` are empty where they are no PCI functions of the host, as since the fourth generation of NVLink switches.

    ``mode`` is the number of `FABRIC_MODE`, which ``source`` has; None without a fabric manager, or where it is masked by the file
    ``masked``.  Without switches, and with ``is_direct``, the cards are linked to each other.
    """

    cards: tuple[Device, ...]
    switches: tuple[Device, ...]
    mode: int | None
    source: str = ""
    masked: str = ""
    is_direct: bool = False

    @classmethod
    def read(cls, host: Host, inventory: Inventory) -> Fabric | None:
        """None where no cards are connected by switches, as far as the host's functions and programs show."""
        own = [device for device in inventory.devices if device.vendor == NVIDIA and not device.is_virtual]
        cards = tuple(device for device in own if device.class_code >> 8 == CLASS_3D_CONTROLLER)
        switches = tuple(device for device in own if device.class_code >> 8 == CLASS_BRIDGE_OTHER)
        if len(cards) < 2:
            return None
        linked = tuple(device for device in cards if device.device in LINKED_DIRECTLY)
        if not switches and len(linked) >= FEWEST_LINKED:
            return cls(linked, (), None, is_direct=True)
        managed = any(host.exists(path) for path in MANAGER)
        if not switches and not managed:
            return None
        masked = next((path for path in MASKS if _is_mask(host, path)), "") if managed else ""
        mode, source = _mode(host) if managed and not masked else (None, "")
        return cls(cards, switches, mode, source, masked)


def _is_mask(host: Host, path: str) -> bool:
    """As systemd takes a unit's file: empty, or a link to /dev/null."""
    return host.link(path) == "/dev/null" or (host.is_file(path) and not host.text_or_none(path))


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
