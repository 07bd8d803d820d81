# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the udev rules of a host set for a device."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, parse
from ansible_collections.vfio.variants.tests.unit.trees import Tree

RULE = "/etc/udev/rules.d/90-site.rules"


def v100(tmp_path: Path, address: str = "0000:3b:00.0") -> Device:
    device = Inventory.read(Tree(tmp_path / "sys").pci(address, subsystem="10de:1212", class_code=0x030200).host()).get(address)
    assert device is not None
    return device


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        ('ACTION=="add", SUBSYSTEM=="pci"', True),
        ('ACTION=="add|change", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1"', True),
        ('ACTION=="remove"', False),
        ('SUBSYSTEM=="usb"', False),
        ('KERNEL=="0000:3b:00.*"', True),
        ('KERNEL=="0000:3c:00.0"', False),
        ('KERNEL!="0000:3b:00.0"', False),
        ('ATTR{class}=="0x0302*"', True),
        ('ATTR{subsystem_device}=="0x1213"', False),
        ('ENV{PCI_ID}=="10DE:1DB1"', True),
        ('ENV{PCI_ID}==i"10de:1db1"', True),
        ('ENV{PCI_SLOT_NAME}=="0000:3b:00.0"', True),
        ('ENV{PCI_CLASS}=="30200"', True),
        ('ENV{MODALIAS}=="pci:v000010DE*"', True),
        ('PROGRAM=="/bin/true"', None),
        ('TAG=="seat"', None),
        ('ATTR{vendor}=="0x8086", PROGRAM=="/bin/true"', False),
        ('SYSCTL{kernel/osrelease}=="6.1.0"', None),
    ],
)
def test_a_rules_conditions_are_judged_by_the_devices_identity(tmp_path: Path, condition: str, answer: bool | None) -> None:
    (rule,) = parse(f'{condition}, ATTR{{driver_override}}="vfio-pci"\n', RULE)
    assert rule.matches(v100(tmp_path)) is answer


def test_the_kernel_that_boots_decides_where_a_rule_asks_for_it(tmp_path: Path) -> None:
    (rule,) = parse('SYSCTL{kernel/osrelease}=="6.1.0", ATTR{driver_override}="x"', RULE)
    assert [rule.matches(v100(tmp_path), release) for release in ("6.1.0", "6.12.0")] == [True, False]


def test_comments_and_continued_lines_are_read_as_udev_reads_them() -> None:
    (rule,) = parse('# first\nACTION=="add", \\\n# between\n  ATTR{driver_override}="x"\n', RULE)
    assert (str(rule), rule.override) == (f"{RULE}:2", "x")


def test_a_line_that_udev_rejects_is_not_a_rule() -> None:
    assert parse('ACTION=="add" ATTR{driver_override}=vfio-pci\n', RULE) == []


def overrides(tmp_path: Path, **contents: str) -> list[tuple[str, str | None, bool]]:
    tree = Tree(tmp_path / "root")
    for name, content in contents.items():
        tree.file(f"/etc/udev/rules.d/{name}.rules", content)
    rules = Rules.read(tree.host(), (b"driver_override",))
    return [(found.rule.path.rsplit("/", 1)[1], found.driver, found.certain) for found in rules.overrides(v100(tmp_path))]


def test_overrides_come_in_the_order_in_which_udev_sets_them(tmp_path: Path) -> None:
    found = overrides(tmp_path, b='ATTR{driver_override}="second"', a='ATTR{driver_override}="first"')
    assert found == [("a.rules", "first", True), ("b.rules", "second", True)]


def test_a_jump_over_the_override_is_followed(tmp_path: Path) -> None:
    text = 'ATTR{vendor}!="0x8086", GOTO="end"\nATTR{driver_override}="x"\nLABEL="end"\n'
    assert overrides(tmp_path, a=text) == []


def test_after_a_jump_that_may_be_taken_nothing_is_certain_until_its_label(tmp_path: Path) -> None:
    text = 'TAG=="seat", GOTO="end"\nATTR{driver_override}="x"\nLABEL="end"\nATTR{driver_override}="y"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", "x", False), ("a.rules", "y", True)]


def test_a_program_that_writes_the_override_is_found_but_not_certain(tmp_path: Path) -> None:
    text = 'SUBSYSTEM=="pci", RUN+="/bin/sh -c \'echo vfio-pci > /sys$devpath/driver_override\'"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", None, False)]


def test_an_override_that_the_event_fills_in_is_not_known(tmp_path: Path) -> None:
    assert overrides(tmp_path, a='ATTR{driver_override}="$env{WANTED}"') == [("a.rules", None, False)]


def test_a_file_in_etc_hides_its_namesake(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")
    tree.file("/etc/udev/rules.d/a.rules", 'ATTR{driver_override}="etc"')
    tree.file("/usr/lib/udev/rules.d/a.rules", 'ATTR{driver_override}="lib"')
    rules = Rules.read(tree.host())
    assert [rule.override for rule in rules.rules] == ["etc"]


@pytest.mark.parametrize("wrong", ['ACTION="add"', 'GOTO=="end"', 'KERNEL+="0000:01:00.0"', 'VENDOR=="0x10de"', 'RUN-="x"'])
def test_a_line_with_a_key_that_udev_does_not_take_is_dropped_as_a_whole(wrong: str) -> None:
    assert parse(f'{wrong}, ATTR{{driver_override}}="vfio-pci"\n', RULE) == []


def test_a_rule_can_look_at_another_device(tmp_path: Path) -> None:
    (rule,) = parse('ATTR{[pci/0000:3b:00.0]vendor}=="0x10de", ATTR{[pci/0000:3b:00.0]driver_override}="vfio-pci"', RULE)
    card, other = v100(tmp_path / "card"), v100(tmp_path / "other", "0000:5e:00.0")
    assert rule.matches(other, None, {card.address: card}) is True
    assert rule.matches(other, None, {other.address: other}) is False
