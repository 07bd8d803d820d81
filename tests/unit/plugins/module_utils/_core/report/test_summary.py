# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The brief answer of `device_info`: one flat entry for each device, and the one reason that decides."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.report.summary import DEVICE, KINDS, decisive, in_one_line
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.test_reported_hosts import GPU, SOUND, booting
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree


def entry(**fields: t.Any) -> dict[str, t.Any]:
    said = {"release": DEBIAN_13, "reason": "the menu's first entry", "winner": "nouveau", "certainty": "certain", "because": []}
    return {**said, **fields}


def test_an_entry_is_flat_and_says_what_a_person_asks(tmp_path: Path) -> None:
    tree = booting(tmp_path).file("/usr/share/misc/pci.ids", "10de  NVIDIA Corporation\n\t1b81  GP104 [GeForce GTX 1070]\n")
    answer = device_info(tree.host(Commands(tmp_path)), devices=GPU, detail="brief")
    assert answer["devices"] == [
        {
            "address": GPU,
            "id": "10de:1b81",
            "name": "NVIDIA Corporation GP104 [GeForce GTX 1070]",
            "driver": "nouveau",
            "next_driver": "nouveau",
            "certainty": "certain",
            "because": f"modules.alias of {DEBIAN_13}: pci:v000010DEd*sv*sd*bc03sc*i* nouveau",
            "iommu_group": 1,
            "variant_driver": None,
            "warnings": [],
        }
    ]
    assert answer.keys() == {"devices", "next_boot", "policy_warnings"}


def test_the_whole_answer_has_the_same_fields_and_more(tmp_path: Path) -> None:
    tree = booting(tmp_path).file("/etc/modprobe.d/gpu.conf", "blacklist nouveu\nblacklist nouveau\n")
    short, whole = (device_info(tree.host(), detail=detail) for detail in ("brief", "full"))
    assert [{field: device[field] for field in DEVICE if field in device} for device in whole["devices"]] == short["devices"]
    assert all(field in device for device in short["devices"] for field in DEVICE if field != "missing_variants")
    assert {field: whole[field] for field in short if field != "devices"} == {field: short[field] for field in short if field != "devices"}


def test_without_a_forecast_nothing_is_said_about_the_next_boot(tmp_path: Path) -> None:
    (device,) = device_info(booting(tmp_path).host(), devices=GPU, detail="brief", forecast=False)["devices"]
    assert device.keys() == {"address", "id", "name", "driver", "iommu_group", "variant_driver"}


@pytest.mark.parametrize(
    ("boot", "said"),
    [
        (entry(because=["a:1: matches", "b:2: loads it"]), "a:1: matches"),
        (
            entry(winner=None, because=["a:1: driver_override=x", "x.ko: was built for another kernel"]),
            "x.ko: was built for another kernel",
        ),
        (
            entry(certainty="race", because=["a:1: fast", "b:2: too", "or no driver: c:3: slow"]),
            "nouveau: a:1: fast; or no driver: c:3: slow",
        ),
        (
            entry(
                certainty="race",
                winner=None,
                because=["a:1: override", "or vfio-pci: a:1: override", "or vfio-pci: a:5: load", "or nouveau: m: alias"],
            ),
            "no driver: a:1: override; or vfio-pci: a:5: load; or nouveau: m: alias",
        ),
        (
            entry(certainty="race", because=["b.img:a:1: override", "or no driver: a:1: override", "or no driver: a:1: too late"]),
            "nouveau: b.img:a:1: override; or no driver: a:1: too late",
        ),
        (entry(certainty="unknown", winner=None, because=["a:1: x", "not known: b cannot be read."]), "b cannot be read."),
        (entry(release=None, winner=None, certainty="unknown", reason="No boot loader was found."), "No boot loader was found."),
        (entry(), None),
    ],
)
def test_one_reason_decides(boot: dict[str, t.Any], said: str | None) -> None:
    assert decisive(boot) == said


def test_lines_about_other_devices_are_left_out(tmp_path: Path) -> None:
    lines = "options snd_hda_intel model=x\noptions nouveau modeset=1\nsoftdep nvme pre: vfio-pci\noptions vfio-pci ids=10de:1b81\n"
    tree = booting(tmp_path).file("/etc/modprobe.d/all.conf", f"{lines}blacklist nvme\n")
    told = {name: [f"{one['command']} {one['module']}" for one in found["modprobe"]] for name, found in asked(tree).items()}
    assert told == {
        "the card": ["options nouveau", "softdep nvme", "options vfio_pci"],
        "its sound": ["options snd_hda_intel", "softdep nvme", "options vfio_pci"],
        "all": ["options snd_hda_intel", "options nouveau", "softdep nvme", "options vfio_pci"],
        "none": [],
    }


def asked(tree: Tree) -> dict[str, dict[str, t.Any]]:
    selected = {"the card": GPU, "its sound": SOUND, "all": "10de:*", "none": "class:ff"}
    return {name: device_info(tree.host(), devices=devices) for name, devices in selected.items()}


def line(tmp_path: Path, **options: t.Any) -> str:
    answer = device_info(booting(tmp_path).host(Commands(tmp_path)), detail="line", **options)
    assert answer.keys() == {"summary"}
    return str(answer["summary"])


def one(address: str, driver: str | None, then: str | None, certainty: str = "certain", **fields: t.Any) -> dict[str, t.Any]:
    boot = {"outcomes": fields.pop("outcomes", [then])}
    said = {"address": address, "id": "10de:1db1", "driver": driver, "next_driver": then, "certainty": certainty, "next_boot": boot}
    return {**said, "warnings": [], **fields}


def test_a_host_is_one_line(tmp_path: Path) -> None:
    assert line(tmp_path, devices=GPU) == f"1 function, next boot {DEBIAN_13}: unchanged: nouveau 1"
    assert line(tmp_path / "b", devices="ffff:*", forecast=False) == "0 functions"
    assert line(tmp_path / "c", forecast=False).endswith("nouveau 1, snd_hda_intel 1")


def test_a_host_with_many_kinds_of_cards_has_a_short_line_too() -> None:
    cards = [one(f"0000:{number:02x}:00.0", "nvme", None, id=f"144d:{number:04x}") for number in range(60)]
    said = in_one_line({"devices": cards, "next_boot": {"release": "6.12"}})["summary"]
    assert said.count(" -> ") == KINDS
    assert said.endswith(f"; and {60 - KINDS} more functions")


def test_what_changes_or_is_not_certain_comes_first_and_identical_cards_together() -> None:
    cards = [one(f"0000:0{number}:00.0", "nouveau", "vfio-pci") for number in range(4)]
    others = [
        one("0000:11:00.0", None, None),
        one("0000:12:00.0", "nvme", None, id="144d:a808", warnings=["a:1: twice"]),
        one("0000:13:00.0", "nouveau", "nouveau", "race", outcomes=["nouveau", None]),
        one("0000:14:00.0", "nouveau", None, "unknown", outcomes=["nouveau", "vfio-pci"], warnings=["a:1: twice"]),
        one("0000:15:00.0", "e1000e", "e1000e"),
    ]
    answer = {"devices": [*cards, *others], "next_boot": {"release": "6.12"}, "policy_warnings": ["b:2: once"]}
    assert in_one_line(answer)["summary"] == (
        "9 functions, next boot 6.12: 10de:1db1 at 0000:00:00.0, 0000:01:00.0 and 2 more nouveau -> vfio-pci; "
        "144d:a808 at 0000:12:00.0 nvme -> no driver; 10de:1db1 at 0000:13:00.0 nouveau -> nouveau or no driver; "
        "10de:1db1 at 0000:14:00.0 nouveau -> unknown; unchanged: e1000e 1, no driver 1; 2 warnings"
    )


def test_a_host_whose_next_kernel_is_not_known_says_so() -> None:
    answer = {"devices": [one("0000:14:00.0", "nouveau", None, "unknown")], "next_boot": {"release": None}, "policy_warnings": []}
    assert in_one_line(answer)["summary"] == "1 function, next boot unknown: 10de:1db1 at 0000:14:00.0 nouveau -> unknown"
