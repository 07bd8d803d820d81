# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counts for the documentation: by kernel, and by what the configurations said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import machine
from comparison_result import DeviceResult, Status
from config_builder import Case

from ansible_collections.vfio.variants.tests import marked_page

BEGIN = "<!-- counts: written by tests/forecast/run --table -->"
END = "<!-- end of counts -->"
COLUMNS = ("configurations", "devices judged", "right", "race shown", "race, one side seen", "unknown", "wrong")


@dataclass(frozen=True)
class Result:
    """A case, and how the forecast for each of its devices stood."""

    case: Case
    judged: tuple[DeviceResult, ...]

    @property
    def is_wrong(self) -> bool:
        return any(one.status is Status.WRONG for one in self.judged)


def counts(results: Sequence[Result]) -> tuple[int, ...]:
    """One row of the table."""
    judged = [one.status for result in results for one in result.judged]
    statuses = (Status.RIGHT, Status.SHOWN, Status.OPEN, Status.UNKNOWN, Status.WRONG)
    return (len(results), len(judged), *(judged.count(status) for status in statuses))


def rendered(results: Sequence[Result]) -> str:
    by_kernel = _rows(results, "kernel", lambda result: (result.case.configuration.series,))
    by_flow = _rows(results, "initramfs", lambda result: (result.case.configuration.flow,))
    by_directive = _rows(results, "directive", lambda result: result.case.directives)
    return f"{by_kernel}\n{one_side(results)}\n\n{by_flow}\n{by_directive}"


def one_side(results: Sequence[Result]) -> str:
    """Why of some races one side only was seen."""
    left = [(result, one) for result in results for one in result.judged if one.status is Status.OPEN]
    if not left:
        return "Of each race both sides were seen."
    virtual = [one for _result, one in left if one.address in machine.VIRTUAL_ADDRESSES]
    names = sorted({result.case.configuration.name for result, one in left if one not in virtual})
    sentences = [f"Of {len(left)} races one side was seen."]
    if virtual:
        sentences.append(
            f"{len(virtual)} are about virtual functions: there udev's rule has to be quicker than the kernel, which offers the function "
            "to drivers right after it has sent the event. That cannot be brought about from outside; it happened in other boots."
        )
    if names:
        sentences.append(f"The other side did not come up whatever came first, or was not tried, with {', '.join(names)}.")
    return " ".join(sentences)


def _rows(results: Sequence[Result], title: str, keys: Callable[[Result], Iterable[str]]) -> str:
    grouped: dict[str, list[Result]] = {}
    for result in results:
        for key in keys(result):
            grouped.setdefault(key, []).append(result)
    lines = [f"| {title} | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    lines += [_row(f"`{key}`", counts(grouped[key])) for key in sorted(grouped, key=_version)]
    if title == "kernel":
        lines.append(_row("all", counts(results)))
    return "".join(f"{line}\n" for line in lines)


def _row(name: str, numbers: Iterable[int]) -> str:
    return f"| {name} | {' | '.join(str(number) for number in numbers)} |"


def _version(text: str) -> tuple[tuple[int, ...], str]:
    parts = text.split(".")
    return (tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else (), text)


def write(page: Path, results: Sequence[Result]) -> None:
    """Put the counts between the marks of a page.  Raises ValueError without them."""
    marked_page.rewrite(page, BEGIN, END, f"\n{rendered(results)}")
