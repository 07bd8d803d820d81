# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose rules ask about the machine, about files by the device's name, and about what udev has kept of it.

Their truth comes from udev(7), udev_rule_apply_token_to_event() in udev-rules.c and detect_vm() in virt.c.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    BOTH,
    BRIDGE,
    CARD,
    CARDS,
    GUEST,
    IDS,
    LOAD,
    NATIVE,
    NEITHER,
    OVERRIDE,
    RULE,
    SAME,
    THIS,
    Drawn,
    Truth,
    behind_bridge,
    compare,
    rule,
)
from ansible_collections.vfio.variants.tests.unit.test_hosts_of_testers import image
from ansible_collections.vfio.variants.tests.unit.test_hosts_with_conditions import BARE, GUEST_MACHINE

if t.TYPE_CHECKING:
    from pathlib import Path


ACTS = f"{OVERRIDE}, {LOAD}"
BY_FILE = f'ATTR{{driver_override}}="$env{{WANTED}}", {LOAD}'
OFF = {"/etc/modprobe.d/off.conf": "blacklist nouveau\n"}
ONE: Truth = {CARD: "vfio-pci", SAME: None}
NO_ADD = 'ACTION!="add", GOTO="end"\nSUBSYSTEM!="pci", GOTO="end"\n'
WANTED = "WANTED=vfio-pci\n"


def machine(truth: Truth, key: str, machine_: t.Mapping[str, str] | None = None, may_be_open: bool = False) -> Drawn:
    """On a real machine, unless files say of another one."""
    return rule(truth, f"{THIS}, {key}, {ACTS}", "", (CARD,) if may_be_open else (), **(BARE if machine_ is None else machine_))


def file(truth: Truth, path: str, text: str = WANTED, key: str = "", pins: str = THIS) -> Drawn:
    """A rule that imports a file whose name has a substitution, and this file of the host; the identical card has no file."""
    both = f'{pins}, IMPORT{{file}}="{path}"\n{key or pins}, ENV{{WANTED}}=="?*", {BY_FILE}'
    return rule(truth, both, **{f"/etc/site/{CARD}": text, **OFF})


def in_image(truth: Truth, text: str, files: t.Mapping[str, str] | None = None) -> Drawn:
    """The rule in the initramfs alone, which has nouveau and vfio-pci."""
    off = {path.lstrip("/"): line for path, line in OFF.items()}
    then = image(["nouveau", "vfio-pci"], **{"etc/udev/rules.d/50-site.rules": f"{text}\n", **off})
    return Drawn(truth, {**OFF, **(files or {})}, then=then)


def behind(truth: Truth, text: str) -> Drawn:
    """The first card is behind a bridge; of two cards with an override the second may come too late."""
    return Drawn(truth, {RULE: f"{text}\n"}, then=behind_bridge, open=(CARD, SAME) if truth is BOTH else ())


HOSTS: dict[str, Drawn] = {
    "no virtual machine": machine(GUEST, 'CONST{virt}=="none"'),
    "a virtual machine, on a real one": machine(NATIVE, 'CONST{virt}!="none"'),
    "some kind of machine": machine(NATIVE, 'CONST{virt}=="kvm|qemu|xen"'),
    "not some kind of machine": machine(GUEST, 'CONST{virt}!="kvm"'),
    "no virtual machine, in one": machine(NATIVE, 'CONST{virt}=="none"', GUEST_MACHINE),
    "a virtual machine, in one": machine(GUEST, 'CONST{virt}!="none"', GUEST_MACHINE),
    "a container, in a machine": machine(NATIVE, 'CONST{virt}=="docker"', GUEST_MACHINE),
    "one kind of machine, in one": machine(GUEST, 'CONST{virt}=="qemu|kvm"', GUEST_MACHINE, may_be_open=True),
    "some machine, which is not known": machine(GUEST, 'CONST{virt}=="none"', {}, may_be_open=True),
    "any machine": machine(GUEST, 'CONST{virt}=="?*"', {}),
    "an architecture by a pattern": machine(GUEST, 'CONST{arch}=="x86*"', {}),
    "a confidential machine, before udev knew of them": machine(NATIVE, 'CONST{cvm}=="none"'),
    "no virtual machine, in the initramfs": in_image(ONE, f'{THIS}, CONST{{virt}}=="none", {ACTS}', BARE),
    "a virtual machine, in the initramfs": in_image(NEITHER, f'{THIS}, CONST{{virt}}!="none", {ACTS}', BARE),
    # files
    "a file by the device's name": file(ONE, "/etc/site/%k"),
    "a file by the device's name in long": file(ONE, "/etc/site/$kernel"),
    "a file of another name": file(NEITHER, "/etc/site/%k.conf"),
    "a file without the property": file(NEITHER, "/etc/site/%k", "OTHER=vfio-pci\n"),
    "a file that is not there, which is asked for": rule(NATIVE, f'{THIS}, IMPORT{{file}}="/etc/none/%k", {ACTS}'),
    "a file that is not there, and should not be": rule(GUEST, f'{THIS}, IMPORT{{file}}!="/etc/none/%k", {ACTS}'),
    "files by IDs": Drawn(
        BOTH,
        {
            RULE: f'{CARDS}, IMPORT{{file}}="/etc/site/$attr{{vendor}}-$attr{{device}}"\nENV{{LOADS}}=="?*", {LOAD}\n',
            "/etc/site/0x10de-0x1db1": "LOADS=1\n",
            **OFF,
            **IDS,
        },
    ),
    "a file of the boot's": Drawn(NATIVE, {RULE: f'{THIS}, IMPORT{{file}}="/run/site/%k", {ACTS}\n'}, open=(CARD,)),
    "a file in a folder of the device's": Drawn(NATIVE, {RULE: f'{THIS}, IMPORT{{file}}="/etc/site/%k/x", {ACTS}\n'}, open=(CARD,)),
    # tags of the device above, whose event comes before
    "a tag of the bridge above": behind(GUEST, f'KERNEL=="{BRIDGE}", TAG+="vm"\n{CARDS}, TAGS=="vm", {ACTS}'),
    "a tag of the bridge above, set further down": behind(GUEST, f'{CARDS}, TAGS=="vm", {ACTS}\nKERNEL=="{BRIDGE}", TAG+="vm"'),
    "a tag of a bridge by its class": behind(GUEST, f'ATTR{{class}}=="0x0604*", TAG+="vm"\n{CARDS}, TAGS=="v*", {ACTS}'),
    "a tag of the bridge above, taken away": behind(NATIVE, f'KERNEL=="{BRIDGE}", TAG+="vm"\nTAG-="vm"\n{CARDS}, TAGS=="vm", {ACTS}'),
    "a tag of another bridge": behind(NATIVE, f'KERNEL=="0000:00:09.0", TAG+="vm"\n{CARDS}, TAGS=="vm", {ACTS}'),
    "no tag above": behind(NATIVE, f'{CARDS}, TAGS=="vm", {ACTS}'),
    "a tag that neither has": behind(BOTH, f'{CARDS}, TAGS!="vm", {ACTS}'),
    "a tag that one of them has not": behind(BOTH, f'KERNEL=="{BRIDGE}", TAG+="vm"\n{CARDS}, TAGS!="vm", {ACTS}'),
    "a tag of the bridge with this name": behind(GUEST, f'KERNEL=="{BRIDGE}", TAG+="vm"\n{CARDS}, TAGS=="vm", KERNELS=="{BRIDGE}", {ACTS}'),
    "a tag of its own, and the bridge's name": behind(NATIVE, f'{CARDS}, TAG+="vm"\n{CARDS}, TAGS=="vm", KERNELS=="{BRIDGE}", {ACTS}'),
    # names that no file of a function has
    "an attribute of USB devices": rule(NATIVE, f'{THIS}, ATTR{{idVendor}}=="10de", {ACTS}'),
    "an attribute of USB devices above": rule(NATIVE, f'{THIS}, ATTRS{{idVendor}}=="10de", {ACTS}'),
    "an attribute that is missing is not another one": rule(NATIVE, f'{THIS}, ATTR{{vendor_id}}!="0x8086", {ACTS}'),
    "an attribute in capitals": rule(NATIVE, f'{THIS}, ATTR{{Vendor}}=="0x10de", {ACTS}'),
    # jumps: rules that are behind the jump of all others are reached by those who jump there
    "a jump for one, and one for all others": rule(
        GUEST, f'{NO_ADD}KERNEL=="{CARD}", GOTO="vm"\nGOTO="end"\nLABEL="vm"\n{ACTS}\nLABEL="end"'
    ),
    "a jump for one with a line between": rule(
        GUEST, f'{THIS}, GOTO="x"\nSUBSYSTEM=="pci", GOTO="y"\nLABEL="x"\n{THIS}, {ACTS}\nLABEL="y"'
    ),
    "a jump for each of two": rule(
        {CARD: "vfio-pci", SAME: None},
        f'{NO_ADD}KERNEL=="{CARD}", GOTO="vm"\nKERNEL=="{SAME}", GOTO="none"\nGOTO="end"\n'
        f'LABEL="vm"\n{ACTS}\nGOTO="end"\nLABEL="none"\nATTR{{driver_override}}="none"\nLABEL="end"',
    ),
    "a jump by the subsystem": rule(
        GUEST,
        'SUBSYSTEM=="usb", GOTO="usb"\nSUBSYSTEM=="pci", GOTO="pci"\nGOTO="end"\nLABEL="usb"\nGOTO="end"\n'
        f'LABEL="pci"\nACTION=="add", KERNEL=="{CARD}", {ACTS}\nLABEL="end"',
    ),
    # identical cards are told apart
    "the path as a property of the kernel's": rule(GUEST, f'{ADDED}, ENV{{DEVPATH}}=="*/{CARD}", {ACTS}'),
    "a file that one of two has": rule(
        ONE, f'{ADDED}, IMPORT{{file}}="/etc/site/%k"\n{ADDED}, ENV{{WANTED}}=="?*", {BY_FILE}', **{f"/etc/site/{CARD}": WANTED, **OFF}
    ),
    # what udev has kept: nothing, when it sees a device for the first time
    "a property of an earlier event": in_image(NEITHER, f'{THIS}, IMPORT{{db}}="SITE", {ACTS}'),
    "no property of an earlier event": in_image(ONE, f'{THIS}, IMPORT{{db}}!="SITE", {ACTS}'),
    "a property of the initramfs's events": Drawn(
        GUEST, {RULE: f'{ADDED}, KERNEL=="{CARD}", IMPORT{{db}}!="SITE", {ACTS}\n'}, open=(CARD,)
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
