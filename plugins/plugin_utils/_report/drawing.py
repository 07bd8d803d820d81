# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything of a picture is: the boxes of the PCI tree, and the marks of a boot's timeline. Lengths are in pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import CERTAIN, BootOutcome, DeviceData
from ansible_collections.vfio.variants.plugins.plugin_utils._report.tree import MOST_ROWS, GroupRun, TreeRow, runs_of
from ansible_collections.vfio.variants.plugins.plugin_utils._report.wording import (
    counted,
    cut,
    device_name,
    driver_name,
    is_vfio,
    outcome_text,
)

WIDTH, INDENT = 620, 22
ROW, BOX, BAND_HEAD = 50, 40, 20
SIGN, SMALL_SIGN = 8.2, 7.2
"""The widths of the signs of the fixed-width fonts, generously."""
#: The stages of a boot as `device_info` names them, in their order, each with what a person calls it.
STAGES = {"kernel": "kernel", "initramfs": "initramfs", "root": "root file system", "runtime": "after boot"}
NOT_KNOWN = "not known"
TIMELINE_NAMES, TIMELINE_STAGE, TIMELINE_ROW = 250, 170, 30
PALETTE = 10
"""Colours that the style sheet has for drivers."""


@dataclass(frozen=True)
class Box:
    """A function, or several alike; ``label`` is what a screen reader says of it."""

    x: int
    y: int
    width: int
    title: str
    kind: str
    driver: str
    style: str
    target: str
    label: str
    changed: bool
    elbow: str
    """The line from the box to what it is below, as an SVG path; empty on a root bus."""


@dataclass(frozen=True)
class Band:
    """The box of an IOMMU group."""

    x: int
    y: int
    width: int
    height: int
    label: str


@dataclass(frozen=True)
class Picture:
    height: int
    boxes: tuple[Box, ...]
    bands: tuple[Band, ...]
    left_out: int


@dataclass(frozen=True)
class DriverMark:
    """When a device gets its driver; ``x`` is the middle of the stage's column."""

    x: int
    y: int
    title: str
    driver: str
    style: str
    target: str
    label: str


@dataclass(frozen=True)
class Timeline:
    width: int
    height: int
    stages: tuple[tuple[int, str], ...]
    marks: tuple[DriverMark, ...]
    left_out: int


Styles = Mapping[str | None, str]


def styles(drivers: Sequence[str | None]) -> dict[str | None, str]:
    """The style class of each driver: a colour by its place in the alphabet, a thick border for VFIO's."""
    named = sorted({driver for driver in drivers if driver is not None})
    found: dict[str | None, str] = {name: f"c{place % PALETTE}{' vfio' if is_vfio(name) else ''}" for place, name in enumerate(named)}
    return {**found, None: "free"}


def style_of(outcome: BootOutcome, known: Styles) -> str:
    return known.get(outcome.driver, "free") if outcome.certainty == CERTAIN else f"doubt {outcome.certainty}"


class Showing:
    """What a picture says of a row: the state now, or after the boot of a kernel."""

    def __init__(self, known: Styles, release: str | None, target: Callable[[int], str]) -> None:
        self._known = known
        self._release = release
        self.target = target

    def outcome(self, device: DeviceData) -> BootOutcome | None:
        found = None if self._release is None else device.outcomes.get(self._release)
        # A bridge of which the files say nothing does not change: its driver is built into the kernel.
        return None if found is not None and device.is_bridge and found.claimed is None else found

    def driver(self, device: DeviceData) -> str:
        outcome = self.outcome(device)
        return driver_name(device.driver) if outcome is None else outcome_text(outcome)

    def style(self, device: DeviceData) -> str:
        outcome = self.outcome(device)
        return self._known.get(device.driver, "free") if outcome is None else style_of(outcome, self._known)

    def changed(self, device: DeviceData) -> bool:
        outcome = self.outcome(device)
        return outcome is not None and outcome.certainty == CERTAIN and outcome.driver != device.driver


def title_of(row: TreeRow) -> str:
    if len(row.devices) == 1:
        return f"{row.device.address} {row.device.id}"
    return f"{row.device.address} … {row.devices[-1].address} {row.device.id}"


def kind_of(row: TreeRow) -> str:
    name = device_name(row.device)
    return name if len(row.devices) == 1 else f"{counted(len(row.devices), 'virtual function', 'virtual functions')}, {name}"


def picture(rows: Sequence[TreeRow], showing: Showing) -> Picture:
    """The PCI tree; rows of one IOMMU group are in a box."""
    shown = rows[:MOST_ROWS]
    runs = {run.first: run for run in runs_of(shown)}
    boxes: list[Box] = []
    bands: list[Band] = []
    tops: list[int] = []
    y, end = 4, 0
    for index, row in enumerate(shown):
        run = runs.get(index)
        if run is not None:
            left = min(member.depth for member in shown[index : index + run.count]) * INDENT
            bands.append(Band(left + 2, y, WIDTH - left - 4, BAND_HEAD + run.count * ROW - 2, _group_text(run)))
            y, end = y + BAND_HEAD, index + run.count
        tops.append(y)
        boxes.append(_box(row, index, y, showing, _elbow(shown, tops, index)))
        y += ROW
        if index + 1 == end:
            y += 6
    return Picture(y + 4, tuple(boxes), tuple(bands), len(rows) - len(shown))


def _group_text(run: GroupRun) -> str:
    return f"IOMMU group {run.group}" + (f", part {run.part} of {run.parts}" if run.parts > 1 else "")


def _box(row: TreeRow, index: int, y: int, showing: Showing, elbow: str) -> Box:
    left = row.depth * INDENT + 10
    driver, changed = showing.driver(row.device), showing.changed(row.device)
    group = "" if row.group is None else f", IOMMU group {row.group}"
    width, shown = WIDTH - left - 12, cut(driver, 34)
    return Box(
        x=left,
        y=y,
        width=width,
        title=cut(title_of(row), 48),
        kind=cut(kind_of(row), max(8, int((width - 40 - len(shown) * SIGN) / SMALL_SIGN))),
        driver=shown,
        style=showing.style(row.device),
        target=showing.target(index),
        label=f"{title_of(row)}, {kind_of(row)}: {driver}{group}{', changes at boot' if changed else ''}",
        changed=changed,
        elbow=elbow,
    )


def _elbow(rows: Sequence[TreeRow], tops: Sequence[int], index: int) -> str:
    depth = rows[index].depth
    above = next((earlier for earlier in range(index - 1, -1, -1) if rows[earlier].depth < depth), None)
    if above is None:
        return ""
    x = rows[above].depth * INDENT + 20
    return f"M{x} {tops[above] + BOX}V{tops[index] + BOX // 2}H{depth * INDENT + 10}"


def timeline(rows: Sequence[TreeRow], release: str, known: Styles, target: Callable[[int], str]) -> Timeline:
    """One mark for each device that can have a driver, in the column of the stage in which it gets it."""
    columns = [*STAGES, NOT_KNOWN]
    wanted = [(index, row) for index, row in enumerate(rows) if _is_watched(row.device, release)]
    shown = wanted[:MOST_ROWS]
    marks = []
    for place, (index, row) in enumerate(shown):
        outcome = row.device.outcomes[release]
        stage = outcome.stage if outcome.stage in STAGES and outcome.certainty == CERTAIN else NOT_KNOWN
        if outcome.certainty == CERTAIN and outcome.driver is None:
            stage = "runtime"
        driver = outcome_text(outcome)
        marks.append(
            DriverMark(
                x=TIMELINE_NAMES + columns.index(stage) * TIMELINE_STAGE + 16,
                y=40 + place * TIMELINE_ROW,
                title=cut(title_of(row), 31),
                driver=cut(driver, 19 if stage != NOT_KNOWN else 36),
                style=style_of(outcome, known),
                target=target(index),
                label=f"{title_of(row)}: {driver}, {STAGES.get(stage, NOT_KNOWN)}: why",
            )
        )
    stages = tuple((TIMELINE_NAMES + place * TIMELINE_STAGE, STAGES.get(name, name)) for place, name in enumerate(columns))
    return Timeline(
        TIMELINE_NAMES + len(columns) * TIMELINE_STAGE + 150, 52 + len(shown) * TIMELINE_ROW, stages, tuple(marks), len(wanted) - len(shown)
    )


def _is_watched(device: DeviceData, release: str) -> bool:
    outcome = device.outcomes.get(release)
    if outcome is None:
        return False
    if device.is_bridge:
        return outcome.claimed is not None
    return device.driver is not None or outcome.driver is not None or outcome.certainty != CERTAIN or outcome.claimed is not None
