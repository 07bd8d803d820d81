# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's functions as sysfs showed them in a plain boot of it: noted once for each kernel, laid out for each configuration."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import machine

# A driver's name can have blanks: "i6300ESB timer".
_LINK = re.compile(r"(/sys/bus/pci/\S.*?) -> (.+)$")
_VALUE = re.compile(r"(/sys/bus/pci/devices/[^/]+/\w+):(.*)")
_OF_VIRTUAL = re.compile(r"/virtfn(\d+)$")


def parse(lines: t.Sequence[str]) -> str:
    """The listing of guest/capture as JSON: values and links by path."""
    values: dict[str, str] = {}
    links: dict[str, str] = {}
    for line in lines:
        link, value = _LINK.search(line), _VALUE.match(line)
        if link:
            links[link[1]] = link[2]
        elif value:
            values[value[1]] = value[2]
    return json.dumps({"values": values, "links": links}, indent=1, sort_keys=True)


def lay_out(captured: str, root: Path, virtual_functions: int, loadable: t.Collection[str]) -> None:
    """Below `root`, with so many of the virtual functions that were there; ``loadable`` are modules that are none of the kernel's parts."""
    known = json.loads(captured)
    gone = machine.VIRTUAL_ADDRESSES[virtual_functions:]

    def stays(path: str) -> bool:
        number = _OF_VIRTUAL.search(path)
        return not any(f"/{address}/" in f"{path}/" for address in gone) and (number is None or int(number[1]) < virtual_functions)

    for path, value in known["values"].items():
        if stays(path):
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            text = str(virtual_functions) if path.endswith("/sriov_numvfs") else value
            place.write_text(f"{text}\n", encoding="utf-8")
    for path, target in known["links"].items():
        if stays(path):
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            # Readers want the last part of a link alone; what it leads to is not laid out.
            place.symlink_to(target)
            if path.endswith("/driver"):
                # Of a driver that is not a module nothing else was noted.
                (root / "sys/bus/pci/drivers" / target.rpartition("/")[2]).mkdir(parents=True, exist_ok=True)
            if path.endswith("/iommu_group"):
                # By these the kernel tells that it has an IOMMU.
                (root / "sys/kernel/iommu_groups" / target.rpartition("/")[2]).mkdir(parents=True, exist_ok=True)
            module = target.rpartition("/")[2]
            if path.endswith("/module") and module in loadable:
                # What is built in has no such file.
                state = root / "sys/module" / module / "initstate"
                state.parent.mkdir(parents=True, exist_ok=True)
                state.write_text("live\n", encoding="utf-8")
