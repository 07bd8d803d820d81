# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI drivers that a module's file brings: their names and tables, on every machine and in every layout of the kernel."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.driver_tables import Tables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
from ansible_collections.vfio.variants.tests.unit.driver_files import AARCH64, PPC64, X86_64, Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

CARD, OTHER = Entry(0x10DE, 0x1DB1), Entry(0x10DE, 0x20B0)


def tables(drivers: t.Sequence[Driver], **options: t.Any) -> Tables:
    return ModuleContent.parse(driver_file(DEBIAN_13, drivers, **options), "gpu.ko").tables


def names(found: Tables) -> list[str]:
    return [driver.name for driver in found.drivers]


@pytest.mark.parametrize(
    ("machine", "big_endian"), [(X86_64, False), (AARCH64, False), (PPC64, False), (PPC64, True)], ids=["x86", "arm", "ppc64le", "ppc64"]
)
def test_a_driver_is_read_on_every_machine(machine: tuple[int, int], big_endian: bool) -> None:
    found = tables([Driver(b"gpu-vfio", (CARD,))], machine=machine, big_endian=big_endian)
    assert [(driver.name, driver.ids) for driver in found.drivers] == [("gpu-vfio", (PciId(0x10DE, 0x1DB1),))]
    assert found.complete


@pytest.mark.parametrize(
    "symbol",
    ["__mod_pci__gpu_ids_device_table", "__mod_device_table__pci__gpu_ids", "__mod_device_table__kmod_gpu_vfio__pci__gpu_ids"],
)
@pytest.mark.parametrize("node", [0, 16])
def test_tables_are_known_by_the_symbols_of_all_kernels(symbol: str, node: int) -> None:
    assert names(tables([Driver(b"gpu-vfio", (CARD,), symbol, node=node)])) == ["gpu-vfio"]


def test_entries_for_vfio_alone_are_told_apart() -> None:
    (driver,) = tables([Driver(b"gpu-vfio", (Entry(0x10DE, 0x1DB1, override=1), CARD))]).drivers
    assert [entry.override_only for entry in driver.ids] == [True, False]


def test_entries_without_that_field_are_read_in_older_kernels() -> None:
    (driver,) = tables([Driver(b"gpu", (CARD, OTHER))], id_size=32).drivers
    assert driver.ids == (PciId(0x10DE, 0x1DB1), PciId(0x10DE, 0x20B0))


def test_a_class_is_read_with_its_mask_even_where_it_has_more_bits_than_a_class() -> None:
    (driver,) = tables([Driver(b"ata", (Entry(class_code=0x010100, class_mask=0xFFFFFF00),))]).drivers
    assert driver.ids == (PciId(class_code=0x010100, class_mask=0xFFFF00),)


def test_several_drivers_come_in_the_order_of_the_file() -> None:
    two = [Driver(b"nfp", (CARD,), "__mod_pci__a_device_table"), Driver(b"nfp_netvf", (OTHER,), "__mod_pci__b_device_table")]
    assert names(tables(two)) == ["nfp", "nfp_netvf"]


def test_a_driver_whose_table_is_not_announced_is_found_beside_the_others() -> None:
    found = tables([Driver(b"sound", (CARD,)), Driver(b"sound-joystick", (OTHER,), None)])
    assert names(found) == ["sound", "sound-joystick"]


def test_a_pair_of_pointers_to_something_else_is_not_a_driver() -> None:
    found = tables([Driver(b"idxd", (CARD,)), Driver(b"user", (Entry(2, 0),), None), Driver(b"llc", (), None)])
    assert names(found) == ["idxd"]


def test_a_file_stripped_of_its_symbols_is_read_by_its_aliases() -> None:
    found = tables([Driver(b"gpu-vfio", (CARD, OTHER), None)], aliases=[CARD.alias, OTHER.alias], imports=())
    assert (names(found), found.complete) == (["gpu-vfio"], True)


def test_one_whose_probe_lies_in_another_module_is_read_by_its_aliases_too() -> None:
    found = tables([Driver(b"rtw88", (CARD, OTHER), None, probe=False)], aliases=[CARD.alias, OTHER.alias])
    assert (names(found), found.complete) == (["rtw88"], True)


def test_a_name_that_is_not_ascii_is_read() -> None:
    assert names(tables([Driver("CAFÉ NAND".encode(), (CARD,))])) == ["CAFÉ NAND"]


@pytest.mark.parametrize(("probe_type", "asynchronous", "synchronous"), [(0, False, set()), (1, True, set()), (2, False, {"nvme"})])
def test_how_a_driver_wants_to_be_probed_stands_in_its_file(probe_type: int, asynchronous: bool, synchronous: set[str]) -> None:
    found = tables([Driver(b"nvme", (CARD,), probe_type=probe_type)])
    assert ([driver.asynchronous for driver in found.drivers], set(found.synchronous)) == ([asynchronous], synchronous)


def test_a_module_that_only_lets_itself_be_loaded_has_no_driver() -> None:
    found = tables([], announced={"__mod_pci__pci_tbl_device_table": (CARD,)}, imports=("hwrng_register", "__platform_driver_register"))
    assert found == Tables()


@pytest.mark.parametrize("call", ["__pci_register_driver", "saa7146_register_extension"])
def test_a_driver_that_is_put_together_at_run_time_is_not_guessed(call: str) -> None:
    found = tables([], announced={"__mod_pci__pci_tbl_device_table": (CARD,)}, imports=(call,))
    assert (found.drivers, found.complete) == ((), False)


@pytest.mark.parametrize("part", range(1, 17))
def test_a_file_that_is_cut_off_is_refused_and_never_a_crash(part: int) -> None:
    whole = driver_file(DEBIAN_13, [Driver(b"gpu", (CARD,))])
    with pytest.raises(HostError, match=r"gpu\.ko is not a kernel module"):
        ModuleContent.parse(whole[: (len(whole) - 64) * part // 16], "gpu.ko")
