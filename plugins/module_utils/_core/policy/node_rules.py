# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The udev rules that hand the nodes of claimed devices to a user, and that user's limit on locked memory.

The node of an IOMMU group is a device without a parent, and the group's number need not be the same at the next boot.  What says which
cards it is for is the group's folder in sysfs.  The node of a single device (drivers/vfio/device_cdev.c) has the card as its parent.
Each line stands alone: udev drops a whole line with an account that it does not know, as in an initramfs (systemd 258 and newer).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.node import UNLIMITED, Node
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import GROUPS

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision

ACTIONS = 'ACTION=="add|change"'
GROUP_LINE = re.compile(
    rf'^{re.escape(ACTIONS)}, .*TEST=="{GROUPS}/%k/devices/([0-9a-f:.]+)".*, OWNER="([^"]+)", GROUP="([^"]+)", MODE="([0-7]{{4}})"$',
    re.MULTILINE,
)


def node_lines(decisions: t.Iterable[Decision], nodes: t.Mapping[str, Node]) -> tuple[str, ...]:
    """Two lines for each decided device of ``nodes``, which are by address."""
    lines: dict[str, None] = {}
    for decision in decisions:
        node = nodes.get(decision.device.address)
        if node is not None:
            lines.update(dict.fromkeys((_group_line(decision, node), _device_line(decision, node))))
    return tuple(lines)


def handed_by(rules: str) -> dict[str, Node]:
    """To whom a policy's rules hand the nodes of the groups of these devices, by address."""
    return {address: Node(owner, group, int(mode, 8)) for address, owner, group, mode in GROUP_LINE.findall(rules)}


def limit_lines(nodes: t.Iterable[Node]) -> tuple[str, ...]:
    """One line of limits.conf (pam_limits) for each account; the largest limit of several."""
    largest: dict[str, str] = {}
    for node in nodes:
        if node.memlock is not None:
            largest[node.limited] = max(node.memlock, largest.get(node.limited, "0"), key=_size)
    return tuple(f"{account} - memlock {largest[account]}" for account in sorted(largest))


def _size(memlock: str) -> float:
    return float("inf") if memlock == UNLIMITED else int(memlock)


def _group_line(decision: Decision, node: Node) -> str:
    device = decision.device
    its = f"[pci/{device.address}]"
    keys = (f'ATTR{{{its}vendor}}=="0x{device.vendor:04x}"', f'ATTR{{{its}device}}=="0x{device.device:04x}"')
    return ", ".join((ACTIONS, 'SUBSYSTEM=="vfio"', f'TEST=="{GROUPS}/%k/devices/{device.address}"', *keys, *_gives(node)))


def _device_line(decision: Decision, node: Node) -> str:
    device = decision.device
    at = [f'KERNELS=="{device.address}"'] if any(selector.names_address for selector in decision.selectors) else []
    keys = (*at, 'SUBSYSTEMS=="pci"', f'ATTRS{{vendor}}=="0x{device.vendor:04x}"', f'ATTRS{{device}}=="0x{device.device:04x}"')
    return ", ".join((ACTIONS, 'SUBSYSTEM=="vfio-dev"', *keys, *_gives(node)))


def _gives(node: Node) -> tuple[str, ...]:
    return f'OWNER="{node.owner}"', f'GROUP="{node.group}"', f'MODE="{node.mode:04o}"'
