# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host that exist and cannot be read: which answers they leave open, and which they cannot touch."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit import worked_examples
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.tests.unit.trees import Tree

CARD, SAME, NIC = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0"
DEVICES = f"{NIC} 0200: 8086:10d3\n{CARD} 0302: 10de:1db1\n{SAME} 0302: 10de:1db1\n"
MODULES = f"/lib/modules/{DEBIAN_13}"
IDS = {"/etc/modprobe.d/ids.conf": "options vfio-pci ids=10de:1db1\n"}


def fifo(tree: Tree, path: str) -> None:
    place = tree.place(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    os.mkfifo(place)


def gigabyte(tree: Tree, path: str) -> None:
    os.truncate(tree.file(path).place(path), 1 << 30)


def answers(tmp_path: Path, make: t.Callable[[Tree, str], None], path: str, **files: str) -> dict[str, dict[str, t.Any]]:
    """What is predicted for each function of a host on which this file cannot be read."""
    tree = worked_examples.Example("host", {worked_examples.DEVICES: DEVICES, **files}, (), None, (0, 0)).host(tmp_path)
    make(tree, path)
    found = device_info(tree.host(Commands(tmp_path)))["devices"]
    return {device["address"]: device["kernels"][DEBIAN_13] for device in found}


def is_open_for(answer: dict[str, t.Any], path: str) -> bool:
    assert (answer["certainty"] == "unknown") == any(f"{path} cannot be read: it " in line for line in answer["because"])
    return bool(answer["certainty"] == "unknown")


@pytest.mark.parametrize("make", [fifo, gigabyte])
@pytest.mark.parametrize(
    "path",
    [
        "/etc/modprobe.d/gpu.conf",
        "/usr/lib/udev/rules.d/50-gpu.rules",
        "/etc/udev/rules.d/80-drivers.rules",
        "/etc/tmpfiles.d/gpu.conf",
        "/etc/sysctl.d/gpu.conf",
        f"{MODULES}/modules.builtin.modinfo",
        "/boot/grub/grub.cfg",
        "/boot/limine.conf",
    ],
)
def test_what_may_hold_anything_leaves_every_answer_open(tmp_path: Path, make: t.Callable[[Tree, str], None], path: str) -> None:
    found = answers(tmp_path, make, path)
    assert all(is_open_for(found[address], path) for address in (CARD, SAME, NIC))
    assert {"nouveau", "another driver"} <= set(found[CARD]["outcomes"])


@pytest.mark.parametrize("make", [fifo, gigabyte])
@pytest.mark.parametrize("path", ["/etc/modules-load.d/gpu.conf", f"{MODULES}/modules.softdep"])
def test_what_only_loads_modules_leaves_open_what_is_not_bound_before(
    tmp_path: Path, make: t.Callable[[Tree, str], None], path: str
) -> None:
    found = answers(tmp_path, make, path, **IDS)
    assert is_open_for(found[CARD], path)
    assert {"nouveau", "vfio-pci"} <= set(found[CARD]["outcomes"])
    assert (found[NIC]["certainty"], found[NIC]["winner"]) == ("certain", "e1000e")


@pytest.mark.parametrize("make", [fifo, gigabyte])
def test_an_entry_of_driverctl_leaves_its_own_device_open(tmp_path: Path, make: t.Callable[[Tree, str], None]) -> None:
    path = f"/etc/driverctl.d/pci-{CARD}"
    found = answers(tmp_path, make, path)
    assert [is_open_for(found[address], path) for address in (CARD, SAME, NIC)] == [True, False, False]


@pytest.mark.parametrize("make", [fifo, gigabyte])
def test_a_module_s_file_leaves_open_the_devices_that_it_is_for(tmp_path: Path, make: t.Callable[[Tree, str], None]) -> None:
    path = f"{MODULES}/{worked_examples.MODULES['nouveau'].folder}/nouveau.ko"
    found = answers(tmp_path, make, path)
    assert [is_open_for(found[address], path) for address in (CARD, SAME, NIC)] == [True, True, False]


@pytest.mark.parametrize("make", [fifo, gigabyte])
def test_the_configuration_of_network_controllers_leaves_these_open(tmp_path: Path, make: t.Callable[[Tree, str], None]) -> None:
    path = "/etc/netplan/50-hosts.yaml"
    found = answers(tmp_path, make, path)
    assert [is_open_for(found[address], path) for address in (CARD, SAME, NIC)] == [False, False, True]


@pytest.mark.parametrize("make", [fifo, gigabyte])
@pytest.mark.parametrize(
    "path",
    [
        "/etc/os-release",
        "/etc/initramfs-tools/modules",
        "/etc/default/grub",
        "/var/lib/dpkg/status",
        "/etc/udev/rules.d/1.rule",
        "/etc/modules",
    ],
)
def test_what_nothing_reads_at_boot_leaves_nothing_open(tmp_path: Path, make: t.Callable[[Tree, str], None], path: str) -> None:
    found = answers(tmp_path, make, path)
    assert [found[address]["winner"] for address in (CARD, SAME, NIC)] == ["nouveau", "nouveau", "e1000e"]


def make_directory(tree: Tree, path: str) -> None:
    tree.directory(path)


def make_circle(tree: Tree, path: str) -> None:
    tree.link(path, path)


def test_a_directory_and_a_circle_of_links_are_skipped_as_their_readers_skip_them(tmp_path: Path) -> None:
    path = "/etc/modprobe.d/gpu.conf"
    found = answers(tmp_path, make_directory, path)
    assert found[CARD]["winner"] == "nouveau"
    found = answers(tmp_path / "links", make_circle, path)
    assert found[CARD]["winner"] == "nouveau"


def test_of_many_such_files_twenty_are_named_and_the_others_counted(tmp_path: Path) -> None:
    def make(tree: Tree, path: str) -> None:
        for number in range(30):
            fifo(tree, f"{path}/{number:02}.conf")

    lines = answers(tmp_path, make, "/etc/modprobe.d")[CARD]["because"]
    assert sum("it is a FIFO" in line for line in lines) == 20
    assert any("10 further files that cannot be read" in line for line in lines)


def test_a_claim_is_not_met_where_a_file_cannot_be_read(tmp_path: Path) -> None:
    tree = worked_examples.Example("host", {worked_examples.DEVICES: DEVICES}, (), None, (0, 0)).host(tmp_path)
    fifo(tree, "/etc/udev/rules.d/50-gpu.rules")
    with pytest.raises(Exception, match=r"50-gpu\.rules cannot be read: it is a FIFO"):
        claim_info(tree.host(Commands(tmp_path)), devices=CARD, driver="vfio-pci", require="winner")
