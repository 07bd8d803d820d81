# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prediction against a boot, function by function.  Pure: what was said and what was seen go in."""

from __future__ import annotations

import enum
import typing as t
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from world_configuration import World
from world_records import Record

ANOTHER = "another driver"
"""Among outcomes it stands for any driver."""
CERTAIN, UNKNOWN = "certain", "unknown"


class Result(enum.Enum):
    """How an answer for one function stands against its boot."""

    RIGHT = "certain and right"
    POSSIBLE = "one of several outcomes"
    OPEN = "unknown, owner among the outcomes"
    WRONG = "certain wrong"
    MISSED = "owner not in outcomes"


BAD = (Result.WRONG, Result.MISSED)


class Answer(t.Protocol):
    """What is predicted for one function."""

    @property
    def driver(self) -> str | None: ...
    @property
    def certainty(self) -> str: ...
    @property
    def outcomes(self) -> Sequence[str | None]: ...


@dataclass(frozen=True)
class Judged:
    """``said`` are the outcomes, ``because`` the reasons that came with them."""

    address: str
    result: Result
    certainty: str
    said: tuple[str | None, ...]
    seen: str | None
    because: tuple[str, ...] = ()


@dataclass(frozen=True)
class JudgedHost:
    """Without functions where nothing could be predicted: ``error`` says why."""

    world: World
    functions: tuple[Judged, ...] = ()
    error: str = ""

    @property
    def is_bad(self) -> bool:
        return bool(self.error) or any(one.result in BAD for one in self.functions)


def judge(record: Record, answers: t.Mapping[str, Answer]) -> JudgedHost:
    """Every function that was seen or predicted."""
    addresses = sorted({*record.seen.owners, *answers})
    return JudgedHost(record.world, tuple(_judge(address, answers.get(address), record.seen.owners.get(address)) for address in addresses))


def _judge(address: str, answer: Answer | None, seen: str | None) -> Judged:
    if answer is None:
        # A function that only exists after the boot, and has no driver then.
        return Judged(address, Result.MISSED, "nothing", (), seen)
    because = tuple(str(one) for one in getattr(answer, "because", ()))
    if answer.certainty == CERTAIN:
        # What is certain has a reason.
        result = Result.RIGHT if answer.driver == seen and because else Result.WRONG
        return Judged(address, result, answer.certainty, (answer.driver,), seen, because)
    said = tuple(answer.outcomes)
    is_in = seen in said or (seen is not None and ANOTHER in said)
    result = (Result.OPEN if answer.certainty == UNKNOWN else Result.POSSIBLE) if is_in else Result.MISSED
    return Judged(address, result, answer.certainty, said, seen, because)


def counts(hosts: Iterable[JudgedHost]) -> Counter[Result]:
    return Counter(one.result for host in hosts for one in host.functions)


def by_mechanism(hosts: Iterable[JudgedHost]) -> dict[str, Counter[str]]:
    """For each mechanism: hosts, functions that it is about, and how many of these were unknown, and bad."""
    found: dict[str, Counter[str]] = {}
    for host in hosts:
        for name in {planted.mechanism for planted in host.world.planted}:
            found.setdefault(name, Counter())["hosts"] += 1
        for planted in host.world.planted:
            for one in host.functions:
                if planted.address in ("", one.address):
                    count = found[planted.mechanism]
                    count["functions"] += 1
                    count["unknown"] += one.certainty == UNKNOWN
                    count["several"] += one.result is Result.POSSIBLE
                    count["bad"] += one.result in BAD
    return found
