# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a root may do to drivers that exist and cannot be read: bounded by what their readers would do with them."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_runtime import CATCH_ALL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import cut
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ACTS, Influence

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act

MOST_SHOWN = 20
# Nothing reads them at boot: what packages are installed, and what an initramfs or a menu is made from.
NOT_OF_A_BOOT = re.compile(
    r"/var/lib/(?:dpkg|pacman|rpm|dkms)(?:/|$)|/usr/lib/sysimage/|/usr/src/|/(?:etc|usr/lib)/os-release$|/etc/machine-id$"
    r"|/(?:etc|usr/share|usr/lib)/(?:initramfs-tools|dracut|dracut\.conf\.d|mkinitcpio\.d|mkinitcpio\.conf\.d|grub\.d)(?:/|$)"
    r"|/etc/(?:dracut\.conf|mkinitcpio\.conf|booster\.yaml|kernel/.*|default/(?:grub|grub\.d/.*|kexec))$"
    r"|/var/(?:cache|log)/|/etc/vfio-variants"
)
OF_LOADER = re.compile(r"/(?:boot|efi)(?:/|$)")
OF_KERNEL = re.compile(r"(?:/usr)?/lib/modules/([^/]+)/")
LISTS = re.compile(r"/(?:etc|usr/lib|usr/local/lib|lib)/modules-load\.d(?:/|$)|/etc/modules$")
DRIVERCTL = re.compile(r"/etc/driverctl\.d/pci-([0-9a-fA-F:.]+)$")
OF_NETWORK = re.compile(r"/(?:etc|usr/lib|usr/local/lib|lib)/(?:netplan|NetworkManager|systemd/network)/")
NETWORK = 0x02
LOADS: frozenset[Act] = frozenset(("load",))


def noticed(boots: t.Sequence[Boot], unread: t.Mapping[str, str], inventory: Inventory) -> tuple[Boot, ...]:
    """The boots with what these files may do; ``unread`` has the reason by path."""
    return tuple(_noticed(boot, unread, inventory) for boot in boots) if unread else tuple(boots)


def _noticed(boot: Boot, unread: t.Mapping[str, str], inventory: Inventory) -> Boot:
    doubts: list[str] = []
    anywhere: list[Influence] = []
    in_root: list[Influence] = []
    for path, why in list(unread.items())[:MOST_SHOWN]:
        release = OF_KERNEL.match(path)
        if OF_LOADER.match(path):
            doubts.append(f"{cut(path)} cannot be read: {why}.")
        elif release is not None:
            if release[1] == boot.release:
                anywhere.append(_influence(path, why, LOADS if path.endswith("/modules.softdep") else ACTS))
        elif not NOT_OF_A_BOOT.match(path):
            in_root += _of_root(path, why, inventory, boot.later.driverctl_adds_ids)
    if len(unread) > MOST_SHOWN:
        in_root.append(Influence("/", f"has {len(unread) - MOST_SHOWN} further files that cannot be read"))
    stages = tuple(
        dataclasses.replace(stage, influences=(*stage.influences, *in_root)) if stage.name == ROOT else stage for stage in boot.stages
    )
    later = dataclasses.replace(boot.later, influences=(*boot.later.influences, *in_root))
    return dataclasses.replace(boot, stages=stages, later=later, influences=(*boot.influences, *anywhere), doubts=(*boot.doubts, *doubts))


def _of_root(path: str, why: str, inventory: Inventory, adds_ids: bool) -> t.Iterator[Influence]:
    saved = DRIVERCTL.match(path)
    if saved is not None:
        own = [device for device in inventory.devices if device.address == saved[1].lower()]
        addresses = frozenset(device.address for device in own)
        yield dataclasses.replace(_influence(path, why, frozenset(("override", "unbind", "bind"))), addresses=addresses)
        if adds_ids:
            alike = frozenset(other.address for device in own for other in inventory.devices if other.id == device.id)
            ids = _influence(path, why, frozenset(("new_id",)))
            yield dataclasses.replace(ids, addresses=alike, drivers=frozenset((CATCH_ALL,)))
    elif OF_NETWORK.match(path):
        cards = {device.address for device in inventory.devices if device.class_code >> 16 == NETWORK}
        of_cards = _influence(path, why, frozenset(("create", "unbind", "bind", "lock")))
        yield dataclasses.replace(of_cards, addresses=frozenset(cards))
    else:
        yield _influence(path, why, LOADS if LISTS.match(path) else ACTS)


def _influence(path: str, why: str, acts: frozenset[Act]) -> Influence:
    return Influence(cut(path), f"cannot be read: {why}", acts)
