# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of options that are time limits."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown

LONGEST_LIMIT = 86400
"""A day, in seconds."""


def checked_timeout(seconds: object, option: str = "timeout") -> int:
    """``seconds`` if it is a time limit.  Raises HostError, naming ``option``, if it is not."""
    allowed = f"Allowed are whole seconds, 1 to {LONGEST_LIMIT} (a day)."
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise HostError(f"{option}: {shown(seconds)} is not a number of seconds.", allowed)
    if seconds < 1:
        # The text of a very long number is itself an error.
        raise HostError(f"{option}: {seconds if seconds > -LONGEST_LIMIT else 'a negative number'} is too short.", allowed)
    if seconds > LONGEST_LIMIT:
        raise HostError(f"{option}: {seconds if seconds < 10**12 else 'the number'} is too long.", allowed)
    return seconds
