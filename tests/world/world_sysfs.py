# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions as sysfs showed them in a plain boot: like those of the fast guest, with drivers whose names have blanks."""

from __future__ import annotations

import json
import re
import typing as t

_LINK = re.compile(r"(/sys/bus/pci/\S.*?) -> (.+)$")
_VALUE = re.compile(r"(/sys/bus/pci/devices/[^/]+/\w+):(.*)")


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
