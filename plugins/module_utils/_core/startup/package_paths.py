# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths by which a package's list and the host agree, whether /bin is a link to /usr/bin or not."""

from __future__ import annotations

import re

MERGED = re.compile(r"^/(?:usr/)?(?P<folder>bin|sbin|lib|lib32|lib64|libx32)/")


def plain(path: str) -> str:
    """A path by which packages for split and for merged directories agree."""
    merged = MERGED.match(path)
    if merged is None:
        return path
    folder = "bin" if merged["folder"] == "sbin" else merged["folder"]
    return f"/{folder}/{path[merged.end() :]}"
