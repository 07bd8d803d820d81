# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates virtual functions on the running kernel, and removes those that were created; a step that fails undoes the others.

A physical function has a number of them; another number means that all are removed first (sriov_numvfs_store() in drivers/pci/pci-sysfs.c).
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import number_journal, udev_daemon
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.number_journal import Renumbering
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, of_system
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector, select

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.number_journal import UnfinishedNumbers
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.virtual_functions import Creation
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import HostUses

NUMBER, AUTOPROBE = "sriov_numvfs", "sriov_drivers_autoprobe"
UNDO_TIMEOUT = 30.0


@dataclasses.dataclass(frozen=True)
class NumberChange:
    """How many virtual functions a physical one has, and shall have."""

    physical: Device
    after: int
    earlier: Renumbering | None = None
    """What a run that was killed has left in between: what it found is what this one goes back to."""
    returns: bool = False
    """Whether it only takes back what that run has done."""

    @property
    def before(self) -> int:
        return len(self.physical.virtual_functions)

    @property
    def offers(self) -> bool:
        """Whether drivers are to be offered to virtual functions, which they are not to those of a claim."""
        return self.after == 0 or self.returns

    @property
    def renumbering(self) -> Renumbering:
        return self.earlier or Renumbering(self.physical.address, self.before, self.physical.drivers_autoprobe, self.after)


def changes_of(
    creations: t.Iterable[Creation], inventory: Inventory, uses: HostUses, earlier: UnfinishedNumbers
) -> tuple[NumberChange, ...]:
    """What has to be changed; ``inventory`` is as it is now.  Raises HostError where it cannot be, or where that would disturb somebody."""
    found = []
    for creation in creations:
        physical = creation.physical
        if creation.is_done:
            continue
        if physical.driver is None:
            raise HostError(
                f"{creation.claim.option('vfs')}: {physical.address} ({physical.id}) has no driver, and so cannot have virtual functions.",
                "Bind it to its native driver first, or let the next boot create them.",
            )
        change = NumberChange(physical, creation.count, earlier.of(physical))
        _refuse_in_use(change, creation.claim, inventory, uses)
        found.append(change)
    return tuple(found)


def removals_of(
    claims: t.Iterable[Claim], inventory: Inventory, earlier: UnfinishedNumbers
) -> tuple[tuple[Claim, ...], tuple[NumberChange, ...]]:
    """The claims with the virtual functions that there are in their place, and the removal of those that were made for claims.

    That is shown by drivers not being offered to them.
    """
    kept: list[Claim] = []
    found: dict[str, NumberChange] = {}
    for claim in claims:
        if claim.vfs is None:
            kept.append(claim)
            continue
        selectors: list[Selector] = []
        for physical in select(inventory, claim.selectors, claim.allow_missing, claim.option("devices")):
            half = earlier.of(physical)
            if half is not None:
                found[physical.address] = NumberChange(physical, half.returned[0], half, returns=True)
            elif physical.virtual_functions and not physical.drivers_autoprobe:
                found[physical.address] = NumberChange(physical, 0)
            else:
                selectors += [Selector(text=address, address=address) for address in physical.virtual_functions]
        if selectors:
            kept.append(dataclasses.replace(claim, selectors=tuple(selectors), vfs=None, expect=None))
    return tuple(kept), tuple(found.values())


def refuse_removal(changes: t.Iterable[NumberChange], claims: t.Iterable[Claim], inventory: Inventory, uses: HostUses) -> None:
    """Raises HostError for a virtual function that somebody uses."""
    claim = next((claim for claim in claims if claim.vfs is not None), None)
    for change in changes:
        if claim is not None:
            _refuse_in_use(change, claim, inventory, uses)


def _refuse_in_use(change: NumberChange, claim: Claim, inventory: Inventory, uses: HostUses) -> None:
    for address in change.physical.virtual_functions:
        device = inventory.get(address)
        found = uses.of(device) if device is not None else ()
        use = next((use for use in found if use.guard not in claim.guards), None)
        if use is not None:
            raise HostError(
                f"{claim.option('vfs')}: {address}, which a change from {change.before} to {change.after} virtual functions of "
                f"{change.physical.address} would remove, is in use: {use.what}.",
                "End that use, or let the next boot change the number.",
            )


def make(host: Host, changes: t.Sequence[NumberChange], timeout: float) -> None:
    """Raises HostError after everything was undone because a step failed.  `number_journal` has them until `end()`."""
    done: list[NumberChange] = []
    try:
        if changes:
            number_journal.begin(host, (change.renumbering for change in changes))
        for change in changes:
            done.append(change)
            _set(host, change.physical, change.before, change.after, change.offers, timeout)
        if changes:
            # The rules of a policy bind them as well; what comes next sees what they have done.
            udev_daemon.settle(host, max(1, int(timeout)), UNDO_TIMEOUT)
    except BaseException as error:
        undo(host, done, error)
        raise


def undo(host: Host, changes: t.Iterable[NumberChange], error: BaseException) -> None:
    """The former numbers; what had a driver gets it again by being offered to it.  Raises HostError where that is impossible."""
    stuck: dict[Renumbering, str] = {}
    with uninterrupted():
        for change in changes:
            former = change.renumbering
            try:
                _set(host, change.physical, 1, former.before, former.offered, UNDO_TIMEOUT)
            except (HostError, OSError) as problem:
                stuck[former] = problem.msg if isinstance(problem, HostError) else of_system(problem)
        with contextlib.suppress(HostError):
            if stuck:
                number_journal.begin(host, stuck)
            else:
                number_journal.end(host)
    if stuck and isinstance(error, HostError):
        left = " ".join(f"{one.address} cannot be given its {one.before} virtual functions again: {why}" for one, why in stuck.items())
        raise HostError(f"{error.msg} {left}", error.hint or "Run device_claim again, with `state: absent` to return it.", error.facts)


def put_back(host: Host, left: t.Iterable[tuple[Renumbering, Device]]) -> None:
    """What an earlier run has left of functions that this one does not change.  Raises HostError."""
    for one, device in left:
        _set(host, device, len(device.virtual_functions), one.before, one.offered, UNDO_TIMEOUT)


def _set(host: Host, physical: Device, now: int, number: int, autoprobe: bool, timeout: float) -> None:
    here = f"{DEVICES}/{physical.address}"
    if now and number:
        host.write_attribute(f"{here}/{NUMBER}", "0\n", timeout)
    if number == 0:
        host.write_attribute(f"{here}/{NUMBER}", "0\n", timeout)
    host.write_attribute(f"{here}/{AUTOPROBE}", f"{int(autoprobe)}\n", timeout)
    if number:
        host.write_attribute(f"{here}/{NUMBER}", f"{number}\n", timeout)
