# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said where claims take a part of the cards that NVSwitches connect."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.nvlink_peers import GUEST, sentence
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.nvswitch import Fabric
from ansible_collections.vfio.variants.tests.unit.boots import device

CARDS = [f"0000:{bus}:00.0" for bus in ("1b", "43", "52", "61")]
SWITCHES = ["0000:05:00.0", "0000:06:00.0"]
SOURCE = "/usr/share/nvidia/nvswitch/fabricmanager.cfg"
THE_OTHER_THREE = f"{CARDS[1]}, {CARDS[2]} and {CARDS[3]}"
ALONE = "No fabric manager was found on this host; without one CUDA does not start on the cards that have NVLink (error 802)."
BEHIND = f"behind the NVSwitches {' and '.join(SWITCHES)}"
AGAIN = f"The fabric manager configures the switches for the cards that it finds when it starts, FABRIC_MODE=0 ({SOURCE}): start it again"


def fabric(mode: int | None = None, cards: int = 4, switches: int = 2) -> Fabric:
    def functions(addresses: list[str], class_code: int) -> tuple:  # type: ignore[type-arg]
        return tuple(device(address, class_code=class_code) for address in addresses)

    return Fabric(functions(CARDS[:cards], 0x030200), functions(SWITCHES[:switches], 0x068000), mode, "" if mode is None else SOURCE)


@pytest.mark.parametrize(
    ("board", "taken", "said"),
    [
        (fabric(), [], None),
        (fabric(), [*CARDS, *SWITCHES], None),
        (fabric(switches=0), CARDS, None),
        (
            fabric(),
            CARDS[:1],
            f"{CARDS[0]} is one of 4 cards {BEHIND}: the 3 that stay with the host lose it as NVLink peer. {ALONE} {GUEST}.",
        ),
        (
            fabric(),
            CARDS[:3],
            (
                f"{CARDS[0]}, {CARDS[1]} and {CARDS[2]} are of 4 cards {BEHIND}: {CARDS[3]}, which stays with the host, "
                f"loses them as NVLink peers. {ALONE} {GUEST}."
            ),
        ),
        (
            fabric(switches=0),
            CARDS[:2],
            (
                f"{CARDS[0]} and {CARDS[1]} are of 4 cards behind NVSwitches: the 2 that stay with the host lose them as NVLink peers. "
                f"{ALONE} {GUEST}."
            ),
        ),
        (fabric(), CARDS, f"All 4 cards {BEHIND} are claimed, and the switches stay with the host. {ALONE} {GUEST}."),
        (
            fabric(),
            [CARDS[0], *SWITCHES],
            (
                f"The claims take the NVSwitches {' and '.join(SWITCHES)} and leave the host the cards {THE_OTHER_THREE}: CUDA does "
                "not start on a card whose switches nobody on the host can configure (error 802). Leave the switches to the host, or claim "
                "all cards behind them."
            ),
        ),
        (
            fabric(cards=2),
            [CARDS[0], SWITCHES[0]],
            (
                f"The claims take the NVSwitch {SWITCHES[0]} and leave the host the card {CARDS[1]}: CUDA does not start on a card whose "
                "switches nobody on the host can configure (error 802). Leave the switches to the host, or claim all cards behind them."
            ),
        ),
        (
            fabric(cards=2, switches=1, mode=0),
            CARDS[:1],
            (
                f"{CARDS[0]} is one of 2 cards behind the NVSwitch {SWITCHES[0]}: {CARDS[1]}, which stays with the host, loses it as "
                f"NVLink peer. {AGAIN} for those that stay. {GUEST}."
            ),
        ),
    ],
)
def test_what_others_lose_is_said_once(board: Fabric, taken: list[str], said: str | None) -> None:
    assert sentence(board, taken) == said


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (
            0,
            (
                f"The fabric manager configures the switches for the host's own cards, FABRIC_MODE=0 ({SOURCE}); "
                "partitions take FABRIC_MODE=1."
            ),
        ),
        (
            1,
            (
                f"The fabric manager gives guests partitions of the switches, FABRIC_MODE=1 ({SOURCE}): "
                "activate theirs before the guest starts."
            ),
        ),
        (2, f"The fabric manager shares the switches among virtual GPUs, whose cards keep NVIDIA's driver, FABRIC_MODE=2 ({SOURCE})."),
    ],
)
def test_the_fabric_managers_mode_decides_what_is_to_be_done(mode: int, said: str) -> None:
    assert (sentence(fabric(mode), CARDS) or "").endswith(f"the switches stay with the host. {said} {GUEST}.")


def test_more_names_than_three_are_counted() -> None:
    assert f"{', '.join(CARDS[:3])} and 1 more" in (sentence(fabric(), [SWITCHES[0]]) or "")
