# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that every option of every module passes first: what it refuses, where it says so, and what it leaves alone."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import LONGEST_SHOWN, HostError, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import (
    DEEPEST,
    LONGEST_TEXT,
    MOST_ENTRIES,
    MOST_VALUES,
    refuse_unusable,
)

CONTROL = [chr(number) for number in (*range(32), 127)]


def nested(levels: int) -> object:
    value: object = "10de:*"
    for _level in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("sign", CONTROL)
@pytest.mark.parametrize(
    ("place", "wrap"),
    [
        ("driver", lambda text: {"driver": text}),
        ("root", lambda text: {"root": text}),
        ("claims[1].driver", lambda text: {"claims": [{"driver": "auto"}, {"driver": text}]}),
        ("kernels[0]", lambda text: {"kernels": [text]}),
        ("policy.files", lambda text: {"policy": {"files": {text: None}}}),
        ("policy.files./etc/x", lambda text: {"policy": {"files": {"/etc/x": text}}}),
        ("hardware[0].nodes[2]", lambda text: {"hardware": [{"nodes": ["", "", text]}]}),
    ],
)
def test_no_option_and_no_key_has_a_control_character(place: str, wrap: t.Callable[[str], dict[str, t.Any]], sign: str) -> None:
    with pytest.raises(HostError, match=rf"^{re.escape(place)}: .* has the control character"):
        refuse_unusable(wrap(f"a{sign}b"))
    refuse_unusable(wrap("a b"))


@pytest.mark.parametrize("text", ["", "  "])
@pytest.mark.parametrize("option", ["root", "dest", "folder", "cache"])
def test_nothing_is_not_the_directory_in_which_the_module_happens_to_run(option: str, text: str) -> None:
    with pytest.raises(HostError, match=f"^{option}: '{text}' is not a path. Write a path, or leave the option out."):
        refuse_unusable({option: text})
    refuse_unusable({option: None})
    refuse_unusable({option: "tree"})


@pytest.mark.parametrize("name", ["", " ", "a/b", "two words", "/lib/modules/x.ko"])
@pytest.mark.parametrize(
    ("place", "wrap"),
    [
        ("natives[0]", lambda name: {"natives": [name]}),
        ("pending_modules[1].name", lambda name: {"pending_modules": [{"name": "vfio-pci"}, {"name": name}]}),
        ("policy.modules[0]", lambda name: {"policy": {"modules": [name]}}),
        ("modules[0].name", lambda name: {"modules": [{"name": name}]}),
    ],
)
def test_what_is_to_be_a_module_has_a_modules_name(place: str, wrap: t.Callable[[str], dict[str, t.Any]], name: str) -> None:
    with pytest.raises(HostError, match=f"^{re.escape(f'{place}: {shown(name)} is not a module')}"):
        refuse_unusable(wrap(name))
    refuse_unusable(wrap("nvlink2gpu_vfio_pci"))


@pytest.mark.parametrize("options", [{"devices": "10de:*,\n8086:*\n"}, {"claims": [{"devices": ["10de:*\n", "\t8086:*"]}]}])
def test_selectors_may_stand_on_lines_of_their_own(options: dict[str, t.Any]) -> None:
    refuse_unusable(options)


def test_a_selector_has_no_nul_all_the_same() -> None:
    with pytest.raises(HostError, match=r"^claims\[0\]\.devices\[0\]: "):
        refuse_unusable({"claims": [{"devices": ["10de:\0"]}]})


def test_the_content_of_a_file_may_have_lines_and_be_long() -> None:
    content = "line\n" * LONGEST_TEXT
    refuse_unusable({"_run": {"conf": content}})
    with pytest.raises(HostError, match=r"^_run\.build: "):
        refuse_unusable({"_run": {"build": content}})


@pytest.mark.parametrize(
    "number",
    [float("inf"), float("-inf"), float("nan"), 1e300, 10**400, -(2**63) - 1, 2**63, 10**100_000],
    ids=lambda number: number.__class__.__name__,
)
def test_a_number_has_an_end_and_64_bits(number: float) -> None:
    with pytest.raises(HostError, match=r"^claims\[0\]\.timeout: ") as error:
        refuse_unusable({"claims": [{"timeout": number}]})
    assert len(str(error.value)) < 2 * LONGEST_SHOWN


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0.5, True, None])
def test_other_numbers_are_left_to_their_options(value: object) -> None:
    refuse_unusable({"x": value})


@pytest.mark.sampled(3)
def test_lists_and_dictionaries_have_a_largest_size_and_depth() -> None:
    refuse_unusable({"x": ["a"] * MOST_ENTRIES, "y": nested(DEEPEST)})
    for value in (["a"] * (MOST_ENTRIES + 1), {str(number): 1 for number in range(MOST_ENTRIES + 1)}, nested(DEEPEST + 1), nested(100_000)):
        with pytest.raises(HostError, match=r"^x(\[0\])?: "):
            refuse_unusable({"x": value})
    with pytest.raises(HostError, match=f"more than {MOST_VALUES} values"):
        refuse_unusable({"x": [["a"] * MOST_ENTRIES] * MOST_ENTRIES})


def test_what_ansible_itself_adds_is_not_an_option() -> None:
    refuse_unusable({"_ansible_tmpdir": "a\nb"})


@pytest.mark.parametrize(
    "value", ["x" * 10_000, ["x"] * 10_000, 10**10_000, nested(100_000), {"a": 10**10_000}], ids=lambda value: type(value).__name__
)
def test_a_message_shows_the_beginning_of_a_large_value(value: object) -> None:
    assert len(shown(value)) <= LONGEST_SHOWN


@pytest.mark.parametrize("value", ["10de:1db1", 5, None, ["a"]])
def test_a_message_shows_a_small_value_as_it_is(value: object) -> None:
    assert shown(value) == repr(value)
