# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image's own scripts do about drivers, whichever generator wrote them."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import Step


@dataclasses.dataclass(frozen=True)
class Flow:
    """``blacklisted`` are modules that the scripts add to modprobe.d, ``blacklist_lasts`` if they do so in /run: the root inherits it."""

    steps: tuple[Step, ...]
    blacklisted: tuple[str, ...] = ()
    blacklist_lasts: bool = False
    doubts: tuple[str, ...] = ()
