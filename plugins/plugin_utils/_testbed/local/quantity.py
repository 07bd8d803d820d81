# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts of memory and disk as people write them."""

from __future__ import annotations

import re

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown

LARGEST = 64 << 40
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(option: str, text: str) -> int:
    """`8G` in bytes; units K, M, G, T are powers of 1024. HostError names the option."""
    match = re.fullmatch(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", str(text).strip(), re.IGNORECASE)
    if match is None or int(match[1]) == 0:
        raise HostError(f"{option}: {shown(text)} is not a size.", "Write a number with K, M, G or T, such as 8G.")
    size = int(match[1]) * _UNITS[match[2].upper()]
    if size > LARGEST:
        raise HostError(f"{option}: {shown(text)} is too large.", f"Allowed are at most {LARGEST >> 40}T.")
    return size
