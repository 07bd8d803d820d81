# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which driver each claimed device gets, and what is refused before anything is done."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import (
    Claim,
    assign,
    companions,
    modules_of,
    parse,
    with_companions,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, PendingModule
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit import boots
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, V100_VARIANT, Tree, stock_debian

GPU, SECOND, NIC, PORT, ISA = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0", "0000:00:01.0", "0000:00:1f.0"
NAMES = {"vfio_pci": "vfio-pci", "nvlink2gpu_vfio_pci": "nvlink2gpu_vfio_pci", "e1000e": "e1000e"}


def machine(tmp_path: Path) -> Tree:
    tree = stock_debian(tmp_path).pci(GPU, driver="nouveau").pci(SECOND, driver="nouveau").pci(NIC, "8086:10d3", class_code=0x020000)
    return tree.pci(PORT, "8086:3420", class_code=0x060400).pci(ISA, "8086:2918", class_code=0x060100)


def assigned(tree: Tree, *claims: dict[str, t.Any], variant: bool = False) -> dict[str, tuple[str, str]]:
    kernel = Kernel.read(tree.host(), DEBIAN_13).checked(tree.host())
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


def with_variant(tree: Tree, *, file: bool) -> Tree:
    """The variant in depmod's files, and its file if there is one."""
    here = f"/lib/modules/{DEBIAN_13}"
    for name, line in (
        ("modules.dep", "updates/dkms/nvlink2gpu_vfio_pci.ko.xz:"),
        ("modules.alias", f"alias {V100_VARIANT} nvlink2gpu_vfio_pci"),
    ):
        place = tree.place(f"{here}/{name}")
        place.write_text(f"{place.read_text()}{line}\n")
    return tree.file(f"{here}/updates/dkms/nvlink2gpu_vfio_pci.ko.xz", b"") if file else tree


@pytest.mark.parametrize("file", [True, False])
def test_auto_takes_no_variant_whose_file_is_gone(tmp_path: Path, file: bool) -> None:
    tree = with_variant(machine(tmp_path), file=file)
    assert assigned(tree, {"devices": GPU})[GPU][0] == ("nvlink2gpu_vfio_pci" if file else "vfio_pci")


def test_auto_takes_no_variant_of_which_only_the_aliases_are_left(tmp_path: Path) -> None:
    tree = machine(tmp_path)
    place = tree.place(f"/lib/modules/{DEBIAN_13}/modules.alias")
    place.write_text(f"{place.read_text()}alias {V100_VARIANT} nvlink2gpu_vfio_pci\n")
    assert assigned(tree, {"devices": GPU}) == {GPU: ("vfio_pci", "vfio-pci")}


def test_a_driver_that_is_named_and_whose_file_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        HostError, match=rf"name the module nvlink2gpu_vfio_pci, and its file does not exist\. .*depmod {re.escape(DEBIAN_13)}"
    ):
        assigned(with_variant(machine(tmp_path), file=False), {"devices": GPU, "driver": "nvlink2gpu_vfio_pci"})
    tree = machine(tmp_path)
    tree.place(f"/lib/modules/{DEBIAN_13}/kernel/drivers/vfio/pci/vfio-pci.ko").unlink()
    with pytest.raises(HostError, match="name the module vfio_pci, and its file does not exist"):
        assigned(tree, {"devices": NIC})


def test_variant_takes_a_variant_or_nothing(tmp_path: Path) -> None:
    claim = {"devices": GPU, "driver": "variant"}
    assert assigned(machine(tmp_path), claim, variant=True)[GPU][0] == "nvlink2gpu_vfio_pci"
    with pytest.raises(
        HostError, match=r"claims\[0\]\.driver: kernel .* has no variant driver for 0000:3b:00\.0 \(10de:1db1\): none of its"
    ):
        assigned(machine(tmp_path), claim)
    with pytest.raises(HostError, match=r"no variant driver for 0000:3b:00\.0 .*: the file of nvlink2gpu_vfio_pci does not exist"):
        assigned(with_variant(machine(tmp_path), file=False), claim)


@pytest.mark.parametrize("written", ["vfio-pci", "vfio_pci"])
def test_a_driver_may_be_written_as_driver_or_module(tmp_path: Path, written: str) -> None:
    assert assigned(machine(tmp_path), {"devices": GPU, "driver": written}) == {GPU: ("vfio_pci", "vfio-pci")}


def test_a_driver_named_otherwise_than_its_module_is_found_through_the_drivers_that_there_are(tmp_path: Path) -> None:
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


def test_one_of_two_identical_cards_is_taken_alone(tmp_path: Path) -> None:
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


def test_what_may_be_missing_is_not_an_error(tmp_path: Path) -> None:
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
        ({}, r"claims\[0\]\.devices: a claim needs devices"),
        ({"devices": "x"}, r"claims\[0\]\.devices: 'x' is not a valid selector"),
        ({"devices": "10de:1db1", "drivr": "x"}, r"claims\[0\]\.drivr: a claim has no such field"),
        ({"devices": "10de:1db1", "driver": ""}, r"claims\[0\]\.driver: '' is not a valid driver name"),
        ({"devices": "10de:1db1", "driver": 'x"\nRUN+="y'}, r"claims\[0\]\.driver: .* is not a valid driver name"),
        ({"devices": "10de:1db1", "expect": "10de"}, r"claims\[0\]\.expect: '10de' is not a"),
        ({"devices": "10de:1db1", "strategy": "luck"}, r"claims\[0\]\.strategy: there is no strategy 'luck'"),
        ({"devices": "10de:1db1", "vfs": 0}, r"claims\[0\]\.vfs: 0 is not a number of virtual functions"),
        ({"devices": "10de:1db1", "vfs": 65536}, r"claims\[0\]\.vfs: 65536 is not a number of virtual functions"),
        ({"devices": "10de:1db1", "vfs": True}, r"claims\[0\]\.vfs: True is not a number of virtual functions"),
        ({"devices": "10de:1db1", "vfs": "4"}, r"claims\[0\]\.vfs: '4' is not a number of virtual functions"),
        ({"devices": "10de:1db1", "vfs": 4, "strategy": "ids"}, r"claims\[0\]\.strategy: ids does not go with vfs"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(claim: dict[str, t.Any], told: str) -> None:
    with pytest.raises(HostError, match=told):
        parse([claim])


def test_a_claim_without_a_list_names_its_options_alone() -> None:
    assert Claim((), index=-1).option("driver") == "driver"
    assert Claim((), index=3).option("driver") == "claims[3].driver"


def test_a_bridge_that_a_wildcard_sweeps_over_brings_no_companion_along(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci(PORT, "8086:3420", class_code=0x060400, group=1).pci(ISA, "1b21:2918", class_code=0x060100, group=1)
    tree.pci(NIC, "8086:10d3", class_code=0x020000, group=2)
    assert companions(parse([{"devices": "8086:*"}]), Inventory.read(tree.host())) == ()


def test_a_companion_is_told_once_with_the_first_claim_that_needs_it_and_never_a_bridge(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci(GPU, group=15).pci("0000:3b:00.1", "10de:10f7", class_code=0x040300, group=15)
    tree.pci(PORT, "8086:3420", class_code=0x060400, group=15).pci(NIC, "8086:10d3", class_code=0x020000, group=15)
    tree.pci(SECOND, group=16).pci("0000:00:02.0", "1af4:1000", class_code=0x020000, group=15)
    claims = parse([{"devices": [NIC, "9999:9999"]}, {"devices": "10de:1db1"}])
    found = companions(claims, Inventory.read(tree.host()))
    assert [(claim.index, device.address) for claim, device in found] == [(0, "0000:00:02.0"), (0, "0000:3b:00.1")]


def test_a_companion_s_claim_asks_for_its_own_best_driver_by_its_address_alone(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci(GPU, group=15).pci("0000:3b:00.1", "10de:10f7", class_code=0x040300, group=15)
    given = parse([{"devices": GPU, "driver": "e1000e", "expect": "10de:1db1", "strategy": "ids", "allow_missing": True}])
    first, own = with_companions(given, Inventory.read(tree.host()))
    assert first == given[0]
    assert [selector.text for selector in own.selectors] == ["0000:3b:00.1"]
    assert (own.driver, own.expect, own.strategy, own.allow_missing, own.index) == ("auto", None, "override", True, 0)
    assert with_companions(given, Inventory.read(tree.host()))[1:] == (own,)


def test_a_companion_that_is_claimed_twice_over_is_assigned(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci(GPU, group=15).pci("0000:3b:00.1", "10de:10f7", class_code=0x040300, group=15)
    inventory = Inventory.read(tree.host())
    claims = with_companions(parse([{"devices": GPU, "expect": "10de:1db1"}]), inventory)
    found = assign(claims, inventory, Kernel.read(tree.host(), DEBIAN_13), NAMES)
    assert [(assignment.device.address, assignment.module) for assignment in found] == [(GPU, "vfio_pci"), ("0000:3b:00.1", "vfio_pci")]


@pytest.mark.parametrize("strategy", ["override", "ids", "blacklist", None])
def test_each_strategy_is_taken(strategy: str | None) -> None:
    (claim,) = parse([{"devices": "10de:1db1", "strategy": strategy, "driver": None, "expect": None}])
    assert (claim.strategy, claim.driver, claim.expect, claim.allow_missing) == (strategy, "auto", None, False)


def test_a_claim_has_what_was_given_and_its_place_in_the_list() -> None:
    given = {"devices": ["10de:1db1", "class:02"], "driver": "vfio-pci", "expect": "10de:1db1", "strategy": "ids", "allow_missing": 1}
    (_first, claim) = parse([{"devices": "8086:*"}, given])
    assert [selector.text for selector in claim.selectors] == ["10de:1db1", "class:02"]
    assert (claim.driver, claim.expect, claim.strategy, claim.allow_missing, claim.index) == ("vfio-pci", (0x10DE, 0x1DB1), "ids", True, 1)


@pytest.mark.parametrize(("given", "may"), [({}, True), ({"reload": None}, True), ({"reload": True}, True), ({"reload": False}, False)])
def test_a_driver_may_be_loaded_again_unless_the_claim_forbids_it(given: dict[str, bool | None], may: bool) -> None:
    (claim,) = parse([{"devices": "10de:1db1", **given}])
    assert claim.reload is may


@pytest.mark.parametrize(("vfs", "strategy"), [(1, None), (65535, None), (4, "override"), (None, "ids")])
def test_a_number_of_virtual_functions_is_taken(vfs: int | None, strategy: str | None) -> None:
    (claim,) = parse([{"devices": "8086:10c9", "vfs": vfs, "strategy": strategy}])
    assert (claim.vfs, claim.strategy) == (vfs, strategy)


def test_of_several_unknown_fields_the_first_by_name_is_told() -> None:
    with pytest.raises(HostError, match=r"claims\[0\]\.a: a claim has no such field"):
        parse([{"z": 1, "devices": "10de:1db1", "a": 2, "m": 3}])


@pytest.mark.parametrize("driver", ["vfio-pci", "vfio_pci", "a", "9p", "A-b_C"])
def test_a_name_of_letters_digits_dashes_and_underscores_is_a_driver_s(driver: str) -> None:
    assert parse([{"devices": "10de:1db1", "driver": driver}])[0].driver == driver


@pytest.mark.parametrize("driver", ["-x", "_x", "a b", "a.b", "a\n", "é", 7, ["vfio-pci"], " a"])
def test_anything_else_is_not(driver: t.Any) -> None:
    with pytest.raises(HostError, match="is not a valid driver name"):
        parse([{"devices": "10de:1db1", "driver": driver}])


@pytest.mark.parametrize(
    ("class_code", "swept"),
    [(0x060100, True), (0x060400, True), (0x068000, False), (0x020000, False), (0x050600, False), (0x068080, False)],
)
def test_a_wildcard_passes_over_bridges_but_for_the_other_ones_such_as_an_nvswitch(tmp_path: Path, class_code: int, swept: bool) -> None:
    tree = stock_debian(tmp_path).pci("0000:c1:00.0", "10de:1af1", class_code=class_code).pci(GPU)
    assert ("0000:c1:00.0" in assigned(tree, {"devices": "10de:*"})) is not swept


def test_a_bridge_of_any_name_in_the_claim_is_taken_by_its_id_where_it_can_be(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci(ISA, "8086:2918", class_code=0x060100)
    for devices in ("8086:2918", ["class:02", "8086:2918"], [ISA]):
        assert set(assigned(tree, {"devices": devices, "allow_missing": True})) == {ISA}


def test_only_bridges_are_no_error_where_they_may_be_missing(tmp_path: Path) -> None:
    assert assigned(machine(tmp_path), {"devices": "class:0604", "allow_missing": True}) == {}


def test_either_number_that_differs_from_what_was_expected_is_refused(tmp_path: Path) -> None:
    for expect in ("10de:1db5", "8086:1db1"):
        with pytest.raises(HostError, match=f"is 10de:1db1, not {expect}"):
            assigned(machine(tmp_path), {"devices": GPU, "expect": expect})


def test_a_driver_s_name_that_is_also_a_module_s_is_taken_as_the_module(tmp_path: Path) -> None:
    tree = machine(tmp_path).driver("e1000e", "other-module")
    assert assigned(tree, {"devices": NIC, "driver": "e1000e"}) == {NIC: ("e1000e", "e1000e")}


def test_a_driver_that_is_built_in_and_of_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"there is no module pcieport in"):
        assigned(machine(tmp_path).driver("pcieport"), {"devices": NIC, "driver": "pcieport"})


def test_where_two_claims_take_a_device_it_is_the_first_one_s(tmp_path: Path) -> None:
    tree = machine(tmp_path)
    claims = parse([{"devices": GPU}, {"devices": "10de:1db1", "driver": "vfio-pci"}])
    found = assign(claims, Inventory.read(tree.host()), Kernel.read(tree.host(), DEBIAN_13), NAMES)
    assert [(assignment.device.address, assignment.claim.index) for assignment in found] == [(GPU, 0), (SECOND, 1)]


def test_a_wildcard_beside_a_device_that_is_named_names_no_bridge(tmp_path: Path) -> None:
    assert set(assigned(machine(tmp_path), {"devices": ["8086:*", GPU]})) == {NIC, GPU}


def test_companions_are_told_by_their_addresses(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).pci(GPU, group=15).pci("0000:3b:00.1", "10de:10f7", class_code=0x040300, group=15)
    tree.pci(SECOND, group=16).pci("0000:5e:00.1", "10de:10f7", class_code=0x040300, group=16)
    found = companions(parse([{"devices": SECOND}, {"devices": GPU}]), Inventory.read(tree.host()))
    assert [device.address for _claim, device in found] == ["0000:3b:00.1", "0000:5e:00.1"]


def test_what_a_claim_does_not_say_is_left_as_usual() -> None:
    claim = Claim(())
    assert (claim.driver, claim.expect, claim.strategy, claim.allow_missing, claim.option("driver")) == (
        "auto",
        None,
        None,
        False,
        "claims[0].driver",
    )


def test_a_built_in_driver_whose_devices_are_not_known_is_taken_for_the_device_that_it_has() -> None:
    """Its name has a dash where its module's has an underscore."""
    card = boots.device(driver="dwc3-pci")
    kernel = boots.kernel(builtin=["dwc3_pci"])
    (found,) = assign(parse([{"devices": card.address, "driver": "dwc3-pci"}]), Inventory((card,), {}), kernel, {"dwc3_pci": "dwc3-pci"})
    assert (found.module, found.driver) == ("dwc3_pci", "dwc3-pci")
