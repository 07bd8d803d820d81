# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards of an HGX board: what a claim of some of them means for the others is said, before anything is changed."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim import nvlink_peers
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.nvswitch import Fabric
from ansible_collections.vfio.variants.tests.unit.module_calls import device_claim
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.policy_hosts import kernel, run
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY, Tree

CARDS = tuple(f"0000:{bus:02x}:00.0" for bus in range(0x1B, 0x23))
SWITCHES = ("0000:07:00.0", "0000:08:00.0", "0000:09:00.0", "0000:0a:00.0")
H100, NVSWITCH = "10de:2330", "10de:22a3"
SETTINGS = "/usr/share/nvidia/nvswitch/fabricmanager.cfg"


def board(root: Path, *, mode: int | None = 0, switches: t.Sequence[str] = SWITCHES, cards: t.Sequence[str] = CARDS) -> Tree:
    """Eight H100 whose switches have a fabric manager of the mode; None for a host without one."""
    tree = kernel(Tree(root), DEBIAN_13, {"nvidia": [NVIDIA_DISPLAY], "vfio-pci": ["vfio_pci:v*d*sv*sd*bc*sc*i*"]})
    for group, card in enumerate(cards, 20):
        tree.pci(card, H100, driver="nvidia", group=group)
        tree.file(f"/proc/driver/nvidia/gpus/{card}/information", f"Device Minor: \t {group}\n")
    for group, switch in enumerate(switches, 40):
        tree.pci(switch, NVSWITCH, class_code=0x068000, driver="nvidia-nvswitch", group=group)
    if mode is not None:
        tree.file("/usr/bin/nv-fabricmanager", b"\x7fELF", 0o755)
        tree.file(SETTINGS, f"# Start in a mode\nLOG_LEVEL=4\nFABRIC_MODE={mode}\nFABRIC_MODE_RESTART=0\n")
    return tree


def said(tree: Tree, *devices: str, state: str = "present") -> list[str]:
    """The warnings of `device_claim` that are about switches, in check mode."""
    model = ModelKernel(tree, dict.fromkeys(CARDS, "nvidia"), {"vfio_pci": ["vfio-pci"]})
    claimed = device_claim(model, True, devices=list(devices), driver="vfio-pci", state=state)
    return [one for one in claimed.get("warnings", []) if "NVSwitch" in one]


def test_one_of_eight_means_that_the_others_lose_a_peer(tmp_path: Path) -> None:
    (sentence,) = said(board(tmp_path), CARDS[0])
    page = (ROOT / "docs/tasks/gpu-for-guests.md").read_text(encoding="utf-8")
    assert sentence == page.partition("<!-- device_claim: one of eight -->\n```text\n")[2].partition("\n```")[0]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (1, "gives guests partitions of the switches, FABRIC_MODE=1"),
        (2, "among virtual GPUs"),
        (None, "No fabric manager was found on this host"),
    ],
)
def test_what_to_do_depends_on_the_mode_of_the_fabric_manager(tmp_path: Path, mode: int | None, words: str) -> None:
    (sentence,) = said(board(tmp_path, mode=mode), *CARDS[:2])
    assert words in sentence
    assert "0000:1b:00.0 and 0000:1c:00.0 are of 8 cards" in sentence


def test_the_last_card_that_stays_is_named(tmp_path: Path) -> None:
    (sentence,) = said(board(tmp_path), *CARDS[:7])
    assert "0000:22:00.0, which stays with the host, loses them as NVLink peers." in sentence


def test_a_switch_that_goes_without_its_cards_is_the_worst(tmp_path: Path) -> None:
    (sentence,) = said(board(tmp_path), SWITCHES[0])
    assert "take the NVSwitch 0000:07:00.0 and leave the host the cards 0000:1b:00.0, 0000:1c:00.0, 0000:1d:00.0 and 5 more" in sentence
    assert "error 802" in sentence


def test_all_cards_without_the_switches_need_partitions(tmp_path: Path) -> None:
    (sentence,) = said(board(tmp_path), *CARDS)
    assert sentence.startswith("All 8 cards behind the NVSwitches")
    assert "partitions take FABRIC_MODE=1" in sentence


def test_the_whole_board_goes_without_a_word(tmp_path: Path) -> None:
    assert said(board(tmp_path), *CARDS, *SWITCHES) == []


def test_switches_that_are_no_functions_of_the_host_are_known_by_their_manager(tmp_path: Path) -> None:
    (sentence,) = said(board(tmp_path, switches=()), CARDS[0])
    assert "one of 8 cards behind NVSwitches" in sentence


def test_cards_without_switches_are_no_board(tmp_path: Path) -> None:
    assert said(board(tmp_path / "plain", mode=None, switches=()), CARDS[0]) == []
    assert said(board(tmp_path / "one", cards=CARDS[:1]), CARDS[0]) == []


@pytest.mark.parametrize("folder", ["/etc", "/run"])
def test_a_fabric_manager_that_is_masked_configures_nothing(tmp_path: Path, folder: str) -> None:
    mask = f"{folder}/systemd/system/nvidia-fabricmanager.service"
    (sentence,) = said(board(tmp_path, mode=1).link(mask, "/dev/null"), CARDS[0])
    assert f"The fabric manager is masked ({mask}); without it CUDA does not start" in sentence
    assert "FABRIC_MODE" not in sentence


def test_a_unit_of_the_fabric_manager_s_own_does_not_mask_it(tmp_path: Path) -> None:
    tree = board(tmp_path, mode=1).file(
        "/etc/systemd/system/nvidia-fabricmanager.service", "[Service]\nExecStart=/usr/bin/nv-fabricmanager\n"
    )
    (sentence,) = said(tree, CARDS[0])
    assert "FABRIC_MODE=1" in sentence


@pytest.mark.parametrize("model", ["10de:15f9", "10de:1db1", "10de:1db5", "10de:1df5"])
def test_cards_that_are_linked_without_switches_are_peers_too(tmp_path: Path, model: str) -> None:
    tree = board(tmp_path, mode=None, switches=())
    for group, card in enumerate(CARDS, 20):
        tree.pci(card, model, driver="nvidia", group=group)
    host = tree.host()
    found = Fabric.read(host, Inventory.read(host))
    assert found is not None
    assert nvlink_peers.sentence(found, CARDS[:1]) == (
        "0000:1b:00.0 is one of 8 cards that such boards link to each other by NVLink: the 7 that stay with the host lose it as NVLink "
        "peer. What goes over a link passes no IOMMU: give cards that are linked to one guest."
    )
    assert nvlink_peers.sentence(found, CARDS) is None


def test_two_of_such_cards_need_not_be_linked(tmp_path: Path) -> None:
    tree = board(tmp_path, mode=None, switches=(), cards=())
    for group, card in enumerate(CARDS[:2], 20):
        tree.pci(card, "10de:1db1", driver="nvidia", group=group)
    assert Fabric.read(tree.host(), Inventory.read(tree.host())) is None


def test_what_is_given_back_needs_no_word(tmp_path: Path) -> None:
    assert said(board(tmp_path), CARDS[0], state="absent") == []


def test_the_policy_for_the_next_boot_says_the_same(tmp_path: Path) -> None:
    warnings = run(board(tmp_path), {"devices": CARDS[0], "driver": "vfio-pci", "guards": {"identical": "ignore"}})["warnings"]
    assert [one for one in warnings if one.startswith("0000:1b:00.0 is one of 8 cards behind the NVSwitches")]
