# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's parameters.  What the spellings of `ids=` come to was seen in boots of Linux 6.1, 6.12 and 7.3 with vfio-pci and pci-stub."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import (
    LONGEST_IDS,
    every_ids,
    given_to,
    given_to_built_in,
    named,
    parse_entry,
    parse_ids,
    why_refused,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import ANY, PciId

LONG = ",".join(["8086:10d3", *["10de:1b80"] * 200])
CARD = PciId(0x8086, 0x10D3)


def ids(text: str, cmdline: str = "") -> str | None:
    """The last `ids=` of vfio-pci."""
    config = ModprobeConfig.parse(text, "a.conf").with_cmdline(Cmdline.parse(cmdline))
    return every_ids(given_to(config, "vfio-pci"))[-1].value


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ("ids=8086:10d3", "8086:10d3"),
        ('ids="8086:10d3"', "8086:10d3"),
        ('"ids=8086:10d3,1b36:0010"', "8086:10d3,1b36:0010"),
        ('"ids=8086:10d3, 1b36:0010" x=1', "8086:10d3, 1b36:0010"),
        ('ids="8086:10d3,\t1b36:0010"', "8086:10d3, 1b36:0010"),
        ('ids=8086:"10d3"', '8086:"10d3"'),
        ('"ids="8086:10d3""', '8086:10d3"'),
        ("ids='8086:10d3'", "'8086:10d3'"),
        ("ids=", ""),
        ('ids=""', ""),
        ("ids=8086:10d3 ids=1b36:0010", "1b36:0010"),
        ("ids=8086:10d3 ids=", ""),
        ("ids=8086:10d3 :x", "8086:10d3"),
        ("ids", None),
    ],
)
def test_the_kernel_takes_quotes_away_around_a_word_or_a_value(options: str, value: str | None) -> None:
    assert ids(f"options vfio-pci {options}\n") == value


def test_blanks_at_the_end_are_not_part_of_a_value_whose_quote_stays_open() -> None:
    assert ids('options vfio-pci ids="8086:10d3  \n') == "8086:10d3"
    assert ids('options vfio-pci "ids=8086:10d3,1b36:0010 \n') == "8086:10d3,1b36:0010"


@pytest.mark.parametrize("options", ['"ids"=8086:10d3', "IDS=8086:10d3", "-- ids=8086:10d3", 'x="ids=8086:10d3"', "idss=1", "x.ids=1"])
def test_another_name_or_what_stands_behind_two_dashes_is_not_ids(options: str) -> None:
    assert every_ids(given_to(ModprobeConfig.parse(f"options vfio-pci {options}\n", "a.conf"), "vfio_pci")) == ()


def test_an_open_quote_takes_in_the_next_line_as_kmod_makes_one_text_of_all() -> None:
    text = 'options vfio-pci ids="8086:10d3\noptions nouveau modeset=0\noptions vfio_pci ids=1b36:0010\n'
    (only,) = given_to(ModprobeConfig.parse(text, "a.conf"), "vfio-pci")
    assert (only.name, only.value, str(only.source)) == ("ids", "8086:10d3 ids=1b36:0010", "a.conf:1")
    assert parse_ids(only.value or "") == (CARD,)


def test_each_parameter_is_told_with_the_line_that_gives_it() -> None:
    config = ModprobeConfig.parse("options vfio-pci a=1\noptions vfio-pci b c=2\n", "a.conf").with_cmdline(Cmdline.parse("vfio-pci.d=3"))
    found = given_to(config, "vfio-pci")
    assert [(one.name, one.value, one.written, str(one.source)) for one in found] == [
        ("a", "1", "a=1", "a.conf:1"),
        ("b", None, "b", "a.conf:2"),
        ("c", "2", "c=2", "a.conf:2"),
        ("d", "3", "d=3", "/proc/cmdline"),
    ]


def test_a_dash_in_a_parameters_name_is_an_underscore() -> None:
    given = given_to(ModprobeConfig.parse("options vfio-pci disable-denylist=1 disable_denylist=0\n", "a.conf"), "vfio-pci")
    assert [one.value for one in named(given, "disable_denylist")] == ["1", "0"]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("vfio-pci.ids=8086:10d3", "8086:10d3"),
        ("vfio_pci.ids=8086:10d3", "8086:10d3"),
        ('vfio-pci.ids="8086:10d3"', "8086:10d3"),
        ('"vfio-pci.ids=8086:10d3"', "8086:10d3"),
        ("-- vfio-pci.ids=8086:10d3", "8086:10d3"),
        ('"vfio-pci.ids="8086:10d3""', '"8086:10d3"'),
        ('"vfio-pci.ids"=8086:10d3', "1b36:0010"),
        ('vfio-pci.ids="8086:10d3', "1b36:0010"),
    ],
)
def test_kmod_reads_the_command_line_by_its_own_rules(word: str, value: str) -> None:
    assert ids("options vfio-pci ids=1b36:0010\n", f"quiet {word}") == value


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("vfio-pci.ids=8086:10d3 vfio_pci.ids=1b36:0010", ["8086:10d3", "1b36:0010"]),
        ('"vfio-pci.ids=8086:10d3"', ["8086:10d3"]),
        ('vfio-pci.ids="8086:10d3', ["8086:10d3"]),
        ("vfio-pci.ids=8086:10d3 -- vfio-pci.ids=1b36:0010", ["8086:10d3"]),
        ("vfio.ids=1 ids=2 vfio_pci_core.ids=3", []),
    ],
)
def test_the_kernel_itself_hands_built_in_modules_theirs(line: str, values: list[str]) -> None:
    assert [one.value for one in every_ids(given_to_built_in(Cmdline.parse(line), "/proc/cmdline", "vfio-pci"))] == values


@pytest.mark.parametrize(
    ("entry", "found", "whole"),
    [
        ("8086:10d3", CARD, True),
        ("0x8086:0X10D3", CARD, True),
        (" 8086: 10d3 ", CARD, True),
        ("08086:000010d3", CARD, True),
        ("100008086:1000010d3", CARD, False),
        ("8086:10d3:x", CARD, False),
        ("8086:10d3:", CARD, False),
        ("8086:10d3 5", CARD, False),
        ("8086:10dz", PciId(0x8086, 0x10D), False),
        ("0x:11e8", PciId(0, 0x11E8), True),
        ("10de:ffffffff", PciId(0x10DE, ANY), True),
        ("8086:10d3:8086", PciId(0x8086, 0x10D3, 0x8086), True),
        ("8086:10d3:8086:1:020000:ff0000", PciId(0x8086, 0x10D3, 0x8086, 1, 0x020000, 0xFF0000), True),
        ("8086:10d3:8086:1:020000:ff0000:7", PciId(0x8086, 0x10D3, 0x8086, 1, 0x020000, 0xFF0000), False),
        ("8086 :10d3", None, False),
        ("8086-10d3", None, False),
        ("8086", None, False),
        ("8086:", None, False),
        ('"8086:10d3"', None, False),
    ],
)
def test_an_entry_is_read_as_far_as_sscanf_reads_it(entry: str, found: PciId | None, whole: bool) -> None:
    assert parse_entry(entry) == (found, whole)


def test_entries_that_say_nothing_are_passed_over() -> None:
    assert parse_ids(",,8086,8086:10d3,x:y,") == (CARD,)
    assert parse_ids("") == ()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (f"ids={LONG[:LONGEST_IDS]}", None),
        (f"ids={LONG[: LONGEST_IDS + 1]}", "is longer than 1023 characters"),
        ("ids", "has no value"),
        ("ids=", None),
    ],
)
def test_an_ids_that_the_buffer_does_not_hold_or_that_has_no_value_is_refused(options: str, why: str | None) -> None:
    (given,) = given_to(ModprobeConfig.parse(f"options vfio-pci {options}\n", "a.conf"), "vfio-pci")
    assert why_refused(given) == why
