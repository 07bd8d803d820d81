# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel whose drivers are all built in, vfio-pci as well: what it did in real boots, without `ids=` and with all IDs of the machine.

The file has the kernel's configuration and source, its own list of what was linked, in that order, and who had each device of a machine
like that of tests/forecast/machine.py, with some more.  That kernel lists no IDs of its drivers, as all before Linux 6.18.
"""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import Tree

FILE = Path(__file__).resolve().parents[1] / "forecast" / "observed" / "built_in.json"
SEEN = json.loads(FILE.read_text(encoding="utf-8"))
RELEASE = "6.12.117"
ANY = "another driver"
GIVEN = f"vfio-pci.ids={','.join(SEEN['ids'])}"
WITHOUT, WITH = "without_ids", "with_ids"
DESCRIBED = None
"""No kernel runs."""


def tree(root: Path, owners: t.Mapping[str, str | None] | None, running: str, override: str | None = None) -> Tree:
    """The machine with these owners now; None for one of which only its devices are known."""
    found = Tree(root).systemd().kernel(RELEASE, builtin=[name[len("kernel/") : -len(".ko")] for name in SEEN["builtin"]])
    found.file(f"/lib/modules/{RELEASE}/modules.builtin", "".join(f"{name}\n" for name in SEEN["builtin"]))
    if owners is not None:
        found.running(RELEASE)
        for driver in {"vfio-pci", *filter(None, (one[WITHOUT] for one in SEEN["devices"].values()))}:
            found.driver(driver)
    found.cmdline(f"root=/dev/vda1 {running}")
    for number, (address, one) in enumerate(SEEN["devices"].items()):
        alias = one["modalias"]
        found.pci(
            address,
            f"{alias[9:13]}:{alias[18:22]}".lower(),
            subsystem=f"{alias[28:32]}:{alias[38:42]}".lower(),
            class_code=int(alias[44:46] + alias[48:50] + alias[51:53], 16),
            driver=None if owners is None else owners[address],
            override=override if owners is not None and owners[address] == "vfio-pci" else None,
            group=number,
        )
    return found


def answers(tree: Tree) -> dict[str, tuple[str, tuple[str | None, ...]]]:
    found = device_info(tree.host(Commands(tree.root)))["devices"]
    return {one["address"]: (one["kernels"][RELEASE]["certainty"], tuple(one["kernels"][RELEASE]["outcomes"])) for one in found}


def seen(state: str) -> dict[str, str | None]:
    return {address: one[state] for address, one in SEEN["devices"].items()}


def wrong(found: t.Mapping[str, tuple[str, tuple[str | None, ...]]], then: str) -> dict[str, object]:
    true = seen(then)
    is_right = {address: (true[address] in outcomes or ANY in outcomes) for address, (_certainty, outcomes) in found.items()}
    return {address: (found[address], true[address]) for address, right in is_right.items() if not right}


def test_vfio_pci_wins_against_what_is_linked_after_it() -> None:
    """What the file says, so that it proves something."""
    lost = {one[WITHOUT] for one in SEEN["devices"].values() if one[WITH] != "vfio-pci" and one[WITHOUT]}
    won = {one[WITHOUT] for one in SEEN["devices"].values() if one[WITH] == "vfio-pci" and one[WITHOUT]}
    assert {"e1000e", "nvme", "ahci", "bochs-drm", "virtio-pci", "serial"} <= lost
    assert {"xhci_hcd", "snd_hda_intel", "sdhci-pci"} <= won


@pytest.mark.parametrize("now", [WITHOUT, WITH])
@pytest.mark.parametrize("then", [WITHOUT, WITH])
def test_the_next_boot_is_as_it_was(tmp_path: Path, now: str, then: str) -> None:
    found = answers(tree(tmp_path, seen(now), GIVEN if then == WITH else ""))
    assert wrong(found, then) == {}


def test_after_the_same_boot_what_vfio_has_is_certain(tmp_path: Path) -> None:
    found = answers(tree(tmp_path, seen(WITH), GIVEN))
    taken = [address for address, driver in seen(WITH).items() if driver == "vfio-pci"]
    assert {found[address] for address in taken} == {("certain", ("vfio-pci",))}


@pytest.mark.parametrize("address", SEEN["devices"])
def test_a_device_that_was_unbound_by_hand_may_come_back_to_its_driver(tmp_path: Path, address: str) -> None:
    found = answers(tree(tmp_path, {**seen(WITHOUT), address: None}, ""))
    assert wrong(found, WITHOUT) == {}


UNBOUND, BY_HAND = "nothing is bound", "vfio-pci by hand"


@pytest.mark.parametrize("now", [UNBOUND, BY_HAND, DESCRIBED])
def test_which_driver_comes_first_is_open_where_no_boot_of_the_kernel_has_shown_it(tmp_path: Path, now: str | None) -> None:
    driver = "vfio-pci" if now == BY_HAND else None
    owners = None if now is DESCRIBED else dict.fromkeys(SEEN["devices"], driver)
    found = answers(tree(tmp_path, owners, GIVEN, driver))
    assert wrong(found, WITH) == {}
    certainty, outcomes = found["0000:00:02.0"]
    assert (certainty, outcomes[0]) == ("unknown", "vfio-pci")
    assert {ANY, "e1000e"} & {*outcomes}


@pytest.mark.parametrize("has_list", [False, True], ids=["no list of IDs", "a list of IDs"])
@pytest.mark.parametrize(("id_", "expected"), [("1af4:1110", ("certain", (None,))), ("1af4:1045", ("unknown", (None, "virtio-pci")))])
def test_virtio_pci_leaves_the_memory_that_guests_share_as_it_is(
    tmp_path: Path, has_list: bool, id_: str, expected: tuple[str, tuple[str | None, ...]]
) -> None:
    """Of this vendor's devices it takes those of virtio (vp_modern_probe()); what it took may have been unbound by hand."""
    modinfo = "virtio_pci.alias=pci:v00001AF4d*sv*sd*bc*sc*i*\0" if has_list else ""
    found = Tree(tmp_path).systemd().kernel(RELEASE, builtin=["drivers/virtio/virtio_pci"], running=True).cmdline("root=/dev/vda1")
    found.file(f"/lib/modules/{RELEASE}/modules.builtin", "kernel/drivers/virtio/virtio_pci.ko\n")
    found.file(f"/lib/modules/{RELEASE}/modules.builtin.modinfo", modinfo).driver("virtio-pci")
    found.pci("0000:03:00.0", id_, class_code=0x050000)
    assert answers(found) == {"0000:03:00.0": expected}
