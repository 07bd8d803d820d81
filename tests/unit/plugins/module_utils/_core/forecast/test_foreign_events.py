# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules may do to PCI functions at events of network interfaces, disks and other devices."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.stage_events import StageEvents
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ACTS, Influence
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

ROOT = "/devices/pci0000:00"
PORT = device("0000:00:01.0", "8086:1901", class_code=0x060400, driver="pcieport", path=f"{ROOT}/0000:00:01.0")
CARD = device("0000:01:00.0", path=f"{ROOT}/0000:00:01.0/0000:01:00.0")
NIC = device("0000:02:00.0", "8086:10d3", class_code=0x020000, path=f"{ROOT}/0000:02:00.0")
DISK = device("0000:03:00.0", "144d:a808", class_code=0x010802, path=f"{ROOT}/0000:03:00.0")
SOUND = device("0000:04:00.0", "10de:0fb0", class_code=0x040300, path=f"{ROOT}/0000:04:00.0")
USB = device("0000:05:00.0", "1912:0014", class_code=0x0C0330, path=f"{ROOT}/0000:05:00.0")
WIRELESS = device("0000:06:00.0", "8086:2723", class_code=0x0D8000, path=f"{ROOT}/0000:06:00.0")
ODD = device("0000:07:00.0", "1af4:1000", class_code=0xFF0000, path=f"{ROOT}/0000:07:00.0")
CARDS = (PORT, CARD, NIC, DISK, SOUND, USB, WIRELESS, ODD)
NAMES = {"card": CARD, "nic": NIC, "disk": DISK, "sound": SOUND, "usb": USB, "wireless": WIRELESS, "odd": ODD, "port": PORT}
UNBIND = 'ATTR{device/driver/unbind}="$id"'
HOLD = 'ATTR{device/driver_override}="vfio-pci"'


def influences(
    rules: str, cards: t.Sequence[Device] = CARDS, programs: t.Mapping[str, tuple[Influence, ...]] | None = None
) -> list[Influence]:
    one = stage(rules=f"{rules}\n", programs=programs)
    whole = boot(one)
    events = StageEvents(
        ComparedRules(whole, whole.stages[0], {card.address: card for card in cards}), Modprobe(whole, whole.stages[0], frozenset())
    )
    return list(events.of_others)


def reached(rule: str, cards: t.Sequence[Device] = CARDS) -> str | None:
    """The functions that a rule may touch at foreign events, by their names here; None for all."""
    found = influences(rule, cards)
    assert found != []
    if any(one.addresses is None for one in found):
        return None
    addresses = {address for one in found for address in one.addresses or ()}
    return " ".join(name for name, card in NAMES.items() if card.address in addresses)


@pytest.mark.parametrize(
    ("subsystem", "functions"),
    [
        *((name, "nic wireless odd") for name in ("net", "infiniband", "ieee80211", "rfkill", "ptp")),
        *((name, "card odd") for name in ("drm", "graphics", "backlight", "drm_dp_aux_dev")),
        *((name, "card sound odd") for name in ("sound", "hdaudio")),
        *(
            (name, "disk odd")
            for name in ("block", "nvme", "scsi", "scsi_disk", "scsi_generic", "scsi_host", "ata_port", "bsg", "enclosure")
        ),
        *((name, "sound usb odd") for name in ("usb", "usbmisc", "hid", "hidraw", "input", "video4linux")),
        ("tty", "card nic disk sound usb wireless odd"),
    ],
)
def test_a_subsystems_devices_have_functions_of_certain_classes_above_them(subsystem: str, functions: str) -> None:
    assert reached(f'SUBSYSTEM=="{subsystem}", {HOLD}') == functions


@pytest.mark.parametrize("class_code", [0x000100, 0x0B4000, 0x120000, 0xFF0000])
def test_a_class_that_says_little_may_have_anything_below(class_code: int) -> None:
    odd = dataclasses.replace(CARD, class_code=class_code)
    assert reached(f'SUBSYSTEM=="net", {HOLD}', (PORT, odd)) == "card"
    assert reached(f'SUBSYSTEM=="net", {HOLD}', (PORT, dataclasses.replace(CARD, class_code=0x050000))) == ""


def test_a_function_that_has_such_a_device_now_may_have_it_then() -> None:
    with_interface = dataclasses.replace(CARD, nodes=("drm/card0", "net/eth0"))
    assert reached(f'SUBSYSTEM=="net", {HOLD}', (PORT, with_interface)) == "card"
    assert reached(f'SUBSYSTEM=="net", {HOLD}', (PORT, dataclasses.replace(CARD, nodes=("network/eth0",)))) == ""


@pytest.mark.parametrize(
    ("keys", "functions"),
    [
        ('KERNELS=="0000:02:00.0"', "nic"),
        ('KERNELS=="0000:00:01.0"', "card"),
        ('KERNELS=="0000:02:00.0|0000:03:00.0"', "nic disk"),
        ('KERNELS=="0000:02:00.0|usb1"', "card nic disk sound usb wireless odd"),
        ('KERNELS=="eth*"', "card nic disk sound usb wireless odd"),
        ('KERNELS!="0000:02:00.0"', "card nic disk sound usb wireless odd"),
        ('ATTRS{vendor}=="0x144d"', "disk"),
        ('ATTRS{vendor}=="0x144d|0x10de"', "card disk sound"),
        ('ATTRS{subsystem_vendor}=="0x1000"', ""),
        ('ATTRS{revision}=="0xa1"', "card nic disk sound usb wireless odd"),
        ('ATTRS{class}=="0x010802"', "card nic disk sound usb wireless odd"),
        ('ATTRS{device}=="0xa808"', "disk"),
        ('ATTRS{device}=="0x0001"', "card nic disk sound usb wireless odd"),
        ('ATTRS{device}!="0xa808"', "card nic disk sound usb wireless odd"),
        ('ATTRS{modalias}=="pci:*"', "card nic disk sound usb wireless odd"),
        ('ATTRS{subsystem}=="x"', "card nic disk sound usb wireless odd"),
        ('ATTRS{idVendor}=="0x144d"', "card nic disk sound usb wireless odd"),
        ('SUBSYSTEMS=="pci"', "card nic disk sound usb wireless odd"),
        ('SUBSYSTEMS=="usb"', "card nic disk sound usb wireless odd"),
        ('SUBSYSTEMS!="pci"', "card nic disk sound usb wireless odd"),
        ('SUBSYSTEMS=="pci", ATTRS{vendor}=="0x144d"', "disk"),
        ('SUBSYSTEMS=="pci", KERNELS=="0000:04:00.0"', "sound"),
        # A pattern may be one of a child's name, but that is not a PCI function.
        ('SUBSYSTEMS=="pci", KERNELS=="0000:04:*"', "sound"),
    ],
)
def test_the_keys_about_the_devices_above_say_which_functions(keys: str, functions: str) -> None:
    assert reached(f'SUBSYSTEM=="tty", {keys}, {HOLD}') == functions


def test_a_bridge_is_none_of_them() -> None:
    assert reached(f'SUBSYSTEM=="tty", KERNELS=="0000:00:01.0", {HOLD}', (PORT,)) == ""


@pytest.mark.parametrize(
    "rule",
    [
        f'SUBSYSTEM=="pci", {HOLD}',
        f'SUBSYSTEM=="pci|drivers|module", {HOLD}',
        f'SUBSYSTEM=="net", ACTION=="remove", {HOLD}',
        f'SUBSYSTEM=="net", ACTION=="unbind|offline", {HOLD}',
        f'KERNEL=="0000:02:00.0", {HOLD}',
        f'KERNEL=="0000:0[23]:*", {HOLD}',
        f'KERNEL=="0000:02:00.0|0000:03:00.0", {HOLD}',
        f'ATTR{{vendor}}=="0x8086", {HOLD}',
        f'ATTR{{class}}=="0x03*", {HOLD}',
        f'ENV{{PCI_CLASS}}=="30000", {HOLD}',
        f'ENV{{PCI_SLOT_NAME}}=="0000:02:00.0", {HOLD}',
        f'ENV{{MODALIAS}}=="pci:v00008086*", {HOLD}',
        f'DEVPATH=="*/0000:02:00.0", {HOLD}',
        'SUBSYSTEM=="net", ATTR{driver_override}="vfio-pci"',
        'SUBSYSTEM=="net", ATTR{device/mtu}="1500"',
        'SUBSYSTEM=="net", NAME="x"',
        'SUBSYSTEM=="net", SYSCTL{kernel/modules_disabled}=="1", NAME="x"',
        'SUBSYSTEM=="net", RUN{builtin}+="hwdb"',
        'SUBSYSTEM=="net", RUN{builtin}+="kmod load"',
        'SUBSYSTEM=="usb", RUN{builtin}+="kmod load $env{MODALIAS}"',
        'SUBSYSTEM=="usb", RUN{builtin}+="kmod load %E{MODALIAS}"',
        'SUBSYSTEM=="usb", IMPORT{builtin}="path_id"',
        'SUBSYSTEM=="usb", IMPORT{db}="X"',
        'SUBSYSTEM=="usb", IMPORT{file}="/etc/x"',
        'SUBSYSTEM=="usb", IMPORT{cmdline}="x"',
    ],
)
def test_what_does_nothing_to_functions_at_other_events_is_not_noticed(rule: str) -> None:
    assert influences(rule) == []


@pytest.mark.parametrize(
    "key",
    [
        'KERNEL=="eth0"',
        'KERNEL!="0000:02:00.0"',
        'KERNEL=="0000:02:00.0|eth0"',
        'SUBSYSTEM!="pci"',
        'SUBSYSTEM=="pci|net"',
        'ATTR{vendor}!="0x8086"',
        'ATTR{vendor}=="Intel"',
        'ATTR{modalias}=="0x"',
        'ATTR{subsystem}=="0x"',
        'ATTR{address}=="0x1"',
        'ENV{MODALIAS}=="usb:*"',
        'ENV{ID_PCI_CLASS}=="30000"',
        'ENV{PCI_CLASS}!="30000"',
        'DEVPATH=="*/net/eth0"',
        'DEVPATH=="*/0000:02:00.0/net/*"',
        'ACTION=="add|remove"',
        'ACTION!="remove"',
    ],
)
def test_a_rule_that_may_match_other_devices_is_noticed(key: str) -> None:
    assert influences(f'{key}, RUN+="/usr/local/sbin/x"') != []


@pytest.mark.parametrize("action", ["add", "change", "bind", "online", "move"])
def test_events_of_these_actions_come_during_a_boot(action: str) -> None:
    assert influences(f'SUBSYSTEM=="net", ACTION=="{action}", RUN+="/usr/local/sbin/x"') != []


def test_a_program_may_do_anything_unless_it_was_read() -> None:
    (one,) = influences('SUBSYSTEM=="net", RUN+="/usr/local/sbin/x"')
    assert (one.acts, one.addresses, one.modules) == (ACTS, None, None)
    (one,) = influences('SUBSYSTEM=="net", PROGRAM="/usr/local/sbin/x"')
    assert one.acts == ACTS
    read = Influence("/usr/local/sbin/x", "writes to unbind", frozenset(("unbind",)), frozenset(("%k",)))
    (one,) = influences('SUBSYSTEM=="net", RUN+="/usr/local/sbin/x %k"', programs={"/usr/local/sbin/x %k": (read,)})
    assert (one.acts, one.addresses) == (frozenset(("unbind",)), frozenset(card.address for card in (NIC, WIRELESS, ODD)))
    assert influences('SUBSYSTEM=="net", RUN+="/usr/local/sbin/x"', programs={"/usr/local/sbin/x": ()}) == []


def test_a_module_is_loaded_by_its_name_at_any_event() -> None:
    (one,) = influences('SUBSYSTEM=="net", RUN{builtin}+="kmod load vfio-pci"')
    assert (one.acts, one.addresses, one.modules) == (
        frozenset(("load",)),
        None,
        frozenset(("vfio_pci", "vfio_pci_core")) & (one.modules or frozenset()),
    )
    assert "vfio_pci" in (one.modules or ())
    assert influences('SUBSYSTEM=="net", RUN{builtin}+="kmod load $env{MODALIAS} vfio-pci"') != []
    assert influences('SUBSYSTEM=="net", IMPORT{program}="/sbin/modprobe vfio-pci"') != []


def test_another_functions_attribute_is_written_at_any_event() -> None:
    (one,) = influences('SUBSYSTEM=="net", ATTR{[pci/0000:01:00.0]driver_override}="vfio-pci"')
    assert (one.acts, one.addresses, one.drivers) == (frozenset(("override",)), frozenset((CARD.address,)), frozenset(("vfio-pci",)))
    (one,) = influences('SUBSYSTEM=="net", SYSCTL{kernel/modules_disabled}="1"')
    assert (one.acts, one.addresses) == (frozenset(("lock",)), None)


def test_a_rule_that_names_no_subsystem_is_noticed_for_every_one() -> None:
    assert reached(f'KERNELS=="0000:02:00.0", {HOLD}') == "nic"
    assert reached(f'KERNELS=="0000:02:00.0", {HOLD}', ()) == ""


def test_rules_that_only_compare_make_others_match_or_not() -> None:
    """The label that a jump goes to and the jump itself belong to the rules that are gone through."""
    jump = 'SUBSYSTEM=="net", GOTO="end"\n'
    end = '\nLABEL="end"'
    assert influences(f'{jump}RUN+="/x"{end}') != []
    assert influences(f'SUBSYSTEM=="pci", GOTO="end"\nSUBSYSTEM=="net", RUN+="/x"{end}') != []
    found = influences(f'GOTO="end"\nSUBSYSTEM=="net", RUN+="/x"{end}\nSUBSYSTEM=="net", RUN+="/y"')
    assert [one.fact.split(" (")[0] for one in found] == ["runs /y"]


def test_a_rule_for_all_subsystems_but_some_is_for_those_that_no_rule_names() -> None:
    assert influences('SUBSYSTEM!="net", RUN+="/x"') != []
    assert influences('SUBSYSTEM=="*", RUN+="/x"') != []
