# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one file of a host asks for and another one switches off is said, with both."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit import worked_examples
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DRIVERCTL_RULES, DRIVERCTL_UNIT, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

CARD, NIC = "0000:3b:00.0", "0000:02:00.0"
ETC = "/etc/systemd/system"
WANTS = f"{ETC}/multi-user.target.wants"
SCRIPT = "/usr/local/sbin/free-card"
UNIT = "/usr/lib/systemd/system/vfio-bind.service"
RULE = f'KERNEL=="{CARD}", ATTR{{driver_override}}="vfio-pci"\n'
SITE_RULES = "/usr/lib/udev/rules.d/70-vfio.rules"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    devices = f"{NIC} 0200: 8086:10d3\n{CARD} 0302: 10de:1db1\n"
    return worked_examples.Example("masks", {worked_examples.DEVICES: devices}, (), None, (0, 0)).host(tmp_path)


def warnings(tree: Tree) -> list[str]:
    found = device_info(tree.host(Commands(tree.root)))
    return [*found["policy_warnings"], *(one for device in found["devices"] for one in device["warnings"])]


def said(tree: Tree, words: str) -> str:
    (found,) = {sentence for sentence in warnings(tree) if words in sentence}
    return found


def enabled(tree: Tree) -> Tree:
    tree.file(SCRIPT, f"#!/bin/sh\necho {CARD} > /sys/bus/pci/drivers/nouveau/unbind\n", 0o755)
    return tree.file(UNIT, f"[Service]\nType=oneshot\nExecStart={SCRIPT}\n").link(f"{WANTS}/vfio-bind.service", UNIT)


@pytest.mark.parametrize("mask", [lambda tree, path: tree.link(path, "/dev/null"), lambda tree, path: tree.file(path, "")])
def test_a_unit_about_drivers_that_is_enabled_and_masked(tree: Tree, mask: t.Callable[[Tree, str], Tree]) -> None:
    assert warnings(enabled(tree)) == []
    found = said(mask(tree, f"{ETC}/vfio-bind.service"), "vfio-bind.service")
    assert found.startswith(f"{WANTS}/vfio-bind.service enables vfio-bind.service, and {ETC}/vfio-bind.service masks it")
    assert f"{UNIT}:3" in found
    assert SCRIPT in found


def test_a_unit_that_the_command_line_masks(tree: Tree) -> None:
    tree.file("/usr/lib/systemd/system-generators/systemd-debug-generator", "#!/bin/sh\n", 0o755)
    assert "systemd.mask=vfio-bind.service masks it" in said(enabled(tree).cmdline("systemd.mask=vfio-bind"), "vfio-bind.service")


def test_a_masked_unit_that_does_nothing_to_drivers_is_fine(tree: Tree) -> None:
    tree.file("/usr/lib/systemd/system/wait.service", "[Service]\nExecStart=/bin/true\n")
    tree.link(f"{WANTS}/wait.service", "/usr/lib/systemd/system/wait.service").link(f"{ETC}/wait.service", "/dev/null")
    assert warnings(tree) == []


def test_a_unit_that_its_package_enables_is_masked_on_purpose(tree: Tree) -> None:
    enabled(tree).link("/usr/lib/systemd/system/multi-user.target.wants/vfio-bind.service", UNIT)
    tree.place(f"{WANTS}/vfio-bind.service").unlink()
    assert warnings(tree.link(f"{ETC}/vfio-bind.service", "/dev/null")) == []


def test_a_rule_for_a_device_in_a_file_that_is_masked(tree: Tree) -> None:
    tree.file(SITE_RULES, f"# cards\n{RULE}").link("/etc/udev/rules.d/70-vfio.rules", "/dev/null")
    assert said(tree, "masks its file") == (
        f'{SITE_RULES}:2 (ATTR{{driver_override}}="vfio-pci") is about {CARD} and has no effect, because '
        "/etc/udev/rules.d/70-vfio.rules masks its file. Remove /etc/udev/rules.d/70-vfio.rules, or the rule."
    )


@pytest.mark.parametrize("text", [RULE.replace("3b", "af"), 'SUBSYSTEM=="net", NAME="lan"\n', "# nothing\n"])
def test_a_masked_rule_that_is_about_no_device_s_driver_is_fine(tree: Tree, text: str) -> None:
    assert warnings(tree.file(SITE_RULES, text).link("/etc/udev/rules.d/70-vfio.rules", "/dev/null")) == []


def test_the_rules_that_load_drivers(tree: Tree) -> None:
    tree.link("/etc/udev/rules.d/80-drivers.rules", "/dev/null")
    assert "/etc/udev/rules.d/80-drivers.rules masks the rules by which udev loads" in said(tree, "by which udev loads a device")
    tree.file("/etc/udev/rules.d/81-local.rules", 'ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load $env{MODALIAS}"\n')
    assert warnings(tree) == []


SAVED = f"/etc/driverctl.d/pci-{CARD}"


def test_what_driverctl_has_saved_while_its_rule_is_masked(tree: Tree) -> None:
    assert warnings(tree.driverctl().file(SAVED, "vfio-pci\n")) == []
    mask = DRIVERCTL_RULES.replace("/usr/lib", "/etc")
    tree.link(mask, "/dev/null")
    assert said(tree, SAVED) == (
        f"{SAVED}: nothing is done about what is saved there, because {mask} masks the rule that starts driverctl. Remove {mask}."
    )


def test_what_driverctl_has_saved_while_its_unit_is_masked(tree: Tree) -> None:
    mask = DRIVERCTL_UNIT.replace("/usr/lib", "/etc")
    tree.driverctl().file(SAVED, "vfio-pci\n").link(mask, "/dev/null")
    assert said(tree, SAVED).startswith(f"{SAVED}: nothing is done about what is saved there, because {mask} masks")


def test_what_driverctl_has_saved_while_the_device_s_own_unit_is_masked(tree: Tree) -> None:
    mask = f"{ETC}/driverctl@pci-{CARD}.service"
    tree.driverctl().file(SAVED, "vfio-pci\n").link(mask, "/dev/null")
    assert said(tree, SAVED).startswith(f"{SAVED}: nothing is done about it, because {mask} masks its unit.")


@pytest.mark.parametrize("unit", [f"driverctl@pci-{CARD}", "driverctl@.service"])
def test_what_driverctl_has_saved_while_a_word_masks_its_unit(tree: Tree, unit: str) -> None:
    found = said(tree.driverctl().file(SAVED, "vfio-pci\n").cmdline(f"systemd.mask={unit}"), SAVED)
    name = unit.removesuffix(".service")
    assert found.startswith(
        f"{SAVED}: nothing is done about it, because /proc/cmdline: systemd.mask={name}.service masks its unit. Remove the mask"
    )


def test_what_driverctl_has_saved_before_it_was_removed(tree: Tree) -> None:
    tree.file(SAVED, "vfio-pci\n").place(DRIVERCTL_UNIT).unlink()
    found = said(tree, SAVED)
    assert "driverctl is not installed" in found
    assert found.endswith("Install driverctl, or remove what is saved.")


def test_modules_in_lists_that_nothing_loads(tree: Tree) -> None:
    tree.file("/etc/modules-load.d/vfio.conf", "# cards\nvfio-pci\n")
    assert warnings(tree) == []
    mask = f"{ETC}/systemd-modules-load.service"
    assert said(tree.link(mask, "/dev/null"), "nothing loads") == (
        f"/etc/modules-load.d/vfio.conf:2 (vfio-pci): nothing loads what is listed there, because {mask} masks "
        "systemd-modules-load.service. Remove that mask."
    )
