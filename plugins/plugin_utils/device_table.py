# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of hosts as a table for a terminal."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

HEADINGS = ("HOST", "DEVICE", "NOW", "NEXT BOOT", "CERTAIN?", "BECAUSE")
NONE, NOT_KNOWN = "none", "?"
BRIDGE_DRIVER = "pcieport"
FINE, CHANGES, DOUBTFUL = "green", "yellow", "red"
LONGEST = 500
"""Characters of a cell."""


class Row(t.NamedTuple):
    """``color`` is Ansible's name of one."""

    cells: tuple[str, ...]
    color: str


def table(answers: Mapping[str, object], everything: bool) -> list[tuple[str, str | None]]:
    """The lines, each with its color.  ``answers`` has by host what device_info returned, an error among others, or nothing."""
    rows = [row for host in sorted(answers) for row in _rows(host, answers[host], everything)]
    shown = [HEADINGS, *(row.cells for row in rows)]
    widths = [max(len(cells[column]) for cells in shown) for column in range(len(HEADINGS) - 1)]
    lines = ["  ".join([*map(str.ljust, cells, widths), cells[-1]]).rstrip() for cells in shown]
    return [(lines[0], None), *zip(lines[1:], (row.color for row in rows), strict=True)]


def _rows(host: str, answer: object, everything: bool) -> Iterator[Row]:
    devices = answer.get("devices") if isinstance(answer, Mapping) else None
    if not isinstance(devices, Sequence) or isinstance(devices, (str, bytes)):
        why = answer.get("msg") if isinstance(answer, Mapping) else None
        yield Row((_cell(host), "", "", "", "", _cell("it gave no answer" if not why else f"it gave no answer: {why}")), DOUBTFUL)
        return
    found = [device for device in devices if isinstance(device, Mapping) and (everything or _matters(device))]
    for device in found:
        yield _row(host, device)
    if not found:
        yield Row((_cell(host), "", "", "", "", "no device is or will be bound to a driver"), FINE)


def _matters(device: Mapping[str, t.Any]) -> bool:
    """Whether there is anything to say: bridges, and what has no driver for certain, fill a table with nothing."""
    drivers = {device.get("driver"), device.get("next_driver")}
    doubtful = device.get("certainty", "certain") != "certain" and not drivers <= {BRIDGE_DRIVER}
    return bool(drivers - {None, BRIDGE_DRIVER} or device.get("warnings") or device.get("variant_driver")) or (
        doubtful and device.get("driver") is not None
    )


def _row(host: str, device: Mapping[str, t.Any]) -> Row:
    certainty = device.get("certainty") or ""
    now = device.get("driver")
    then = device.get("next_driver")
    following = NOT_KNOWN if certainty == "unknown" or "next_driver" not in device else then or NONE
    color = DOUBTFUL if certainty == "unknown" or device.get("warnings") else FINE if certainty == "certain" and now == then else CHANGES
    said = [device.get("because") or "", *(device.get("warnings") or ())]
    name = " ".join(filter(None, (device.get("address"), device.get("name") or device.get("id"))))
    return Row(tuple(map(_cell, (host, name, now or NONE, following, certainty, " ".join(filter(None, said))))), color)


def _cell(value: object) -> str:
    """One line of signs that a terminal shows, whatever a host has sent."""
    text = "".join(sign if sign.isprintable() else " " for sign in str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
