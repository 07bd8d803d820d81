# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an event agrees with a rule's comparisons, and where that cannot be determined."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.answers import (
    EventState,
    KeysMatch,
    attribute_of,
    expanded,
    match_keys,
    on_one_of_chain,
    property_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext, Files
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import parse
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import (
    MISSING,
    Subject,
    of_bus,
    of_driver,
    of_module,
    of_subsystem,
)
from ansible_collections.vfio.variants.tests.unit.boots import device

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key

ROOT = "/devices/pci0000:00"
PORT = device("0000:00:01.0", "8086:1901", class_code=0x060400, driver="pcieport", path=f"{ROOT}/0000:00:01.0")
SWITCH = device("0000:01:00.0", "10b5:8747", class_code=0x060400, driver="pcieport", path=f"{ROOT}/0000:00:01.0/0000:01:00.0")
CARD = device("0000:02:00.0", path=f"{ROOT}/0000:00:01.0/0000:01:00.0/0000:02:00.0", numa_node=0)
OTHERS = {one.address: one for one in (PORT, SWITCH, CARD)}
EVENT = Subject.of(CARD, OTHERS)
PLACELESS = Subject.of(dataclasses.replace(CARD, path=None), OTHERS)
AROUND = EventContext("6.12.0", others=OTHERS, complete=True)
NETWORK = of_subsystem("net")


def keys(text: str) -> tuple[Key, ...]:
    (rule,) = parse(f'{text}, OPTIONS+="watch"\n', "/etc/udev/rules.d/90-site.rules")
    return tuple(key for key in rule.keys if key.name != "OPTIONS")


def answer(text: str, subject: Subject = EVENT, around: EventContext = AROUND, state: EventState | None = None) -> bool | None:
    found = match_keys(keys(text), subject, around, state or EventState())
    assert found.drivers == ()
    return found.holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('ACTION=="add"', True),
        ('ACTION!="add"', False),
        (f'DEVPATH=="{ROOT}/*/0000:02:00.0"', True),
        ('DEVPATH=="*/0000:01:00.0"', False),
        ('KERNEL=="0000:02:00.0"', True),
        ('SUBSYSTEM=="pci"', True),
        ('SUBSYSTEM=="net"', False),
        ('NAME==""', True),
        ('NAME=="?*"', False),
        ('SYMLINK=="x"', False),
        ('SYMLINK!="x"', True),
        ('ENV{MODALIAS}=="pci:*"', True),
        ('ENV{ACTION}=="add"', True),
        ('ENV{SEQNUM}=="1"', None),
        ('ENV{DRIVER_IS}==""', True),
        ('ENV{ID_PATH}==""', True),
        ('ENV{ID_PATH}=="x"', False),
        ('ENV{ID_MODEL}=="x"', None),
        ('ENV{ID_MODEL}!="x"', None),
        ('ATTR{vendor}=="0x10de"', True),
        ('ATTR{config}=="x"', None),
        ('ATTR{remove}!="x"', False),
        ('ATTR{iommu_group}!="x"', False),
        ('ATTR{power}!="x"', False),
        ('ATTR{vendor/x}!="x"', False),
        ('ATTR{physfn/vendor}!="x"', False),
        ('ATTR{uevent}=="*PCI_ID=10DE:1DB1*"', True),
        ('ATTR{uevent}=="*PCI_SLOT_NAME=0000:03:00.0*|*PCI_ID=10DE:1D*"', True),
        ('ATTR{uevent}!="*PCI_SLOT_NAME=0000:03:00.0*"', True),
        ('ATTR{uevent}=="*PCI_ID=*1DB1*"', None),
        ('ATTR{uevent}=="*PCI_ID=10DE=1DB1*"', False),
        ('ATTR{uevent}=="*DRIVER=nouveau*"', None),
        ('ATTR{uevent}=="?*"', None),
        ('SYSCTL{kernel/osrelease}=="6.12.0"', True),
        ('SYSCTL{kernel.osrelease}=="6.12.*"', True),
        ('SYSCTL{kernel/hostname}=="x"', None),
        ('CONST{arch}=="x86-64"', None),
        ('CONST{virt}=="none"', None),
        ('TAG=="seat"', False),
        ('TAG!="seat"', True),
        ('RESULT==""', True),
    ],
)
def test_what_an_event_of_a_function_answers(text: str, holds: bool | None) -> None:
    assert answer(text) is holds


@pytest.mark.parametrize(
    ("texts", "holds"),
    [
        (('KERNEL=="0000:02:00.0"', 'ATTR{config}=="x"'), None),
        (('ATTR{config}=="x"', 'KERNEL=="0000:02:00.0"'), None),
        (('ATTR{config}=="x"', 'KERNEL=="0000:03:00.0"'), False),
        (('KERNEL=="0000:03:00.0"', 'ATTR{config}=="x"'), False),
        (('ATTR{config}=="x"', 'ATTRS{config}=="x"'), None),
        (('ATTR{config}=="x"', 'KERNELS=="0000:02:00.0"'), None),
        (('KERNEL=="0000:02:00.0"', 'KERNELS=="0000:05:00.0"'), False),
    ],
)
def test_one_no_is_enough_and_one_doubt_leaves_a_doubt(texts: tuple[str, ...], holds: bool | None) -> None:
    assert answer(", ".join(texts)) is holds


def test_a_command_and_an_assignment_answer_nothing() -> None:
    assert answer('PROGRAM=="/bin/false", IMPORT{db}=="X"') is True
    assert match_keys(keys('ENV{X}="1", TAG+="x"'), EVENT, AROUND, EventState()) == KeysMatch(True)


def test_the_architecture_is_known_once_it_has_been_read() -> None:
    around = dataclasses.replace(AROUND, files=Files(architecture="x86-64"))
    assert [answer(f'CONST{{{name}}}=="{value}"', around=around) for name, value in (("arch", "x86-64"), ("virt", "kvm"))] == [True, None]
    assert answer('CONST{arch}=="arm64"', around=around) is False


def test_what_a_program_has_written_is_compared() -> None:
    assert answer('PROGRAM=="/x", RESULT=="a"') is True
    assert [answer('RESULT=="a"', state=EventState(result=written)) for written in ("a", "b", None)] == [True, False, None]


# -- the driver


@pytest.mark.parametrize("text", ['DRIVER=="nouveau"', 'DRIVER!="nouveau"', 'ENV{DRIVER}=="nouveau"'])
def test_a_question_for_the_driver_of_a_function_is_handed_on(text: str) -> None:
    assert match_keys(keys(text), EVENT, AROUND, EventState()) == KeysMatch(True, keys(text))
    assert match_keys(keys(f'{text}, ATTR{{config}}=="x"'), EVENT, AROUND, EventState()) == KeysMatch(None, keys(text))
    assert match_keys(keys(f'{text}, KERNEL=="x"'), EVENT, AROUND, EventState()) == KeysMatch(False)


def test_other_properties_are_no_question_for_the_driver() -> None:
    assert answer('ENV{DRIVERS}==""') is True
    assert answer('ATTR{DRIVER}=="x"') is None


def test_of_a_driver_module_or_bus_it_is_known_that_they_have_no_driver() -> None:
    for one in (of_driver("nouveau"), of_module("nouveau"), of_bus()):
        assert [answer(f'DRIVER=="{value}"', one) for value in ("", "?*", "nouveau")] == [True, False, False]


# -- properties


def test_a_property_that_a_rule_has_set_has_that_value() -> None:
    state = EventState("change", {"X": "1", "Y": None, "MODALIAS": "other"})
    assert [property_of(name, EVENT, AROUND, state) for name in ("X", "Y", "MODALIAS", "ACTION", "Z")] == ["1", None, "other", "change", ""]


@pytest.mark.parametrize("name", ["SEQNUM", "DEVLINKS", "TAGS", "DRIVER", "USEC_INITIALIZED"])
def test_some_properties_come_with_the_event_alone(name: str) -> None:
    assert property_of(name, EVENT, AROUND, EventState()) is None
    assert property_of(name, of_bus(), AROUND, EventState()) is None


def test_that_a_property_is_not_set_is_known_where_all_rules_are() -> None:
    assert property_of("X", EVENT, AROUND, EventState()) == ""
    assert property_of("X", EVENT, dataclasses.replace(AROUND, complete=False), EventState()) is None
    assert property_of("X", EVENT, AROUND, EventState(all_known=False)) is None
    assert property_of("ID_X", EVENT, AROUND, EventState()) is None
    assert property_of("MODALIAS", EVENT, EventContext(), EventState(all_known=False)) == CARD.modalias


def test_of_other_devices_than_functions_little_is_known() -> None:
    known = [property_of(name, of_driver("nouveau"), AROUND, EventState()) for name in ("SUBSYSTEM", "DEVPATH", "MODALIAS")]
    assert known == ["drivers", "/bus/pci/drivers/nouveau", ""]
    assert property_of("MODALIAS", of_driver("nouveau"), EventContext(), EventState()) is None
    assert [property_of(name, NETWORK, AROUND, EventState()) for name in ("SUBSYSTEM", "MODALIAS", "DEVPATH")] == ["net", None, None]


def test_after_something_that_sets_any_property_only_the_kernels_are_known() -> None:
    state = EventState(properties={"X": "1"})
    state.forget()
    assert (state.properties, state.all_known) == ({"X": None}, False)


def test_what_others_may_have_set_is_not_known() -> None:
    state = EventState(properties={"ID_X": "1", "Y": "2"})
    state.forget_matching("ID_*")
    assert (state.properties, state.all_known) == ({"ID_X": None, "Y": "2"}, True)


def test_of_very_many_properties_all_are_forgotten_at_once() -> None:
    state = EventState()
    for number in range(100):
        state.set_property(f"X{number}", "1")
    state.forget_matching("ID_*")
    assert set(state.properties.values()) == {None}
    assert not state.all_known


def test_a_value_that_is_longer_than_udev_takes_is_not_known() -> None:
    state = EventState()
    state.set_property("X", "a" * 600)
    assert state.properties == {"X": None}


def test_a_rule_whose_devices_above_do_not_match_is_not_one_that_may_match() -> None:
    assert answer('ATTR{config}=="x", KERNELS=="0000:99:00.0"') is False
    assert answer('ATTR{config}=="x", KERNELS=="0000:01:00.0"') is None


def test_each_bridge_may_be_above_a_function_whose_place_is_not_known() -> None:
    found = {text: answer(f'SUBSYSTEMS=="{text}", KERNELS=="0000:01:00.0"', PLACELESS) for text in ("pci", "usb")}
    assert found == {"pci": None, "usb": False}


def test_the_key_that_cannot_be_decided_is_named_be_it_about_a_device_above() -> None:
    (first, second) = (
        match_keys(keys(text), PLACELESS, AROUND, EventState()).doubt for text in ('KERNELS=="a*"', 'KERNELS=="0000:01:00.0"')
    )
    assert first is None
    assert second is not None
    assert second.written == 'KERNELS=="0000:01:00.0"'


# -- tags


def test_very_many_tags_are_not_compared_with_a_pattern() -> None:
    state = EventState(tags={f"t{number}": True for number in range(100)})
    assert [answer(f'TAG=="{value}"', state=state) for value in ("t7", "x|t7", "t*")] == [True, True, None]


def test_as_many_tags_as_are_compared_are_compared() -> None:
    state = EventState(tags={f"t{number}": True for number in range(64)})
    assert answer('TAG=="t*"', state=state) is True
    state.set_tag("seat", True)
    assert answer('TAG=="t*"', state=state) is None


def test_tags_that_may_be_cleared_are_no_longer_certain() -> None:
    state = EventState()
    state.set_tag("seat", True)
    state.clear_tags(False)
    assert state.tags == {"seat": False}
    state.clear_tags(True)
    assert state.tags == {}


def test_a_tag_is_there_if_one_that_was_set_for_sure_agrees() -> None:
    state = EventState(tags={"seat": True, "vm": False})
    found = {text: answer(text, state=state) for text in ('TAG=="seat"', 'TAG!="seat"', 'TAG=="vm"', 'TAG!="vm"', 'TAG=="x"', 'TAG!="x"')}
    assert list(found.values()) == [True, False, None, None, False, True]
    assert [answer(text, state=state) for text in ('TAG=="s*"', 'TAG==i"SEAT"')] == [True, True]
    assert (answer('TAG=="SEAT"', state=state), answer('TAGS=="seat"', state=state)) == (False, True)


def test_that_a_tag_is_not_there_is_known_where_all_rules_are() -> None:
    assert answer('TAG=="x"', around=EventContext()) is None
    assert answer('TAG=="x"', state=EventState(tags_known=False)) is None
    assert answer('TAG=="x"', around=EventContext(), state=EventState(tags={"x": True})) is True


def test_the_tags_of_a_device_above_are_those_of_its_own_event() -> None:
    assert answer('TAGS=="x"') is None
    state = EventState(above=lambda _one: EventState(tags={"x": True}))
    assert [answer(text, state=state) for text in ('TAGS=="x"', 'TAGS=="y"', 'TAGS!="x"')] == [True, False, True]
    assert answer('TAGS=="x", KERNELS=="0000:02:00.0"') is False


# -- attributes


def test_an_attribute_that_there_is_not_agrees_with_nothing() -> None:
    assert [answer(f'ATTR{{sriov_totalvfs}}{operator}"7"') for operator in ("==", "!=")] == [False, False]
    assert [answer(f'ATTR{{numa_node}}{operator}"0"') for operator in ("==", "!=")] == [True, False]


def test_blanks_at_an_attributes_end_count_if_the_rule_has_some() -> None:
    blank = Subject.of(dataclasses.replace(CARD, modalias="x  "))
    assert [answer(f'ATTR{{modalias}}=="{value}"', blank) for value in ("x", "x  ", "x ", " x")] == [True, True, False, False]


def test_the_attribute_of_another_function_is_that_ones() -> None:
    assert attribute_of("[pci/0000:00:01.0]vendor", EVENT, AROUND, EventState()) == "0x8086"
    assert attribute_of("[pci/0000:09:00.0]vendor", EVENT, AROUND, EventState()) is MISSING
    assert attribute_of("[pci/0000:00:01.0]vendor", EVENT, EventContext(), EventState()) is None
    assert attribute_of("[net/eth0]mtu", EVENT, AROUND, EventState()) is None


def test_an_attributes_name_may_be_filled_in() -> None:
    state = EventState(properties={"WHICH": "device"})
    assert attribute_of("$env{WHICH}", EVENT, AROUND, state) == "0x1db1"
    assert attribute_of("subsystem_$env{WHICH}", EVENT, AROUND, state) == "0x0000"
    assert attribute_of("$env{SEQNUM}", EVENT, AROUND, state) is None


# -- the devices above


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('KERNELS=="0000:02:00.0"', True),
        ('KERNELS=="0000:00:01.0"', True),
        ('KERNELS=="pci0000:00"', True),
        ('KERNELS=="0000:05:00.0"', False),
        ('SUBSYSTEMS=="pci"', True),
        ('SUBSYSTEMS==""', True),
        ('SUBSYSTEMS=="usb"', False),
        ('ATTRS{vendor}=="0x8086"', True),
        ('ATTRS{vendor}=="0x1af4"', False),
        ('ATTRS{vendor}!="0x1af4", KERNELS=="pci0000:00"', False),
        ('ATTRS{numa_node}=="0", KERNELS=="pci0000:00"', None),
        ('KERNELS=="0000:01:00.0", ATTRS{vendor}=="0x10b5"', True),
        ('KERNELS=="0000:01:00.0", ATTRS{vendor}=="0x8086"', False),
        ('KERNELS=="0000:01:00.0", DRIVERS=="pcieport"', True),
        ('KERNELS=="0000:00:01.0", DRIVERS=="nouveau"', False),
        ('ATTRS{config}=="x", KERNELS=="0000:01:00.0"', None),
        ('ATTRS{config}=="x"', None),
    ],
)
def test_one_device_of_the_chain_has_to_agree_with_all_keys_about_them(text: str, holds: bool | None) -> None:
    assert answer(text) is holds


def test_a_chain_where_the_functions_own_driver_may_decide() -> None:
    chosen = keys('KERNELS=="0000:02:00.0", DRIVERS=="nouveau"')
    assert on_one_of_chain(chosen, EVENT, AROUND, EventState()) == KeysMatch(True, chosen[1:])
    assert match_keys((*keys('DRIVER!="vfio-pci"'), *chosen), EVENT, AROUND, EventState()) == KeysMatch(
        True, (*keys('DRIVER!="vfio-pci"'), *chosen[1:])
    )
    # A port has this driver, whatever that of the function itself is.
    assert on_one_of_chain(keys('DRIVERS=="pcieport"'), EVENT, AROUND, EventState()) == KeysMatch(True)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ('TEST=="driver"', 'DRIVER=="?*"'),
        ('TEST!="driver"', 'DRIVER!="?*"'),
        ('TEST=="driver/unbind"', 'DRIVER=="?*"'),
        ('ATTR{driver}=="nouveau"', 'DRIVER=="nouveau", DRIVER=="?*"'),
        ('ATTR{driver}!="nvidia"', 'DRIVER!="nvidia", DRIVER=="?*"'),
        ('ATTR{driver}=="*"', 'DRIVER=="*", DRIVER=="?*"'),
    ],
)
def test_a_link_to_the_driver_is_asked_for_as_the_driver_is(asked: str, meant: str) -> None:
    assert match_keys(keys(asked), EVENT, AROUND, EventState()) == KeysMatch(True, keys(meant))


@pytest.mark.parametrize(
    ("group", "has_groups", "there"), [(7, True, True), (7, False, False), (7, None, None), (None, True, None), (None, None, None)]
)
def test_a_device_is_in_a_group_if_it_is_now_and_the_boot_has_an_iommu(
    group: int | None, has_groups: bool | None, there: bool | None
) -> None:
    subject = Subject.of(dataclasses.replace(CARD, iommu_group=group), OTHERS)
    around = dataclasses.replace(AROUND, has_groups=has_groups)
    assert answer('TEST=="iommu_group"', subject, around) is there
    assert answer('TEST!="iommu_group"', subject, around) is (None if there is None else not there)


def test_without_its_place_each_bridge_may_be_above_a_function() -> None:
    assert answer('KERNELS=="0000:02:00.0"', PLACELESS) is True
    assert answer('KERNELS=="0000:00:01.0"', PLACELESS) is None
    assert answer('KERNELS=="0000:05:00.0"', PLACELESS) is False
    assert answer('ATTRS{vendor}=="0x1af4"', PLACELESS) is False


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('KERNELS=="pci0000:00"', None),
        ('KERNELS=="*:00"', None),
        ('KERNELS=="?ci0000:00"', None),
        ('KERNELS=="[p]ci0000:00"', None),
        ('KERNELS=="usb1"', False),
        ('SUBSYSTEMS=="pci0000:00"', False),
    ],
)
def test_without_its_place_the_root_bus_is_not_known_either(text: str, holds: bool | None) -> None:
    assert answer(text, PLACELESS) is holds


def test_the_devices_above_one_of_another_subsystem_are_not_known() -> None:
    assert answer('KERNELS=="0000:02:00.0"', NETWORK) is None
    assert answer('SUBSYSTEMS=="net"', NETWORK) is True
    assert answer('SUBSYSTEMS=="pci"', NETWORK) is None
    assert answer('SUBSYSTEMS=="pci"', of_driver("nouveau")) is False
    assert answer('SYMLINK=="x"', NETWORK) is None
    assert answer('NAME=="x"', NETWORK) is None


def test_what_lies_between_bridges_is_not_known() -> None:
    hidden = dataclasses.replace(CARD, path=f"{ROOT}/0000:00:1f.0/0000:02:00.0")
    event = Subject.of(hidden, OTHERS)
    assert answer('KERNELS=="0000:00:1f.0"', event) is True
    assert answer('KERNELS=="0000:00:1f.0", SUBSYSTEMS=="pci"', event) is None
    assert answer('KERNELS=="0000:00:1f.0", DRIVERS=="x"', event) is None


# -- substitutions


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("%k", "0000:02:00.0"),
        ("$kernel", "0000:02:00.0"),
        ("%n", "0"),
        ("$number", "0"),
        ("/sys%p/x", f"/sys{ROOT}/0000:00:01.0/0000:01:00.0/0000:02:00.0/x"),
        ("%S%p", f"/sys{ROOT}/0000:00:01.0/0000:01:00.0/0000:02:00.0"),
        ("$sys|$root|%r", "/sys|/dev|/dev"),
        ("$attr{vendor}-%s{device}", "0x10de-0x1db1"),
        ("$env{X}.%E{X}", "1.1"),
        ("$env{NONE}", ""),
        ("100%% $$", "100% $"),
        ("%d", None),
        ("%b", None),
        ("<%M:%m>", "<0:0>"),
        ("<$devnode$links$parent>", "<>"),
        ("$name", "0000:02:00.0"),
        ("<%c>", "<a  bc d>"),
        ("%c{2}", "bc"),
        ("%c{2+}", "bc d"),
        ("<%c{9}>", "<>"),
        ("$attr{config}", None),
        ("$attr{sriov_totalvfs}", None),
        ("$env{SEQNUM}", None),
        ("$unknown", "$unknown"),
        ("a%", "a%"),
    ],
)
def test_substitutions_are_filled_in_from_the_event(text: str, value: str | None) -> None:
    assert expanded(text, EVENT, AROUND, EventState(properties={"X": "1"}, result="a  bc d")) == value


def test_the_device_above_that_a_rule_has_matched_gives_its_name_driver_and_attributes() -> None:
    found = match_keys(keys('KERNELS=="0000:00:01.0"'), EVENT, AROUND, EventState())
    state = EventState(parent=found.parent)
    assert expanded("$id %d $attr{boot_vga}|$attr{vendor}", EVENT, AROUND, state) == "0000:00:01.0 pcieport |0x10de"
    own = match_keys(keys('KERNELS=="0000:02:00.0"'), EVENT, AROUND, EventState())
    assert [expanded(one, EVENT, AROUND, EventState(parent=own.parent)) for one in ("%b", "%d")] == ["0000:02:00.0", None]


def test_an_attribute_that_only_the_device_above_has_is_that_one_s() -> None:
    above = Subject.of(device("0000:07:00.0", class_code=0x030000, boot_vga=True), OTHERS)
    assert expanded("$attr{boot_vga}|%s{vendor}", EVENT, AROUND, EventState(parent=above)) == "1|0x10de"


def test_of_a_device_of_another_subsystem_its_node_and_what_a_program_said_are_not_known() -> None:
    words = ("%M", "$name", "%c", "%c{1}", "$result{2+}")
    assert [expanded(one, NETWORK, AROUND, EventState(result=None)) for one in words] == [None] * len(words)


@pytest.mark.parametrize(("name", "number"), [("card0", "0"), ("sda12", "12"), ("1a", ""), ("x", "")])
def test_a_devices_number_is_what_its_name_ends_with(name: str, number: str) -> None:
    assert expanded("<%n>", of_driver(name), AROUND, EventState()) == f"<{number}>"


def test_of_a_device_whose_name_is_not_known_nothing_is_filled_in() -> None:
    assert [expanded(text, NETWORK, AROUND, EventState()) for text in ("%k", "%n", "%p")] == [None, None, None]


def test_blanks_at_an_attributes_end_are_left_out() -> None:
    assert expanded("<$attr{modalias}>", Subject.of(dataclasses.replace(CARD, modalias="  x ")), AROUND, EventState()) == "<  x>"


def test_a_value_that_udev_would_cut_off_is_not_known() -> None:
    """UDEV_NAME_SIZE is 512 with the zero at its end."""
    assert expanded("x" * 511, EVENT, AROUND, EventState()) == "x" * 511
    assert expanded("x" * 512, EVENT, AROUND, EventState()) is None
    assert expanded("%k" + "x" * (511 - 12), EVENT, AROUND, EventState()) == "0000:02:00.0" + "x" * 499
    assert expanded("%k" + "x" * (512 - 12), EVENT, AROUND, EventState()) is None


@pytest.mark.parametrize(
    ("line", "doubt"),
    [
        ('SUBSYSTEM=="pci", ENV{SEQNUM}=="7", CONST{virt}=="none"', 'ENV{SEQNUM}=="7"'),
        ('SUBSYSTEM=="pci", CONST{virt}=="none"', 'CONST{virt}=="none"'),
        ('SUBSYSTEM=="pci"', None),
    ],
)
def test_the_first_comparison_that_cannot_be_decided_is_named(line: str, doubt: str | None) -> None:
    (rule,) = parse(f'{line}, ENV{{X}}="1"\n', "/a.rules")
    found = match_keys(rule.in_order, Subject.of(CARD, {}), AROUND, EventState())
    assert (None if found.doubt is None else found.doubt.written) == doubt
