# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the collection's own driver packages are."""

from __future__ import annotations

import difflib
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import NEAR, HostError, cut, shown

OWN_PACKAGES = Path(__file__).parents[2] / "files" / "kernel"


def own_package(name: str) -> Path | None:
    """The folder of one of the collection's own packages, None when it has none of that name."""
    folder = OWN_PACKAGES / name
    return folder if "/" not in name and (folder / "dkms.conf").is_file() else None


def no_package(option: str, source: str) -> HostError:
    """The error for a source that is neither a package of the collection nor a folder on the controller."""
    own = [folder.name for folder in OWN_PACKAGES.iterdir() if own_package(folder.name)]
    meant = difflib.get_close_matches(source, own, 1, NEAR)
    return HostError(
        f"{option}: there is no directory {cut(source) or shown(source)} on the controller.",
        f"{f'Did you mean {meant[0]}? ' if meant else ''}Give one of the collection's packages, a directory in files of the role or the "
        "playbook, or an absolute path.",
    )
