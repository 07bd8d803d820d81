# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is suggested on hosts of guides, done as its words say, gives the card to the guest and no other device to another driver."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit import (
    test_adversarial_hosts,
    test_hosts_of_guides,
    test_hosts_of_strangers,
    test_hosts_with_conditions,
)
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import CARD, SAME, Drawn
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.policy_hosts import run
from ansible_collections.vfio.variants.tests.unit.remedies import follow
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

HOSTS: dict[str, Drawn] = {
    **test_adversarial_hosts.HOSTS,
    **test_hosts_of_guides.HOSTS,
    **test_hosts_with_conditions.HOSTS,
    **test_hosts_of_strangers.HOSTS,
}
GUEST = "vfio-pci"
# Suggestions that are alike, to claim the card, are made on most hosts; of those every eighth is tried, and all by tests/world/run.
EVERY = 8
TRIED = [*list(HOSTS)[::EVERY]]


class Answer(t.NamedTuple):
    """``claimed`` is the driver that the host's own policy claims the device for."""

    winner: str | None
    certainty: str
    claimed: str | None


def suggested(tree: Tree) -> str | None:
    (device,) = claim_info(tree.host(Commands(tree.root)), devices=CARD, driver=GUEST)["devices"]
    said: str | None = device["kernels"][DEBIAN_13].get("would_change")
    return said


def answers(tree: Tree) -> dict[str, Answer]:
    devices = device_info(tree.host(Commands(tree.root)))["devices"]
    kernels = {one["address"]: one["kernels"][DEBIAN_13] for one in devices}
    return {address: Answer(found["winner"], found["certainty"], found["claimed"]) for address, found in kernels.items()}


def wrong(drawn: Drawn, root: Path) -> str | None:
    """What is wrong with what is suggested on a host; None if nothing is, or nothing is suggested that files alone can do."""
    tried = tried_on(drawn, root)
    return None if tried is None else tried[1]


def tried_on(drawn: Drawn, root: Path) -> tuple[str, str | None] | None:
    """What is suggested on a host that files alone can do, and what is wrong with it."""
    tree = drawn.tree(root / "before")
    sentence = suggested(tree)
    if sentence is None or sentence.startswith(("Kernel ", "Not searched")):
        return None
    done = follow(sentence, drawn.files, tuple(drawn.cmdline.split()))
    changed = dataclasses.replace(drawn, files=done.files, cmdline=" ".join(done.cmdline)).tree(root / "after")
    if done.claims:
        # It raises where the policy would not win, or another device would lose its driver.
        is_new = run(changed, {"devices": CARD, "driver": GUEST}, check=True)["changed"]
        return sentence, None if is_new else f"{sentence} It is claimed already."
    return None if done.rebuilds else (sentence, _wrong(answers(tree), answers(changed), sentence))


def _wrong(before: dict[str, Answer], after: dict[str, Answer], sentence: str) -> str | None:
    if after[CARD][:2] != (GUEST, "certain"):
        return f"{sentence} leads to {after[CARD][:2]}"
    fine = {one: (before[one][:2], (before[one].claimed, "certain")) for one in before if one != CARD}
    harmed = [one for one in fine if after[one][:2] not in fine[one]]
    return f"{sentence} harms {harmed}" if harmed else None


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", TRIED)
def test_a_change_helps_and_harms_no_device(tmp_path: Path, name: str) -> None:
    assert wrong(HOSTS[name], tmp_path) is None


MISTAKES = {
    "Add `blacklist vfio-pci` to /etc/modprobe.d/x.conf.": "leads to ('nouveau', 'certain')",
    "Add `options vfio-pci ids=10de:1db1` to /etc/modprobe.d/x.conf, then add `softdep nouveau pre: vfio-pci` to /etc/modprobe.d/x.conf.": (
        f"harms ['{SAME}']"
    ),
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_change_that_does_not_help_or_harms_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: str) -> None:
    monkeypatch.setattr(f"{__name__}.suggested", lambda _tree: sentence)
    assert MISTAKES[sentence] in str(wrong(HOSTS["a timer that is not started"], tmp_path))
