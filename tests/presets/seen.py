# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest says of its PCI functions: the text of `lspci -Dvvnn`, and the kernel's own list of their regions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import Bar
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.values import size_text

HEAD = re.compile(
    r"^(?P<address>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) .*? \[(?P<base>[0-9a-f]{4})\]: (?P<name>.*)"
    r" \[(?P<id>[0-9a-f]{4}:[0-9a-f]{4})\](?: \(rev (?P<revision>[0-9a-f]{2})\))?(?: \(prog-if (?P<interface>[0-9a-f]{2})\b.*\))?$"
)
SUBSYSTEM = re.compile(r"^\tSubsystem: .*\[([0-9a-f]{4}:[0-9a-f]{4})\]$", re.MULTILINE)
REGION = re.compile(r"^\tRegion (\d): Memory at \S+ \((32|64)-bit, (non-)?prefetchable\).*?(?:\[size=(\d+[KMGT]?)\])?$", re.MULTILINE)
RESOURCE = re.compile(r"^/sys/bus/pci/devices/([^/]+)/resource:0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+)$", re.MULTILINE)
BARS = 6


@dataclass(frozen=True)
class Seen:
    """A function as lspci shows it. ``bars`` has by index the width, prefetchability and size as a person reads it, such as ``64p 16G``."""

    id: str
    name: str
    class_code: str
    subsystem: str
    revision: str
    bars: Mapping[int, str] = field(default_factory=dict)


def functions(lspci: str, resources: str) -> dict[str, Seen]:
    """By address.  Sizes are the kernel's, which knows those of regions for which the firmware had no room."""
    sizes = region_sizes(resources)
    found: dict[str, Seen] = {}
    for paragraph in lspci.strip().split("\n\n"):
        head, _line, details = paragraph.partition("\n")
        said = HEAD.match(head)
        if said is None:
            raise ValueError(f"This line of lspci is not understood: {head}")
        own = sizes.get(said["address"], {})
        bars = {
            int(index): f"{bits}{'' if other else 'p'} {size_text(own[int(index)])}"
            for index, bits, other, _size in REGION.findall(details)
            if int(index) in own
        }
        subsystem = SUBSYSTEM.search(details)
        found[said["address"]] = Seen(
            said["id"],
            said["name"],
            said["base"] + (said["interface"] or "00"),
            subsystem[1] if subsystem else "",
            said["revision"] or "00",
            bars,
        )
    return found


def region_sizes(resources: str) -> dict[str, dict[int, int]]:
    """Bytes of each memory region that there is, by address and index; those of the expansion ROM and of bridges are left out."""
    found: dict[str, dict[int, int]] = {}
    lines: dict[str, int] = {}
    for address, start, end, flags in RESOURCE.findall(resources):
        index = lines[address] = lines.get(address, -1) + 1
        if index < BARS and int(flags, 16) & 0x200:
            found.setdefault(address, {})[index] = int(end, 16) - int(start, 16) + 1
    return found


def described(function: PciFunction, name: str) -> Seen:
    """How a guest has to see a function that is described so, and that the PCI ID database calls `name`."""
    subsystem = f"{function.subsystem_vendor:04x}:{function.subsystem_device:04x}" if function.subsystem_vendor else ""
    bars = {one.index: f"{_kind(one)} {size_text(one.size)}" for one in function.bars}
    identity = f"{function.vendor:04x}:{function.device:04x}"
    return Seen(identity, name, f"{function.class_code:06x}", subsystem, f"{function.revision:02x}", bars)


def _kind(region: Bar) -> str:
    return f"{'64' if region.kind == 'mem64' else '32'}{'p' if region.prefetchable else ''}"


def differences(wanted: Seen, seen: Seen) -> Iterator[str]:
    """A sentence for each field that is not as it is described; the name is that of the guest's own database."""
    for field_name in ("id", "class_code", "subsystem", "revision", "bars"):
        described_as, found = getattr(wanted, field_name), getattr(seen, field_name)
        if described_as != found:
            yield f"{field_name} is {found or 'nothing'}, not {described_as or 'nothing'}"
