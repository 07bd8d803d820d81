# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forecast against boot, device by device.  Pure: what was said and what was seen go in."""

from __future__ import annotations

import enum
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from observation import RUNTIME, STAGES
from records import Owners

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, RACE, UNKNOWN, Winner


class Verdict(enum.Enum):
    """How a forecast for one device stands against what its boots did."""

    RIGHT = "right"
    WRONG = "wrong"
    SHOWN = "race shown"
    OPEN = "race, one outcome seen"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Judged:
    """One device of one case.  ``observed`` are the owners that were seen, by variation; ``why`` explains a wrong answer."""

    address: str
    winner: Winner | None
    observed: Mapping[str, str | None]
    verdict: Verdict
    why: str = ""


def judge(winners: Mapping[str, Winner], boots: Mapping[str, tuple[Owners, Mapping[str, Owners]]]) -> list[Judged]:
    """Every device that was seen or foretold.  ``boots`` are owners, and owners by stage, by variation."""
    addresses = sorted({*winners, *(address for owners, _stages in boots.values() for address in owners)})
    return [_judge(address, winners.get(address), boots) for address in addresses]


def _judge(address: str, winner: Winner | None, boots: Mapping[str, tuple[Owners, Mapping[str, Owners]]]) -> Judged:
    # A virtual function that nothing made has no driver either.
    seen = {variation: owners.get(address) for variation, (owners, _stages) in boots.items()}
    if winner is None:
        return Judged(address, None, seen, Verdict.WRONG, "there is no forecast for this device")
    if not seen:
        return Judged(address, winner, seen, Verdict.WRONG, "nothing was booted")
    if winner.certainty == UNKNOWN:
        return Judged(address, winner, seen, Verdict.UNKNOWN)
    allowed = (winner.driver,) if winner.certainty == CERTAIN else winner.outcomes
    others = {variation: driver for variation, driver in seen.items() if driver not in allowed}
    if others:
        return Judged(address, winner, seen, Verdict.WRONG, _difference(allowed, others))
    if winner.certainty == RACE:
        return Judged(address, winner, seen, Verdict.SHOWN if len(set(seen.values())) > 1 else Verdict.OPEN)
    late = _stage_difference(address, winner, boots)
    return Judged(address, winner, seen, Verdict.WRONG if late else Verdict.RIGHT, late)


def _difference(allowed: Iterable[str | None], others: Mapping[str, str | None]) -> str:
    seen = ", ".join(f"{shown(driver)}{f' ({variation})' if variation else ''}" for variation, driver in others.items())
    return f"foretold {' or '.join(shown(driver) for driver in allowed)}, seen {seen}"


def _stage_difference(address: str, winner: Winner, boots: Mapping[str, tuple[Owners, Mapping[str, Owners]]]) -> str:
    """Whether the device was settled in another stage than the forecast says."""
    if winner.driver is None or winner.stage in (None, RUNTIME):
        # What binds a device at run time may take it away first from the very driver that it then gives it to.
        return ""
    for owners, stages in boots.values():
        first = next((stage for stage in STAGES if stages.get(stage, {}).get(address) == owners.get(address)), None)
        if first is not None and first != winner.stage and winner.stage in stages:
            return f"foretold {winner.driver} from stage {winner.stage} on, seen from {first} on"
    return ""


def shown(driver: str | None) -> str:
    return "no driver" if driver is None else driver


def of(verdict: Verdict, judged: Iterable[Judged]) -> list[Judged]:
    return [one for one in judged if one.verdict is verdict]


Answers = t.Mapping[str, Winner]
