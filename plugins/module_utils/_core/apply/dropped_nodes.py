# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes back device nodes that the rules of a policy had handed to a user, and its new rules hand to nobody.

A node keeps owner and mode until its device is bound again, so without this the user could open it until the next boot.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.nodes import ROOTS, access_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import Accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.node_access import read_access, set_access
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.vfio_nodes import paths_of
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.node_rules import handed_by

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


def take_back(host: Host, before: bytes, after: bytes) -> tuple[str, ...]:
    """``before`` and ``after`` are the policy's rules.  Returns a warning for each node that could not be taken back.

    A node that is not as the rules handed it over has been given to somebody else since, who keeps it.
    """
    former, kept = (handed_by(rules.decode("utf-8", "surrogateescape")) for rules in (before, after))
    dropped = former.keys() - kept.keys()
    if host.is_image or not dropped:
        return ()
    accounts = Accounts.read(host)
    devices = Inventory.read(host).devices
    others = {path for device in devices if device.address in kept for path in paths_of(device, True)}
    problems = []
    for device in devices:
        for path in paths_of(device, True) if device.address in dropped else ():
            if path not in others and read_access(host, path) == access_of(former[device.address], accounts):
                try:
                    set_access(host, path, ROOTS)
                except HostError as error:
                    problems.append(f"{path} could not be taken back from {former[device.address]}: {error.msg}")
    return tuple(problems)
