# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which nothing is left to do is recognised by its record, and nothing that drifts goes unnoticed."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import unchanged
from ansible_collections.vfio.variants.plugins.module_utils._core.host.unchanged import recall
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_host import predict, record
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.converged_hosts import (
    CARD,
    DRIVER,
    KEY,
    OTHER_CARD,
    converged,
    image,
    recorded,
    request,
)
from ansible_collections.vfio.variants.tests.unit.policy_hosts import RULES, VARIANT, kernel, run
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

SITE = "/etc/modprobe.d/site.conf"
DEVICES = "/sys/bus/pci/devices"


@pytest.fixture(autouse=True)
def _own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "CACHE_DIRECTORY", str(tmp_path / "records"))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return converged(tmp_path / "root")


def is_unchanged(tree: Tree) -> bool:
    return recall(tree.host(), KEY).outcome is not None


def test_a_converged_host_is_recorded_and_recognised_with_what_the_run_returned(tree: Tree) -> None:
    assert recorded(tree)["recorded"]
    assert recall(tree.host(), KEY).outcome == predict(tree.host(), request())


def test_what_is_recorded_is_what_each_task_of_the_role_returns(tree: Tree) -> None:
    outcome = predict(tree.host(), request())
    assert outcome["reboot_required"] is False
    assert [(device["address"], device["driver"], device["changed"]) for device in outcome["report"]["devices"]] == [
        (CARD, DRIVER, False),
        (OTHER_CARD, DRIVER, False),
    ]
    assert not any(found["rebuilt"] for found in outcome["report"]["kernels"].values())
    assert outcome["report"]["policy"]["modules"] == [VARIANT]


def test_a_look_at_the_host_does_not_change_it_nor_the_record(tree: Tree) -> None:
    recorded(tree)
    assert [is_unchanged(tree) for _time in range(3)] == [True] * 3


def test_a_program_that_comes_and_goes_with_a_card_of_the_same_ids_changes_nothing(tmp_path: Path) -> None:
    """One card for guests, and one for the host, whose processes are others each time."""
    claim = {"devices": CARD}
    tree = converged(tmp_path / "root", claim, other="nouveau")
    tree.file(f"{DEVICES}/{OTHER_CARD}/drm/card1/uevent", "MAJOR=226\nMINOR=1\nDEVNAME=dri/card1\n")
    tree.link("/proc/4711/fd/7", "/dev/dri/card1").file("/proc/4711/comm", "Xorg\n")
    assert recorded(tree, claim)["because"] == ""
    tree.link("/proc/4712/fd/7", "/dev/dri/card1").file("/proc/4712/comm", "Xwayland\n").file("/proc/4711/comm", "kworker/0:1\n")
    assert is_unchanged(tree)


def test_the_network_of_a_card_of_the_same_ids_is_asked_of_files_where_the_policy_is_in_place(tmp_path: Path) -> None:
    """A command's answer cannot be asked again by the small module of the next run."""
    claim = {"devices": "0000:06:00.0", "driver": "vfio-pci"}
    tree = converged(tmp_path / "root", {"devices": CARD}, other="nouveau")
    for group, (address, driver) in enumerate((("0000:06:00.0", "vfio-pci"), ("0000:07:00.0", "ixgbe")), 11):
        override = driver if driver == "vfio-pci" else None
        tree.pci(address, "8086:10fb", class_code=0x020000, driver=driver, override=override, group=group)
    device = f"{DEVICES}/0000:07:00.0"
    tree.directory(f"{device}/net/eno1").link("/sys/class/net/eno1", f"{device}/net/eno1").link(f"{device}/net/eno1/device", device)
    tree.file(f"{device}/net/eno1/operstate", "up\n").file(f"{device}/net/eno1/flags", "0x1003\n")
    tree.file("/usr/sbin/ip", "#!/bin/sh\necho '[]'\n", mode=0o755)
    run(tree, claim)
    for release in (DEBIAN_13, DEBIAN_12):
        tree.file(f"/boot/initrd.img-{release}", image(tree, release))
    host = tree.host(Commands(tree.root))
    assert record(host, request(claim), KEY, check_mode=False, settled=0)["because"] == ""
    assert is_unchanged(tree)
    header = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    tree.file("/proc/net/route", f"{header}eno1 00000000 0102A8C0 0003 0 0 0 00000000 0 0 0\n")
    assert not is_unchanged(tree)


def test_check_mode_leaves_no_record(tree: Tree, tmp_path: Path) -> None:
    assert not record(tree.host(), request(), KEY, check_mode=True, settled=0)["recorded"]
    assert not (tmp_path / "records").exists()


def same_size(tree: Tree, path: str) -> None:
    """Another content of the same length, with the time of the former one."""
    place = tree.place(path)
    before, content = place.stat(), place.read_bytes()
    place.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (place.stat().st_size, place.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def replaced_at_its_time(tree: Tree, path: str) -> None:
    place = tree.place(path)
    before = place.stat()
    new = place.with_name("new")
    new.write_bytes(bytes(len(place.read_bytes())))
    new.replace(place)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))


def rebound(tree: Tree, driver: str | None) -> None:
    link = tree.place(f"{DEVICES}/{CARD}/driver")
    link.unlink()
    if driver is not None:
        tree.driver(driver)
        link.symlink_to(tree.place(f"/sys/bus/pci/drivers/{driver}"))


def moved(tree: Tree) -> None:
    shutil.rmtree(tree.place(f"{DEVICES}/{OTHER_CARD}").resolve())
    tree.place(f"{DEVICES}/{OTHER_CARD}").unlink()
    tree.pci("0000:5f:00.0", driver=DRIVER, override=DRIVER, group=8)


def other_group(tree: Tree) -> None:
    link = tree.place(f"{DEVICES}/{CARD}/iommu_group")
    link.unlink()
    link.symlink_to("../../../kernel/iommu_groups/9")


def linked(tree: Tree, path: str, target: str) -> None:
    """A link in the place of what was there."""
    place = tree.place(path)
    if place.is_symlink() or place.exists():
        place.unlink()
    tree.link(path, target)


def led_elsewhere(tree: Tree, path: str) -> None:
    """The same content by a link."""
    tree.place(path).rename(tree.place(f"{path}.real"))
    tree.link(path, f"{path}.real")


def not_to_be_run(tree: Tree) -> None:
    for hook in tree.place("/etc/initramfs-tools/hooks").iterdir():
        hook.chmod(0o644)


def unlinked(tree: Tree, path: str) -> None:
    tree.place(path).unlink()


MODULE = f"/lib/modules/{DEBIAN_13}/updates/dkms/{VARIANT}.ko"
IMAGE = f"/boot/initrd.img-{DEBIAN_13}"
DRIFTS: dict[str, t.Callable[[Tree], object]] = {
    "a file is edited": lambda tree: tree.file(SITE, "options e1000e debug=2\n"),
    "a file is edited to the same size, and its time is put back": lambda tree: same_size(tree, SITE),
    "a file is gone": lambda tree: unlinked(tree, SITE),
    "a file is added": lambda tree: tree.file("/etc/modprobe.d/zz.conf", "blacklist vfio-pci\n"),
    "a rule is added": lambda tree: tree.file("/etc/udev/rules.d/99-site.rules", 'ACTION=="add", RUN+="/bin/true"\n'),
    "a rule of the policy is edited": lambda tree: same_size(tree, RULES),
    "a file of the policy is gone": lambda tree: unlinked(tree, RULES),
    "a unit is added": lambda tree: tree.file(
        "/etc/systemd/system/multi-user.target.wants/x.service", "[Service]\nExecStart=/sbin/modprobe nouveau\n"
    ),
    "a script that a rule could run is added": lambda tree: tree.file("/etc/modules-load.d/site.conf", "nouveau\n"),
    "a directory that was not there appears": lambda tree: tree.file("/etc/driverctl.d/pci-0000:3b:00.0", "nouveau\n"),
    "a unit is masked": lambda tree: tree.link("/etc/systemd/system/systemd-udevd.service", "/dev/null"),
    "a device is rebound": lambda tree: rebound(tree, "nouveau"),
    "a device has no driver": lambda tree: rebound(tree, None),
    "an override is cleared": lambda tree: tree.file(f"{DEVICES}/{CARD}/driver_override", "(null)\n"),
    "a card is moved": moved,
    "a card is added": lambda tree: tree.pci("0000:60:00.0", driver="nouveau", group=12),
    "a card has another ID": lambda tree: tree.pci(CARD, "10de:1db4", driver=DRIVER, override=DRIVER, group=7),
    "a group has another member": other_group,
    "a driver is registered": lambda tree: tree.module("nouveau", drivers=["nouveau"]),
    "a kernel is added": lambda tree: kernel(tree, "6.12.200+deb13-amd64", running=False),
    "a kernel is removed": lambda tree: shutil.rmtree(tree.place(f"/lib/modules/{DEBIAN_12}")),
    "another kernel runs": lambda tree: tree.running(DEBIAN_12),
    "an image is rebuilt": lambda tree: tree.file(IMAGE, image(tree, DEBIAN_12)),
    "an image is rebuilt with the same content": lambda tree: replaced_at_its_time(tree, IMAGE),
    "an image is edited to the same size, and its time is put back": lambda tree: same_size(tree, IMAGE),
    "an image is gone": lambda tree: unlinked(tree, IMAGE),
    "a module is missing": lambda tree: unlinked(tree, MODULE),
    "a module is another one": lambda tree: same_size(tree, MODULE),
    "depmod has run": lambda tree: tree.file(f"/lib/modules/{DEBIAN_13}/modules.alias", "alias pci:v*d*sv*sd*bc*sc*i* nouveau\n"),
    "the next boot has another command line": lambda tree: tree.file(
        "/boot/grub/grub.cfg", tree.place("/boot/grub/grub.cfg").read_text().replace(" ro", " ro vfio_variants=off")
    ),
    "this boot has another command line": lambda tree: tree.cmdline("root=/dev/sda1 ro intel_iommu=off"),
    "a package is upgraded": lambda tree: tree.file("/var/lib/dpkg/status", "Package: kmod\nVersion: 35\n"),
    "a file hides one of the same name": lambda tree: linked(tree, "/etc/modprobe.d/vfio-variants.conf", "/dev/null"),
    "a file may not be read any more": lambda tree: tree.place(SITE).chmod(0),
    "a file is a link to what it was": lambda tree: led_elsewhere(tree, SITE),
    "a directory is a link to what it was": lambda tree: led_elsewhere(tree, "/etc/modprobe.d"),
    "a hook may not be run any more": not_to_be_run,
    "another generator of images is there": lambda tree: tree.file("/usr/bin/dracut", "#!/bin/sh\n", mode=0o755),
    "the generator of images is gone": lambda tree: unlinked(tree, "/usr/sbin/mkinitramfs"),
    "a unit has a further command": lambda tree: tree.file("/etc/systemd/system/service.d/x.conf", "[Service]\nExecStartPre=/bin/x\n"),
    "another target is booted": lambda tree: tree.link("/etc/systemd/system/default.target", "/usr/lib/systemd/system/rescue.target"),
    "a module is packed": lambda tree: tree.place(MODULE).rename(tree.place(f"{MODULE}.xz")),
    "an image is a link to what it was": lambda tree: led_elsewhere(tree, IMAGE),
    "an image has another mode": lambda tree: tree.place(IMAGE).chmod(0o640),
    "one boot is to be another": lambda tree: tree.file("/boot/grub/grubenv", "# GRUB Environment Block\nnext_entry=1\n"),
    "the driver's old version is loaded": lambda tree: tree.file(f"/sys/module/{VARIANT}/srcversion", "OLD\n"),
    "the module was unloaded": lambda tree: shutil.rmtree(tree.place(f"/sys/module/{VARIANT}")),
    "the kernel's image is another": lambda tree: tree.file(f"/boot/vmlinuz-{DEBIAN_13}", b"another"),
    "a run was killed": lambda tree: tree.file("/var/lib/vfio-variants/boot_policy.json", "{}"),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
def test_the_short_way_is_not_taken_once(tree: Tree, drift: t.Callable[[Tree], object]) -> None:
    assert recorded(tree)["recorded"]
    assert is_unchanged(tree)
    drift(tree)
    answer = recall(tree.host(), KEY)
    assert answer.outcome is None
    assert answer.because.endswith("is not as it was.")
