# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a boot, what was predicted before it is compared with the owners, and the sentence that was wrong is said."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import boot_menus
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.report.test_claim_check import (
    GPU,
    OVERRIDE,
    RULES,
    SECOND,
    V100,
    asked,
    host,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

OTHER_RULE = "/etc/udev/rules.d/90-site.rules"


def claimed(root: Path, **given: t.Any) -> Tree:
    """A card that waits for the boot that its rule prepares."""
    return host(root, policy=OVERRIDE, **given).pci(GPU, driver="nouveau", group=7)


def predicted(tree: Tree) -> dict[str, t.Any]:
    """Before the boot; as Ansible keeps it."""
    found: dict[str, t.Any] = json.loads(json.dumps(asked(tree, devices=V100, driver="vfio-pci", kernels=["all"])))
    return found


def wrong(tree: Tree, before: object, **given: t.Any) -> list[str]:
    found: list[str] = asked(tree, devices=V100, driver="vfio-pci", predicted=before, allow_missing=True, **given)["wrong_predictions"]
    return found


def test_a_boot_that_went_as_predicted_is_not_mentioned(tmp_path: Path) -> None:
    tree = claimed(tmp_path)
    before = predicted(tree)
    tree.pci(GPU, driver="vfio-pci", group=7)
    assert wrong(tree, before) == []


def test_the_reason_that_does_not_hold_any_more_is_named(tmp_path: Path) -> None:
    tree = claimed(tmp_path)
    before = predicted(tree)
    tree.place(RULES).unlink()
    host(tmp_path)
    (sentence,) = wrong(tree.pci(GPU, driver="nouveau", group=7), before)
    assert sentence.startswith(
        f"{GPU} (10de:1db1) is bound to nouveau after the boot; vfio-pci was predicted for the boot of {DEBIAN_13} ("
    )
    assert "What was so before the boot, and is not now: " in sentence
    assert "driver_override=vfio-pci" in sentence.partition("is not now: ")[2]


def test_where_every_reason_still_holds_something_else_has_decided(tmp_path: Path) -> None:
    tree = claimed(tmp_path)
    before = predicted(tree)
    (sentence,) = wrong(tree, before)
    assert "something else has decided" in sentence


def test_a_device_without_a_driver_is_said_to_have_none(tmp_path: Path) -> None:
    tree = claimed(tmp_path)
    before = predicted(tree)
    tree.place(f"/sys/bus/pci/devices/{GPU}/driver").unlink()
    assert wrong(tree, before)[0].startswith(f"{GPU} (10de:1db1) has no driver after the boot")


def test_another_kernel_than_the_predicted_one_is_a_sentence_of_its_own(tmp_path: Path) -> None:
    tree = claimed(tmp_path, releases=(DEBIAN_13, DEBIAN_12))
    before = predicted(tree)
    tree.running(DEBIAN_12).pci(GPU, driver="vfio-pci", group=7)
    assert wrong(tree, before) == [
        f"Kernel {DEBIAN_12} was booted, and {DEBIAN_13} was predicted (/boot/grub/grub.cfg: default=\"0\", 'Debian GNU/Linux')."
    ]


def test_a_device_that_has_gone_is_one_that_was_predicted(tmp_path: Path) -> None:
    tree = claimed(tmp_path).pci(SECOND, driver="nouveau", group=8)
    before = predicted(tree)
    tree.pci(GPU, driver="vfio-pci", group=7).place(f"/sys/bus/pci/devices/{SECOND}").unlink()
    assert wrong(tree, before)[0].startswith(f"{SECOND} is not there after the boot; nouveau was predicted")


def test_what_was_unknown_cannot_be_wrong(tmp_path: Path) -> None:
    tree = claimed(tmp_path, loader=False).file("/boot/grub/grub.cfg", boot_menus.debian_grub((DEBIAN_13,)))
    tree.file(OTHER_RULE, 'ACTION=="add", SUBSYSTEM=="pci", RUN+="/opt/vendor/setup"\n').file("/opt/vendor/setup", b"\x7fELF", 0o755)
    before = predicted(tree)
    assert before["devices"][0]["kernels"][DEBIAN_13]["certainty"] == "unknown"
    assert wrong(tree, before) == []


def test_with_the_owners_required_a_wrong_prediction_is_a_failure(tmp_path: Path) -> None:
    tree = claimed(tmp_path)
    before = predicted(tree)
    with pytest.raises(HostError, match="vfio-pci was predicted for the boot"):
        wrong(tree, before, require="satisfied")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"devices": 7},
        {"devices": [{"address": GPU, "kernels": []}]},
        {"devices": [{"address": 180.1, "kernels": {DEBIAN_13: {}}}]},
        {"devices": [{"address": GPU, "kernels": {DEBIAN_13: {"certainty": "certain", "outcomes": [7], "because": []}}}]},
        {"devices": [], "next_boot": {"release": None}},
    ],
)
def test_what_cannot_be_a_prediction_is_refused_in_one_sentence(tmp_path: Path, given: dict[str, t.Any]) -> None:
    with pytest.raises(HostError, match="predicted: this is not what claim_info has returned"):
        wrong(claimed(tmp_path), given)
