# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on this machine's disk for what a command unpacks; it belongs to no host's state and is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import tempfile
import typing as t

# Not /tmp, which is often memory: an unpacked image has hundreds of megabytes.
LARGE = "/var/tmp"  # noqa: S108 - only mkdtemp() writes there


@contextlib.contextmanager
def scratch_directory() -> t.Iterator[str]:
    """A directory that only this process's user can enter, removed with all that it holds at the end."""
    with tempfile.TemporaryDirectory(prefix="vfio-variants-", dir=LARGE if os.path.isdir(LARGE) else None) as directory:
        yield directory
