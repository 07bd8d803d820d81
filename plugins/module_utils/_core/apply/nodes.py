# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the device nodes of claimed devices to a user on the running host.

udev does the same at each boot by the policy's rules.  Without them, or before they were written, a node is root's.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import udev_daemon
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.accounts import check_accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.asked_nodes import nodes_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import Accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.node_access import NodeAccess, read_access, set_access
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.vfio_nodes import paths_of, results

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.node import Node
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

SETTLE = 10.0
"""Seconds for udev to end the events of new nodes, and for the kernel to make these."""
ROOTS = NodeAccess(0, 0, 0o600)
"""As the kernel makes a node (devtmpfs)."""


@dataclasses.dataclass(frozen=True)
class Handed:
    """What the nodes of each device should be, by the device's address, and how steps name it."""

    wanted: t.Mapping[str, NodeAccess]
    words: t.Mapping[str, str]
    releasing: tuple[str, ...] = ()
    """Nodes of groups that a released device leaves; they exist as long as another device of the group is bound."""

    def steps(self, host: Host, bindings: t.Iterable[Binding]) -> dict[str, str]:
        """What is to be done, in words, by address; a node that does not exist yet is handed over once it does."""
        found = {}
        for binding in bindings:
            device = binding.device
            access = self.wanted.get(device.address)
            if access is not None and (binding.rebind or any(read_access(host, path) != access for path in paths_of(device, True))):
                found[device.address] = f"hand its device nodes to {self.words[device.address]}"
        return found

    def carry_out(self, host: Host) -> None:
        """Give each node to whom it is for, all or none.  Raises HostError."""
        if self.wanted:
            devices = (device for device in Inventory.read(host).devices if device.address in self.wanted)
            _set_all(host, {path: self.wanted[device.address] for device in devices for path in paths_of(device, True)})
        _set_all(host, {path: ROOTS for path in self.releasing if host.exists(path)})


def planned(host: Host, claims: t.Sequence[Claim], inventory: Inventory, releasing: bool) -> Handed:
    """What ``claims``, those of companions included, ask for.  Raises HostError for an account that does not exist."""
    nodes = nodes_of(claims, inventory)
    if not nodes:
        return Handed({}, {})
    if releasing:
        groups = (device.iommu_group for device in inventory.devices if device.address in nodes)
        return Handed({}, {}, tuple(dict.fromkeys(f"/dev/vfio/{group}" for group in groups if group is not None)))
    check_accounts(host, claims, at_boot=False)
    accounts = Accounts.read(host)
    wanted = {address: access_of(node, accounts) for address, node in nodes.items()}
    return Handed(wanted, {address: str(node) for address, node in nodes.items()})


def access_of(node: Node, accounts: Accounts) -> NodeAccess:
    """Whose the node is then, in numbers."""
    user, group = accounts.user(node.owner), accounts.group(node.group)
    return NodeAccess(0 if user is None else user, 0 if group is None else group, node.mode)


def predicted(host: Host, device: Device, accounts: Accounts, handed: Handed) -> list[dict[str, str]]:
    """The same for a function that will be bound to a VFIO driver.  What number a node of its own gets shows once it exists."""
    wanted = handed.wanted.get(device.address)
    return results(((path, wanted or read_access(host, path) or ROOTS) for path in paths_of(device, True)), accounts)


def _set_all(host: Host, wanted: t.Mapping[str, NodeAccess]) -> None:
    _settle(host, wanted)
    before: list[tuple[str, NodeAccess]] = []
    try:
        for path, access in wanted.items():
            now = read_access(host, path)
            if now is None:
                raise HostError(f"{path} does not exist {SETTLE:g} s after its device was bound.", "`dmesg` and `udevadm monitor` say why.")
            if now != access:
                before.append((path, now))
                set_access(host, path, access)
    except BaseException:
        with uninterrupted():
            for path, access in reversed(before):
                set_access(host, path, access)
        raise


def _settle(host: Host, paths: t.Collection[str]) -> None:
    """udev may still be about to set what its rules say of new nodes."""
    if paths:
        udev_daemon.settle(host, SETTLE, 5.0)
    host.wait_until(lambda: all(host.exists(path) for path in paths), SETTLE)
