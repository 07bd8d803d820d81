# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI functions of a host as the rows of a picture: each below its bridge, and in runs of one IOMMU group."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import DeviceData

MOST_ROWS = 400
"""Rows of a picture; what is beyond is in the table alone."""
DEEPEST = 12
FEWEST_ALIKE = 4
"""Virtual functions of one physical function that are shown as one row if nothing but the address distinguishes them."""


@dataclass(frozen=True)
class TreeRow:
    """A function, or several virtual functions that nothing but the address and the IOMMU group distinguishes."""

    devices: tuple[DeviceData, ...]
    depth: int

    @property
    def device(self) -> DeviceData:
        return self.devices[0]

    @property
    def group(self) -> int | None:
        return self.device.iommu_group if len(self.devices) == 1 else None


@dataclass(frozen=True)
class GroupRun:
    """Rows of one IOMMU group that follow each other; ``part`` of ``parts`` where other rows are between them."""

    group: int
    first: int
    count: int
    part: int
    parts: int


def rows_of(devices: Sequence[DeviceData]) -> tuple[TreeRow, ...]:
    """All functions, those below a bridge directly after it."""
    known = {device.address for device in devices}
    below: dict[str | None, list[DeviceData]] = {}
    for device in sorted(devices, key=lambda found: found.address):
        above = device.physical_function or device.parent
        # What names itself, or a circle, as what it is below has no place.
        below.setdefault(above if above in known and above != device.address else None, []).append(device)
    found = list(_below(None, below, 0))
    placed = {device.address for row in found for device in row.devices}
    return (*found, *(TreeRow((device,), 0) for device in devices if device.address not in placed))


def _below(above: str | None, below: dict[str | None, list[DeviceData]], depth: int) -> Iterator[TreeRow]:
    here = below.pop(above, [])
    for alike, members in itertools.groupby(here, _likeness):
        found = tuple(members)
        # Functions that others are below are never alike: their rows are needed.
        if alike is not None and len(found) >= FEWEST_ALIKE and not any(device.address in below for device in found):
            yield TreeRow(found, min(depth, DEEPEST))
            continue
        for device in found:
            yield TreeRow((device,), min(depth, DEEPEST))
            yield from _below(device.address, below, depth + 1)


def _likeness(device: DeviceData) -> object:
    """The same for virtual functions that are shown together; None for any other function."""
    if device.physical_function is None:
        return None
    return (device.id, device.driver, sorted(device.outcomes.items(), key=lambda item: item[0]), device.warnings, device.claim)


def runs_of(rows: Sequence[TreeRow]) -> tuple[GroupRun, ...]:
    """The runs of rows that have an IOMMU group."""
    found: list[tuple[int, int, int]] = []
    start = 0
    for group, members in itertools.groupby(rows, lambda row: row.group):
        count = len(list(members))
        if group is not None:
            found.append((group, start, count))
        start += count
    parts = {group: sum(1 for other, _start, _count in found if other == group) for group, _start, _count in found}
    seen: dict[int, int] = {}
    runs = []
    for group, first, count in found:
        seen[group] = seen.get(group, 0) + 1
        runs.append(GroupRun(group, first, count, seen[group], parts[group]))
    return tuple(runs)
