# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which QEMU can attach emulated functions."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import OLDEST, parse_version


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        ("QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)\nCopyright", True),
        ("QEMU emulator version 10.1.0", True),
        ("QEMU emulator version 10.0.2 (Debian)", False),
        ("QEMU emulator version 7.2.19", False),
    ],
)
def test_versions_from_10_1_on_are_enough(text: str, enough: bool) -> None:
    version = parse_version(text)
    assert version is not None
    assert (version >= OLDEST) is enough


def test_something_else_has_no_version() -> None:
    assert parse_version("command not found") is None
