# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the PCI tree's rows, and the runs of IOMMU groups in it."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import DeviceData
from ansible_collections.vfio.variants.plugins.plugin_utils._report.tree import DEEPEST, GroupRun, rows_of, runs_of


def function(address: str, parent: str | None = None, group: int | None = None, **facts: object) -> DeviceData:
    return DeviceData(address=address, id="10de:1db1", class_code="030200", parent=parent, iommu_group=group, **facts)  # type: ignore[arg-type]


def shown(*devices: DeviceData) -> list[tuple[str, int]]:
    return [(row.device.address, row.depth) for row in rows_of(devices)]


def test_what_is_below_a_bridge_follows_it() -> None:
    devices = [function("0000:01:00.0", "0000:00:02.0"), function("0000:00:01.0"), function("0000:00:02.0"), function("0000:00:1f.0")]
    assert shown(*devices) == [("0000:00:01.0", 0), ("0000:00:02.0", 0), ("0000:01:00.0", 1), ("0000:00:1f.0", 0)]


def test_a_function_below_an_unknown_bridge_is_at_the_top() -> None:
    assert shown(function("0000:01:00.0", "0000:00:02.0")) == [("0000:01:00.0", 0)]


def test_functions_that_name_each_other_as_bridges_are_shown_once() -> None:
    found = shown(
        function("0000:01:00.0", "0000:02:00.0"), function("0000:02:00.0", "0000:01:00.0"), function("0000:03:00.0", "0000:03:00.0")
    )
    assert sorted(found) == [("0000:01:00.0", 0), ("0000:02:00.0", 0), ("0000:03:00.0", 0)]


def test_a_chain_of_bridges_is_drawn_to_a_bounded_depth() -> None:
    chain = [function(f"{number:04x}:00:00.0", f"{number - 1:04x}:00:00.0") for number in range(500)]
    rows = rows_of(chain)
    assert (len(rows), max(row.depth for row in rows)) == (500, DEEPEST)


def test_virtual_functions_that_are_alike_are_one_row_and_others_are_not() -> None:
    physical = function("0000:05:00.0")
    virtual = [function(f"0000:05:10.{number}", physical_function="0000:05:00.0", group=number) for number in range(6)]
    bound = function("0000:05:10.6", physical_function="0000:05:00.0", driver="vfio-pci")
    rows = rows_of([physical, *virtual, bound])
    assert [(row.device.address, len(row.devices), row.depth) for row in rows] == [
        ("0000:05:00.0", 1, 0),
        ("0000:05:10.0", 6, 1),
        ("0000:05:10.6", 1, 1),
    ]
    assert rows[1].group is None


def test_a_group_with_other_rows_between_its_own_has_parts() -> None:
    rows = rows_of([function("0000:00:01.0", group=1), function("0000:00:02.0", group=2), function("0000:00:03.0", group=1)])
    assert runs_of(rows) == (GroupRun(1, 0, 1, 1, 2), GroupRun(2, 1, 1, 1, 1), GroupRun(1, 2, 1, 2, 2))


def test_functions_without_a_group_are_in_no_box() -> None:
    assert runs_of(rows_of([function("0000:00:01.0"), function("0000:00:02.0", group=4)])) == (GroupRun(4, 1, 1, 1, 1),)
