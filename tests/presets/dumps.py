# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that public dumps of real cards show, each with its address: what a preset has to agree with, whoever wrote the preset."""

from __future__ import annotations

from dataclasses import dataclass, field

Regions = dict[int, str]


@dataclass(frozen=True)
class Dump:
    """An empty field is one that the dump does not show."""

    source: str
    id: str = ""
    class_code: str = ""
    subsystem: str = ""
    revision: str = ""
    bars: Regions = field(default_factory=dict)


DUMPS = {
    # reg 0x10, 0x14 and 0x1c of the kernel's log, whose ends are 0x00ffffff, 0xfffffffff and 0x01ffffff.
    "a100": Dump(
        "https://github.com/kata-containers/kata-containers/pull/4358",
        "10de:20f1",
        "030200",
        "10de:145f",
        "a1",
        {0: "32 16M", 1: "64p 64G", 3: "64p 32M"},
    ),
    # The names of that dump are those of an old database.
    "h100": Dump(
        "https://github.com/fastfetch-cli/fastfetch/issues/1658",
        class_code="030200",
        revision="a1",
        bars={0: "64p 16M", 2: "64p 128G", 4: "64p 32M"},
    ),
}
