# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a host: what its template shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._report import drawing
from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import BootOutcome, DeviceData, HostData
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import STATES, changes_of, summarise, warnings_of
from ansible_collections.vfio.variants.plugins.plugin_utils._report.templates import moment, render
from ansible_collections.vfio.variants.plugins.plugin_utils._report.tree import TreeRow, rows_of
from ansible_collections.vfio.variants.plugins.plugin_utils._report.wording import cut, driver_name, outcome_text

MOST_LISTED = 2000
"""Rows of a host's table of devices."""
MOST_REASONS = 20
MOST_WARNINGS = 200


@dataclass(frozen=True)
class DriverReason:
    """Why a device has its driver after a boot."""

    anchor: str
    title: str
    kind: str
    now: str
    after: str
    outcome: BootOutcome
    because: tuple[str, ...]


@dataclass(frozen=True)
class KernelView:
    """What a kernel's boot makes of the host."""

    anchor: str
    release: str
    is_running: bool
    is_next: bool
    picture: drawing.Picture
    timeline: drawing.Timeline
    reasons: tuple[DriverReason, ...]


@dataclass(frozen=True)
class DeviceRow:
    """A row of the table of devices."""

    anchor: str
    title: str
    kind: str
    device: DeviceData
    now: str
    after: str
    style: str
    claim: str


def host_page(host: HostData) -> str:
    """The page as HTML that needs nothing besides itself."""
    rows = rows_of(host.devices)
    known = drawing.styles(list(_drivers(host)))
    summary = summarise(host)
    return render(
        "host.html.j2",
        host=host,
        examined=moment(host.examined_at),
        summary=summary,
        rank=list(STATES).index(summary.state),
        meaning=STATES[summary.state],
        reason=cut(host.next_reason),
        legend=[(driver_name(name), style) for name, style in known.items()],
        now=drawing.picture(rows, drawing.Showing(known, None, "device-{}".format)),
        kernels=[_kernel(host, number, release, rows, known) for number, release in _in_order(host)],
        listed=[_listed(row, index, known) for index, row in enumerate(rows[:MOST_LISTED])],
        left_out=max(0, len(rows) - MOST_LISTED),
        warnings=_warnings(host)[:MOST_WARNINGS],
        width=drawing.WIDTH,
    )


def _drivers(host: HostData) -> Iterator[str | None]:
    for device in host.devices:
        yield device.driver
        yield from (outcome.driver for outcome in device.outcomes.values())


def _in_order(host: HostData) -> list[tuple[int, str]]:
    """The kernel that boots next, then the running one, then the others, newest first; each with a number for its anchors."""
    newest_first = list(reversed(host.kernels))
    return list(enumerate(sorted(newest_first, key=lambda release: (release != host.next_release, release != host.running))))


def _kernel(host: HostData, number: int, release: str, rows: tuple[TreeRow, ...], known: drawing.Styles) -> KernelView:
    anchor = f"why-{number}-{{}}".format
    reasons = tuple(_reasons(rows, release, anchor))
    there = {reason.anchor for reason in reasons}

    def target(index: int) -> str:
        return anchor(index) if anchor(index) in there else f"device-{index}"

    return KernelView(
        anchor=f"kernel-{number}",
        release=release,
        is_running=release == host.running,
        is_next=release == host.next_release,
        picture=drawing.picture(rows, drawing.Showing(known, release, target)),
        timeline=drawing.timeline(rows, release, known, target),
        reasons=reasons,
    )


def _reasons(rows: tuple[TreeRow, ...], release: str, anchor: Callable[[int], str]) -> Iterator[DriverReason]:
    for index, row in enumerate(rows[:MOST_LISTED]):
        outcome = row.device.outcomes.get(release)
        if outcome is None or not (outcome.because or outcome.would_change):
            continue
        sentences = tuple(cut(sentence) for sentence in outcome.because)
        yield DriverReason(
            anchor=anchor(index),
            title=drawing.title_of(row),
            kind=drawing.kind_of(row),
            now=driver_name(row.device.driver),
            after=outcome_text(outcome),
            outcome=outcome,
            because=sentences[:MOST_REASONS] + ((f"… and {len(sentences) - MOST_REASONS} more",) if len(sentences) > MOST_REASONS else ()),
        )


def _listed(row: TreeRow, index: int, known: drawing.Styles) -> DeviceRow:
    device = row.device
    outcome = device.next_boot
    return DeviceRow(
        anchor=f"device-{index}",
        title=drawing.title_of(row),
        kind=drawing.kind_of(row),
        device=device,
        now=driver_name(device.driver),
        after="not predicted" if outcome is None else outcome_text(outcome),
        style=known.get(device.driver, "free"),
        claim=_claim_text(device),
    )


def _claim_text(device: DeviceData) -> str:
    claim = device.claim
    if claim is None:
        return ""
    now = {True: "met now", False: "not met now", None: ""}[claim.satisfied]
    after = {True: "met after the next boot", False: "not certain after the next boot", None: ""}[claim.will_be_satisfied]
    return ": ".join(filter(None, (driver_name(claim.driver), ", ".join(filter(None, (now, after))))))


def _warnings(host: HostData) -> list[str]:
    """Unmet claims first, then what differs after the next boot, then the policy's faults."""
    changes = [f"After the next boot: {sentence}" for sentence in changes_of(host)]
    return [cut(sentence) for sentence in (*host.failures, *changes, *warnings_of(host))]
