# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What credentials bring, who reads them, and which devices that can touch."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

CARD, NIC = "0000:3b:00.0", "0000:02:00.0"
STORE = "/etc/credstore"
UNBIND = f"w /sys/bus/pci/devices/{CARD}/driver/unbind - - - - {CARD}\n"
RULE = f'ACTION=="add", KERNEL=="{CARD}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'
SERVICE = f"[Service]\nExecStart=/bin/sh -c 'echo 1 >/sys/bus/pci/devices/{CARD}/remove'\n"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"e1000e": [E1000E], "nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]}
    return Tree(tmp_path).kernel(DEBIAN_13, modules, running=True).systemd().pci(CARD).pci(NIC, "8086:10d3", class_code=0x020000)


def influences(tree: Tree, cmdline: str = "") -> tuple[Influence, ...]:
    host = tree.host()
    return startup.read(host, Kernel.read(host, DEBIAN_13), Inventory.read(host), Cmdline.parse(cmdline), "grub.cfg:3").early


def given(name: str, text: str) -> str:
    return f"systemd.set_credential_binary={name}:{base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("name", "text", "acts"),
    [
        ("tmpfiles.extra", UNBIND, [{"unbind"}]),
        ("udev.rules.own", RULE, [{"override"}, {"load"}]),
        ("systemd.extra-unit.own.service", SERVICE, [{"remove"}]),
        ("systemd.unit-dropin.cron.service~own", SERVICE, [{"remove"}]),
    ],
)
def test_a_credential_on_the_command_line_touches_what_its_text_names(tree: Tree, name: str, text: str, acts: list[set[str]]) -> None:
    found = influences(tree, given(name, text))
    assert [set(one.acts) for one in found] == acts
    assert {one.addresses or CARD for one in found} == ({frozenset({CARD})} if len(acts) == 1 else {frozenset({CARD}), CARD})
    assert all(f"systemd.set_credential={name}" in one.source for one in found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sysctl.extra", "kernel.printk=3 4 1 3\n"),
        ("tmpfiles.extra", "d /run/site\n"),
        ("udev.conf.site", "udev_log=debug\n"),
        ("udev.rules.own", 'KERNEL=="sda", SYMLINK+="disk"\n'),
        ("nothing.own", UNBIND),
        ("network.link.50-nic", "[Link]\nName=lan0\n"),
    ],
)
def test_a_credential_that_is_about_something_else_touches_nothing(tree: Tree, name: str, text: str) -> None:
    assert influences(tree, given(name, text)) == ()


@pytest.mark.parametrize(
    ("name", "text", "act"),
    [
        ("sysctl.extra", "kernel.modules_disabled=1\n", "lock"),
        ("network.link.50-nic", "[Link]\nSR-IOVVirtualFunctions=4\n", "create"),
        ("udev.conf.site", "event_timeout=1\n", "unbind"),
        ("systemd.extra-unit.systemd-udevd.service", "[Service]\nExecStart=/bin/true\n", "unbind"),
    ],
)
def test_what_a_credential_does_to_the_whole_host_touches_every_device(tree: Tree, name: str, text: str, act: str) -> None:
    (found,) = influences(tree, given(name, text))
    assert act in found.acts
    assert found.addresses is None


def test_a_file_of_rules_that_the_host_has_already_may_be_replaced(tree: Tree) -> None:
    tree.file("/usr/lib/udev/rules.d/50-own.rules", "# nothing\n")
    (found,) = influences(tree, given("udev.rules.50-own", RULE))
    assert found.addresses is None


def test_services_read_the_stores_and_the_manager_does_not(tree: Tree) -> None:
    assert len(influences(tree.file(f"{STORE}/tmpfiles.extra", UNBIND))) == 1
    assert len(influences(tree.file(f"{STORE}/systemd.extra-unit.own.service", SERVICE))) == 1


def test_a_credential_that_cannot_be_read_may_do_anything(tree: Tree) -> None:
    (found,) = influences(tree, "systemd.set_credential_binary=udev.rules.own:%%%")
    assert found.addresses is None
    (found,) = influences(tree.file("/etc/credstore.encrypted/tmpfiles.extra", "x"))
    assert found.addresses is None


def test_a_plain_value_is_unescaped(tree: Tree) -> None:
    (found,) = influences(tree, f'"systemd.set_credential=tmpfiles.extra:{UNBIND.strip().replace(" ", chr(92) + "x20")}"')
    assert found.addresses == frozenset({CARD})


def test_before_systemd_256_there_are_no_rules_and_units_in_credentials(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO]}, running=True).systemd(version=252).pci(CARD)
    assert influences(tree, given("udev.rules.own", RULE)) == ()
    assert influences(tree, given("systemd.extra-unit.own.service", SERVICE)) == ()
    assert len(influences(tree, given("tmpfiles.extra", UNBIND))) == 1


@pytest.mark.parametrize(
    ("line", "touched"),
    [
        ("/dev/sdb1 /opt ext4 defaults 0 2", True),
        ("overlay /usr/lib/udev/rules.d overlay lowerdir=/a:/b", True),
        ("/dev/sdb1 /home ext4 defaults 0 2", False),
        ("/dev/sdb2 none swap sw", False),
        ("# /dev/sdb1 /opt ext4", False),
    ],
)
def test_what_a_credential_mounts_may_bring_programs_unless_it_is_data(tree: Tree, line: str, touched: bool) -> None:
    found = influences(tree, given("fstab.extra", f"{line}\n"))
    assert [one.addresses for one in found] == ([None] if touched else [])
    assert all(one.source == "grub.cfg:3: systemd.set_credential=fstab.extra:1" for one in found)


def test_a_unit_that_a_mounts_options_ask_for_is_started(tree: Tree) -> None:
    tree.file("/etc/systemd/system/own.service", SERVICE)
    (found,) = influences(tree, given("fstab.extra", "/dev/sdb1 /home ext4 x-systemd.wants=own.service\n"))
    assert (set(found.acts), found.addresses) == ({"remove"}, frozenset({CARD}))


@pytest.mark.parametrize("name", ["import.pull", "imds.endpoint"])
def test_what_is_fetched_is_not_known(tree: Tree, name: str) -> None:
    (found,) = influences(tree.systemd(version=262), given(name, "x"))
    assert found.addresses is None


@pytest.mark.parametrize("word", ["systemd.pull", "rd.systemd.pull"])
def test_an_image_that_the_command_line_has_fetched_is_not_known(tree: Tree, word: str) -> None:
    (found,) = influences(tree, f"{word}=tar,sysext:own:https://example.org/own.tar.xz")
    assert (found.addresses, found.source) == (None, f"grub.cfg:3: {word}=tar,sysext:own:https://example.org/own.tar.xz")


@pytest.mark.parametrize("name", ["fstab.extra", "import.pull"])
def test_generators_have_the_credentials_of_the_manager_alone_and_not_those_of_a_later_systemd(tmp_path: Path, name: str) -> None:
    text = "/dev/sdb1 /opt ext4\n"
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [ANY_VFIO]}, running=True).systemd(version=253).pci(CARD)
    assert influences(tree, given(name, text)) == ()
    tree.file(f"{STORE}/{name}", text).systemd(version=257)
    assert influences(tree) == ()
    assert len(influences(tree, given(name, text))) == 1
