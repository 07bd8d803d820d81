# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running what speaks to a Debian archive by way of apt."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.program import ProgramFailedError, run
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.unavailable import ArchiveUnavailableError, in_apt_output

HELPER = Path("/usr/lib/apt/apt-helper")
_DOWNLOAD_SECONDS = 900


@contextlib.contextmanager
def classified() -> t.Iterator[None]:
    """A failure within is the archive's when apt says so in the program's output: then ArchiveUnavailableError is raised."""
    try:
        yield
    except ProgramFailedError as error:
        missing = in_apt_output(error.output)
        if missing:
            raise ArchiveUnavailableError(missing) from error
        raise


def download(address: str, sha256: str, target: Path) -> None:
    """The file at an address, once; its content has to have this sum."""
    with classified():
        run((HELPER, "-o", "APT::Sandbox::User=root", "download-file", address, target, f"SHA256:{sha256}"), timeout=_DOWNLOAD_SECONDS)
