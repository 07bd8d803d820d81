# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest reported of its boot."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

# The stages after which the guest notes who owns what, in order.
KERNEL = "kernel"
INITRAMFS = "initramfs"
ROOT = "root"
RUNTIME = "runtime"
STAGES = (KERNEL, INITRAMFS, ROOT, RUNTIME)

#: By address. A function that does not exist yet (a VF, before it is made) is not in it.
Owners = t.Mapping[str, str | None]


@dataclass(frozen=True)
class Observation:
    """``owners`` are those at the end, ``modules`` in the order of loading, ``log`` all that the guest wrote."""

    owners: Owners
    owners_by_stage: t.Mapping[str, Owners]
    overrides: t.Mapping[str, str | None]
    modalias: t.Mapping[str, str]
    modules: tuple[str, ...]
    uptimes: t.Mapping[str, float]
    seconds: float
    log: str


class BootError(Exception):
    """A guest that hung, crashed or reported nonsense, with its console's text: never an observation."""
