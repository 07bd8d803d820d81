# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line on the claims of a host: what is not as claimed, and how many devices are."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_line import answered, in_one_line
from ansible_collections.vfio.variants.plugins.module_utils._core.report.summary import KINDS
from ansible_collections.vfio.variants.plugins.modules import claim_info
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.policy_hosts import STOCK, kernel
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

GPU = "0000:03:00.0"


def asked(tree: Tree, detail: t.Literal["line", "full"], **given: t.Any) -> dict[str, t.Any]:
    return dict(answered(tree.host(), claim_info.request(options_of(claim_info.ARGUMENTS, detail=detail, **given)), False))


def host(root: Path) -> Tree:
    return kernel(Tree(root), DEBIAN_13, STOCK).pci(GPU, driver="nouveau", group=1)


def one(address: str, outcomes: list[str | None], certainty: str = "certain", **fields: t.Any) -> dict[str, t.Any]:
    boot = {"outcomes": outcomes, "certainty": certainty}
    said = {"address": address, "id": "10de:1db1", "claimed": "vfio-pci", "driver": "vfio-pci", "satisfied": True, "warnings": []}
    met = certainty == "certain" and outcomes == ["vfio-pci"]
    return {**said, "will_be_satisfied": met, "kernels": {"6.12": boot}, **fields}


def line(*devices: dict[str, t.Any], **fields: t.Any) -> str:
    host_fields: dict[str, t.Any] = {"next_boot": {"release": "6.12"}, "policy_warnings": [], "unfinished": [], **fields}
    return str(in_one_line({"devices": list(devices), **host_fields})["summary"])


def test_a_host_is_one_line_by_the_module_itself(tmp_path: Path) -> None:
    found = asked(host(tmp_path), "line", devices=GPU, driver="vfio-pci")
    release = asked(host(tmp_path), "full", devices=GPU)["next_boot"]["release"] or "unknown"
    assert list(found) == ["summary"]
    assert found["summary"].startswith(f"1 claimed device, next boot {release}: 10de:1db1 at {GPU} nouveau -> ")
    assert ", claimed for vfio-pci" in found["summary"]


def test_a_requirement_that_is_not_met_fails_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="is bound to nouveau, not to vfio-pci as claimed") as caught:
        asked(host(tmp_path), "line", devices=GPU, driver="vfio-pci", require="satisfied")
    assert list(caught.value.facts) == ["summary"]


def test_what_is_as_claimed_is_counted_and_the_rest_is_named() -> None:
    cards = [one(f"0000:0{number}:00.0", ["vfio-pci", "nouveau"], "race") for number in range(3)]
    others = [
        one("0000:11:00.0", ["vfio-pci"]),
        one("0000:12:00.0", ["vfio-pci"], satisfied=None, driver=None),
        one("0000:13:00.0", ["vfio-pci"], satisfied=False, driver=None, warnings=["a:1: twice"]),
        one("0000:14:00.0", ["vfio-pci", None], "unknown", warnings=["a:1: twice"]),
    ]
    assert line(*cards, *others, policy_warnings=["b:2: once"], unfinished=[{}]) == (
        "7 claimed devices, next boot 6.12: "
        "10de:1db1 at 0000:00:00.0, 0000:01:00.0 and 1 more vfio-pci -> vfio-pci or nouveau, claimed for vfio-pci; "
        "10de:1db1 at 0000:13:00.0 no driver -> vfio-pci, claimed for vfio-pci; "
        "10de:1db1 at 0000:14:00.0 vfio-pci -> unknown, claimed for vfio-pci; "
        "as claimed: vfio-pci 2; 1 unfinished run; 2 warnings"
    )


def test_without_a_claim_or_a_kernel_there_is_a_line_as_well() -> None:
    assert line(next_boot={"release": None}) == "0 claimed devices, next boot unknown"
    bare = one(GPU, [], will_be_satisfied=None, kernels={}, claimed=None, satisfied=None, driver=None)
    assert line(bare) == f"1 claimed device, next boot 6.12: 10de:1db1 at {GPU} no driver -> unknown, claimed for unknown"


def test_a_host_with_many_kinds_of_cards_has_a_short_line_too() -> None:
    cards = [one(f"0000:{number:02x}:00.0", [None], id=f"10de:{number:04x}") for number in range(60)]
    assert line(*cards).count(" -> ") == KINDS
    assert line(*cards).endswith(f"; and {60 - KINDS} more functions")
