# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that decides about a device and that a boot elsewhere need not show: in the host's answer, and where it is read."""

from __future__ import annotations

import dataclasses
import typing as t

PROBE: t.Final = "probe"
"""A driver's probe, which decides by what the card has where the driver's ID table does not."""
CHILD: t.Final = "child"
"""An event of what drivers make of functions, such as network interfaces and disks."""


@dataclasses.dataclass(frozen=True)
class HiddenCause:
    """``event`` is what udev does it at, `CHILD` or `PROBE`; ``device`` whose that is, with `CHILD` what is acted on; None of a program.

    ``modules`` are those that it may load, ``drivers`` those at whose coming or going it is done; None for any.
    """

    source: str
    fact: str
    acts: tuple[str, ...] = ()
    event: str | None = None
    device: str | None = None
    drivers: tuple[str, ...] | None = None
    modules: tuple[str, ...] | None = None
