# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the collection's own driver packages are."""

from __future__ import annotations

from pathlib import Path

OWN_PACKAGES = Path(__file__).parents[2] / "files" / "kernel"


def own_package(name: str) -> Path | None:
    """The folder of one of the collection's own packages, None when it has none of that name."""
    folder = OWN_PACKAGES / name
    return folder if "/" not in name and (folder / "dkms.conf").is_file() else None
