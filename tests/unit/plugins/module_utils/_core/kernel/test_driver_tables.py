# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI drivers that a module's file brings: their names and tables, on every machine and in every layout of the kernel."""

from __future__ import annotations

import struct
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.driver_tables import Tables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent, NoModuleError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
from ansible_collections.vfio.variants.tests.unit.driver_files import AARCH64, PPC64, X86_64, Assembly, Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

CARD, OTHER = Entry(0x10DE, 0x1DB1), Entry(0x10DE, 0x20B0)
CARD_BYTES = Assembly().table([CARD])[:40]


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


def test_a_driver_in_any_section_of_data_is_read() -> None:
    """Such as .data..ro_after_init, or .data.rel with -fdata-sections."""
    name = b".data..ro_after_init"
    file = bytearray(driver_file(DEBIAN_13, [Driver(b"gpu-vfio", (CARD,))], sections={name.decode(): b""}))
    names_at = file.rindex(b"\0.text\0")
    (rows,) = struct.unpack_from("<Q", file, 0x28)
    struct.pack_into("<I", file, rows + 4 * 64, file.index(b"\0" + name + b"\0", names_at) + 1 - names_at)
    assert names(ModuleContent.parse(bytes(file), "gpu.ko").tables) == ["gpu-vfio"]


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


@pytest.mark.parametrize("mask", [0xFFFFFF, 0xFFFF00, 0xFF0000, 0x00FF00, 0x0000FF, 0])
def test_a_table_without_a_symbol_is_vouched_for_by_aliases_that_say_whole_bytes_of_its_class(mask: int) -> None:
    entry = Entry(0x10DE, 0x1DB1, class_code=0x030200, class_mask=mask)
    found = tables([Driver(b"gpu", (entry,), None, probe=False)], aliases=[entry.alias])
    assert [(driver.name, driver.ids) for driver in found.drivers] == [
        ("gpu", (PciId(0x10DE, 0x1DB1, class_code=0x030200, class_mask=mask),))
    ]


@pytest.mark.parametrize("code", [0x030200, 0])
def test_a_part_of_a_class_byte_is_more_than_an_alias_can_say(code: int) -> None:
    whole = Entry(0x10DE, 0x1DB1, class_code=code, class_mask=0xFF0000)
    partly = Entry(0x10DE, 0x1DB1, class_code=code, class_mask=0xFFF000)
    found = tables([Driver(b"gpu", (partly,), None, probe=False)], aliases=[whole.alias])
    assert [driver.ids[0].class_mask for driver in found.drivers] == [0xFFF000]


def test_a_class_that_is_not_asked_for_is_not_a_part_of_the_entry_s_alias() -> None:
    entry = Entry(0x10DE, 0x1DB1, class_code=0x030000)
    assert names(tables([Driver(b"gpu", (entry,), None, probe=False)], aliases=[CARD.alias])) == ["gpu"]


@pytest.mark.parametrize("entry", [Entry(0x10000, 0x1DB1), Entry(0x10DE, 0xFFFFFFFE), Entry(0x10DE, 0x1DB1, override=2)])
def test_numbers_that_no_table_holds_make_none(entry: Entry) -> None:
    assert names(tables([Driver(b"gpu", (CARD,)), Driver(b"odd", (entry,), None)])) == ["gpu"]


def test_a_table_that_has_no_end_is_none() -> None:
    endless = driver_file(DEBIAN_13, [Driver(b"gpu", (CARD,), None)], aliases=[CARD.alias], sections={})
    end = driver_file(DEBIAN_13, [Driver(b"gpu", (CARD,), None)], aliases=[CARD.alias]).index(bytes(40), endless.index(b"gpu\0"))
    spoilt = endless[:end] + CARD_BYTES + endless[end + len(CARD_BYTES) :]
    assert names(ModuleContent.parse(spoilt, "gpu.ko").tables) == []


def test_a_pointer_to_code_before_a_table_is_not_a_name() -> None:
    """A structure of functions that happens to be followed by a table: `before` leads to .text."""
    found = tables([Driver(b"gpu", (CARD,))], name_section=1, code=b"looks_like_a_name\0")
    assert names(found) == []


@pytest.mark.parametrize("name", [b"", b" gpu", b"a/b", b"a\tb", b"\xff\xfe", b"x" * 64])
def test_what_sysfs_takes_for_no_driver_s_name_is_none(name: bytes) -> None:
    assert names(tables([Driver(name, (CARD,)), Driver(b"other", (OTHER,), "__mod_pci__b_device_table")])) == ["other"]


def test_a_name_may_have_63_characters() -> None:
    assert names(tables([Driver(b"x" * 63, (CARD,))])) == ["x" * 63]


@pytest.mark.parametrize("size", [0, 100, 126, 127])
def test_a_structure_that_ends_before_it_says_how_to_probe_says_nothing(size: int) -> None:
    """`probe_type` came with Linux 4.2; before it, or in a file that is cut there, the section may end earlier."""
    (driver,) = tables([Driver(b"old", (CARD,), size=16 + size, probe_type=1)]).drivers
    assert (driver.name, driver.asynchronous) == ("old", False)


def test_a_structure_that_ends_behind_it_says_how_to_probe() -> None:
    (driver,) = tables([Driver(b"new", (CARD,), size=144, probe_type=1)]).drivers
    assert driver.asynchronous


@pytest.mark.parametrize("symbol", ["__mod_usb__table_device_table", "x__mod_pci__table_device_table", "__mod_pci__table_device_table_end"])
def test_a_symbol_of_another_kind_vouches_for_no_table(symbol: str) -> None:
    other = Driver(b"helper", (OTHER,), symbol, probe=False)
    assert names(tables([Driver(b"gpu", (CARD,)), other], aliases=[CARD.alias])) == ["gpu"]


def test_a_module_without_aliases_for_pci_has_no_driver() -> None:
    assert tables([Driver(b"gpu", (CARD,))], aliases=["usb:v1D6Bp*"]) == Tables()


@pytest.mark.parametrize("cut", [1, 7, 31, 32])
def test_a_table_that_is_cut_off_is_none_and_never_a_crash(cut: int) -> None:
    assert names(tables([Driver(b"gpu", (CARD,))], id_size=32, cut=cut)) == []


@pytest.mark.parametrize("content", [b"\xfd7zXZ\0broken", b"\x1f\x8bbroken", b"no module"])
def test_a_file_that_cannot_be_unpacked_is_not_a_module(tmp_path: Path, content: bytes) -> None:
    host = Tree(tmp_path).file("/gpu.ko", content).host()
    with pytest.raises(NoModuleError, match=r"^/gpu\.ko is not a kernel module"):
        ModuleContent.read(host, "/gpu.ko")
    with pytest.raises(NoModuleError, match=r"^/none\.ko is missing"):
        ModuleContent.read(host, "/none.ko")
