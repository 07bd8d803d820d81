# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everyday mistakes in udev rules: each is named, with what was meant, and what is right is not."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile, PolicyFiles
from ansible_collections.vfio.variants.tests.unit.boots import RULES_FILE, boot, device
from ansible_collections.vfio.variants.tests.unit.judged import judged

HOST = [device("0000:01:00.0"), device("0000:0a:00.0", "8086:10d3", class_code=0x020000)]
WRITES = 'ATTR{driver_override}="vfio-pci"'
ADD = 'ACTION=="add", SUBSYSTEM=="pci", '
MINE = 'KERNEL=="0000:01:00.0", '


def said(*lines: str) -> list[str]:
    """What is found in a rules file, and nothing about its devices."""
    text = "".join(f"{line}\n" for line in lines)
    found = judged(boot(rules=text), devices=HOST, files=PolicyFiles(rules=(PolicyFile(RULES_FILE, text),)))
    assert all(finding.sentence.startswith(f"{finding.source}: ") for finding in found if finding.kind.startswith("udev-"))
    assert all("\n" not in finding.sentence and finding.sentence.endswith((".", "?")) for finding in found)
    return [finding.sentence for finding in found if finding.kind.startswith("udev-")]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (f'{ADD}{MINE}ATTR{{driver_override}}=="vfio-pci"', 'Write `ATTR{driver_override}="vfio-pci"`.'),
        (f'{ADD}ATTR{{vendor}}="0x10de", {WRITES}', 'Write `ATTR{vendor}=="0x10de"`.'),
        (f'{ADD}ENV{{PCI_ID}}="10DE:1DB1", {WRITES}', 'Write `ENV{PCI_ID}=="10DE:1DB1"`.'),
        (f'ACTION="add", {MINE}{WRITES}', 'Write `ACTION=="add"`.'),
        (f'{ADD}KERNEL="0000:01:00.0", {WRITES}', 'Write `KERNEL=="0000:01:00.0"`.'),
        (f'{ADD}{MINE}{WRITES}, RUN{{builtin}}=="kmod load vfio-pci"', 'Write `RUN{builtin}+="kmod load vfio-pci"`.'),
        (f'{ADD}KERNEL=="01:00.0", {WRITES}', 'Write `KERNEL=="0000:01:00.0"`.'),
        (f'{ADD}KERNEL=="0000:0A:00.0", {WRITES}', 'Write `KERNEL=="0000:0a:00.0"`.'),
        (f'{ADD}KERNELS=="pci-0000:01:00.0", {WRITES}', 'Write `KERNELS=="0000:01:00.0"`.'),
        (f'{ADD}KERNEL=="0000:01:00:0", {WRITES}', 'Write `KERNEL=="0000:01:00.0"`.'),
        (f'{ADD}ATTR{{vendor}}=="10de", {WRITES}', 'Write `ATTR{vendor}=="0x10de"`.'),
        (f'{ADD}ATTRS{{device}}=="0x1DB1", {WRITES}', 'Write `ATTRS{device}=="0x1db1"`.'),
        (f'{ADD}ATTR{{class}}=="030200", {WRITES}', 'Write `ATTR{class}=="0x030200"`.'),
        (f'{ADD}ATTR{{class}}=="0x0302", {WRITES}', 'Write `ATTR{class}=="0x0302*"`.'),
        (f'{ADD}ENV{{PCI_ID}}=="10de:1db1", {WRITES}', 'Write `ENV{PCI_ID}=="10DE:1DB1"`.'),
        (f'{ADD}ENV{{PCI_CLASS}}=="0x030200", {WRITES}', 'Write `ENV{PCI_CLASS}=="30200"`.'),
        (f'{ADD}{MINE}ATTR{{driver_overide}}="vfio-pci"', "Did you mean ATTR{driver_override}?"),
        (f'{ADD}{MINE}ATTR{{driver-override}}="vfio-pci"', "Did you mean ATTR{driver_override}?"),
        (f'{ADD}{MINE}ATTR{{driver}}="vfio-pci"', "Did you mean ATTR{driver_override}?"),
        (f'{ADD}ATTR{{idVendor}}=="0x10de", {WRITES}', "Did you mean ATTR{vendor}?"),
        (f'{ADD}{MINE}ENV{{driver_override}}="vfio-pci"', 'Write `ATTR{driver_override}="vfio-pci"`.'),
        (f'ACTION=="add", SUBSYTEM=="pci", {MINE}{WRITES}', "Write SUBSYSTEM."),
        (f'{ADD}{MINE}ATTR(driver_override)="vfio-pci"', 'Write `ATTR{driver_override}="vfio-pci"`.'),
        (f"{ADD}{MINE}ATTR{{driver_override}}='vfio-pci'", 'Write `ATTR{driver_override}="vfio-pci"`.'),
        (f"{ADD}{MINE}ATTR{{driver_override}}=\u201cvfio-pci\u201d", 'Write `ATTR{driver_override}="vfio-pci"`.'),
        (f"{ADD}{MINE}ATTR{{driver_override}}=vfio-pci", 'Write `ATTR{driver_override}="vfio-pci"`.'),
        (f'{ADD}{MINE}ATTR{{driver_override}}="vfio-pci', "has no closing quote"),
        (f'ACTION=="change", {MINE}{WRITES}', 'Write `ACTION=="add"`.'),
        (f'ACTION=="ADD", {MINE}{WRITES}', 'Write `ACTION=="add"`.'),
        (f'{ADD}{MINE}RUN+="kmod load vfio-pci"', 'Write `RUN{builtin}+="kmod load vfio-pci"`.'),
        (f'{ADD}{MINE}RUN+="modprobe vfio-pci"', "Write its whole path."),
        (f'{ADD}{MINE}RUN{{builtin}}+="modprobe vfio-pci"', 'Write `RUN{builtin}+="kmod load vfio-pci"`.'),
        (f'{ADD}{MINE}ATTR{{driver_override}}-="vfio-pci"', 'Write `ATTR{driver_override}="vfio-pci"`.'),
        (f'{ADD}{MINE}{WRITES}, RUN{{builtin}}-="kmod load vfio-pci"', 'Write `RUN{builtin}+="kmod load vfio-pci"`.'),
        (f"{ADD}{MINE}{WRITES} # for the guest", "Put `# for the guest` into a line before it."),
        (f'ACTION=="add", SUBSYSTEM=="pci_bus", {MINE}{WRITES}', 'Write `SUBSYSTEM=="pci"`.'),
        (f'ACTION=="add", SUBSYSTEM=="PCI", {MINE}{WRITES}', 'Write `SUBSYSTEM=="pci"`.'),
        (f'{ADD}{MINE}RUN+="/bin/echo vfio-pci > /sys/bus/pci/devices/%k/driver_override"', "Use sh -c."),
    ],
)
def test_a_mistake_is_named_with_what_is_meant(line: str, meant: str) -> None:
    (sentence,) = said("# a comment", line)
    assert sentence.startswith(f"{RULES_FILE}:2: ")
    assert meant in sentence


@pytest.mark.parametrize(
    "line",
    [
        f'{ADD}{MINE}{WRITES}, RUN{{builtin}}+="kmod load vfio-pci"',
        f'{ADD}ATTR{{vendor}}=="0x10de", ATTR{{device}}=="0x1db1|0x1DB1", {WRITES}',
        f'{ADD}ATTR{{class}}=="0x0302*", ENV{{PCI_CLASS}}=="302??", {WRITES}',
        f'{ADD}ATTR{{vendor}}==i"0x10DE", ENV{{PCI_ID}}=="10DE:*", {WRITES}',
        f'ACTION=="add|change", {MINE}{WRITES}',
        f'ACTION!="remove", {MINE}{WRITES}',
        f'{ADD}KERNEL=="0000:0[1-3]:00.?", {WRITES}',
        f"{ADD}{MINE}RUN+=\"/bin/sh -c 'echo vfio-pci > /sys/bus/pci/devices/$kernel/driver_override'\"",
        'ACTION=="change", SUBSYSTEM=="vfio", MODE="0660", GROUP="kvm"',
        'SUBSYSTEM=="vfio", OWNER="root", TAG+="uaccess"',
        'SUBSYSTEM!="pci", GOTO="vfio_end"\nLABEL="vfio_end"',
        f'ENV{{vfio}}=="off", GOTO="vfio_end", {WRITES}\nLABEL="vfio_end"',
        'LABEL="vfio_end"',
        'ACTION=="add", SUBSYSTEM=="usb", ATTR{idVendor}=="046d", RUN{builtin}+="kmod load hid"',
    ],
)
def test_what_is_right_is_left_alone(line: str) -> None:
    assert said(line) == []


def test_an_override_is_compared_on_purpose_where_a_rule_writes_it() -> None:
    first = f"{ADD}{MINE}{WRITES}"
    assert said(first, f'{ADD}ATTR{{driver_override}}=="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"') == []


def test_a_line_that_udev_refuses_for_another_reason_is_named_too() -> None:
    (sentence,) = said(f"{ADD}{MINE}{WRITES}, and then some")
    assert "ignores all of it" in sentence


def test_one_line_has_one_mistake_and_lines_about_other_things_have_none() -> None:
    assert len(said(f"ACTION='add', KERNEL='01:00.0', ATTR{{vendor}}='10de', {WRITES}")) == 1
    assert said("SUBSYTEM='usb', MODE='0666'") == []
