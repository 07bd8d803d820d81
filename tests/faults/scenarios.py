# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is disturbed: changes of a policy from each state to each other one, and rebuilds of images."""

from __future__ import annotations

import functools
import itertools
import typing as t
from collections.abc import Iterator

from ansible_collections.vfio.variants.tests.faults import hosts, other_hosts
from ansible_collections.vfio.variants.tests.faults.scenario import Action, Scenario
from ansible_collections.vfio.variants.tests.unit.policy_hosts import NIC, V100, run
from ansible_collections.vfio.variants.tests.unit.trees import Tree

VFIO = {**V100, "driver": "vfio-pci"}


def _policy(strategy: str, *claims: dict[str, t.Any]) -> Action:
    return functools.partial(_write, claims=claims, strategy=strategy)


def _write(tree: Tree, check_mode: bool, claims: tuple[dict[str, t.Any], ...], strategy: str) -> dict[str, t.Any]:
    return run(tree, *claims, check=check_mode, strategy=strategy)


STATES: dict[str, Action] = {
    "none": hosts.remove_policy,
    "override": _policy("override", V100, NIC),
    "ids": _policy("ids", VFIO, NIC),
    "blacklist": _policy("blacklist", V100, NIC),
    "mixed": _policy("override", {**V100, "strategy": "blacklist"}, {**NIC, "strategy": "ids"}),
    "one card": _policy("blacklist", NIC),
}
_FAILS = (("none", "mixed"), ("mixed", "none"))
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")
_FAILING = ("killed", "EIO", "ENOSPC", "EROFS")
"""Of some scenarios calls fail, too; in all others processes are only killed."""
IMAGE_STATES = ("override", "ids", "blacklist")


def scenarios() -> Iterator[Scenario]:
    yield from _policies()
    yield from _images()
    yield from other_hosts.scenarios()


def _policies() -> Iterator[Scenario]:
    for old, new in itertools.permutations(STATES, 2):
        before = () if old == "none" else (STATES[old],)
        kind = "a policy is written" if old == "none" else "a policy is removed" if new == "none" else "a policy is replaced"
        yield Scenario(f"{old} to {new}", kind, before, (STATES[new],), faults=_FAILING if (old, new) in _FAILS else ("killed",))
    kind = "a policy whose folders are missing"
    yield Scenario("override written with its folders", kind, (), (STATES["override"],), bare=True)
    yield Scenario("override removed with its folders", kind, (STATES["override"],), (STATES["none"],), bare=True)


def _images() -> Iterator[Scenario]:
    for name, loader_hooks in itertools.product(IMAGE_STATES, (False, True)):
        end = " with a boot loader's hooks" if loader_hooks else ""
        faults = (*_FAILING, *SIGNALS) if name == "blacklist" and loader_hooks else ("killed",)
        yield Scenario(f"image of {name}{end}", "an image is built", (STATES[name],), (hosts.rebuild_images,), loader_hooks, faults=faults)
    for name in IMAGE_STATES:
        converge = (STATES[name], hosts.rebuild_images)
        remove = (hosts.remove_policy, hosts.rebuild_images)
        yield Scenario(f"converge to {name}", "policy and image", (), converge)
        yield Scenario(f"removal of {name}", "policy and image", converge, remove)
        if name == "blacklist":
            kind = "policy and image, on a real file system that is full or read-only"
            yield Scenario("converge on a small disk", kind, (), converge, small_disk=True)
            yield Scenario("removal on a small disk", kind, converge, remove, small_disk=True)
