# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it means for the others that some of the cards behind NVSwitches are taken from the host."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.wording import listed
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.nvswitch import SHARED

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.nvswitch import Fabric

SHOWN = 3
HOSTS_OWN = 0
"""Of FABRIC_MODE: for the host's own cards, or for a guest that has cards and switches."""
GUEST = (
    "A guest with a single one of the cards does without NVLink (NVreg_NvLinkDisable=1 for its nvidia module); one with several needs "
    "a partition of the fabric manager, or all cards and switches"
)


def sentence(fabric: Fabric, taken: t.Container[str]) -> str | None:
    """About all functions that are the guests' by then, by their addresses; None where nothing of the board is, or all of it."""
    cards = [card for card in fabric.cards if card.address in taken]
    kept = [card for card in fabric.cards if card.address not in taken]
    switches = [switch for switch in fabric.switches if switch.address in taken]
    kept_switches = [switch for switch in fabric.switches if switch.address not in taken]
    if kept and switches:
        return (
            f"The claims take the {_switches(switches)} and leave the host {_cards(kept)}: CUDA does not start on a card whose switches "
            "nobody on the host can configure (error 802). Leave the switches to the host, or claim all cards behind them."
        )
    if not cards or not (kept or kept_switches):
        return None
    if fabric.is_direct:
        return (
            f"{_taken(cards, kept, ' that such boards link to each other by NVLink')} What goes over a link passes no IOMMU: give "
            "cards that are linked to one guest."
        )
    behind = f" behind the {_switches(fabric.switches)}" if fabric.switches else " behind NVSwitches"
    return f"{_taken(cards, kept, behind)} {_manager(fabric, kept)} {GUEST}."


def _taken(cards: t.Sequence[Device], kept: t.Sequence[Device], behind: str) -> str:
    of = len(cards) + len(kept)
    if not kept:
        return f"All {of} cards{behind} are claimed, and the switches stay with the host."
    verb, them, peers = ("are", "them", "peers") if len(cards) > 1 else ("is one", "it", "peer")
    rest = f"the {len(kept)} that stay with the host lose" if len(kept) > 1 else f"{kept[0].address}, which stays with the host, loses"
    return f"{_names(cards)} {verb} of {of} cards{behind}: {rest} {them} as NVLink {peers}."


def _manager(fabric: Fabric, kept: t.Sequence[Device]) -> str:
    if fabric.masked:
        return f"The fabric manager is masked ({fabric.masked}); without it CUDA does not start on the cards that have NVLink (error 802)."
    if fabric.mode is None:
        return "No fabric manager was found on this host; without one CUDA does not start on the cards that have NVLink (error 802)."
    where = f"FABRIC_MODE={fabric.mode} ({fabric.source})"
    if fabric.mode == SHARED:
        return f"The fabric manager gives guests partitions of the switches, {where}: activate theirs before the guest starts."
    if fabric.mode == HOSTS_OWN and kept:
        found = f"The fabric manager configures the switches for the cards that it finds when it starts, {where}"
        return f"{found}: start it again for those that stay."
    if fabric.mode == HOSTS_OWN:
        return f"The fabric manager configures the switches for the host's own cards, {where}; partitions take FABRIC_MODE={SHARED}."
    return f"The fabric manager shares the switches among virtual GPUs, whose cards keep NVIDIA's driver, {where}."


def _switches(found: t.Sequence[Device]) -> str:
    return f"NVSwitch{'es' * (len(found) > 1)} {_names(found)}"


def _cards(found: t.Sequence[Device]) -> str:
    return f"the card{'s' * (len(found) > 1)} {_names(found)}"


def _names(found: t.Sequence[Device]) -> str:
    return listed([one.address for one in found], SHOWN)
