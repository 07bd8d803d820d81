# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What driverctl does at boot, and what it takes for it to act at all."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.driverctl import CHANGED, Driverctl
from ansible_collections.vfio.variants.tests.unit.trees import (
    DRIVERCTL_PROGRAM,
    DRIVERCTL_RULES,
    DRIVERCTL_RULES_TEXT,
    DRIVERCTL_UNIT,
    Tree,
)

CARD, NIC = "0000:01:00.0", "0000:00:02.0"
SAVED = f"/etc/driverctl.d/pci-{CARD}"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path).driverctl().file(SAVED, "vfio-pci\n")


def overrides(tree: Tree) -> dict[str, str]:
    return {address: assigned.driver for address, assigned in Driverctl.read(tree.host()).overrides.items()}


def test_it_gives_each_device_the_driver_that_is_saved(tree: Tree) -> None:
    tree.file(f"/etc/driverctl.d/pci-{NIC}", "none\n")
    assert Driverctl.read(tree.host()).overrides == {
        CARD: Assigned("vfio-pci", SAVED),
        NIC: Assigned("none", f"/etc/driverctl.d/pci-{NIC}"),
    }


def test_empty_files_and_those_of_other_buses_give_nothing(tree: Tree) -> None:
    tree.file(SAVED).file("/etc/driverctl.d/vmbus-1", "uio_hv_generic\n")
    assert Driverctl.read(tree.host()) == Driverctl()


@pytest.mark.parametrize(("text", "driver"), [("vfio-pci\n\n", "vfio-pci"), ("vfio-pci", "vfio-pci"), ("\n", ""), ("a b\n", "a b")])
def test_the_driver_is_the_files_text_without_the_lines_end(tree: Tree, text: str, driver: str) -> None:
    """`drv=$(< file)` in the program: words are not taken apart."""
    assert overrides(tree.file(SAVED, text)) == {CARD: driver}


GONE: dict[str, t.Callable[[Tree], object]] = {
    "no rule": lambda tree: tree.place(DRIVERCTL_RULES).unlink(),
    "a rule that an empty file hides": lambda tree: tree.file("/etc/udev/rules.d/05-driverctl.rules"),
    "a rule that a link to /dev/null hides": lambda tree: tree.link("/etc/udev/rules.d/05-driverctl.rules", "/dev/null"),
    "a rule that is a comment": lambda tree: tree.file(DRIVERCTL_RULES, f"#{DRIVERCTL_RULES_TEXT}"),
    "a device without systemd's tag": lambda tree: tree.file(DRIVERCTL_RULES, DRIVERCTL_RULES_TEXT.replace('TAG+="systemd", ', "")),
    "no unit": lambda tree: tree.place(DRIVERCTL_UNIT).unlink(),
    "a masked unit": lambda tree: tree.link("/etc/systemd/system/driverctl@.service", "/dev/null"),
    "a masked unit of the card": lambda tree: tree.link(f"/etc/systemd/system/driverctl@pci-{CARD}.service", "/dev/null"),
    "no program": lambda tree: tree.place(DRIVERCTL_PROGRAM).unlink(),
    "a program that cannot run": lambda tree: tree.place(DRIVERCTL_PROGRAM).chmod(0o644),
    "another init": lambda tree: tree.file("/usr/lib/sysvinit/init", b"\x7fELF").link("/sbin/init", "../usr/lib/sysvinit/init"),
}


@pytest.mark.parametrize("without", GONE)
def test_nothing_happens_where_a_part_is_missing(tree: Tree, without: str) -> None:
    assert overrides(tree) == {CARD: "vfio-pci"}
    GONE[without](tree)
    assert Driverctl.read(tree.host()) == Driverctl()


def test_masked_units_leave_what_other_units_do(tree: Tree) -> None:
    found = Driverctl.read(tree.file(f"/etc/driverctl.d/pci-{NIC}", "none\n").host())
    assert set(found.without((f"driverctl@pci-{CARD}.service", "other.service")).overrides) == {NIC}
    assert found.without(("driverctl@.service",)) == Driverctl()
    changed = Driverctl.read(tree.file("/etc/systemd/system/driverctl@.service", "[Service]\nExecStart=/bin/x %I\n").host())
    assert set(changed.without((f"driverctl@pci-{NIC}.service",)).may_take) == {CARD}


def test_more_messages_of_the_unit_change_nothing(tree: Tree) -> None:
    tree.file("/etc/systemd/system/driverctl@.service.d/site.conf", "[Service]\nEnvironment=SYSTEMD_LOG_LEVEL=debug\n")
    assert overrides(tree) == {CARD: "vfio-pci"}
    tree.file("/etc/systemd/system/driverctl@.service.d/site.conf", "[Service]\nEnvironment=SYSTEMD_LOG_LEVEL=debug PATH=/opt\n")
    assert overrides(tree) == {}


def test_the_rule_may_stand_in_any_file(tree: Tree) -> None:
    tree.place(DRIVERCTL_RULES).unlink()
    assert overrides(tree.file("/etc/udev/rules.d/99-site.rules", DRIVERCTL_RULES_TEXT)) == {CARD: "vfio-pci"}


def test_one_that_lies_in_run_is_gone_after_a_boot(tree: Tree) -> None:
    tree.place(DRIVERCTL_RULES).unlink()
    assert overrides(tree.file("/run/udev/rules.d/05-driverctl.rules", DRIVERCTL_RULES_TEXT)) == {}


def test_the_unit_says_which_program_runs(tree: Tree) -> None:
    tree.file("/etc/systemd/system/driverctl@.service", "[Service]\nExecStart=-/opt/driverctl load-override %I\n")
    assert overrides(tree) == {}
    assert overrides(tree.file("/opt/driverctl", "#!/bin/bash\n", 0o755)) == {CARD: "vfio-pci"}


@pytest.mark.parametrize("path", ["/etc/systemd/system/driverctl@.service", "/etc/systemd/system/driverctl@.service.d/site.conf"])
def test_what_another_unit_does_cannot_be_determined(tree: Tree, path: str) -> None:
    tree.file(path, "[Service]\nExecStart=/usr/local/sbin/bind-cards %I\n")
    found = Driverctl.read(tree.host())
    assert (found.overrides, found.may_take) == ({}, {CARD: Assigned("vfio-pci", SAVED, CHANGED)})


def test_a_description_beside_the_unit_changes_nothing(tree: Tree) -> None:
    tree.file("/etc/systemd/system/driverctl@.service.d/site.conf", "[Unit]\nDescription=ours\n")
    assert overrides(tree) == {CARD: "vfio-pci"}


def test_a_newer_program_adds_ids(tree: Tree) -> None:
    assert not Driverctl.read(tree.host()).adds_ids
    tree.driverctl('#!/bin/bash\necho "$vendor $device" > /sys/bus/pci/drivers/vfio-pci/new_id\n')
    assert Driverctl.read(tree.host()).adds_ids
