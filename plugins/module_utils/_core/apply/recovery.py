# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that does not rebind devices does first about those that did not come to their end."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind_journal import NUMBERS, OPERATION, UnfinishedBindings
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import recovery
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovered
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovery


def recover(host: Host, check_mode: bool) -> Recovery:
    """See to files, images and packages; devices are left to `device_claim`, which knows whether they are wanted.

    The lock is held, or it is check mode, which only predicts.  Raises HostError if something cannot be undone.
    """
    found = recovery.recover(host, check_mode)
    journals = [name for name in (NUMBERS, OPERATION) if Journal(host, name).read() is not None]
    if not journals:
        return found
    inventory = Inventory.read(host)
    return dataclasses.replace(
        found, done=(*found.done, *_numbers(host, inventory, journals), *UnfinishedBindings.read(host, inventory).as_left())
    )


def _numbers(host: Host, inventory: Inventory, journals: t.Container[str]) -> tuple[Recovered, ...]:
    if NUMBERS not in journals:
        return ()
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.number_journal import UnfinishedNumbers

    what = UnfinishedNumbers.read(host, inventory).as_left()
    return (Recovered(OPERATION, "left", what),) if what else ()
