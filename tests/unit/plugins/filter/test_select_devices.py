# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices picked with JMESPath, on the controller."""

from __future__ import annotations

import sys
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils.datatag import native_type_name
from ansible.parsing.dataloader import DataLoader

from ansible_collections.vfio.variants.plugins.filter.select_devices import FilterModule, select_devices

DEVICES: list[dict[str, t.Any]] = [
    {"address": "0000:01:00.0", "driver": "nouveau", "iommu_group": 15, "boot_vga": False, "numa_node": None, "variant": {"module": "x"}},
    {"address": "0000:02:00.0", "driver": "nouveau", "iommu_group": 16, "boot_vga": True, "numa_node": 0, "variant": None},
    {"address": "0000:03:00.0", "driver": None, "iommu_group": None, "boot_vga": False, "numa_node": 1, "variant": None},
]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[?iommu_group==`15` && driver=='nouveau']", [DEVICES[0]]),
        ("[?driver=='nouveau' && !boot_vga].address", ["0000:01:00.0"]),
        ("[?driver==`null`].address", ["0000:03:00.0"]),
        ("[?variant.module=='x'].address", ["0000:01:00.0"]),
        ("[?starts_with(address, '0000:0')] | [].iommu_group", [15, 16]),
        ("sort_by(@, &address)[-1:].address", ["0000:03:00.0"]),
        ("[?driver=='i915']", []),
    ],
)
def test_an_expression_picks(expression: str, expected: list[t.Any]) -> None:
    assert select_devices(DEVICES, expression) == expected


def test_functions_work_on_what_ansible_has_tagged() -> None:
    loaded = DataLoader().load("[{address: '0000:01:00.0', iommu_group: 15, boot_vga: true}]")
    assert native_type_name(loaded[0]["address"]) == "str"
    assert loaded[0]["address"].__class__ is not str
    assert select_devices(loaded, "[?contains(address, '01') && boot_vga].iommu_group") == [15]


@pytest.mark.parametrize(
    ("devices", "expression", "told"),
    [
        (DEVICES, "[?driver='nouveau']", "cannot use the JMESPath expression"),
        (DEVICES, "", r"cannot use the JMESPath expression '': .*[^.]\.$"),
        (DEVICES, "nothing(@)", "Unknown function"),
        (DEVICES, "[?contains(iommu_group, 'x')]", "invalid type"),
        (DEVICES, "[0]", "yields a dictionary"),
        (DEVICES, "[0].address", "yields a string"),
        (DEVICES, "length(@)", "yields a number"),
        (DEVICES, "address", "yields nothing"),
        (DEVICES, 15, "expects a JMESPath expression, not a number"),
        (DEVICES, "[?starts_with(id, '10de') && !boot_vga]", "invalid type"),
        (
            DEVICES,
            "[?!bridge].address",
            "names the field bridge, which none of these devices has: device_info returns it with `detail: full`",
        ),
        (DEVICES, "[?certainty!='certain'].address", "returns it with a forecast"),
        ({"devices": DEVICES}, "[]", "list of devices, not a dictionary"),
        ("0000:01:00.0", "[]", "list of devices, not a string"),
        (None, "[]", "list of devices, not nothing"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(devices: object, expression: object, told: str) -> None:
    with pytest.raises(AnsibleFilterError, match=told):
        select_devices(devices, expression)


def test_a_controller_without_jmespath_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jmespath", None)
    with pytest.raises(AnsibleFilterError, match="needs the Python package jmespath on the controller"):
        select_devices(DEVICES, "[]")


def test_the_filter_is_known_by_its_name() -> None:
    assert FilterModule().filters() == {"select_devices": select_devices}


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 5000 + "@" + ")" * 5000,
        "[" * 5000 + "@" + "]" * 5000,
        "!" * 5000 + "@",
        "not_null(" * 3000 + "@" + ")" * 3000,
        "@" + "[0]" * 20_000,
        "@.a" * 20_000,
        f"[{'9' * 5000}]",
        f"[*] | [{'9' * 100}:]",
        "[::0]",
        "`" + "[" * 5000 + "]" * 5000 + "`",
        "`1e999`",
        "`{`",
        "'\ud800'",
        "\0",
        "sum([*].driver)",
        "sort_by([*], &iommu_group.x)",
        "max_by([*], &@)",
        "nothing_like_this(@)",
        "join(`1`, @)",
        "[*].driver | [?@ > `1`] | to_number(@)",
        "x" * 100_000,
        "",
    ],
    ids=lambda expression: f"{expression[:12]!a} of {len(expression)}",
)
def test_whatever_the_expression_is_the_answer_is_a_list_or_one_sentence(expression: str) -> None:
    try:
        assert isinstance(select_devices(DEVICES, expression), list)
    except AnsibleFilterError as error:
        said = str(error)
        assert "select_devices" in said
        assert len(said) < 1000


def test_devices_that_are_nested_without_end_are_one_sentence() -> None:
    devices: list[t.Any] = []
    devices.append(devices)
    with pytest.raises(AnsibleFilterError, match="select_devices"):
        select_devices(devices, "[*]")
