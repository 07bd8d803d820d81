# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of the tree, unpacked."""

from __future__ import annotations

import tarfile
import typing as t
from pathlib import Path


def unpack(archive: tarfile.TarFile, folder: Path, kept: t.Literal["data", "tar"] = "data") -> None:
    """``kept``: the filter's name, where there are filters.  Debian 12's Python 3.11.2 has none; the archives are our own."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter=kept)  # noqa: S202
    else:
        archive.extractall(folder)  # noqa: S202
