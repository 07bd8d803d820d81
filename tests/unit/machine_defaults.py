# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of `test_vm` that describe a machine, where nothing else is asked for."""

from __future__ import annotations

import typing as t

DEFAULTS: dict[str, t.Any] = {
    "name": "box",
    "memory": "2G",
    "cpus": 2,
    "iommu": "intel",
    "functions": [],
    "arguments": [],
    "firmware": "bios",
    "enrolled": [],
}
