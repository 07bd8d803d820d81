# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and driverctl's files for what is not there, and against one another."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Assigned, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage
from ansible_collections.vfio.variants.tests.unit.judged import kinds, sentence

V100 = device("0000:3b:00.0", driver="nouveau")
NIC = device("0000:02:00.0", "8086:10d3", class_code=0x020000, driver="e1000e")
HOST = [V100, NIC]
TOOLS = PolicyFiles(initramfs_tools=True)


def rule(keys: str = 'KERNEL=="0000:3b:00.0"', driver: str = "vfio-pci") -> str:
    return f'ACTION=="add", SUBSYSTEM=="pci", {keys}, ATTR{{driver_override}}="{driver}", RUN{{builtin}}+="kmod load vfio-pci"\n'


def saved(driver: str, address: str = "0000:3b:00.0") -> Later:
    return Later(driverctl={address: Assigned(driver, f"/etc/driverctl.d/pci-{address}")})


def test_a_rule_for_an_empty_slot_is_told() -> None:
    said = sentence("override-for-absent-device", boot(rules=rule('KERNEL=="0000:af:00.0"')), devices=HOST)
    assert said.startswith("/etc/udev/rules.d/90-site.rules:1 is for 0000:af:00.0")
    assert kinds(boot(rules=rule()), devices=HOST) == []


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ('ATTR{vendor}=="0x1db1", ATTR{device}=="0x10de"', '`ATTR{vendor}=="0x1db1"` agrees with none.'),
        ('ATTR{vendor}=="0x10de", ATTR{device}=="0x1db5"', '`ATTR{device}=="0x1db5"` agrees with none.'),
        ('ATTR{vendor}=="0x8086", ATTR{class}=="0x0302*"', "its keys agree with none together."),
        ('ENV{PCI_ID}=="10DE:1DB5"', '`ENV{PCI_ID}=="10DE:1DB5"` agrees with none.'),
    ],
)
def test_a_rule_that_agrees_with_no_device_is_named_with_the_key(keys: str, why: str) -> None:
    said = sentence("rule-without-device", boot(rules=rule(keys)), devices=HOST)
    assert f"/etc/udev/rules.d/90-site.rules:1 sets driver_override=vfio-pci for no device of this host: {why}" in said


@pytest.mark.parametrize(
    "keys", ['ATTR{vendor}=="0x10de", ATTR{device}=="0x1db[1-9]"', 'ATTR{vendor}=="0x10de"', 'ENV{MINE}=="1"', 'ATTR{class}=="0x02*"']
)
def test_a_rule_that_agrees_with_a_device_or_may_is_fine(keys: str) -> None:
    assert kinds(boot(rules=rule(keys)), devices=HOST) == []


def test_a_rule_for_functions_that_may_still_be_made_is_fine() -> None:
    virtual = rule('ATTR{vendor}=="0x8086", ATTR{device}=="0x1520"')
    parent = device("0000:02:00.0", "8086:1521", class_code=0x020000, max_virtual_functions=8)
    assert kinds(boot(rules=virtual), devices=[parent]) == []
    assert kinds(boot(rules=virtual), devices=HOST) == ["rule-without-device"]
    assert kinds(boot(rules=virtual)) == []


def test_driverctls_file_for_an_empty_slot_is_told() -> None:
    assert kinds(boot(later=saved("vfio-pci", "0000:af:00.0")), devices=HOST) == ["override-for-absent-device"]
    assert kinds(boot(later=saved("vfio-pci")), devices=HOST) == []


def test_an_image_without_devices_and_a_function_yet_to_be_made_are_no_proof() -> None:
    assert kinds(boot(rules=rule('KERNEL=="0000:af:00.0"'))) == []
    parent = device("0000:02:00.0", "8086:1533", class_code=0x020000, max_virtual_functions=8)
    assert kinds(boot(rules=rule('KERNEL=="0000:02:10.0"')), devices=[parent]) == []


def test_a_rule_for_an_address_where_another_card_sits_now_is_told() -> None:
    pinned = rule('KERNEL=="0000:02:00.0", ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1"')
    said = sentence("override-for-changed-device", boot(rules=pinned), devices=HOST)
    assert "expects vendor==0x10de device==0x1db1 at 0000:02:00.0, but 8086:10d3 is there" in said
    assert kinds(boot(rules=rule('KERNEL=="0000:3b:00.0", ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1"')), devices=HOST) == []


def test_of_another_class_it_is_said_which_one_is_there() -> None:
    said = sentence("override-for-changed-device", boot(rules=rule('KERNEL=="0000:02:00.0", ATTR{class}=="0x030200"')), devices=HOST)
    assert "expects class==0x030200 at 0000:02:00.0, but 8086:10d3 (class 0x020000) is there" in said


def test_a_modules_name_in_place_of_its_drivers_is_told() -> None:
    said = sentence("override-names-module", boot(rules=rule(driver="vfio_pci")), devices=HOST)
    assert "write the name of its driver, vfio-pci." in said
    assert kinds(boot(later=saved("vfio_pci")), devices=HOST) == ["override-names-module"]


def test_a_driver_that_nobody_has_is_told_with_the_nearest_one() -> None:
    assert "Did you mean vfio-pci?" in sentence("unknown-driver", boot(rules=rule(driver="vfio-pcie")), devices=HOST)


@pytest.mark.parametrize("driver", ["VFIO-PCI", "Vfio_Pci", "vfiopci", "vfio-pci.ko", "pci:vfio-pci", "/sys/bus/pci/drivers/vfio-pci"])
def test_a_driver_in_other_signs_is_told_with_its_own(driver: str) -> None:
    """driver_override is compared with strcmp() (driver_match_override() in pci-driver.c)."""
    said = sentence("unknown-driver", boot(rules=rule(driver=driver)), devices=HOST)
    assert said.endswith("the device stays without a driver. The kernel compares every sign. Write vfio-pci.")


@pytest.mark.parametrize("driver", ["vfio-pci ", " vfio-pci"])
def test_blanks_of_a_driver_s_name_are_shown(driver: str) -> None:
    assert f'sets driver_override="{driver}", and' in sentence("unknown-driver", boot(rules=rule(driver=driver)), devices=HOST)


def test_a_module_of_vfio_without_a_driver_is_told() -> None:
    said = sentence("override-names-module", boot(rules=rule(driver="vfio")), devices=HOST)
    assert said.endswith("vfio is a module without a driver for PCI; write vfio-pci.")


def test_driverctl_leaves_a_device_as_it_is_whose_module_it_cannot_load() -> None:
    said = sentence("unknown-driver", boot(later=saved("VFIO-PCI")), devices=HOST)
    assert "driverctl cannot load it, and leaves the device as it is. The kernel compares every sign. Write vfio-pci." in said


@pytest.mark.parametrize("driver", ["vfio-pci", "none", "nouveau", "xhci_hcd", "$env{WANTED}"])
def test_a_driver_that_is_one_or_may_be_one_is_fine(driver: str) -> None:
    assert kinds(boot(rules=rule(driver=driver)), devices=HOST, drivers=["xhci_hcd"]) == []


def test_a_driver_unlike_any_other_may_be_one_where_nothing_runs() -> None:
    assert kinds(boot(rules=rule(driver="i801_smbus"))) == []
    assert kinds(boot(rules=rule(driver="i801_smbus")), devices=HOST, drivers=["nouveau"]) == ["unknown-driver"]


def test_driverctl_against_a_rule_is_told() -> None:
    said = sentence("driverctl-against-rule", boot(rules=rule(), later=saved("nouveau")), devices=HOST)
    assert said.startswith("/etc/driverctl.d/pci-0000:3b:00.0 assigns 0000:3b:00.0 to nouveau")
    assert "/etc/udev/rules.d/90-site.rules:1" in said
    assert kinds(boot(rules=rule(), later=saved("vfio-pci")), devices=HOST) == []


def test_rules_of_two_files_that_disagree_are_told() -> None:
    two = {"/etc/udev/rules.d/10-a.rules": rule(driver="nouveau"), "/etc/udev/rules.d/90-b.rules": rule()}
    said = sentence("rules-disagree", boot(rules=two), devices=HOST)
    assert said.startswith("/etc/udev/rules.d/10-a.rules:1")
    assert "/etc/udev/rules.d/90-b.rules:1 after it vfio-pci, which counts" in said


def test_an_exception_in_the_same_file_is_how_exceptions_are_written() -> None:
    assert kinds(boot(rules=rule('ATTR{vendor}=="0x10de"') + rule(driver="nouveau")), devices=HOST) == []


def test_a_rule_that_is_jumped_over_disagrees_with_nobody() -> None:
    jumped = 'GOTO="end"\n' + rule(driver="nouveau") + 'LABEL="end"\n'
    assert kinds(boot(rules={"/etc/udev/rules.d/10-a.rules": jumped, "/etc/udev/rules.d/90-b.rules": rule()}), devices=HOST) == []


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(rule('KERNEL=="0000:3b:00.0", PROGRAM=="/bin/site"', "nouveau"), id="its own program decides"),
        pytest.param(f'PROGRAM=="/bin/site", GOTO="end"\n{rule(driver="nouveau")}LABEL="end"\n', id="a jump before it may be taken"),
    ],
)
def test_a_rule_that_may_not_apply_disagrees_with_nobody(first: str) -> None:
    files = {"/etc/udev/rules.d/10-a.rules": first, "/etc/udev/rules.d/90-b.rules": rule()}
    assert "rules-disagree" not in kinds(boot(rules=files), devices=HOST)


def test_ids_against_a_rule_are_told() -> None:
    said = sentence("ids-against-override", boot(rules=rule(driver="nouveau"), modprobe="options vfio-pci ids=10de:1db1"), devices=HOST)
    assert "ids= has no effect on 0000:3b:00.0" in said
    assert kinds(boot(rules=rule(), modprobe="options vfio-pci ids=10de:1db1"), devices=HOST) == []


def test_a_rule_below_usr_lib_is_not_copied_by_initramfs_tools() -> None:
    root = stage(rules={"/usr/lib/udev/rules.d/90-vendor.rules": rule()})
    said = sentence("rule-not-in-image", boot(stage(INITRAMFS), root), devices=HOST, files=TOOLS)
    assert "and has nouveau for 0000:3b:00.0" in said


def test_a_rule_that_a_hook_has_copied_is_fine_and_so_is_a_host_without_an_image() -> None:
    root = stage(rules={"/usr/lib/udev/rules.d/90-vendor.rules": rule()})
    image = stage(INITRAMFS, rules={"/usr/lib/udev/rules.d/90-vendor.rules": rule()})
    assert kinds(boot(image, root), devices=HOST, files=TOOLS) == []
    assert kinds(boot(root), devices=HOST, files=TOOLS) == []
