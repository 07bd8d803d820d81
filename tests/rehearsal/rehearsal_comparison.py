# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal against the real boot, function by function."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable

from rehearsal_records import Function, RehearsedHost

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.comparison import ABSENT, CERTAIN, VARIES

_RACE = "race"


class Result(enum.Enum):
    """How the rehearsal's word for a function stands against its boot."""

    SAME = "same"
    NAMED = "cause named"
    SILENT = "not rehearsed"
    OTHER = "disagrees"


def result_of(host: RehearsedHost, function: Function) -> Result:
    if function.result == ABSENT:
        return Result.SILENT
    if all(_driver(one) == _driver(function.real) for one in function.outcomes):
        return Result.SAME
    return Result.NAMED if _is_named(host, function) else Result.OTHER


def _is_named(host: RehearsedHost, function: Function) -> bool:
    """Whether the rehearsal's result said before the boot that this function may come to another end, and why."""
    return (
        function.result == VARIES or function.certainty == _RACE or any(line.startswith(f"{function.address} ") for line in host.different)
    )


def counts(hosts: Iterable[RehearsedHost]) -> Counter[str]:
    """By result, and ``hosts``, ``functions``, those of which the forecast was not ``certain`` and that were the same, and ``unended``."""
    found: Counter[str] = Counter()
    for host in hosts:
        found["hosts"] += 1
        found["unended"] += bool(host.problem)
        for function in host.functions:
            known = result_of(host, function)
            found["functions"] += 1
            found[known.value] += 1
            found["uncertain"] += function.certainty != CERTAIN and known is Result.SAME
    return found


def disagreements(host: RehearsedHost) -> list[str]:
    return [
        f"{host.name} (Linux {host.series}) {one.address}: rehearsed {_shown(one.outcomes)}, booted {one.real or 'no driver'};"
        f" the forecast was {one.predicted or 'no driver'}, {one.certainty}"
        for one in host.functions
        if result_of(host, one) is Result.OTHER
    ]


def _shown(outcomes: Iterable[str | None]) -> str:
    return " or ".join(one or "no driver" for one in outcomes)


def _driver(name: str | None) -> str | None:
    return None if name is None else name.replace("-", "_")
