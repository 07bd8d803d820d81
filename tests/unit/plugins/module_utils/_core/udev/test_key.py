# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How udev compares a key with what an event has, and in which order it takes a line's keys."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.driver_keys import of_event_s_device
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key, attribute_of_another
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import parse

RULE = "/etc/udev/rules.d/90-site.rules"


def key(text: str) -> Key:
    """The first key of a line."""
    (rule,) = parse(f'{text}, OPTIONS+="watch"\n', RULE)
    return rule.keys[0]


@pytest.mark.parametrize(
    ("value", "agreeing", "others"),
    [
        ("", [""], ["a", " "]),
        ("?*", ["a", "ab"], [""]),
        ("*", ["", "a"], []),
        ("a", ["a"], ["", "A", "b", "ab", "a|b"]),
        ("a|b", ["a", "b"], ["", "a|b", "c"]),
        ("a|", ["a", ""], ["b"]),
        ("|a", ["a", ""], ["b"]),
        ("a*|b", ["a", "ax", "b"], ["", "bx"]),
        ("a*|", ["a", ""], ["b"]),
        ("a?", ["ab"], ["a", "abc", ""]),
        ("[ab]c", ["ac", "bc"], ["cc", "[ab]c "]),
        ("[!a]", ["b"], ["a", ""]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_a_value_is_one_of_the_patterns_between_bars(value: str, agreeing: list[str], others: list[str]) -> None:
    """token_match_string(): fnmatch(3) without flags where the value has *, ? or [, and else the same text."""
    same, other = key(f'ENV{{X}}=="{value}"'), key(f'ENV{{X}}!="{value}"')
    assert [(same.matches(fact), other.matches(fact)) for fact in agreeing] == [(True, False)] * len(agreeing)
    assert [(same.matches(fact), other.matches(fact)) for fact in others] == [(False, True)] * len(others)


def test_a_backslash_means_something_in_a_pattern_alone() -> None:
    assert key(r'ENV{X}=="a\b"').matches(r"a\b")
    assert not key(r'ENV{X}=="a\b"').matches("ab")
    assert key(r'ENV{X}=="a\b*"').matches("ab")


@pytest.mark.parametrize(("value", "fact"), [("10DE", "10de"), ("10de", "10DE"), ("10D*", "10de"), ("10d?|x", "10DE")])
def test_with_the_prefix_i_upper_and_lower_case_are_alike(value: str, fact: str) -> None:
    assert not key(f'ENV{{X}}=="{value}"').matches(fact)
    assert key(f'ENV{{X}}==i"{value}"').matches(fact)
    assert not key(f'ENV{{X}}!=i"{value}"').matches(fact)


@pytest.mark.parametrize("word", ["subsystem", "bus", "class"])
def test_a_bus_or_class_itself_is_found_by_each_of_its_names(word: str) -> None:
    assert [key(f'SUBSYSTEM=="{word}"').matches(fact) for fact in ("subsystem", "bus", "class", "pci", "")] == [True] * 3 + [False] * 2
    assert [key(f'SUBSYSTEM!="{word}"').matches(fact) for fact in ("subsystem", "bus", "pci")] == [False, False, True]
    assert [key(f'SUBSYSTEMS=="{word}"').matches(fact) for fact in ("subsystem", "bus", "class")].count(True) == 1
    assert [key(f'SUBSYSTEM=="{word}|pci"').matches(fact) for fact in ("subsystem", "bus", "class")].count(True) == 1


# sort_tokens() orders a line by the list of UdevRuleTokenType: this line has them so.
IN_ORDER = (
    'ACTION=="a", DEVPATH=="a", KERNEL=="a", SYMLINK=="a", NAME=="a", ENV{X}=="a", CONST{arch}=="a", TAG=="a", SUBSYSTEM=="a", '
    'DRIVER=="a", ATTR{x}=="a", SYSCTL{x}=="a", KERNELS=="a", SUBSYSTEMS=="a", DRIVERS=="a", ATTRS{x}=="a", TAGS=="a", TEST=="a", '
    'PROGRAM=="a", IMPORT{file}=="a", IMPORT{program}=="a", IMPORT{builtin}=="kmod", IMPORT{db}=="a", IMPORT{cmdline}=="a", '
    'IMPORT{parent}=="a", RESULT=="a", OPTIONS="watch", OWNER="a", GROUP="a", MODE="a", TAG="a", SECLABEL{x}="a", ENV{X}="a", NAME="a", '
    'SYMLINK="a", ATTR{x}="a", SYSCTL{x}="a", RUN{builtin}="kmod", RUN{program}="a"'
)


def test_comparisons_come_first_then_what_is_run_then_what_is_assigned() -> None:
    (rule,) = parse(f"{IN_ORDER}\n", RULE)
    orders = [one.order for one in rule.keys]
    assert orders == sorted(set(orders))
    (backwards,) = parse(f"{', '.join(reversed(IN_ORDER.split(', ')))}\n", RULE)
    assert backwards.in_order == rule.keys


@pytest.mark.parametrize("operator", ["==", "!=", "=", "+=", ":="])
def test_a_program_has_its_place_whatever_its_operator(operator: str) -> None:
    assert key(f'PROGRAM{operator}"a"').order == key('PROGRAM=="a"').order
    assert key(f'IMPORT{{db}}{operator}"a"').order == key('IMPORT{db}=="a"').order
    assert key(f'PROGRAM{operator}"a"').is_run
    assert not key('RUN+="a"').is_run


def test_keys_of_one_kind_stay_as_they_are_written() -> None:
    (rule,) = parse('ENV{B}="1", ENV{A}="2", ENV{B}=="x", ENV{A}=="y"\n', RULE)
    assert [one.value for one in rule.in_order] == ["x", "y", "1", "2"]


def test_a_command_is_split_at_blanks_and_its_words_lose_their_quotes() -> None:
    assert key("""PROGRAM=="/bin/sh  -c 'exit' a'b" """).words == ["/bin/sh", "-c", "exit", "a'b"]
    assert key(r"""PROGRAM=="\"/bin/sh\" x" """).words == ["/bin/sh", "x"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('IMPORT{builtin}="hwdb"', True),
        ('RUN{builtin}+="kmod load"', True),
        ('IMPORT{program}="kmod load"', True),
        ('IMPORT{program}="/sbin/kmod load"', False),
        ('IMPORT{program}="/bin/x kmod"', False),
        ('IMPORT{db}="kmod"', False),
        ('RUN+="kmod load"', False),
        ('RUN{program}+="kmod load"', False),
        ('PROGRAM="kmod load"', False),
    ],
)
def test_a_command_of_udev_itself_is_one_by_its_braces_or_an_import_of_that_name(text: str, answer: bool) -> None:
    assert key(text).is_builtin is answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('ATTR{[pci/0000:3b:00.0]vendor}=="x"', ("pci", "0000:3b:00.0", "vendor")),
        ('ATTR{[pci/0000:3b:00.0]/vendor}=="x"', ("pci", "0000:3b:00.0", "vendor")),
        ('ATTR{[pci/0000:3b:00.0]power/control}="x"', ("pci", "0000:3b:00.0", "power/control")),
        ('ATTRS{[drivers/pci:nouveau]bind}=="x"', ("drivers", "pci:nouveau", "bind")),
        ('ATTR{[net/a/b]mtu}=="x"', ("net", "a/b", "mtu")),
        ('ATTR{[pci/0000:3b:00.0]}=="x"', None),
        ('ATTR{[pci]vendor}=="x"', None),
        ('ATTR{[/0000:3b:00.0]vendor}=="x"', None),
        ('ATTR{x[pci/0000:3b:00.0]vendor}=="x"', None),
        ('ATTR{vendor}=="x"', None),
        ('ENV{[pci/0000:3b:00.0]vendor}=="x"', None),
    ],
)
def test_an_attribute_can_be_another_devices(text: str, found: tuple[str, str, str] | None) -> None:
    assert key(text).of_another == found


def test_only_an_attribute_of_a_pci_function_is_one_of_another_function() -> None:
    assert attribute_of_another(key('ATTR{[pci/0000:3b:00.0]driver_override}="x"')) == ("0000:3b:00.0", "driver_override")
    assert attribute_of_another(key('ATTR{[drivers/pci:nouveau]bind}="x"')) is None
    assert attribute_of_another(key('ATTRS{[pci/0000:3b:00.0]vendor}=="x"')) is None
    assert attribute_of_another(key('ATTR{vendor}=="x"')) is None


def test_a_key_minds_upper_and_lower_case_unless_its_rule_says_otherwise() -> None:
    assert Key("KERNEL", None, "==", "a").matches("A") is False
    assert Key("KERNEL", None, "==", "a", True).matches("A") is True


@pytest.mark.parametrize(
    "text", ['ATTRS{driver}=="nouveau"', 'ENV{driver}=="nouveau"', 'ATTR{driver_override}=="nouveau"', 'TEST=="physfn"']
)
def test_what_asks_for_something_else_does_not_compare_the_driver(text: str) -> None:
    assert of_event_s_device(key(text)) == ()
    assert of_event_s_device(key('ATTR{driver}=="nouveau"'))
