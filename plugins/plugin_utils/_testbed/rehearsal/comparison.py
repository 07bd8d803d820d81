# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rehearsed boots show of each device, beside what is claimed and predicted."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.owner import (
    Decline,
    decision,
    declines,
    given,
    late_override_of,
    owner_of,
    rival_of,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import BootTrace, TraceEvent, offers, override_at
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.unseen import missing, not_shown, of_cause, racing

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.hidden_cause import HiddenCause

AGREES, DIFFERS, SHOWN, VARIES, ABSENT = "agrees", "differs", "shown", "varies", "not rehearsed"
CERTAIN = "certain"
THE_KERNEL = "the kernel"
NO_DRIVER = "no driver"
#: What a driver may ask instead of registers, and the machine does not have.
_UNLESS = (
    "on the host it does so, too, unless it goes by ACPI, DMI, firmware, sizes of windows or the configuration space behind the header"
)


@dataclass(frozen=True)
class Predicted:
    """Of one device and kernel, as `device_info` predicts it."""

    driver: str | None
    certainty: str
    because: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """Of one device in one boot: who would own it, who was offered it first, and why.

    ``rival``, ``declined`` and ``late``: as `rival_of()`, `declines()` and `late_override_of()` say; ``override``: when the owner was
    offered it.
    """

    owner: str | None
    first: str | None
    program: str | None
    stage: str | None
    line: str | None
    others: tuple[str, ...]
    rival: TraceEvent | None = None
    declined: tuple[Decline, ...] = ()
    late: str | None = None
    override: str | None = None

    @property
    def owners(self) -> tuple[str | None, ...]:
        """Each driver that may own it on the host after such a boot."""
        if self.late is not None:
            return (self.owner, self.late)
        return (self.owner,) if self.rival is None else (self.owner, self.rival.driver)

    @property
    def takers(self) -> tuple[str | None, ...]:
        """The owners, and the driver of the first offer unless it has declined by itself."""
        return self.owners if self.has_declined(self.first) else (*self.owners, self.first)

    def may_have(self, driver: str | None) -> bool:
        """Whether the driver may own it on the host though another does here: one of them has declined it here for a reason in doubt."""
        in_doubt = any(_driver(one.offer.driver) == _driver(self.owner) for one in self.declined)
        return self.has_declined(driver) or (in_doubt and (driver is None or _driver(driver) in map(_driver, self.others)))

    def has_declined(self, driver: str | None) -> bool:
        """Whether it did without having mapped a register."""
        return driver is not None and any(_driver(one.offer.driver) == _driver(driver) and not one.mapped for one in self.declined)

    @classmethod
    def of(cls, report: BootTrace, address: str) -> Seen:
        made = offers(report, address)
        owner = owner_of(report, address)
        at_end = report.overrides.get(address)
        if owner is None:
            first = made[0].driver if made else None
            others = tuple(dict.fromkeys(one.driver for one in made))
            late = late_override_of(report, address)
            return cls(None, first, None, None, None, others, declined=declines(report, address), late=late, override=at_end)
        chosen = next(one for one in made if one.line == owner.line)
        others = tuple(dict.fromkeys(one.driver for one in made if one.driver != owner.driver))
        who = THE_KERNEL if owner.process == 1 else owner.who
        rival = rival_of(report, owner)
        line = decision(report, owner)
        override = override_at(report, address, owner.seconds)
        return cls(owner.driver, made[0].driver, who, chosen.stage, line, others, rival, declines(report, address), override=override)


def row(
    address: str,
    reports: t.Sequence[BootTrace],
    predicted: Predicted | None,
    claimed: str | None,
    left_out: str | None,
    moved: tuple[str, str] | None = None,
    causes: t.Sequence[HiddenCause] = (),
) -> dict[str, t.Any]:
    """A device's row of the result; ``moved``: its address in the machine where that is another one, and why.

    ``causes`` decide on the host, and a boot here need not show them.
    """
    found = _row(address, reports, predicted, claimed, left_out, causes)
    if moved is None or left_out is not None:
        return found
    elsewhere = f"In the machine it is {moved[0]}, because {moved[1]}"
    if not found["stops"]:
        return {**found, "machine_address": moved[0], "why": f"{found['why']} {elsewhere}."}
    offered = f"was offered to {found['rehearsed'] or 'no driver'}"
    why = f"there it is {moved[0]}, because {moved[1]}, and {offered}: what names {address} did not act"
    return {**_row(address, reports, predicted, claimed, why), "machine_address": moved[0]}


def _row(
    address: str,
    reports: t.Sequence[BootTrace],
    predicted: Predicted | None,
    claimed: str | None,
    left_out: str | None,
    causes: t.Sequence[HiddenCause] = (),
) -> dict[str, t.Any]:
    basis: dict[str, t.Any] = {
        "address": address,
        "claimed": claimed,
        "predicted": predicted.driver if predicted else None,
        "certainty": predicted.certainty if predicted else None,
        "machine_address": None if left_out else address,
    }
    if left_out is not None:
        return {**basis, "result": ABSENT, "why": left_out, "rehearsed": None, "outcomes": [], "stops": False}
    seen = [Seen.of(report, address) for report in reports]
    counts = Counter(owner for one in seen for owner in one.owners)
    common = counts.most_common(1)[0][0]
    one = next(one for one in seen if common in one.owners)
    missed = [cause for report in reports for cause in not_shown(report, causes)]
    races = [cause for report in reports for cause in racing(report, address, causes)]
    result = _result(seen, predicted, bool(missed), bool(races))
    said = _named(missed, races)
    if len(seen) > 1 and len(counts) > 1:
        said = f" In {len(seen)} boots: {', '.join(f'{driver or NO_DRIVER} {number}' for driver, number in counts.most_common())}.{said}"
    not_claimed = claimed is not None and any(_driver(driver) != _driver(claimed) for one in seen for driver in one.takers)
    return {
        **basis,
        "result": result,
        "rehearsed": common,
        "outcomes": [{"driver": driver, "boots": number} for driver, number in counts.most_common()],
        "first_offer": one.first,
        "program": one.program,
        "stage": one.stage,
        "decided_by": one.line,
        "later_offers": list(one.others),
        "driver_override": one.override,
        "why": _why(address, one, result, predicted, claimed if not_claimed else None) + said,
        "stops": result == DIFFERS or not_claimed,
    }


def _result(seen: t.Sequence[Seen], predicted: Predicted | None, missed: bool, races: bool) -> str:
    certain = predicted is not None and predicted.certainty == CERTAIN
    if certain and predicted is not None:
        others = [boot for boot in seen if all(_driver(one) != _driver(predicted.driver) for one in boot.owners)]
        if not missed and any(not boot.may_have(predicted.driver) for boot in others):
            return DIFFERS
        if others:
            return VARIES
    if races or len({driver for boot in seen for driver in boot.owners}) > 1:
        return VARIES
    return AGREES if certain else SHOWN


def _why(address: str, seen: Seen, result: str, predicted: Predicted | None, claimed: str | None) -> str:
    """One sentence."""
    offered = f"{address} is offered to {seen.owner or 'no driver'}"
    by = f" by {seen.program} in the stage {seen.stage}" if seen.owner else ""
    if seen.rival is not None:
        by += f", then to {seen.rival.driver} by {seen.rival.who}, which had no driver to unbind here and may have one on the host"
    if seen.late is not None:
        by += f": it was overridden to {seen.late} only when that driver had come, which is otherwise if the override comes first"
    if claimed is not None:
        first = f", first to {seen.first}" if seen.first != seen.owner else ""
        return f"{offered}{first}{by}; it is claimed for {claimed}. {_line(seen)}"
    if result == DIFFERS and predicted is not None:
        return f"{offered}{by}; the forecast was {predicted.driver or 'no driver'}, certain. {_line(seen)}"
    if result == VARIES and predicted is not None and seen.has_declined(predicted.driver):
        return f"{offered}{by}; the forecast was {predicted.driver}, certain, which has declined it here: {_UNLESS}."
    if result == SHOWN and predicted is not None:
        return (
            f"{offered}{by}; the forecast was {predicted.certainty}: {predicted.because[0] if predicted.because else 'no reason is known'}"
        )
    return f"{offered}{by}."


def _named(missed: t.Sequence[HiddenCause], races: t.Sequence[HiddenCause]) -> str:
    """A sentence about what may lead to another owner on the host."""
    if missed:
        return f" On the host {missing(missed[0])}."
    return f" On the host {of_cause(races[0])} beside udev, and may come earlier or later." if races else ""


def _line(seen: Seen) -> str:
    return f"The trace: {seen.line}" if seen.line else "The trace has no offer."


def _driver(name: str | None) -> str | None:
    """Drivers' names as modules have them: vfio-pci and vfio_pci are the same."""
    return None if name is None else name.replace("-", "_")


def not_logged(report: BootTrace, addresses: t.Iterable[str]) -> list[str]:
    """The devices whose first offer in the trace is not the first that the driver core has logged."""
    found = []
    for address in addresses:
        made = offers(report, address)
        logged = report.log.get(address, ())
        if made and logged and made[0].driver != logged[0].driver:
            found.append(address)
    return found


def declined(report: BootTrace, addresses: t.Iterable[str]) -> list[str]:
    """A sentence about each device that a driver has declined, if that may be otherwise on the host."""
    found = []
    for address in addresses:
        owner = owner_of(report, address)
        for one in declines(report, address):
            by = f"{address} is declined by {one.offer.driver} (error {one.error})"
            if not one.mapped:
                found.append(f"{by} before it has mapped any register: {_UNLESS}")
            elif one.offer == owner:
                found.append(
                    f"{by}, whose it counts as: it may do so because of registers that are empty or missing here, or on the host, too"
                )
    return list(dict.fromkeys(found))


def unended(report: BootTrace, addresses: t.Iterable[str]) -> list[str]:
    """A sentence about each device that is not bound, and of whose last probe the kernel's log has no end, where it has that of others."""
    if not any(probe.error for logged in report.log.values() for probe in logged):
        return []
    found = []
    for address in addresses:
        logged = report.log.get(address, ())
        was_taken = any(event.kind == "unbinds" and event.device == address for event in report.events)
        if logged and logged[-1].error is None and not was_taken and report.owners.get(address) is None:
            driver = logged[-1].driver
            if not any(event.kind == "leaving" and event.driver == driver for event in report.events):
                said = f"the kernel has not said how the probe of {address} by {driver} has ended"
                found.append(f"{said}: it may still wait for registers that are empty here")
    return found


def contended(report: BootTrace, addresses: t.Iterable[str]) -> list[str]:
    """A sentence about each device that several programs gave to several drivers: one boot shows one order of them."""
    found = []
    for address in addresses:
        made = given(report.events, address)
        if len({one.process for one in made}) > 1 and len({one.driver for one in made}) > 1:
            by = " and ".join(dict.fromkeys(f"to {one.driver} by {one.who}" for one in made))
            found.append(f"{address} is given {by}: who comes last may be another one in each boot, which repeat may show")
    return found
