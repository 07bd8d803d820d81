# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in a few words: what a fleet's table shows of it, and what its metrics are made of."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import CERTAIN, ClaimResult, DeviceData, HostData
from ansible_collections.vfio.variants.plugins.plugin_utils._report.wording import cut, driver_name, outcome_text

#: The states of a host, worst first, each with what it means.
STATES = {
    "not examined": "The host could not be examined.",
    "not as claimed": "A device is not bound as claimed, or is not certain to be after the next boot.",
    "drift": "A device will have another driver after the next boot than now.",
    "uncertain": "For a device the driver after the next boot is a race or cannot be determined.",
    "warnings": "The policy has contradictions or lines without effect.",
    "steady": "The next boot gives each device the driver that it has now.",
}
MOST_SHOWN = 6
"""Devices and sentences of a host that a fleet's table names; the others are counted."""
MOST_CLAIMS = 4096
COUNTED = ("changing", "uncertain", "warnings", "old_in_use", "sentences")
LONGEST_NAME = 255


@dataclass(frozen=True)
class ClaimedDevice:
    """A claimed device with its driver now and the claim's state now and after the next boot."""

    address: str
    id: str
    claimed: str | None
    driver: str | None
    satisfied: bool | None
    will_be_satisfied: bool | None


@dataclass(frozen=True)
class Summary:
    """A host's row.  ``claims`` are all of its claimed devices; ``changes`` and ``remarks`` are sentences, the first few."""

    name: str
    state: str
    examined_at: int = 0
    running: str | None = None
    next_release: str | None = None
    devices: int = 0
    changing: int = 0
    uncertain: int = 0
    warnings: int = 0
    old_in_use: int = 0
    """VFIO drivers of which another version is loaded than is installed."""
    sentences: int = 0
    """All that could be said: `changes` and `remarks` have the first few."""
    claims: tuple[ClaimedDevice, ...] = ()
    changes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    page: str | None = None

    @property
    def satisfied(self) -> int:
        return sum(1 for claim in self.claims if claim.satisfied)

    @property
    def will_be_satisfied(self) -> int:
        return sum(1 for claim in self.claims if claim.will_be_satisfied)

    def plain(self) -> dict[str, t.Any]:
        """In types that JSON has."""
        return {
            **asdict(self),
            "claims": [asdict(claim) for claim in self.claims],
            "changes": list(self.changes),
            "remarks": list(self.remarks),
        }

    @classmethod
    def from_plain(cls, given: Mapping[str, t.Any]) -> Summary:
        """KeyError, TypeError or ValueError if `plain()` did not return it."""
        claims = tuple(ClaimedDevice(**claim) for claim in given.get("claims", ()))
        texts = {name: tuple(map(str, given.get(name, ()))) for name in ("changes", "remarks")}
        counts = {name: int(given.get(name, 0)) for name in ("examined_at", "devices", *COUNTED)}
        found = cls(**{**given, **texts, **counts, "claims": claims})
        if found.state not in STATES:
            raise ValueError(found.state)
        return found


def not_examined(name: str, why: str) -> Summary:
    return Summary(name=cut(name, LONGEST_NAME), state="not examined", sentences=1, remarks=(cut(why),))


def summarise(host: HostData, page: str | None = None) -> Summary:
    """``page`` is the host's own page, relative to that of the fleet."""
    watched = [device for device in host.devices if not device.is_bridge]
    changing, uncertain = _changing(host), _uncertain(host)
    changes = changes_of(host)
    claims = tuple(_claimed(device, device.claim) for device in watched if device.claim is not None)[:MOST_CLAIMS]
    warnings = warnings_of(host)
    return Summary(
        name=cut(host.name, LONGEST_NAME),
        state=_state(claims, host, changing, uncertain, warnings),
        examined_at=host.examined_at,
        running=host.running,
        next_release=host.next_release,
        devices=len(watched),
        changing=len(changing),
        uncertain=len(uncertain),
        warnings=len(warnings),
        old_in_use=len(host.old_in_use),
        sentences=len(changes) + len(host.failures) + len(warnings),
        claims=claims,
        changes=tuple(changes[:MOST_SHOWN]),
        remarks=tuple(cut(sentence, 300) for sentence in (*host.failures, *warnings)[:MOST_SHOWN]),
        page=page,
    )


def warnings_of(host: HostData) -> list[str]:
    """The warnings of a host and its devices, each once."""
    return list(dict.fromkeys((*(sentence for device in host.devices for sentence in device.warnings), *host.warnings)))


def _claimed(device: DeviceData, claim: ClaimResult) -> ClaimedDevice:
    return ClaimedDevice(device.address, device.id, claim.driver, device.driver, claim.satisfied, claim.will_be_satisfied)


def _state(
    claims: tuple[ClaimedDevice, ...], host: HostData, changing: list[DeviceData], uncertain: list[DeviceData], warnings: list[str]
) -> str:
    if host.failures or any(claim.satisfied is False or claim.will_be_satisfied is False for claim in claims):
        return "not as claimed"
    if changing:
        return "drift"
    if uncertain:
        return "uncertain"
    return "warnings" if warnings else "steady"


def _changing(host: HostData) -> list[DeviceData]:
    return [device for device in host.devices if device.changes and not device.is_bridge]


def _uncertain(host: HostData) -> list[DeviceData]:
    return [
        device for device in host.devices if device.next_boot is not None and device.next_boot.certainty != CERTAIN and not device.is_bridge
    ]


def changes_of(host: HostData) -> list[str]:
    """What differs, or may differ, after the next boot: one sentence for all devices with one ID and one outcome."""
    alike: dict[tuple[str, str], list[str]] = {}
    for device in (*_changing(host), *_uncertain(host)):
        outcome = "" if device.next_boot is None else outcome_text(device.next_boot)
        alike.setdefault((device.id, f"{driver_name(device.driver)} → {outcome}"), []).append(device.address)
    return [
        cut(f"{first}{f' and {len(others)} more' if others else ''}, {identity}: {what}", 200)
        for (identity, what), (first, *others) in alike.items()
    ]
