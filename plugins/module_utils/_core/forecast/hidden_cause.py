# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that decides about a device and that a boot elsewhere need not show: in the host's answer, and where it is read."""

from __future__ import annotations

import dataclasses
import typing as t

PROBE: t.Final = "probe"
"""A driver's probe, which decides by what the card has where the driver's ID table does not."""


@dataclasses.dataclass(frozen=True)
class HiddenCause:
    """``event`` is what udev does it at, or `PROBE`; ``device`` whose that is; both are None of a program.

    ``modules`` are those that it may load, ``drivers`` those at whose coming or going it is done; None for any.
    """

    source: str
    fact: str
    acts: tuple[str, ...] = ()
    event: str | None = None
    device: str | None = None
    drivers: tuple[str, ...] | None = None
    modules: tuple[str, ...] | None = None
