# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which virtual functions a claim with `vfs` asks for, before they exist."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import parse
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.virtual_functions import Expanded, expanded
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory, VirtualLayout
from ansible_collections.vfio.variants.tests.unit.boots import device

PF, OTHER = "0000:03:00.1", "0000:04:00.0"
ABOVE = "/devices/pci0000:00/0000:00:01.0"
HELD: dict[str, t.Any] = {"driver": "igb", "driver_override": "igb", "nodes": ("net/ens1",)}


def physical(address: str = PF, **more: t.Any) -> Device:
    layout = VirtualLayout(offset=0x17F, stride=2, device=0x10CA)
    fields: dict[str, t.Any] = {"iommu_group": 7, "max_virtual_functions": 8, "virtual_layout": layout, "path": f"{ABOVE}/{address}"}
    return device(address, "8086:10c9", class_code=0x020000, **{**HELD, **fields, **more})


def made(*devices: Device, count: int = 3, **more: t.Any) -> Expanded:
    return expanded(parse([{"devices": PF, "driver": "vfio-pci", "vfs": count, **more}]), Inventory(devices, {}))


def test_they_are_where_the_capability_says() -> None:
    """From routing ID 3:00.1 on by 0x17f, and then by two."""
    found = made(physical(), device("0000:09:00.0", iommu_group=12))
    (creation,) = found.creations
    assert [function.address for function in creation.functions] == ["0000:04:10.0", "0000:04:10.2", "0000:04:10.4"]
    assert [selector.address for selector in found.claims[0].selectors] == ["0000:04:10.0", "0000:04:10.2", "0000:04:10.4"]
    assert (creation.count, creation.is_done, found.claims[0].vfs) == (3, False, None)


def test_each_is_free_and_has_its_own_id_and_group() -> None:
    found = made(physical(), device("0000:09:00.0", iommu_group=12))
    functions = [found.inventory.get(f"0000:04:10.{number}") for number in (0, 2, 4)]
    assert [function and function.iommu_group for function in functions] == [13, 14, 15]
    first = functions[0]
    assert first is not None
    assert (first.id, first.modalias) == ("8086:10ca", device("0000:04:10.0", "8086:10ca", class_code=0x020000).modalias)
    assert (first.driver, first.driver_override, first.nodes, first.handed_out, first.boot_vga) == (None, None, (), False, False)
    assert (first.physical_function, first.virtual_functions, first.max_virtual_functions) == (PF, (), 0)
    assert first.path == f"{ABOVE}/0000:04:10.0"


def test_the_physical_function_has_them_and_offers_them_to_no_driver() -> None:
    card = made(physical()).inventory.get(PF)
    assert card is not None
    assert (card.virtual_functions, card.drivers_autoprobe) == (("0000:04:10.0", "0000:04:10.2", "0000:04:10.4"), False)
    assert (card.driver, card.iommu_group) == ("igb", 7)


def test_without_an_iommu_none_has_a_group() -> None:
    function = made(physical(iommu_group=None)).inventory.get("0000:04:10.0")
    assert function is not None
    assert function.iommu_group is None


def test_without_a_place_in_sysfs_none_has_one() -> None:
    function = made(physical(path=None)).inventory.get("0000:04:10.0")
    assert function is not None
    assert function.path is None


def existing(address: str, **more: t.Any) -> Device:
    return device(address, "8086:10ca", class_code=0x020000, physical_function=PF, **{"iommu_group": 30, "driver": "igbvf", **more})


def test_as_many_as_there_are_stay_as_they_are() -> None:
    names = ("0000:04:10.0", "0000:04:10.2")
    found = made(physical(virtual_functions=names), *map(existing, names), count=2)
    assert found.creations[0].is_done
    assert [(one.address, one.driver) for one in found.creations[0].functions] == [(name, "igbvf") for name in names]


def test_another_number_makes_all_of_them_again() -> None:
    names = ("0000:04:10.0", "0000:04:10.2")
    found = made(physical(virtual_functions=names), *map(existing, names), count=1)
    assert [(one.address, one.driver, one.iommu_group) for one in found.creations[0].functions] == [("0000:04:10.0", None, 30)]
    assert found.inventory.get("0000:04:10.2") is None


@pytest.mark.parametrize(
    ("card", "count", "message"),
    [
        (physical(max_virtual_functions=0), 1, f"claims[0].vfs: {PF} (8086:10c9) cannot have virtual functions."),
        (physical(), 9, f"claims[0].vfs: 9 is too many: {PF} (8086:10c9) can have 8."),
        (
            physical(virtual_layout=None),
            1,
            f"claims[0].vfs: what the virtual functions of {PF} would be does not show, as sysfs has no sriov_vf_device.",
        ),
        (
            physical(virtual_layout=VirtualLayout(0xFC00, 0x100, 0x10CA)),
            2,
            f"claims[0].vfs: virtual function 1 of {PF} would be behind bus ff, the last one there.",
        ),
        (
            physical(virtual_layout=VirtualLayout(0xFE, 1, 0x10CA, last_bus=3)),
            2,
            f"claims[0].vfs: virtual function 1 of {PF} would be behind bus 03, the last one there.",
        ),
        (
            physical(virtual_functions=("0000:04:10.0",)),
            1,
            f"0000:04:10.0, a virtual function of {PF}, vanished while it was read.",
        ),
    ],
)
def test_what_cannot_be_is_refused(card: Device, count: int, message: str) -> None:
    with pytest.raises(HostError) as refused:
        made(card, count=count)
    assert refused.value.msg == message


def test_an_address_that_another_device_has_is_none_of_theirs() -> None:
    with pytest.raises(HostError) as refused:
        made(physical(), device("0000:04:10.2", "8086:10fb"))
    assert refused.value.msg == (
        f"claims[0].vfs: by its sriov_offset and sriov_stride, virtual function 1 of {PF} would be 0000:04:10.2, which is another device "
        "(8086:10fb)."
    )


def test_the_last_bus_still_counts() -> None:
    found = made(physical(virtual_layout=VirtualLayout(0xFC00, 2, 0x10CA)), count=2)
    assert [one.address for one in found.creations[0].functions] == ["0000:ff:00.1", "0000:ff:00.3"]


def test_two_claims_want_the_same_number() -> None:
    claims = [{"devices": PF, "vfs": 2, "driver": "vfio-pci"}, {"devices": "8086:10c9", "vfs": 3, "driver": "vfio-pci"}]
    with pytest.raises(HostError, match=r"claims\[1\]\.vfs: 0000:03:00\.1 gets 3 virtual functions here and 2 by claims\[0\]\.vfs\."):
        expanded(parse(claims), Inventory((physical(),), {}))


def test_claims_without_any_are_left_as_they_are() -> None:
    claims = parse([{"devices": OTHER, "driver": "vfio-pci"}])
    inventory = Inventory((physical(), device(OTHER)), {})
    assert expanded(claims, inventory) == Expanded(claims, inventory, ())
