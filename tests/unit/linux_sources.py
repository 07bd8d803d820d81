# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of Linux 6.12 as they are in Debian's package linux-source-6.12, 6.12.117-1~deb12u1, for facts that the core has from them.

To make the archive again, unpack that package's linux-source-6.12.tar.xz, and in its folder pack the same files (`tar tf` names them).
"""

from __future__ import annotations

import functools
import re
import tarfile
import typing as t
from pathlib import Path

ARCHIVE = Path(__file__).with_name("files") / "linux-sources.tar.xz"


@functools.cache
def _texts() -> t.Mapping[str, str]:
    with tarfile.open(ARCHIVE) as archive:
        found = ((member.name, archive.extractfile(member)) for member in archive if member.isfile())
        return {name: file.read().decode() for name, file in found if file is not None}


def text(path: str, begin: str = "", end: str = "") -> str:
    """A file, or what stands in it from the words ``begin`` to the next ``end``."""
    whole = _texts()[path]
    start = whole.index(begin)
    return whole[start : whole.index(end, start) if end else None]


def numbers(path: str, begin: str, end: str) -> set[int]:
    """Every hexadecimal number of such a part that has four digits."""
    return {int(one, 16) for one in re.findall(r"\b0x([0-9a-fA-F]{4})\b", text(path, begin, end))}


def macro(path: str, name: str) -> int:
    """What a `#define` gives to a name; decimal or hexadecimal, in brackets or not."""
    found = re.search(rf"^#define\s+{name}\s+\(?(\w+)\)?", _texts()[path], re.MULTILINE)
    assert found is not None, name
    return int(found[1], 0)
