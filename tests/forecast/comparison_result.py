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
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER


class Status(enum.Enum):
    """How a forecast for one device stands against what its boots did."""

    RIGHT = "right"
    WRONG = "wrong"
    SHOWN = "race shown"
    OPEN = "race, one outcome seen"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DeviceResult:
    """One device of one case.  ``observed`` are the owners that were seen, by variation; ``why`` explains a wrong answer."""

    address: str
    winner: Winner | None
    observed: Mapping[str, str | None]
    status: Status
    why: str = ""


def compare(winners: Mapping[str, Winner], boots: Mapping[str, tuple[Owners, Mapping[str, Owners]]]) -> list[DeviceResult]:
    """Every device that was seen or predicted.  ``boots`` are owners, and owners by stage, by variation."""
    addresses = sorted({*winners, *(address for owners, _stages in boots.values() for address in owners)})
    return [_compare(address, winners.get(address), boots) for address in addresses]


def _compare(address: str, winner: Winner | None, boots: Mapping[str, tuple[Owners, Mapping[str, Owners]]]) -> DeviceResult:
    # A virtual function that nothing made has no driver either.
    seen = {variation: owners.get(address) for variation, (owners, _stages) in boots.items()}
    if winner is None:
        return DeviceResult(address, None, seen, Status.WRONG, "there is no forecast for this device")
    if not seen:
        return DeviceResult(address, winner, seen, Status.WRONG, "nothing was booted")
    allowed = (winner.driver,) if winner.certainty == CERTAIN else winner.outcomes
    others = {variation: driver for variation, driver in seen.items() if driver not in allowed and ANOTHER not in allowed}
    if others:
        return DeviceResult(address, winner, seen, Status.WRONG, _difference(allowed, others))
    if winner.certainty == UNKNOWN:
        return DeviceResult(address, winner, seen, Status.UNKNOWN)
    if winner.certainty == RACE:
        return DeviceResult(address, winner, seen, Status.SHOWN if len(set(seen.values())) > 1 else Status.OPEN)
    late = _stage_difference(address, winner, boots) if winner.because else f"predicted {shown(winner.driver)} without a reason"
    return DeviceResult(address, winner, seen, Status.WRONG if late else Status.RIGHT, late)


def _difference(allowed: Iterable[str | None], others: Mapping[str, str | None]) -> str:
    seen = ", ".join(f"{shown(driver)}{f' ({variation})' if variation else ''}" for variation, driver in others.items())
    return f"predicted {' or '.join(shown(driver) for driver in allowed)}, got {seen}"


def _stage_difference(address: str, winner: Winner, boots: Mapping[str, tuple[Owners, Mapping[str, Owners]]]) -> str:
    """Whether the device was settled in another stage than the forecast says."""
    if winner.driver is None or winner.stage in (None, RUNTIME):
        # What binds a device at run time may take it away first from the very driver that it then gives it to.
        return ""
    for owners, stages in boots.values():
        first = next((stage for stage in STAGES if stages.get(stage, {}).get(address) == owners.get(address)), None)
        if first is not None and first != winner.stage and winner.stage in stages:
            return f"predicted {winner.driver} from stage {winner.stage} on, got it from {first} on"
    return ""


def shown(driver: str | None) -> str:
    return "no driver" if driver is None else driver


def of(status: Status, judged: Iterable[DeviceResult]) -> list[DeviceResult]:
    return [one for one in judged if one.status is status]


Answers = t.Mapping[str, Winner]
