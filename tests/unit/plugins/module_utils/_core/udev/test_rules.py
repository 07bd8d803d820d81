# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the udev rules of a host set for a device."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, hidden_by, parse
from ansible_collections.vfio.variants.tests.unit.trees import Tree

RULE = "/etc/udev/rules.d/90-site.rules"


def v100(tmp_path: Path, address: str = "0000:3b:00.0") -> Device:
    device = Inventory.read(Tree(tmp_path / "sys").pci(address, subsystem="10de:1212", class_code=0x030200).host()).get(address)
    assert device is not None
    return device


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        ('ACTION=="add", SUBSYSTEM=="pci"', True),
        ('ACTION=="add|change", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1"', True),
        ('ACTION=="remove"', False),
        ('SUBSYSTEM=="usb"', False),
        ('KERNEL=="0000:3b:00.*"', True),
        ('KERNEL=="0000:3c:00.0"', False),
        ('KERNEL!="0000:3b:00.0"', False),
        ('ATTR{class}=="0x0302*"', True),
        ('ATTR{subsystem_device}=="0x1213"', False),
        ('ENV{PCI_ID}=="10DE:1DB1"', True),
        ('ENV{PCI_ID}==i"10de:1db1"', True),
        ('ENV{PCI_SLOT_NAME}=="0000:3b:00.0"', True),
        ('ENV{PCI_CLASS}=="30200"', True),
        ('ENV{MODALIAS}=="pci:v000010DE*"', True),
        ('PROGRAM=="/bin/true"', None),
        ('TAG=="seat"', None),
        ('ATTR{vendor}=="0x8086", PROGRAM=="/bin/true"', False),
        ('PROGRAM=="/bin/echo yes", RESULT=="yes"', None),
        ('RESULT=="yes"', False),
        ('SYSCTL{kernel/osrelease}=="6.1.0"', None),
    ],
)
def test_a_rules_conditions_are_judged_by_the_devices_identity(tmp_path: Path, condition: str, answer: bool | None) -> None:
    (rule,) = parse(f'{condition}, ATTR{{driver_override}}="vfio-pci"\n', RULE)
    assert rule.matches(v100(tmp_path)) is answer


def test_the_kernel_that_boots_decides_where_a_rule_asks_for_it(tmp_path: Path) -> None:
    (rule,) = parse('SYSCTL{kernel/osrelease}=="6.1.0", ATTR{driver_override}="x"', RULE)
    assert [rule.matches(v100(tmp_path), release) for release in ("6.1.0", "6.12.0")] == [True, False]


def test_comments_and_continued_lines_are_read_as_udev_reads_them() -> None:
    (rule,) = parse('# first\nACTION=="add", \\\n# between\n  ATTR{driver_override}="x"\n', RULE)
    assert (str(rule), rule.override) == (f"{RULE}:2", "x")


def test_a_line_that_udev_rejects_is_not_a_rule() -> None:
    assert parse('ACTION=="add" ATTR{driver_override}=vfio-pci\n', RULE) == []


def overrides(tmp_path: Path, **contents: str) -> list[tuple[str, str | None, bool]]:
    tree = Tree(tmp_path / "root")
    for name, content in contents.items():
        tree.file(f"/etc/udev/rules.d/{name}.rules", content)
    rules = Rules.read(tree.host(), (b"driver_override",))
    return [(found.rule.path.rsplit("/", 1)[1], found.driver, found.certain) for found in rules.overrides(v100(tmp_path))]


def test_overrides_come_in_the_order_in_which_udev_sets_them(tmp_path: Path) -> None:
    found = overrides(tmp_path, b='ATTR{driver_override}="second"', a='ATTR{driver_override}="first"')
    assert found == [("a.rules", "first", True), ("b.rules", "second", True)]


def test_a_jump_over_the_override_is_followed(tmp_path: Path) -> None:
    text = 'ATTR{vendor}!="0x8086", GOTO="end"\nATTR{driver_override}="x"\nLABEL="end"\n'
    assert overrides(tmp_path, a=text) == []


def test_after_a_jump_that_may_be_taken_nothing_is_certain_until_its_label(tmp_path: Path) -> None:
    text = 'PROGRAM=="/bin/x", GOTO="end"\nATTR{driver_override}="x"\nLABEL="end"\nATTR{driver_override}="y"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", "x", False), ("a.rules", "y", True)]


def test_a_program_that_writes_the_override_is_found_but_not_certain(tmp_path: Path) -> None:
    text = 'SUBSYSTEM=="pci", RUN+="/bin/sh -c \'echo vfio-pci > /sys$devpath/driver_override\'"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", None, False)]


def test_an_override_that_the_event_fills_in_is_not_known(tmp_path: Path) -> None:
    assert overrides(tmp_path, a='ATTR{driver_override}="$env{WANTED}"') == [("a.rules", None, False)]


def test_a_file_in_etc_hides_its_namesake(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")
    tree.file("/etc/udev/rules.d/a.rules", 'ATTR{driver_override}="etc"')
    tree.file("/usr/lib/udev/rules.d/a.rules", 'ATTR{driver_override}="lib"')
    rules = Rules.read(tree.host())
    assert [rule.override for rule in rules.rules] == ["etc"]


@pytest.mark.parametrize("wrong", ['ACTION="add"', 'GOTO=="end"', 'KERNEL+="0000:01:00.0"', 'VENDOR=="0x10de"', 'RUN-="x"'])
def test_a_line_with_a_key_that_udev_does_not_take_is_dropped_as_a_whole(wrong: str) -> None:
    assert parse(f'{wrong}, ATTR{{driver_override}}="vfio-pci"\n', RULE) == []


def test_a_rule_can_look_at_another_device(tmp_path: Path) -> None:
    (rule,) = parse('ATTR{[pci/0000:3b:00.0]vendor}=="0x10de", ATTR{[pci/0000:3b:00.0]driver_override}="vfio-pci"', RULE)
    card, other = v100(tmp_path / "card"), v100(tmp_path / "other", "0000:5e:00.0")
    assert rule.matches(other, None, {card.address: card}) is True
    assert rule.matches(other, None, {other.address: other}) is False


# udev(7): "The following key names can be used to match against device properties", "... get values assigned".
MATCHED = "ACTION DEVPATH KERNEL KERNELS SUBSYSTEM SUBSYSTEMS DRIVER DRIVERS ATTRS{x} TAGS CONST{arch} TEST RESULT"
ASSIGNED = "GOTO GROUP LABEL MODE OPTIONS OWNER RUN"
BOTH = "ATTR{x} ENV{x} IMPORT{program} NAME PROGRAM SYMLINK SYSCTL{x} TAG"


@pytest.mark.parametrize("key", f"{MATCHED} {BOTH}".split())
@pytest.mark.parametrize("operator", ["==", "!="])
def test_a_key_that_can_be_matched_makes_a_rule(key: str, operator: str) -> None:
    (rule,) = parse(f'{key}{operator}"x", ATTR{{driver_override}}="vfio-pci"\n', RULE)
    assert rule.override == "vfio-pci"


@pytest.mark.parametrize("key", f"{ASSIGNED} {BOTH}".split())
@pytest.mark.parametrize("operator", ["=", "+=", ":="])
def test_a_key_that_can_be_assigned_makes_a_rule(key: str, operator: str) -> None:
    if key in ("GOTO", "LABEL") and operator != "=":
        assert parse(f'{key}{operator}"x", ATTR{{driver_override}}="vfio-pci"\n', RULE) == []
        return
    (rule,) = parse(f'{key}{operator}"x", ATTR{{driver_override}}="vfio-pci"\n', RULE)
    assert rule.override == "vfio-pci"


@pytest.mark.parametrize(
    "wrong", [*(f'{key}="x"' for key in MATCHED.split()), *(f'{key}=="x"' for key in ASSIGNED.split()), 'BUS=="pci"', 'SYSFS{x}="y"']
)
def test_a_key_that_cannot_be_used_so_costs_its_line(wrong: str) -> None:
    assert parse(f'{wrong}, ATTR{{driver_override}}="vfio-pci"\n', RULE) == []


@pytest.mark.parametrize(
    ("key", "is_rule"),
    [("OPTIONS", False), ("SYMLINK", True), ("TAG", True), ("ATTR{x}", False), ("ENV{x}", False), ("RUN", False), ("NAME", False)],
)
def test_only_lists_of_a_device_can_lose_an_entry(key: str, is_rule: bool) -> None:
    assert bool(parse(f'{key}-="x"\n', RULE)) is is_rule


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ('A="1"', []),
        ('NAME="a"', [("NAME", None, "=", "a")]),
        ('  NAME="a"  ', [("NAME", None, "=", "a")]),
        ('NAME = "a"', [("NAME", None, "=", "a")]),
        ('NAME="a",NAME="b"', [("NAME", None, "=", "a"), ("NAME", None, "=", "b")]),
        ('NAME="a" , NAME="b",', [("NAME", None, "=", "a"), ("NAME", None, "=", "b")]),
        ('NAME="a" NAME="b"', [("NAME", None, "=", "a"), ("NAME", None, "=", "b")]),
        ('NAME="a"NAME="b"', [("NAME", None, "=", "a"), ("NAME", None, "=", "b")]),
        ('TAG=""', [("TAG", None, "=", "")]),
        ('ENV{}="a"', []),
        ('ENV{A B}="a"', [("ENV", "A B", "=", "a")]),
        (r'NAME="a\"b"', [("NAME", None, "=", 'a"b')]),
        ('NAME="a', []),
        ('NAME="a" junk', []),
        ('NAME=e"a"', [("NAME", None, "=", "a")]),
        ('PROGRAM=="a"', [("PROGRAM", None, "==", "a")]),
        ('NAME="a#b"', [("NAME", None, "=", "a#b")]),
        ('KERNEL=="a"', []),
        ('NAME="a" # NAME="b"', []),
        (",", []),
    ],
)
def test_the_words_of_a_rule_are_its_keys(written: str, keys: list[tuple[str, str | None, str, str]]) -> None:
    found = parse(f"{written}\n", RULE)
    assert [(key.name, key.attribute, key.operator, key.value) for rule in found for key in rule.keys] == keys


def test_only_a_value_that_says_so_ignores_case(tmp_path: Path) -> None:
    card = v100(tmp_path)
    for written, answer in (('"0x10DE"', False), ('i"0x10DE"', True), ('e"0x10DE"', False), ('i"0X10de|x"', True)):
        (rule,) = parse(f'ATTR{{vendor}}=={written}, TAG="x"', RULE)
        assert rule.matches(card) is answer


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ('=="0000:3b:00.0"', True),
        ('==i"0000:3B:00.0"', True),
        ('=="0000:3B:00.0"', False),
        ('=="0000:01:00.0|0000:3b:00.0"', True),
        ('=="0000:01:00.0|0000:02:00.0"', False),
        ('=="0000:3?:00.0"', True),
        ('=="0000:[0-3]b:00.0"', True),
        ('!="0000:01:00.0"', True),
        ('=="$name"', False),
        ('=="0000:3b:00.$attr{x}"', False),
        ('=="%k"', False),
        ('=="0000:01:00.0", KERNEL!="0000:01:00.0"', False),
    ],
)
def test_a_rule_for_named_devices_is_about_those_alone(tmp_path: Path, written: str, answer: bool | None) -> None:
    (rule,) = parse(f'KERNEL{written}, ATTR{{driver_override}}="x"', RULE)
    assert rule.matches(v100(tmp_path)) is answer


FACTS = {
    "KERNEL": "0000:3b:00.0",
    "SUBSYSTEM": "pci",
    "SUBSYSTEMS": "pci",
    "ACTION": "add",
    "ATTR{vendor}": "0x10de",
    "ATTR{device}": "0x1db1",
    "ATTR{subsystem_vendor}": "0x10de",
    "ATTR{subsystem_device}": "0x1212",
    "ATTR{class}": "0x030200",
    "ATTR{revision}": "0x0a",
    "ATTR{modalias}": "pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00",
    "ENV{MODALIAS}": "pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00",
    "ENV{PCI_ID}": "10DE:1DB1",
    "ENV{PCI_SUBSYS_ID}": "10DE:1212",
    "ENV{PCI_SLOT_NAME}": "0000:3b:00.0",
    "ENV{PCI_CLASS}": "30200",
    "ENV{SUBSYSTEM}": "pci",
    "ENV{ACTION}": "add",
    "SYSCTL{kernel/osrelease}": "6.1.0",
    "SYSCTL{kernel.osrelease}": "6.1.0",
}
"""A V100's attributes as sysfs shows them, and its uevent (pci_uevent() in drivers/pci/pci-driver.c)."""


@pytest.mark.parametrize("fact", FACTS)
def test_a_device_s_event_has_what_sysfs_and_the_kernel_s_uevent_say(tmp_path: Path, fact: str) -> None:
    tree = Tree(tmp_path).pci("0000:3b:00.0", subsystem="10de:1212", class_code=0x030200, revision=0x0A)
    (card,) = Inventory.read(tree.host()).devices
    (rule,) = parse(f'{fact}=="{FACTS[fact]}", TAG="x"', RULE)
    assert rule.matches(card, "6.1.0") is True
    (rule,) = parse(f'{fact}!="{FACTS[fact]}", TAG="x"', RULE)
    # The bus that the function is on is of no subsystem.
    assert rule.matches(card, "6.1.0") is (fact == "SUBSYSTEMS")


def test_numbers_are_shown_with_all_their_digits(tmp_path: Path) -> None:
    tree = Tree(tmp_path).pci("0000:00:01.0", "0001:0002", subsystem="0003:0004", class_code=0x000100, revision=0x05)
    (card,) = Inventory.read(tree.host()).devices
    text = 'ATTR{vendor}=="0x0001", ATTR{device}=="0x0002", ATTR{subsystem_vendor}=="0x0003", ATTR{subsystem_device}=="0x0004"'
    text += ', ATTR{class}=="0x000100", ATTR{revision}=="0x05", ENV{PCI_ID}=="0001:0002", ENV{PCI_SUBSYS_ID}=="0003:0004"'
    (rule,) = parse(f'{text}, ENV{{PCI_CLASS}}=="0100", TAG="x"', RULE)
    assert rule.matches(card) is True


def test_of_several_values_the_last_one_is_assigned() -> None:
    (rule,) = parse('ATTR{driver_override}="a", ATTR{driver_override}="b", ATTR{driver_override}!="c", NAME="n"', RULE)
    assert (rule.override, rule.value("NAME"), rule.value("LABEL"), rule.value("ATTR")) == ("b", "n", None, None)


@pytest.mark.parametrize(
    ("key", "runs"),
    [
        ('RUN+="/bin/x driver_override"', True),
        ('PROGRAM=="/bin/x driver_override"', True),
        ('IMPORT{program}="/bin/x driver_override"', True),
        ('RUN+="/bin/x"', False),
        ('NAME="driver_override"', False),
        ('ATTR{driver_override}="x"', False),
    ],
)
def test_a_program_that_is_told_of_the_override_may_write_it(key: str, runs: bool) -> None:
    (rule,) = parse(key, RULE)
    assert rule.runs_override is runs


def test_behind_the_label_of_a_jump_the_rules_hold_again(tmp_path: Path) -> None:
    text = 'ATTR{vendor}=="0x10de", GOTO="end"\nATTR{driver_override}="no"\nLABEL="end"\nATTR{driver_override}="yes"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", "yes", True)]


def test_a_rule_may_be_label_and_override_in_one(tmp_path: Path) -> None:
    text = 'GOTO="end"\nATTR{driver_override}="no"\nLABEL="end", ATTR{driver_override}="yes"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", "yes", True)]


def test_a_jump_goes_past_other_labels_and_never_out_of_its_file(tmp_path: Path) -> None:
    past = 'GOTO="end"\nLABEL="other"\nATTR{driver_override}="no"\nLABEL="end"\nATTR{driver_override}="yes"\n'
    assert overrides(tmp_path / "1", a=past) == [("a.rules", "yes", True)]
    nowhere = 'GOTO="end"\nATTR{driver_override}="stays"\n'
    other = 'ATTR{driver_override}="other"\nLABEL="end"\nATTR{driver_override}="yes"\n'
    assert overrides(tmp_path / "2", a=nowhere, b=other) == [
        ("a.rules", "stays", True),
        ("b.rules", "other", True),
        ("b.rules", "yes", True),
    ]


def test_a_jump_that_may_be_taken_makes_nothing_uncertain_in_another_file(tmp_path: Path) -> None:
    text = 'PROGRAM=="/bin/x", GOTO="end"\nATTR{driver_override}="x"\nLABEL="end"\n'
    assert overrides(tmp_path, a=text, b='ATTR{driver_override}="y"') == [("a.rules", "x", False), ("b.rules", "y", True)]


def test_a_jump_by_a_rule_that_does_not_match_is_none(tmp_path: Path) -> None:
    text = 'ATTR{vendor}=="0x8086", GOTO="end"\nATTR{driver_override}="x"\nLABEL="end"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", "x", True)]


def test_within_a_jump_that_may_be_taken_a_certain_jump_is_none(tmp_path: Path) -> None:
    text = 'PROGRAM=="/bin/x", GOTO="end"\nGOTO="far"\nLABEL="end"\nATTR{driver_override}="x"\nLABEL="far"\nATTR{driver_override}="y"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", "x", False), ("a.rules", "y", True)]


@pytest.mark.parametrize("value", ["$env{X}", "%E{X}", "vfio-%k", "$kernel"])
def test_a_value_with_a_substitution_is_not_known(tmp_path: Path, value: str) -> None:
    assert overrides(tmp_path, a=f'ATTR{{driver_override}}="{value}"') == [("a.rules", None, False)]


def test_a_rule_that_sets_and_runs_does_both_in_that_order(tmp_path: Path) -> None:
    text = 'ATTR{driver_override}="x", RUN+="/bin/sh -c \'echo y > driver_override\'"\n'
    assert overrides(tmp_path, a=text) == [("a.rules", "x", True), ("a.rules", None, False)]


def test_a_file_counts_by_its_name_in_whichever_directory_it_lies(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    folders = ("/lib", "/usr/lib", "/usr/local/lib", "/run", "/etc")
    for number, folder in enumerate(folders):
        tree.file(f"{folder}/udev/rules.d/{number}.rules", f'ATTR{{driver_override}}="{number}"')
        tree.file(f"{folder}/udev/rules.d/{number}.rules.old", 'NAME="x"')
    assert [(rule.override, str(rule)) for rule in Rules.read(tree.host()).rules] == [
        (str(number), f"{folder}/udev/rules.d/{number}.rules:1") for number, folder in enumerate(folders)
    ]


def test_the_files_that_a_rules_file_hides_lie_in_later_directories(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for folder in ("/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"):
        tree.file(f"{folder}/90-site.rules", "")
    assert hidden_by(tree.host(), "/usr/lib/udev/rules.d/90-site.rules") == ("/lib/udev/rules.d/90-site.rules",)
    assert hidden_by(tree.host(), "/lib/udev/rules.d/90-site.rules") == ()
    assert hidden_by(tree.host(), "/srv/90-site.rules") == ()


SWITCHES_OFF: dict[str, tuple[t.Callable[[Tree], object], bool]] = {
    "a link to /dev/null": (lambda tree: tree.link("/etc/udev/rules.d/a.rules", "/dev/null"), True),
    "such a link in other words": (lambda tree: tree.link("/etc/udev/rules.d/a.rules", "../../../dev/null"), True),
    "a link to such a link": (lambda tree: tree.link("/etc/udev/rules.d/a.rules", "../off").link("/etc/udev/off", "/dev/null"), True),
    "an empty file": (lambda tree: tree.file("/etc/udev/rules.d/a.rules"), True),
    "a link to what is not there": (lambda tree: tree.link("/etc/udev/rules.d/a.rules", "/opt/gone.rules"), False),
    "a folder": (lambda tree: tree.directory("/etc/udev/rules.d/a.rules"), False),
}


@pytest.mark.parametrize("how", SWITCHES_OFF)
@pytest.mark.parametrize("version", [252, 257, 258, None])
def test_what_has_the_name_of_a_file_switches_it_off(tmp_path: Path, how: str, version: int | None) -> None:
    """Before systemd 258 anything does; since then only files and links to /dev/null do."""
    make, always = SWITCHES_OFF[how]
    tree = Tree(tmp_path).file("/usr/lib/udev/rules.d/a.rules", 'NAME="x"')
    make(tree)
    is_off = always or version in (252, 257)
    assert (Rules.read(tree.host(), version=version).rules == ()) is is_off


def test_only_files_that_mention_one_of_the_words_are_read(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/udev/rules.d/a.rules", 'NAME="one"').file("/etc/udev/rules.d/b.rules", 'NAME="two"')
    assert [rule.value("NAME") for rule in Rules.read(tree.host(), (b"two", b"three")).rules] == ["two"]
    assert len(Rules.read(tree.host()).rules) == 2


@pytest.mark.parametrize(
    ("asks", "sets"),
    [
        ('TAG=="mine"', 'TAG+="mine"'),
        ('TAGS!="mine"', 'TAG+="mine"'),
        ('ENV{WHO}=="x"', 'ENV{WHO}="x"'),
        ('ATTR{mtu}="$env{WHO}"', 'ENV{WHO}="x"'),
        ('ATTR{mtu}="%E{WHO}"', 'ENV{WHO}="x"'),
    ],
)
def test_files_that_set_what_such_a_file_asks_for_are_read_as_well(tmp_path: Path, asks: str, sets: str) -> None:
    tree = Tree(tmp_path).file("/etc/udev/rules.d/a.rules", f"{sets}\n").file("/etc/udev/rules.d/b.rules", f'{asks}, NAME="two"\n')
    tree.file("/etc/udev/rules.d/c.rules", 'ENV{OTHER}="x"\n')
    assert [rule.path[-7:] for rule in Rules.read(tree.host(), (b"two",)).rules] == ["a.rules", "b.rules"]


def test_lines_have_the_number_of_their_first_part() -> None:
    text = '\n# c\nNAME="a"\n  \nNAME="b", \\\n  # between\n  OWNER="c"\n   # last\nNAME="d"\nNAME="e", \\\n'
    assert [(rule.line, len(rule.keys)) for rule in parse(text, RULE)] == [(3, 1), (5, 2), (9, 1)]


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ('ATTR{[pci/0000:5e:00.0]vendor}=="0x10de"', True),
        ('ATTR{[pci/0000:5e:00.0]vendor}!="0x10de"', False),
        ('ATTR{[pci/0000:5e:00.0]vendor}=="0x8086"', False),
        ('ATTR{[pci/0000:99:00.0]vendor}=="0x10de"', False),
        ('ATTR{[pci/0000:99:00.0]vendor}!="0x10de"', False),
        ('ATTR{[pci/0000:5e:00.0]numa_node}=="0"', None),
        ('ATTR{[net/eth0]address}=="x"', None),
        ('ENV{[pci/0000:5e:00.0]vendor}=="0x10de"', None),
        ('ENV{[pci/0000:99:00.0]vendor}=="0x10de"', None),
        ('ATTR{[pci/]vendor}=="0x10de"', None),
        ('ATTR{[pci/0000:99:00.0]}=="0x10de"', None),
        ('ATTR{x[pci/0000:99:00.0]vendor}=="0x10de"', None),
    ],
)
def test_what_another_device_s_attribute_is_decides_as_far_as_it_is_known(tmp_path: Path, key: str, answer: bool | None) -> None:
    card, other = v100(tmp_path / "card"), v100(tmp_path / "other", "0000:5e:00.0")
    (rule,) = parse(f'{key}, TAG="x"', RULE)
    assert rule.matches(card, None, {other.address: other}) is answer
    assert rule.matches(card) is None


def test_a_rule_for_another_event_does_not_match_this_one(tmp_path: Path) -> None:
    rules = Rules(tuple(parse('ACTION=="unbind", NAME="u"\nACTION=="add", NAME="a"\nENV{ACTION}=="unbind", NAME="e"\n', RULE)))
    assert [rule.value("NAME") for rule, _certain in rules.matching(v100(tmp_path))] == ["a"]
    assert [rule.value("NAME") for rule, _certain in rules.matching(v100(tmp_path), action="unbind")] == ["u", "e"]


def test_a_file_that_is_not_utf_8_is_read(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/udev/rules.d/a.rules", b'# caf\xe9\nATTR{driver_override}="x"\n')
    assert [str(rule) for rule in Rules.read(tree.host()).rules] == ["/etc/udev/rules.d/a.rules:2"]


def test_a_continued_line_loses_its_backslash_alone() -> None:
    (rule,) = parse('NAME="a"\\\n, OWNER="b"\n', RULE)
    assert [(key.name, key.value) for key in rule.keys] == [("NAME", "a"), ("OWNER", "b")]


def test_after_a_line_that_is_too_long_the_others_count() -> None:
    half = "x" * 9000
    (rule,) = parse(f'ENV{{X}}="{half}\\\n{half}"\nKERNEL=="0000:3b:00.0", ATTR{{driver_override}}="vfio-pci"\n', RULE)
    assert (rule.line, rule.override) == (3, "vfio-pci")


def test_after_a_line_that_is_dropped_the_others_count() -> None:
    (rule,) = parse('KERNEL="a", NAME="x"\nKERNEL=="0000:3b:00.0", ATTR{driver_override}="vfio-pci"\n', RULE)
    assert (rule.line, rule.override) == (2, "vfio-pci")


@pytest.mark.parametrize(("cmdline", "certain"), [("quiet gpu", [True]), ("quiet", []), (None, [False])])
def test_the_words_of_the_command_line_decide_where_a_rule_asks_for_them(tmp_path: Path, cmdline: str | None, certain: list[bool]) -> None:
    tree = Tree(tmp_path).file(RULE, 'IMPORT{cmdline}="gpu", ATTR{driver_override}="vfio-pci"\n')
    found = Rules.read(tree.host()).overrides(v100(tmp_path), cmdline=None if cmdline is None else Cmdline.parse(cmdline))
    assert [one.certain for one in found] == certain


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ('ATTR{[pci/0000:01:00.0]driver_override}="x"', "0000:01:00.0"),
        ('KERNEL=="a", ATTR{[pci/0000:01:00.0]driver_override}="x", ATTR{[pci/0000:01:00.0]rescan}="1"', "0000:01:00.0"),
        ('ATTR{[pci/0000:01:00.0]driver_override}="x", ATTR{[pci/0000:02:00.0]driver_override}="x"', None),
        ('ATTR{[pci/0000:01:00.0]driver_override}="x", ATTR{driver_override}="x"', None),
        ('ATTR{[pci/0000:01:00.0]driver_override}="x", RUN+="/x"', None),
        ('ATTR{[drivers/pci:nouveau]unbind}="x"', None),
        ('ATTR{driver_override}="x"', None),
    ],
)
def test_a_rule_that_writes_to_one_other_function_alone_is_known_as_such(text: str, alone: str | None) -> None:
    (rule,) = parse(f"{text}\n", RULE)
    assert rule.writes_alone == alone


def test_files_that_hide_others_and_are_none_are_named(tmp_path: Path) -> None:
    tree = Tree(tmp_path).link("/etc/udev/rules.d/50-gpu.rules", "/dev/null").file("/usr/lib/udev/rules.d/50-gpu.rules", 'ENV{X}="1"\n')
    found = Rules.read(tree.file("/etc/udev/rules.d/60-own.rules", 'ENV{Y}="1"\n').host())
    assert found.masked == ("/etc/udev/rules.d/50-gpu.rules",)
    assert [str(rule) for rule in found.rules] == ["/etc/udev/rules.d/60-own.rules:1"]
