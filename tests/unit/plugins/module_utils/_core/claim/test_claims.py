# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which driver each claimed device gets, and what is refused before anything is done."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim, assign, modules_of, parse
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, PendingModule
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, V100_VARIANT, Tree, stock_debian

GPU, SECOND, NIC, PORT, ISA = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0", "0000:00:01.0", "0000:00:1f.0"
NAMES = {"vfio_pci": "vfio-pci", "nvlink2gpu_vfio_pci": "nvlink2gpu_vfio_pci", "e1000e": "e1000e"}


def machine(tmp_path: Path) -> Tree:
    tree = stock_debian(tmp_path).pci(GPU, driver="nouveau").pci(SECOND, driver="nouveau").pci(NIC, "8086:10d3", class_code=0x020000)
    return tree.pci(PORT, "8086:3420", class_code=0x060400).pci(ISA, "8086:2918", class_code=0x060100)


def assigned(tree: Tree, *claims: dict[str, t.Any], variant: bool = False) -> dict[str, tuple[str, str]]:
    kernel = Kernel.read(tree.host(), DEBIAN_13)
    if variant:
        kernel = kernel.with_pending([PendingModule("nvlink2gpu_vfio_pci", (V100_VARIANT,))])
    found = assign(parse(claims), Inventory.read(tree.host()), kernel, NAMES)
    return {assignment.device.address: (assignment.module, assignment.driver) for assignment in found}


def test_auto_takes_the_variant_where_the_kernel_has_one_else_vfio_pci(tmp_path: Path) -> None:
    claims = ({"devices": "10de:1db1"}, {"devices": NIC, "driver": "auto"})
    plain = ("vfio_pci", "vfio-pci")
    assert assigned(machine(tmp_path), *claims) == {NIC: plain, GPU: plain, SECOND: plain}
    variant = ("nvlink2gpu_vfio_pci", "nvlink2gpu_vfio_pci")
    assert assigned(machine(tmp_path), *claims, variant=True) == {NIC: plain, GPU: variant, SECOND: variant}


@pytest.mark.parametrize("written", ["vfio-pci", "vfio_pci"])
def test_a_driver_may_be_written_as_driver_or_module(tmp_path: Path, written: str) -> None:
    assert assigned(machine(tmp_path), {"devices": GPU, "driver": written}) == {GPU: ("vfio_pci", "vfio-pci")}


def test_a_driver_whose_name_is_no_modules_is_found_through_the_drivers_that_there_are(tmp_path: Path) -> None:
    tree = machine(tmp_path).driver("e1000-nic", "e1000e")
    assert assigned(tree, {"devices": NIC, "driver": "e1000-nic"}) == {NIC: ("e1000e", "e1000e")}


def test_the_modules_that_are_needed_are_told_before_their_drivers_are_known(tmp_path: Path) -> None:
    tree = machine(tmp_path)
    claims = parse([{"devices": GPU}, {"devices": NIC, "driver": "e1000e"}])
    assert modules_of(claims, Inventory.read(tree.host()), Kernel.read(tree.host(), DEBIAN_13)) == {"vfio_pci", "e1000e"}


def test_a_driver_that_no_module_brings_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"claims\[0\]\.driver: there is no module vfio-pic in .* Did you mean vfio_pci\?"):
        assigned(machine(tmp_path), {"devices": GPU, "driver": "vfio-pic"})


def test_a_kernel_without_vfio_is_told(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, running=True).pci(GPU)
    with pytest.raises(HostError, match="there is no module vfio_pci"):
        assigned(tree, {"devices": GPU})


def test_one_card_of_two_twins_is_taken_alone(tmp_path: Path) -> None:
    assert set(assigned(machine(tmp_path), {"devices": SECOND})) == {SECOND}


def test_a_device_that_is_not_what_was_expected_is_refused(tmp_path: Path) -> None:
    assert set(assigned(machine(tmp_path), {"devices": GPU, "expect": "10de:1db1"})) == {GPU}
    with pytest.raises(HostError, match=rf"claims\[1\]\.expect: {GPU} is 10de:1db1, not 8086:1592"):
        assigned(machine(tmp_path), {"devices": NIC}, {"devices": GPU, "expect": "8086:1592"})


def test_two_claims_that_agree_are_one(tmp_path: Path) -> None:
    found = assigned(machine(tmp_path), {"devices": "10de:1db1"}, {"devices": GPU, "driver": "vfio-pci"})
    assert found == {GPU: ("vfio_pci", "vfio-pci"), SECOND: ("vfio_pci", "vfio-pci")}


def test_two_claims_that_contradict_each_other_are_refused_with_both_named(tmp_path: Path) -> None:
    told = rf"{GPU} \(10de:1db1\) is given to nvlink2gpu_vfio_pci by claims\[0\]\.driver and to vfio_pci by claims\[1\]\.driver"
    with pytest.raises(HostError, match=told):
        assigned(machine(tmp_path), {"devices": "10de:1db1"}, {"devices": GPU, "driver": "vfio-pci"}, variant=True)


def test_bridges_are_passed_over_by_a_wildcard_and_refused_by_name(tmp_path: Path) -> None:
    assert set(assigned(machine(tmp_path), {"devices": "8086:*"})) == {NIC}
    for named in (PORT, "8086:3420"):
        with pytest.raises(HostError, match=rf"{PORT} \(8086:3420\) is a PCI bridge"):
            assigned(machine(tmp_path), {"devices": named})
    with pytest.raises(HostError, match="only bridges match"):
        assigned(machine(tmp_path), {"devices": "class:0604"})


def test_an_isa_bridge_is_taken_by_name_only(tmp_path: Path) -> None:
    assert set(assigned(machine(tmp_path), {"devices": ISA})) == {ISA}
    with pytest.raises(HostError, match="only bridges match"):
        assigned(machine(tmp_path), {"devices": "class:06"})


def test_what_may_be_missing_is_no_error(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"claims\[0\]\.devices: 10de:1db5 matches no PCI device"):
        assigned(machine(tmp_path), {"devices": "10de:1db5"})
    assert assigned(machine(tmp_path), {"devices": "10de:1db5", "allow_missing": True}) == {}


def test_an_assignment_knows_the_selector_that_took_it(tmp_path: Path) -> None:
    tree = machine(tmp_path)
    claims = parse([{"devices": [SECOND, "10de:1db1"]}])
    found = assign(claims, Inventory.read(tree.host()), Kernel.read(tree.host(), DEBIAN_13), NAMES)
    assert [(assignment.device.address, assignment.selector.text) for assignment in found] == [(GPU, "10de:1db1"), (SECOND, SECOND)]


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ({}, r"claims\[0\]\.devices: a claim must say"),
        ({"devices": "x"}, r"claims\[0\]\.devices: 'x' is not a valid selector"),
        ({"devices": "10de:1db1", "drivr": "x"}, r"claims\[0\]\.drivr: a claim has no such field"),
        ({"devices": "10de:1db1", "driver": ""}, r"claims\[0\]\.driver: '' is not a valid driver name"),
        ({"devices": "10de:1db1", "driver": 'x"\nRUN+="y'}, r"claims\[0\]\.driver: .* is not a valid driver name"),
        ({"devices": "10de:1db1", "expect": "10de"}, r"claims\[0\]\.expect: '10de' is not a"),
        ({"devices": "10de:1db1", "strategy": "luck"}, r"claims\[0\]\.strategy: there is no strategy 'luck'"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(claim: dict[str, t.Any], told: str) -> None:
    with pytest.raises(HostError, match=told):
        parse([claim])


def test_a_claim_without_a_list_names_its_options_alone() -> None:
    assert Claim((), index=-1).option("driver") == "driver"
    assert Claim((), index=3).option("driver") == "claims[3].driver"
