# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one scenario is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.vfio.variants.tests.unit.trees import Tree

Action = Callable[[Tree, bool], dict[str, Any]]
"""One task on a host, or in check mode its prediction; returns the module's result."""


@dataclass(frozen=True)
class Scenario:
    """``before`` is done undisturbed, then ``actions`` are disturbed, one after the other, and then done again."""

    name: str
    kind: str
    before: tuple[Action, ...]
    actions: tuple[Action, ...]
    loader_hooks: bool = False
    bare: bool = False
    """Folders of the policy's files are missing."""
    small_disk: bool = False
    """The host is on a file system of its own, which is full or read-only."""
    make: Callable[[Path], Tree] | None = None
    """Lays out the host, if it is another one."""
    has_policy: bool = True
    """Whether the action is about who owns the cards at the next boot."""
    of_programs: tuple[str, ...] = ()
    """Where the host's own programs write, in their own way."""
    faults: tuple[str, ...] = ("killed",)
