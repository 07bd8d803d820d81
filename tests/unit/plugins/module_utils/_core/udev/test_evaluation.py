# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How udev goes through the rules for one event: jumps, properties, tags, programs, and the list of what it runs."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.evaluation import Evaluation
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext, Files
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import parse
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Subject
from ansible_collections.vfio.variants.tests.unit.boots import device

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

CARD = device("0000:02:00.0", path="/devices/pci0000:00/0000:02:00.0")
DOUBT = 'ATTR{config}=="x"'
"""A comparison of which it cannot be determined whether it holds."""
DRIVER = 'DRIVER=="nouveau"'


def evaluation(text: str, action: str = "add", **around: t.Any) -> Evaluation:
    rules = parse(f"{text}\n", "/etc/udev/rules.d/90-site.rules", 257)
    return Evaluation(rules, EventContext(complete=True, **around), Subject.of(CARD), action)


def done(text: str, **around: t.Any) -> list[str]:
    """The values of what udev does, in order: with ? where it may not do it, and with the keys about the driver that it asks for."""
    found = evaluation(text, **around).done()
    return [
        f"{one.value}{'' if one.certain else '?'}{''.join(f' {key.operator}{key.value}' for key in one.drivers)}"
        for one in found
        if one.key.name not in ("ENV",)
    ]


def properties(text: str, **around: t.Any) -> dict[str, str | None]:
    found = evaluation(text, **around)
    found.done()
    return found.state.properties


def tags(text: str) -> dict[str, bool]:
    found = evaluation(text)
    found.done()
    return found.state.tags


def attribute(value: str) -> str:
    return f'ATTR{{x}}="{value}"'


# -- jumps


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ('KERNEL=="0000:02:00.0", GOTO="end"', ["b"]),
        ('KERNEL=="0000:03:00.0", GOTO="end"', ["a", "b"]),
        ('GOTO="end"', ["b"]),
        (f'{DOUBT}, GOTO="end"', ["a?", "b"]),
        (f'{DRIVER}, GOTO="end"', ["a !=nouveau", "b"]),
        ('DRIVER!="nouveau", GOTO="end"', ["a ==nouveau", "b"]),
        (f'{DRIVER}, {DOUBT}, GOTO="end"', ["a?", "b"]),
        (f'{DRIVER}, DRIVER!="x", GOTO="end"', ["a?", "b"]),
        (f'{DOUBT}, GOTO="end"\n{DRIVER}, GOTO="end"', ["a?", "b"]),
        (f'{DRIVER}, GOTO="end"\nDRIVER=="x", GOTO="end"', ["a? !=nouveau", "b"]),
    ],
)
def test_a_jump_leaves_out_what_stands_before_its_label(before: str, found: list[str]) -> None:
    assert done(f'{before}\n{attribute("a")}\nLABEL="end"\n{attribute("b")}') == found


def test_a_label_ends_its_own_jump_alone() -> None:
    text = f'{DOUBT}, GOTO="one"\n{DRIVER}, GOTO="two"\n{attribute("a")}\nLABEL="one"\n{attribute("b")}\nLABEL="two"\n{attribute("c")}'
    assert done(text) == ["a?", "b?", "c"]
    certain = f'GOTO="two"\n{attribute("a")}\nLABEL="one"\n{attribute("b")}\nLABEL="two"\n{attribute("c")}'
    assert done(certain) == ["c"]


def test_the_rule_with_the_label_counts_and_may_jump_itself() -> None:
    text = f'GOTO="one"\n{attribute("a")}\nLABEL="one", {attribute("b")}, GOTO="two"\n{attribute("c")}\nLABEL="two"\n{attribute("d")}'
    assert done(text) == ["b", "d"]


def test_a_jump_that_does_not_match_within_one_that_may_is_none() -> None:
    text = f'{DOUBT}, GOTO="one"\nGOTO="one"\n{attribute("a")}\nLABEL="one"\n{attribute("b")}'
    assert done(text) == ["a?", "b"]


def test_a_rule_that_does_not_match_does_nothing_within_a_jump_that_may_be_taken() -> None:
    assert done(f'{DOUBT}, GOTO="end"\nKERNEL=="y", {attribute("a")}\n{attribute("b")}\nLABEL="end"') == ["b?"]


def test_a_jump_stays_within_its_file() -> None:
    first = parse('GOTO="end"\nATTR{x}="a"\nLABEL="end", ATTR{x}="b"\n', "/etc/udev/rules.d/a.rules")
    second = parse('ATTR{x}="c"\nLABEL="end", ATTR{x}="d"\n', "/etc/udev/rules.d/b.rules")
    found = Evaluation([*first[:2], *second, *first[2:]], EventContext(complete=True), Subject.of(CARD), "add").done()
    assert [one.value for one in found] == ["c", "d", "b"]
    doubt = parse(f'{DOUBT}, GOTO="end"\nATTR{{x}}="a"\nLABEL="end", ATTR{{x}}="b"\n', "/etc/udev/rules.d/a.rules")
    found = Evaluation([*doubt[:2], *second, *doubt[2:]], EventContext(complete=True), Subject.of(CARD), "add").done()
    assert [(one.value, one.certain) for one in found] == [("a", False), ("c", True), ("d", True), ("b", True)]


def test_which_rules_match_and_whether_that_is_certain() -> None:
    found = evaluation(
        f'ATTR{{x}}="a"\n{DOUBT}, ATTR{{x}}="b"\n{DRIVER}, ATTR{{x}}="c"\nKERNEL=="y", ATTR{{x}}="d"\nACTION=="add", NAME="e"'
    )
    assert [(rule.line, certain) for rule, certain in found.matching()] == [(1, True), (2, False), (3, False), (5, True)]


def test_a_rule_for_other_addresses_is_passed_over() -> None:
    assert done('KERNEL=="0000:03:00.0", ATTR{x}="a"\nKERNEL=="0000:02:00.0|x", ATTR{x}="b"\nKERNEL=="0000:02:*", ATTR{x}="c"') == [
        "b",
        "c",
    ]


# -- what is run while rules are compared


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('PROGRAM=="/x", ATTR{x}="a"', ["/x", "a?"]),
        ('PROGRAM!="/x", ATTR{x}="a"', ["/x", "a?"]),
        ('KERNEL=="y", PROGRAM=="/x", ATTR{x}="a"', []),
        (f'{DOUBT}, PROGRAM=="/x", ATTR{{x}}="a"', ["/x?", "a?"]),
        ('PROGRAM=="/x", RESULT=="y", ATTR{x}="a"', ["/x", "a?"]),
        ('RESULT=="y", PROGRAM=="/x", ATTR{x}="a"', ["/x", "a?"]),
        ('PROGRAM=="/x", RESULT=="", ATTR{x}="a"', ["/x", "a?"]),
        ('PROGRAM=="/x", ATTR{x}="a"\nRESULT=="y", ATTR{x}="b"', ["/x", "a?", "b?"]),
        ('RESULT=="y", ATTR{x}="b"', []),
        ('RESULT=="", ATTR{x}="b"', ["b"]),
        ('IMPORT{builtin}="kmod load x", ATTR{x}="a"', ["kmod load x", "a"]),
        ('IMPORT{program}="kmod load x", ATTR{x}="a"', ["kmod load x", "a"]),
        ('IMPORT{builtin}!="kmod load x", ATTR{x}="a"', ["kmod load x"]),
        ('IMPORT{builtin}="kmod unload x", ATTR{x}="a"', ["kmod unload x"]),
        ('IMPORT{builtin}!="kmod unload x", ATTR{x}="a"', ["kmod unload x", "a"]),
        ('IMPORT{builtin}="path_id", ATTR{x}="a"', ["path_id", "a"]),
        ('IMPORT{builtin}!="path_id", ATTR{x}="a"', ["path_id"]),
        ('IMPORT{builtin}="usb_id", ATTR{x}="a"', ["usb_id", "a?"]),
        ('IMPORT{program}="/x", ATTR{x}="a"', ["/x", "a?"]),
        ('IMPORT{db}="X", ATTR{x}="a"', ["X", "a?"]),
        ('IMPORT{parent}="X", ATTR{x}="a"', ["X", "a?"]),
        ('IMPORT{parent}!="X", ATTR{x}="a"', ["X", "a?"]),
    ],
)
def test_what_is_run_decides_whether_the_rule_goes_on(text: str, found: list[str]) -> None:
    assert done(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('IMPORT{builtin}="path_id"', ("pci-0000:02:00.0", "pci-0000_02_00_0")),
        ('KERNEL=="0000:03:00.0", IMPORT{builtin}="path_id"', (None, None)),
        ('IMPORT{builtin}="path_id"\nENV{ID_PATH}="x"\nIMPORT{builtin}="path_id"', ("x", "pci-0000_02_00_0")),
    ],
)
def test_the_path_of_a_function_is_imported_once(text: str, found: tuple[str | None, ...]) -> None:
    given = properties(text)
    assert (given.get("ID_PATH"), given.get("ID_PATH_TAG")) == found


@pytest.mark.parametrize(
    "path",
    [
        None,
        "/devices/platform/soc/pci0000:00/0000:02:00.0",
        "/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e1:00.0",
    ],
)
def test_the_path_of_a_function_below_other_buses_is_not_known(path: str | None) -> None:
    rules = parse('IMPORT{builtin}="path_id", ATTR{x}="a"\n', "/etc/udev/rules.d/90-site.rules", 257)
    event = Evaluation(rules, EventContext(complete=True), Subject.of(device("0000:02:00.0", path=path)), "add")
    assert [one.certain for one in event.done()] == [True, False]
    assert event.state.properties.get("ID_PATH") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('PROGRAM=="/good", ATTR{x}="a"', ["/good", "a"]),
        ('PROGRAM="/good", ATTR{x}="a"', ["/good", "a"]),
        ('PROGRAM!="/good", ATTR{x}="a"', ["/good"]),
        ('PROGRAM=="/bad", ATTR{x}="a"', ["/bad"]),
        ('PROGRAM!="/bad", ATTR{x}="a"', ["/bad", "a"]),
        ('PROGRAM=="/good", RESULT=="", ATTR{x}="a"', ["/good", "a"]),
        ('PROGRAM=="/good", RESULT=="y", ATTR{x}="a"', ["/good"]),
        ('PROGRAM=="/good", RESULT!="y", ATTR{x}="a"', ["/good", "a"]),
        ('PROGRAM=="/good"\nRESULT=="y", ATTR{x}="a"', ["/good"]),
        ('PROGRAM=="/x"\nPROGRAM=="/bad"\nRESULT=="", ATTR{x}="a"', ["/x", "/bad", "a"]),
        (f'PROGRAM=="/x"\n{DOUBT}, PROGRAM=="/good"\nRESULT=="", ATTR{{x}}="a"', ["/x", "/good?", "a?"]),
        (f'{DOUBT}, PROGRAM=="/good"\nRESULT=="", ATTR{{x}}="a"', ["/good?", "a"]),
        (f'{DOUBT}, PROGRAM=="/good", RESULT=="", ATTR{{x}}="a"', ["/good?", "a?"]),
    ],
)
def test_a_program_whose_end_is_known_decides(text: str, found: list[str]) -> None:
    assert done(text, endings={"/good": True, "/bad": False}) == found


def test_a_word_of_the_command_line_is_imported_or_ends_the_rule() -> None:
    cmdline = Cmdline.parse("quiet gpu=vfio")
    assert done('IMPORT{cmdline}="gpu", ATTR{x}="a"', cmdline=cmdline) == ["gpu", "a"]
    assert done('IMPORT{cmdline}!="gpu", ATTR{x}="a"', cmdline=cmdline) == ["gpu"]
    assert done('IMPORT{cmdline}="other", ATTR{x}="a"', cmdline=cmdline) == ["other"]
    assert done('IMPORT{cmdline}!="other", ATTR{x}="a"', cmdline=cmdline) == ["other", "a"]
    assert done('IMPORT{cmdline}="gpu", ATTR{x}="a"') == ["gpu", "a?"]
    assert properties('IMPORT{cmdline}="gpu"', cmdline=cmdline) == {"gpu": "vfio"}
    assert properties('IMPORT{cmdline}="other"', cmdline=cmdline) == {}
    assert properties(f'{DOUBT}, IMPORT{{cmdline}}="gpu"', cmdline=cmdline) == {"gpu": None}
    assert properties(f'{DRIVER}, IMPORT{{cmdline}}="gpu"', cmdline=cmdline) == {"gpu": None}
    assert properties('IMPORT{cmdline}="gpu"') == {"gpu": None}


def test_a_files_properties_are_imported_if_it_is_there() -> None:
    files = Files(imported={"/etc/a": (("X", "1"), ("Y", "2")), "/etc/gone": None})
    assert done('IMPORT{file}="/etc/a", ATTR{x}="$env{X}"', files=files) == ["/etc/a", "1"]
    assert done('IMPORT{file}!="/etc/a", ATTR{x}="a"', files=files) == ["/etc/a"]
    assert done('IMPORT{file}="/etc/gone", ATTR{x}="a"', files=files) == ["/etc/gone"]
    assert done('IMPORT{file}!="/etc/gone", ATTR{x}="a"', files=files) == ["/etc/gone", "a"]
    assert done('ENV{F}="a"\nIMPORT{file}="/etc/$env{F}", ATTR{x}="a"', files=files) == ["/etc/a", "a"]
    assert properties('IMPORT{file}="/etc/a"', files=files) == {"X": "1", "Y": "2"}
    assert properties(f'{DOUBT}, IMPORT{{file}}="/etc/a"', files=files) == {"X": None, "Y": None}
    assert properties(f'{DRIVER}, IMPORT{{file}}="/etc/a"', files=files) == {"X": None, "Y": None}


@pytest.mark.parametrize("brings", ['IMPORT{file}="/run/x"', 'IMPORT{program}="/x"', 'IMPORT{file}="/etc/$env{SEQNUM}"'])
def test_what_cannot_be_read_may_set_any_property(brings: str) -> None:
    found = evaluation(f'ENV{{X}}="1"\n{brings}')
    found.done()
    assert (found.state.properties, found.state.all_known) == ({"X": None}, False)
    assert done(f'{brings}, ATTR{{x}}="a"')[1:] == ["a?"]
    assert done(f'{brings}\nENV{{X}}=="", ATTR{{x}}="b"')[1:] == ["b?"]


def test_what_comes_from_the_database_is_one_property() -> None:
    found = evaluation('ENV{X}="1"\nIMPORT{db}="Y"')
    found.done()
    assert (found.state.properties, found.state.all_known) == ({"X": "1", "Y": None}, True)


def test_what_comes_from_the_device_above_is_named_by_a_pattern() -> None:
    def state(pattern: str) -> tuple[dict[str, str | None], bool]:
        found = evaluation(f'ENV{{ID_X}}="1"\nENV{{Y}}="2"\nIMPORT{{parent}}="{pattern}"')
        found.done()
        return found.state.properties, found.state.all_known

    assert state("ID_*") == ({"ID_X": None, "Y": "2"}, True)
    assert state("Y") == ({"ID_X": "1", "Y": None}, False)
    assert state("*") == ({"ID_X": None, "Y": None, "DEVPATH": "/devices/pci0000:00"}, False)


def test_the_properties_of_a_bridge_take_the_place_of_the_device_s_own() -> None:
    """import_parent_into_properties() in udev-rules.c adds them to the event's."""
    port = device("0000:00:01.0", "8086:1901", class_code=0x060400, path="/devices/pci0000:00/0000:00:01.0")
    card = device("0000:02:00.0", path="/devices/pci0000:00/0000:00:01.0/0000:02:00.0")

    def properties_of(pattern: str, *others: Device) -> dict[str, str | None]:
        rules = parse(f'IMPORT{{parent}}="{pattern}"\n', "/etc/udev/rules.d/90-site.rules", 257)
        found = Evaluation(rules, EventContext(complete=True), Subject.of(card, {one.address: one for one in others}), "add")
        found.done()
        return found.state.properties

    assert properties_of("PCI_SLOT_NAME", port) == {"PCI_SLOT_NAME": "0000:00:01.0"}
    assert properties_of("MODALIAS", port) == {"MODALIAS": port.modalias}
    assert properties_of("MODALIAS") == {"MODALIAS": None}
    assert properties_of("ID_*", port) == {}


def test_up_to_systemd_257_any_parent_is_enough_and_later_it_needs_the_property() -> None:
    port = device("0000:00:01.0", "8086:1901", class_code=0x060400, path="/devices/pci0000:00/0000:00:01.0")
    card = device("0000:02:00.0", path="/devices/pci0000:00/0000:00:01.0/0000:02:00.0")

    def found(pattern: str, version: int | None, operator: str = "=") -> list[bool]:
        text = f'IMPORT{{parent}}{operator}"{pattern}", ATTR{{x}}="a"\n'
        rules = parse(text, "/etc/udev/rules.d/90-site.rules", version)
        around = EventContext(complete=True, files=Files(version=version))
        return [one.certain for one in Evaluation(rules, around, Subject.of(card, {port.address: port}), "add").done()][1:]

    assert [found("ID_*", version) for version in (252, 257, 258, None)] == [[True], [True], [False], [False]]
    assert [found("PCI_*", version) for version in (257, 262)] == [[True], [True]]
    assert [found("ID_*", version, "!=") for version in (257, 262)] == [[], [False]]
    assert found("MODALIAS", 262, "!=") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('ATTR{driver_override}="a"\nATTR{driver_override}=="a", ATTR{x}="b"', ["a", "b"]),
        ('ATTR{driver_override}="a"\nATTR{driver_override}=="(null)", ATTR{x}="b"', ["a"]),
        ('ATTR{driver_override}=e"a\\nb"\nATTR{driver_override}=="a", ATTR{x}="b"', ["a\nb", "b"]),
        ('ATTR{driver_override}=e"\\n"\nATTR{driver_override}=="(null)", ATTR{x}="b"', ["\n", "b"]),
        ('ATTR{driver_override}=""\nATTR{driver_override}=="a", ATTR{x}="b"', ["", "b ==a"]),
        (f'{DOUBT}, ATTR{{driver_override}}="a"\nATTR{{driver_override}}=="a", ATTR{{x}}="b"', ["a?", "b?"]),
        (f'{DRIVER}, ATTR{{driver_override}}="a"\nATTR{{driver_override}}=="a", ATTR{{x}}="b"', ["a ==nouveau", "b?"]),
        ('ATTR{driver_override}="$env{SEQNUM}"\nATTR{driver_override}=="a", ATTR{x}="b"', ["None", "b?"]),
        ('ATTR{driver_override}=="c", ATTR{driver_override}="a"\nATTR{driver_override}=="a", ATTR{x}="b"', ["a ==c", "b?"]),
    ],
)
def test_an_override_that_a_rule_has_written_is_what_a_later_one_reads(text: str, found: list[str]) -> None:
    assert done(text) == found


def test_a_builtin_that_reads_sets_properties_that_are_not_known_anyway() -> None:
    found = evaluation('ENV{X}="1"\nIMPORT{builtin}="hwdb"')
    found.done()
    assert (found.state.properties, found.state.all_known) == ({"X": "1"}, True)


# -- properties


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('ENV{X}="a"', "a"),
        ('ENV{X}="a"\nENV{X}="b"', "b"),
        ('ENV{X}="a"\nENV{X}=""', ""),
        ('ENV{X}+="a"', "a"),
        ('ENV{X}="a"\nENV{X}+="b"', "a b"),
        ('ENV{X}="a"\nENV{X}+=""', "a"),
        ('ENV{X}="$kernel"', "0000:02:00.0"),
        ('ENV{X}="$env{SEQNUM}"', None),
        ('ENV{X}="$env{SEQNUM}"\nENV{X}+="b"', None),
        ('ENV{X}="a"\nENV{X}+="$env{SEQNUM}"', None),
        (f'{DOUBT}, ENV{{X}}="a"', None),
        (f'{DRIVER}, ENV{{X}}="a"', None),
        (f'{DOUBT}, ENV{{X}}="a"\nENV{{X}}="b"', "b"),
        ('ENV{X}="a", ENV{X}="$env{X}b"', "ab"),
    ],
)
def test_a_property_is_set_or_gains_a_word(text: str, value: str | None) -> None:
    assert properties(text) == {"X": value}


def test_a_property_that_gains_nothing_is_not_set() -> None:
    assert properties('ENV{X}+=""') == {}


def test_setting_a_property_is_something_that_udev_does() -> None:
    assert [(one.key.name, one.value, one.certain) for one in evaluation(f'ENV{{X}}="a"\n{DOUBT}, ENV{{X}}="b"').done()] == [
        ("ENV", "a", True),
        ("ENV", "b", False),
    ]


# -- tags


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('TAG+="a"', {"a": True}),
        ('TAG="a"', {"a": True}),
        ('TAG+="a"\nTAG+="b"', {"a": True, "b": True}),
        ('TAG+="a"\nTAG="b"', {"b": True}),
        ('TAG+="a"\nTAG:="b"', {"b": True}),
        ('TAG+="a"\nTAG-="a"', {}),
        ('TAG+="a"\nTAG-="b"', {"a": True}),
        (f'{DOUBT}, TAG+="a"', {"a": False}),
        (f'TAG+="a"\n{DOUBT}, TAG+="a"', {"a": True}),
        (f'{DOUBT}, TAG+="a"\nTAG+="a"', {"a": True}),
        (f'TAG+="a"\n{DOUBT}, TAG-="a"', {"a": False}),
        (f'{DOUBT}, TAG-="a"', {}),
        (f'TAG+="a"\n{DOUBT}, TAG="b"', {"a": False, "b": False}),
        (f'TAG+="a"\n{DRIVER}, TAG="b"', {"a": False, "b": False}),
        ('TAG+="x$number"', {"x0": True}),
    ],
)
def test_tags_come_and_go(text: str, found: dict[str, bool]) -> None:
    assert tags(text) == found


def test_a_tag_that_cannot_be_determined_may_be_any() -> None:
    found = evaluation('TAG+="a"\nTAG+="$env{SEQNUM}"')
    found.done()
    assert (found.state.tags, found.state.tags_known) == ({"a": True}, False)
    assert evaluation('TAG+="a"').state.tags_known


# -- the list of what is run


def run(command: str, operator: str = "+=") -> str:
    return f'RUN{operator}"{command}"'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{run('a')}\n{run('b')}", ["a", "b"]),
        (f"{run('a')}\n{run('b', '=')}", ["b"]),
        (f"{run('a')}\n{run('b', ':=')}\n{run('c')}\n{run('d', '=')}", ["b"]),
        (f"{run('a')}\n{run('b')}\n{run('a')}", ["a", "b"]),
        (f"{run('a')}\n{DOUBT}, {run('a')}", ["a", "a?"]),
        (f"{run('a')}\n{DOUBT}, {run('b', '=')}", ["a?", "b?"]),
        (f"{run('a')}\n{DRIVER}, {run('b', '=')}", ["a?", "b ==nouveau"]),
        (f"{run('a')}\n{DOUBT}, {run('b', ':=')}\n{run('c')}", ["a?", "b?", "c?"]),
        (f"{DOUBT}, {run('a', ':=')}\n{run('b', '=')}\n{run('c')}", ["a?", "b?", "c?"]),
        (f"{DOUBT}, {run('a', ':=')}\n{run('b', ':=')}\n{run('c')}", ["a?", "b?"]),
        (f"{DRIVER}, {run('a', ':=')}\n{run('b')}", ["a ==nouveau", "b?"]),
        (f"{DRIVER}, {run('a')}\n{run('a')}", ["a ==nouveau", "a"]),
        (run("$env{SEQNUM}") + "\n" + run("$env{SEQNUM}"), ["None", "None"]),
        ('ENV{X}="1", RUN+="$env{X}"\nENV{X}="2", RUN+="$env{X}"', ["1", "2"]),
        ('ENV{X}="1", RUN+="$env{X}"\nENV{X}="1", RUN+="$env{X}"', ["1"]),
        ('RUN{builtin}+="kmod load"\nRUN{program}+="kmod load"', ["kmod load", "kmod load"]),
    ],
)
def test_commands_are_run_in_order_each_once_unless_the_list_is_cleared(text: str, found: list[str]) -> None:
    assert done(text) == found


def test_attributes_are_written_before_anything_is_run() -> None:
    assert done(f'{run("a")}\n{attribute("b")}\nSYSCTL{{x}}="c"') == ["b", "c", "a"]
    assert done('RUN+="a", ATTR{x}="b", NAME="c", OWNER="d", OPTIONS="watch"') == ["b", "a"]


def test_an_event_of_another_action_is_compared_with_that() -> None:
    found = evaluation('ACTION=="bind", ATTR{x}="a"\nACTION=="add", ATTR{x}="b"', "bind").done()
    assert [one.value for one in found] == ["a"]
