# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the owners after a boot with what was predicted before it, and says which sentence of the prediction was wrong."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import UNKNOWN
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.reasons import LONGEST_REASON
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_status import ClaimStatus


@dataclasses.dataclass(frozen=True)
class PredictedBoot:
    """Of one device and kernel, as `claim_info` returned it."""

    address: str
    release: str
    certainty: str
    outcomes: tuple[str | None, ...]
    because: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What `claim_info` returned before a boot."""

    boots: tuple[PredictedBoot, ...]
    next_release: str | None
    reason: str

    @classmethod
    def parse(cls, given: t.Mapping[str, t.Any]) -> Prediction:
        """Raises HostError for what `claim_info` does not return."""
        try:
            boots = tuple(
                PredictedBoot(
                    _text(device["address"]),
                    _text(release),
                    _text(boot["certainty"]),
                    tuple(None if driver is None else _text(driver) for driver in boot["outcomes"]),
                    tuple(map(_text, boot["because"])),
                )
                for device in given["devices"]
                for release, boot in device["kernels"].items()
            )
            following = given["next_boot"]
            release = following["release"]
            return cls(boots, None if release is None else _text(release), _text(following["reason"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise HostError(
                "predicted: this is not what claim_info has returned.",
                "Register the result of claim_info before the boot, and give it whole.",
            ) from error

    def wrong(self, statuses: t.Sequence[ClaimStatus], inventory: Inventory, running: str | None) -> tuple[str, ...]:
        """A sentence for each part of it that the boot has disproved."""
        if running is None:
            return ()
        found = []
        if self.next_release not in (None, running):
            found.append(f"Kernel {running} was booted, and {self.next_release} was predicted ({self.reason.rstrip('.')}).")
        now = {status.device.address: status for status in statuses}
        found += [sentence for boot in self.boots if boot.release == running for sentence in _disproved(boot, now, inventory)]
        return tuple(found)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(shown(value))
    return value


def _disproved(boot: PredictedBoot, now: t.Mapping[str, ClaimStatus], inventory: Inventory) -> t.Iterator[str]:
    device = inventory.get(boot.address)
    if boot.certainty == UNKNOWN:
        return
    expected = " or ".join("no driver" if driver is None else driver for driver in boot.outcomes)
    reasons = "; ".join(reason.rstrip(".") for reason in boot.because[:LONGEST_REASON])
    said = f"{expected} was predicted for the boot of {boot.release}{f' ({reasons})' if reasons else ''}"
    if device is None:
        yield f"{boot.address} is not there after the boot; {said}."
    elif device.driver not in boot.outcomes:
        owner = "has no driver" if device.driver is None else f"is bound to {device.driver}"
        yield f"{boot.address} ({device.id}) {owner} after the boot; {said}. {_blame(boot, now.get(boot.address))}"


def _blame(boot: PredictedBoot, status: ClaimStatus | None) -> str:
    """Which of the reasons are different now; if none is, what decided was not seen."""
    again = next((after for after in status.boots if after.release == boot.release), None) if status is not None else None
    if again is None:
        return "Whether its reasons still hold is not known."
    holds = {str(because) for because in again.winner.because}
    gone = [because.rstrip(".") for because in boot.because if because not in holds]
    if gone:
        return f"What was so before the boot, and is not now: {'; '.join(gone[:LONGEST_REASON])}."
    return "Its reasons are as they were, so something else has decided; the kernel's log may say what. Please report it with collect."
