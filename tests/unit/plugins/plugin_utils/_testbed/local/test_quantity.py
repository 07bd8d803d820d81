# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts of memory and disk are read as people write them, and anything else is one sentence that says what to write."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.quantity import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2G", 2 << 30),
        ("2g", 2 << 30),
        (" 2 GiB ", 2 << 30),
        ("2GB", 2 << 30),
        ("512K", 512 << 10),
        ("1073741824", 1 << 30),
        ("64T", 64 << 40),
    ],
)
def test_a_size_is_a_number_of_bytes(text: str, size: int) -> None:
    assert parse_size("memory", text) == size


@pytest.mark.parametrize("text", ["", "0", "0G", "-2G", "2.5G", "1e3G", "2P", "G", "2 G B", "\u0661G", "2G\n3G", "9" * 40])
def test_what_is_not_a_size_is_named_with_one_that_is(text: str) -> None:
    with pytest.raises(HostError, match=r"^memory: '.*' is not a size\. Write a number with K, M, G or T, such as 8G\.$"):
        parse_size("memory", text)


@pytest.mark.parametrize("text", ["65T", "70368744177665", "999999G"])
def test_more_than_any_machine_has_is_refused(text: str) -> None:
    with pytest.raises(HostError, match=rf"^disk: '{text}' is too large\. Allowed are at most 64T\.$"):
        parse_size("disk", text)
