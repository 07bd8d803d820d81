# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks about a device, in one flat entry: what it is, its driver now and after the next boot, and why."""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import NOT_KNOWN, RACE, UNKNOWN
from ansible_collections.vfio.variants.plugins.module_utils._core.host.wording import counted, listed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result

Alike = dict[tuple[str, str], list[str]]
"""The addresses of cards, by their ID and what is said of them."""
Detail = t.Literal["line", "brief", "full"]
"""How much is returned: one line for a host, the fields that this file makes for a device, or all that is known."""

DEVICE = (
    *("address", "id", "name", "driver", "next_driver", "certainty", "because"),
    *("iommu_group", "variant_driver", "missing_variants", "warnings"),
)
HOST = ("next_boot", "policy_warnings", "warnings", "old_in_use")
OR = "or "
NO_DRIVER = "no driver"
SKIPPED = f"{NOT_KNOWN}: "
NAMED = 2
"""So many addresses of identical cards are named in one line."""
KINDS = 4
"""So many kinds of cards and changes are."""


def summarized(device: Result, name: str | None) -> Result:
    """The fields of the brief answer that are not among the other ones of a device."""
    variant = device["variant"]
    found: Result = {"name": name, "variant_driver": None if variant is None else variant["driver"]}
    boot = device.get("next_boot")
    if boot is not None:
        found |= {"next_driver": boot["winner"], "certainty": boot["certainty"], "because": decisive(boot)}
    return found


def brief(answer: Result) -> Result:
    """Of a whole answer what a person reads."""
    devices = [{field: device[field] for field in DEVICE if field in device} for device in answer["devices"]]
    return {"devices": devices, **{field: answer[field] for field in HOST if field in answer}}


def decisive(boot: Result) -> str | None:
    """The one reason of the answer for the next boot; None only if there is none to give."""
    reasons: t.Sequence[str] = boot["because"]
    if boot["release"] is None:
        return t.cast("str", boot["reason"])
    if boot["certainty"] == UNKNOWN:
        return next((reason[len(SKIPPED) :] for reason in reasons if reason.startswith(SKIPPED)), None)
    own = [reason for reason in reasons if not reason.startswith(OR)]
    # What comes first makes a driver match; what comes last kept the device without one.
    first = next(iter(own if boot["winner"] is not None else own[::-1]), None)
    return first if boot["certainty"] != RACE else "; ".join(_outcomes(boot["winner"], first, reasons, own))


def _outcomes(winner: str | None, first: str | None, reasons: t.Sequence[str], own: t.Sequence[str]) -> t.Iterator[str]:
    """Each outcome of a race, with the reason that tells it from the likeliest one."""
    yield f"{winner or NO_DRIVER}{'' if first is None else f': {first}'}"
    others: dict[str, list[str]] = {}
    for reason in reasons:
        if reason.startswith(OR):
            outcome, _colon, fact = reason.partition(": ")
            others.setdefault(outcome, []).append(fact)
    for outcome, facts in others.items():
        # What keeps every driver away comes last.
        ordered = facts[::-1] if outcome == f"{OR}{NO_DRIVER}" else facts
        yield f"{outcome}: {next((fact for fact in ordered if fact not in own), ordered[0])}"


# -- in one line


def in_one_line(answer: Result) -> Result:
    """What changes at the next boot or is not certain, card by card, and how many functions keep which driver."""
    devices = answer["devices"]
    boot = answer.get("next_boot")
    said = [counted(len(devices), "function")]
    if boot is not None:
        said.append(f"next boot {boot['release'] or UNKNOWN}")
    changing: Alike = {}
    unchanged: Counter[str] = Counter()
    for device in devices:
        driver = device["driver"] or NO_DRIVER
        then = _then(device)
        if then in (driver, None):
            unchanged[driver] += 1
        else:
            changing.setdefault((device["id"], f"{driver} -> {then}"), []).append(device["address"])
    parts = [*alike(changing)]
    if unchanged:
        parts.append(how_many(unchanged) if boot is None else f"unchanged: {how_many(unchanged)}")
    warnings = {warning for device in devices for warning in device.get("warnings", ())}
    warnings.update(answer.get("policy_warnings", ()), answer.get("warnings", ()))
    if warnings:
        parts.append(counted(len(warnings), "warning"))
    return {"summary": ": ".join(filter(None, (", ".join(said), "; ".join(parts))))}


def _then(device: Result) -> str | None:
    """The driver after the next boot, or that it is not certain; None without a forecast."""
    if "certainty" not in device:
        return None
    if device["certainty"] == UNKNOWN:
        return UNKNOWN
    outcomes = [outcome or NO_DRIVER for outcome in device["next_boot"]["outcomes"]]
    return " or ".join(outcomes) if device["certainty"] == RACE else device["next_driver"] or NO_DRIVER


def alike(cards: Alike) -> t.Iterator[str]:
    """What is said of identical cards, the first kinds of them."""
    kinds = list(cards.items())
    for (identifier, said), addresses in kinds[:KINDS]:
        yield f"{identifier} at {listed(addresses, NAMED)} {said}"
    left = sum(len(addresses) for _kind, addresses in kinds[KINDS:])
    if left:
        yield f"and {counted(left, 'more function')}"


def how_many(drivers: t.Mapping[str, int]) -> str:
    """Drivers with the number of functions that have each."""
    return ", ".join(f"{driver} {number}" for driver, number in sorted(drivers.items()))


DETAILS: t.Mapping[Detail, t.Callable[[Result], Result]] = {"line": in_one_line, "brief": brief, "full": lambda answer: answer}
