# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the guide: how many rehearsals came to the end that the real boot came to."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence
from pathlib import Path

import configuration
import rehearsal_comparison
from rehearsal_comparison import Result
from rehearsal_records import RehearsedHost

from ansible_collections.vfio.variants.tests import marked_page

BEGIN = "<!-- rehearsals: written by tests/rehearsal/run --table -->"
END = "<!-- end of rehearsals -->"
_HEAD = (
    "hosts with",
    "hosts",
    "functions",
    "same owner",
    "of them not certain by the forecast",
    "not rehearsed",
    "cause named",
    "disagree",
)
#: Where no program's name says how the initramfs goes about it.
_FLOWS = {configuration.NO_COLDPLUG: "an initramfs without udev"}


def rendered(hosts: Sequence[RehearsedHost]) -> str:
    lines = [f"| {' | '.join(_HEAD)} |", f"|---|{'---:|' * (len(_HEAD) - 1)}"]
    for title, chosen in _groups(hosts):
        count = rehearsal_comparison.counts(chosen)
        values = [count[name] for name in ("hosts", "functions", Result.SAME.value, "uncertain")]
        values += [count[one.value] for one in (Result.SILENT, Result.NAMED, Result.OTHER)]
        lines.append(f"| {title} | {' | '.join(map(str, values))} |")
    unended = [host for host in hosts if host.problem]
    return "".join(f"{line}\n" for line in lines) + "".join(f"\n{host.name} came to no end: {host.problem}\n" for host in unended)


def _groups(hosts: Sequence[RehearsedHost]) -> t.Iterator[tuple[str, Sequence[RehearsedHost]]]:
    for series in sorted({host.series for host in hosts}, key=lambda name: [int(part) for part in name.split(".")]):
        yield f"Linux {series}", [host for host in hosts if host.series == series]
    for flow in sorted({host.flow for host in hosts}):
        yield _FLOWS.get(flow, f"an initramfs of {flow}"), [host for host in hosts if host.flow == flow]
    unified = [host for host in hosts if host.unified]
    if unified:
        yield "a unified kernel image, by UEFI", unified
    yield "all", hosts


def write(page: Path, hosts: Sequence[RehearsedHost]) -> None:
    """Put the table between the marks of a page.  Raises ValueError without them."""
    marked_page.rewrite(page, BEGIN, END, f"\n{rendered(hosts)}")
