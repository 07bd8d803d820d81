# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is disturbed: changes of a policy from each state to each other one, and rebuilds of images."""

from __future__ import annotations

import functools
import itertools
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.vfio.variants.tests.faults import hosts
from ansible_collections.vfio.variants.tests.unit.policy_hosts import NIC, V100
from ansible_collections.vfio.variants.tests.unit.trees import Tree

Action = Callable[[Tree], None]
VFIO = {**V100, "driver": "vfio-pci"}


@dataclass(frozen=True)
class Scenario:
    """``before`` is done undisturbed, ``action`` is disturbed and then done again."""

    name: str
    kind: str
    before: tuple[Action, ...]
    action: Action
    loader_hooks: bool = False
    several_tasks: bool = False
    bare: bool = False
    """Folders of the policy's files are missing."""
    small_disk: bool = False
    """The host is on a file system of its own, which is full or read-only."""


def _policy(strategy: str, *claims: dict[str, t.Any]) -> Action:
    return functools.partial(_write, claims=claims, strategy=strategy)


def _write(tree: Tree, claims: tuple[dict[str, t.Any], ...], strategy: str) -> None:
    hosts.write_policy(tree, *claims, strategy=strategy)


def _all(tree: Tree, actions: tuple[Action, ...]) -> None:
    for action in actions:
        action(tree)


STATES: dict[str, Action] = {
    "none": hosts.remove_policy,
    "override": _policy("override", V100, NIC),
    "ids": _policy("ids", VFIO, NIC),
    "blacklist": _policy("blacklist", V100, NIC),
    "mixed": _policy("override", {**V100, "strategy": "blacklist"}, {**NIC, "strategy": "ids"}),
    "one card": _policy("blacklist", NIC),
}
IMAGE_STATES = ("override", "ids", "blacklist")


def scenarios() -> Iterator[Scenario]:
    for old, new in itertools.permutations(STATES, 2):
        before = () if old == "none" else (STATES[old],)
        kind = "a policy is written" if old == "none" else "a policy is removed" if new == "none" else "a policy is replaced"
        yield Scenario(f"{old} to {new}", kind, before, STATES[new])
    kind = "a policy whose folders are missing"
    yield Scenario("override written with its folders", kind, (), STATES["override"], bare=True)
    yield Scenario("override removed with its folders", kind, (STATES["override"],), STATES["none"], bare=True)
    for name, loader_hooks in itertools.product(IMAGE_STATES, (False, True)):
        end = " with a boot loader's hooks" if loader_hooks else ""
        yield Scenario(f"image of {name}{end}", "an image is built", (STATES[name],), hosts.rebuild_images, loader_hooks)
    for name in IMAGE_STATES:
        converge = functools.partial(_all, actions=(STATES[name], hosts.rebuild_images))
        remove = functools.partial(_all, actions=(hosts.remove_policy, hosts.rebuild_images))
        yield Scenario(f"converge to {name}", "policy and image", (), converge, several_tasks=True)
        yield Scenario(f"removal of {name}", "policy and image", (converge,), remove, several_tasks=True)
        if name == "blacklist":
            kind = "policy and image, on a real file system that is full or read-only"
            yield Scenario("converge on a small disk", kind, (), converge, several_tasks=True, small_disk=True)
            yield Scenario("removal on a small disk", kind, (converge,), remove, several_tasks=True, small_disk=True)
