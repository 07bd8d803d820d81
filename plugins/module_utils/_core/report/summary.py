# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks about a device, in one flat entry: what it is, its driver now and after the next boot, and why."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import NOT_KNOWN, RACE, UNKNOWN

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result

Detail = t.Literal["brief", "full"]
"""Whether the fields that this file makes are all that is returned."""

DEVICE = (
    *("address", "id", "name", "driver", "next_driver", "certainty", "because"),
    *("iommu_group", "variant_driver", "missing_variants", "warnings"),
)
HOST = ("next_boot", "policy_warnings", "warnings", "old_in_use")
OR = "or "
NO_DRIVER = "no driver"
SKIPPED = f"{NOT_KNOWN}: "


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
