# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose next boot has other words than the running kernel, as far as these decide whether there is an IOMMU, and who is init.

Their truth is in Linux's intel_iommu_init(), detect_intel_iommu() and amd_iommu_detect(), in Xen's own use of the IOMMU, and in rdinit=
of init/main.c.
"""

from __future__ import annotations

import dataclasses
import shutil
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    BOTH,
    CARD,
    CONF,
    GUEST,
    IDS,
    NATIVE,
    NIC,
    RULE,
    SAME,
    SOFTDEP,
    TO_GUEST,
    Drawn,
    compare,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

ENTRY = "menuentry 'Linux' {{\n linux /boot/vmlinuz-{release} root=/dev/sda1 ro {words}\n initrd /boot/initrd.img-{release}\n}}\n"
MODULE2 = f" module2 /boot/vmlinuz-{DEBIAN_13} root=/dev/sda1\n module2 /boot/initrd.img-{DEBIAN_13}\n"
XEN = f"menuentry 'Xen' {{\n multiboot2 /boot/xen-4.20.gz\n{MODULE2}}}\n"
ON, DEFAULT = "intel_iommu=on", "CONFIG_INTEL_IOMMU=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y\n"
NO_DEFAULT = "CONFIG_INTEL_IOMMU=y\n# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\n"
INTEL, AMD = "GenuineIntel", "AuthenticAMD"
BRIDGES = {INTEL: "8086:1237", AMD: "1022:1480"}


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine that has an IOMMU now, unless ``has`` says otherwise; ``first`` is another entry, which is the default."""

    now: str = ""
    then: str = ""
    maker: str = INTEL
    config: str = NO_DEFAULT
    has: bool = True
    first: str = ""
    under_xen: bool = False

    def tree(self, root: Path) -> Tree:
        tree = Drawn(GUEST, {RULE: TO_GUEST}).tree(root)
        tree.cmdline(f"BOOT_IMAGE=/boot/vmlinuz-{DEBIAN_13} root=/dev/sda1 ro {self.now}".strip())
        tree.file("/proc/cpuinfo", f"processor\t: 0\nvendor_id\t: {self.maker}\n").file(f"/boot/config-{DEBIAN_13}", self.config)
        tree.pci("0000:00:00.0", BRIDGES[self.maker], class_code=0x060000, group=0 if self.has else None)
        if self.has:
            tree.file(f"/sys/firmware/acpi/tables/{'DMAR' if self.maker == INTEL else 'IVRS'}", b"x")
        else:
            for group in tree.place("/sys/bus/pci/devices").glob("*/iommu_group"):
                group.unlink()
            shutil.rmtree(tree.place("/sys/kernel/iommu_groups"))
            tree.directory("/sys/firmware/acpi/tables")
        if self.under_xen:
            tree.directory("/proc/xen")
        menu = f"set default=0\n{self.first}{ENTRY.format(release=DEBIAN_13, words=self.then)}"
        return tree.file("/boot/grub/grub.cfg", menu)


CERTAIN: dict[str, Machine] = {
    "the same words": Machine(ON, ON),
    "no word, and the kernel does it by itself": Machine("", "", config=DEFAULT),
    "the word is gone, and the kernel does it by itself": Machine(ON, "", config=DEFAULT),
    "another word beside it": Machine(ON, f"{ON} iommu=pt quiet"),
    "more in the word": Machine(ON, "intel_iommu=on,sm_on"),
    "a word for the graphics alone": Machine(ON, f"{ON} intel_iommu=igfx_off"),
    "a word of the other maker": Machine(ON, f"{ON} amd_iommu=off"),
    "AMD's is on without a word": Machine("iommu=pt", "", AMD),
    "the word of the other maker is gone": Machine(ON, "", AMD),
    "the word after which the kernel reads no other": Machine("", "iommu=usedac,off", AMD),
    "the table of the firmware is read again": Machine("acpi=off", "", AMD),
    "the word that hides the tables was there before": Machine(f"acpi=off {ON}", f"acpi=off {ON}"),
}
OPEN: dict[str, tuple[Machine, str]] = {
    "the word is gone": (Machine(ON, ""), "does not switch it on by itself"),
    "the word is misspelt": (Machine(ON, "intel_iommu=enable"), "does not switch it on by itself"),
    "the word is behind those of the kernel": (Machine(ON, f"-- {ON}"), "does not switch it on by itself"),
    "the word is gone, and nothing says what the kernel does": (Machine(ON, "", config=""), "by itself"),
    "the tables of the firmware are hidden": (Machine(ON, f"{ON} acpi=off"), "acpi=off"),
    "the tables of the firmware are hidden on AMD": (Machine("", "acpi=off", AMD), "acpi=off"),
    "a word for an IOMMU that the firmware does not describe": (Machine("", ON, has=False), "the firmware describes none"),
    "Xen comes first": (Machine(ON, ON, first=XEN), "under /boot/xen-4.20.gz"),
    "Xen is there now": (Machine(ON, ON, under_xen=True), "Xen has the machine's now"),
}


def answer(tree: Tree) -> dict[str, t.Any]:
    found = device_info(tree.host(Commands(tree.root)))["devices"]
    return t.cast("dict[str, t.Any]", next(one for one in found if one["address"] == CARD)["next_boot"])


@pytest.mark.parametrize("name", CERTAIN)
def test_an_iommu_that_stays_leaves_the_answer_certain(tmp_path: Path, name: str) -> None:
    found = answer(CERTAIN[name].tree(tmp_path))
    assert (found["winner"], found["certainty"]) == ("vfio-pci", "certain"), found["because"]


@pytest.mark.parametrize("name", OPEN)
def test_an_iommu_that_may_be_gone_leaves_the_card_without_a_driver_perhaps(tmp_path: Path, name: str) -> None:
    machine, named = OPEN[name]
    tree = machine.tree(tmp_path)
    found = answer(tree)
    assert (found["certainty"], {*found["outcomes"]}) == ("unknown", {"vfio-pci", None})
    assert any(named in reason and "There may be no IOMMU" in reason for reason in found["because"]), found["because"]
    assert "There may be no IOMMU" in str(claim_info(tree.host(Commands(tree.root)), devices="10de:1db1")["devices"])


@pytest.mark.parametrize(
    ("maker", "table", "word", "is_off"),
    [
        (INTEL, "VIOT", "intel_iommu=off", False),
        (INTEL, "VIOT", "iommu=off", False),
        (AMD, "VIOT", "amd_iommu=off", False),
        # A virtual machine may have an IOMMU like that of the other maker, and a host bridge of Intel's.
        (AMD, "DMAR", "amd_iommu=off", False),
        (INTEL, "IVRS", "amd_iommu=off", True),
    ],
)
def test_the_words_are_those_of_the_iommu_and_not_of_the_processor(tmp_path: Path, maker: str, table: str, word: str, is_off: bool) -> None:
    tree = Machine("intel_iommu=on", f"intel_iommu=on {word}", maker).tree(tmp_path)
    shutil.rmtree(tree.place("/sys/firmware/acpi/tables"))
    found = answer(tree.file(f"/sys/firmware/acpi/tables/{table}", b"x"))
    assert (found["winner"], found["certainty"]) == (None if is_off else "vfio-pci", "certain"), found["because"]


def test_a_card_of_its_native_driver_does_not_care(tmp_path: Path) -> None:
    tree = Machine(ON, "").tree(tmp_path)
    tree.place(RULE).unlink()
    others = {device["address"]: device["next_boot"] for device in device_info(tree.host(Commands(tree.root)))["devices"]}
    assert (others[SAME]["winner"], others[SAME]["certainty"]) == ("nouveau", "certain")


def test_without_groups_of_its_own_vfio_takes_the_card_where_it_is_told_to(tmp_path: Path) -> None:
    found = answer(Machine(ON, "vfio.enable_unsafe_noiommu_mode=1").tree(tmp_path))
    assert found["certainty"] == "certain"


SI = {CONF: SOFTDEP, **IDS}
ELSEWHERE: dict[str, Drawn] = {
    "another init of the initramfs": Drawn(NATIVE, SI, cmdline="rdinit=/bin/sh", open=(CARD, SAME, NIC)),
    "the init of the initramfs by its name": Drawn(BOTH, SI, cmdline="rdinit=/init"),
    "the init of the initramfs, behind the words of the kernel": Drawn(BOTH, SI, cmdline="-- rdinit=/bin/sh"),
    "a folder that is mounted over lines of kmod": Drawn(BOTH, {"/etc/fstab": "/srv/x /etc/modprobe.d none bind 0 0\n"}, open=(CARD, SAME)),
    "a disk that is mounted over rules": Drawn(NATIVE, {"/etc/fstab": "LABEL=rules /etc/udev ext4 defaults 0 2\n"}, open=(CARD, SAME)),
    "a disk that is mounted over modules": Drawn(NATIVE, {"/etc/fstab": "LABEL=m /lib/modules/ ext4 defaults 0 2\n"}, open=(CARD, SAME)),
    "a disk that is mounted over all of the configuration": Drawn(
        BOTH, {**SI, "/etc/fstab": "LABEL=etc /etc ext4 defaults 0 2\n"}, open=(CARD, SAME)
    ),
    "a disk with modules that is not mounted by itself": Drawn(NATIVE, {"/etc/fstab": "LABEL=m /lib/modules ext4 noauto 0 2\n"}),
    "a line for modules that is put aside": Drawn(NATIVE, {"/etc/fstab": "#LABEL=m /lib/modules ext4 defaults 0 2\n"}),
    "disks of an ordinary host": Drawn(
        NATIVE,
        {
            "/etc/fstab": "UUID=1 / ext4 errors=remount-ro 0 1\nUUID=2 /usr ext4 defaults 0 2\nUUID=3 none swap sw 0 0\n"
            "UUID=4 /boot/efi vfat umask=0077 0 1\nUUID=5 /usr/local ext4 defaults 0 2\nUUID=6 /home ext4 defaults 0 2\n"
            "tmpfs /tmp tmpfs nosuid 0 0\nUUID=7 /var/lib/modules ext4 defaults 0 2\nUUID=8 /etc/ssl ext4 defaults 0 2\n"
        },
    ),
    "a disk over the host's own rules": Drawn(
        NATIVE,
        {"/etc/fstab": "UUID=5 /usr/local ext4 defaults 0 2\n", "/usr/local/lib/udev/rules.d/50-site.rules": TO_GUEST},
        open=(CARD, SAME),
    ),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_read_elsewhere_leaves_open_what_it_can_touch(tmp_path: Path, name: str) -> None:
    host = ELSEWHERE[name]
    tree = host.tree(tmp_path)
    compare(tree, host.truth, host.open)
    if host.open:
        answers = [
            one["kernels"][DEBIAN_13] for one in device_info(tree.host(Commands(tree.root)))["devices"] if one["address"] in host.open
        ]
        assert {one["certainty"] for one in answers} == {"unknown"}
