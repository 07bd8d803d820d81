# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions are put in order as the boot loaders put them."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.versions import package_compare, rpm_compare, uapi_compare


def ascending(compare: object, versions: list[str]) -> None:
    assert callable(compare)
    for (at, older), (later, newer) in itertools.product(enumerate(versions), repeat=2):
        assert (compare(older, newer) > 0) - (compare(older, newer) < 0) == (at > later) - (at < later), (older, newer)


def test_rpm_compares_numbers_as_numbers() -> None:
    ascending(rpm_compare, ["5.14.0-9.el9", "5.14.0-427.el9", "6.2~rc1", "6.2", "6.9.1", "6.10.0", "6.10.0.1"])
    assert rpm_compare("1.01", "1-1") == 0


def test_an_entry_files_name_is_compared_by_its_parts() -> None:
    ascending(package_compare, ["8f3a-0-rescue", "8f3a-6.9.12-200.fc40", "8f3a-6.14.5-300.fc42", "8f3a-6.14.5-301.fc42"])
    assert package_compare("ostree-1", "ostree-2") < 0
    assert package_compare("custom", "custom") == 0


def test_uapi_versions_have_their_own_order() -> None:
    # The examples of the version format's specification.
    ascending(
        uapi_compare,
        ["122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1", "123.a-1", "123.1-1", "123a-1", "124-1"],
    )


@pytest.mark.parametrize(
    ("one", "order", "other"),
    [
        # Answers of `systemd-analyze compare-versions`.
        ("aa", 1, "a1"),
        ("a_1", 0, "a1"),
        ("a^-", 1, "a^.^1"),
        ("^-_a_ab", -1, "^-a"),
        ("~", -1, "~_"),
        ("+~", -1, "+~~1"),
        ("~1__~", -1, "~1__~_~"),
        ("9b-~+", 1, "9b-~."),
        ("1+-", 1, "1+-^09"),
        ("0^.a", -1, "0^_^9"),
        ("ab1", -1, "b1"),
        ("0a", 1, "a"),
    ],
)
def test_signs_in_a_row_are_taken_as_systemd_takes_them(one: str, order: int, other: str) -> None:
    assert (uapi_compare(one, other), uapi_compare(other, one)) == (order, -order)


@pytest.mark.parametrize("version", ["", "~", "---", "\0", "1" * 5000])
def test_any_text_equals_itself(version: str) -> None:
    assert rpm_compare(version, version) == package_compare(version, version) == uapi_compare(version, version) == 0


def test_numbers_of_any_length_are_compared() -> None:
    assert rpm_compare("1" * 5000, "2" * 5000) < 0
    assert uapi_compare("1" * 5000, "2" * 4999) > 0
