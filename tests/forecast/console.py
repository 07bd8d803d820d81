# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what the guest has reported: sections of listings, as guest/report and guest/root write them."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from observation import STAGES, BootError

_LINK = re.compile(r"(\S+) -> (\S+)$")
_DEVICE = re.compile(r"/sys/bus/pci/devices/([0-9a-f:.]+)/(\w+)")
_END = "@end"
_UNSETTLED = "@unsettled"


@dataclass(frozen=True)
class Report:
    owners_by_stage: t.Mapping[str, t.Mapping[str, str | None]]
    overrides: t.Mapping[str, str | None]
    modalias: t.Mapping[str, str]
    modules: tuple[str, ...]
    uptimes: t.Mapping[str, float]


def parse(text: str, stages: t.Sequence[str] = STAGES) -> Report:
    """BootError unless every stage is there and the guest came to its end."""
    sections = list(_sections(text))
    if not any(head == _END for head, _lines in sections):
        raise BootError("The guest stopped before it had reported all.")
    if any(head == _UNSETTLED for head, _lines in sections):
        raise BootError("udev had not dealt with all events in time.")
    owners: dict[str, dict[str, str | None]] = {}
    uptimes: dict[str, float] = {}
    modalias: dict[str, str] = {}
    overrides: dict[str, str | None] = {}
    modules: tuple[str, ...] = ()
    for head, lines in sections:
        words = head.split()
        if words[0] == "@stage":
            stage = words[1]
            owners[stage] = dict.fromkeys(_addresses(lines)) | _drivers(lines)
            uptimes[stage] = float(words[2])
            modalias.update(_values(lines, "modalias"))
            overrides.update({address: None if value == "(null)" else value for address, value in _values(lines, "driver_override")})
        elif words[0] == "@modules":
            # The kernel lists the newest first.
            modules = tuple(reversed([line.split()[0] for line in lines if line]))
    missing = [stage for stage in stages if stage not in owners]
    if missing:
        raise BootError(f"The guest did not report the stages {', '.join(missing)}.")
    return Report(owners, overrides, modalias, modules, uptimes)


def _sections(text: str) -> t.Iterator[tuple[str, list[str]]]:
    head, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith("@"):
            if head:
                yield head, lines
            head, lines = line, []
        else:
            lines.append(line)
    if head:
        yield head, lines


def _drivers(lines: t.Sequence[str]) -> dict[str, str | None]:
    links = (_LINK.search(line) for line in lines)
    found = ((_DEVICE.fullmatch(link[1]), link[2]) for link in links if link)
    return {device[1]: target.rpartition("/")[2] for device, target in found if device and device[2] == "driver"}


def _addresses(lines: t.Sequence[str]) -> list[str]:
    return [address for address, _value in _values(lines, "modalias")]


def _values(lines: t.Sequence[str], attribute: str) -> t.Iterator[tuple[str, str]]:
    for line in lines:
        device = _DEVICE.match(line)
        if device and device[2] == attribute and line[device.end() : device.end() + 1] == ":":
            yield device[1], line[device.end() + 1 :]
