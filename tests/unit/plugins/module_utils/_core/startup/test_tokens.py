# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.tokens import LONGEST_LINE, acting

LONG = "x" * LONGEST_LINE


@pytest.mark.parametrize("unit", [">", "<a>", "unbind ", "tee ", "a ", " ", "cat /"])
def test_a_line_of_a_megabyte_is_looked_at_once(unit: str) -> None:
    line = unit * (1_000_000 // len(unit))
    assert list(acting(line)) == []


def test_of_a_long_line_anything_may_happen_that_one_of_its_words_does() -> None:
    (token,) = acting(f"{LONG} echo 0000:01:00.0 > /sys/bus/pci/drivers/nouveau/unbind")
    assert "unbind" in token.acts
    assert token.written == "/unbind, in a line of more than 2000 characters"
    (token,) = acting(f"{LONG}; echo 1 > /proc/sys/kernel/modules_disabled")
    assert "lock" in token.acts
    assert "lock" not in next(acting(f"{LONG}; driverctl set-override 0000:01:00.0 vfio-pci")).acts


def test_a_redirection_into_the_rules_is_found_after_others() -> None:
    assert list(acting("a > b > /etc/udev/rules.d/x.rules"))
    assert list(acting("echo 'x' > '/etc/modprobe.d/x.conf'"))
    assert list(acting("install -m 644 x /usr/lib/udev/rules.d/"))
    assert not list(acting("cat < /etc/udev/rules.d/x.rules"))
    assert not list(acting("a > b; cat /etc/udev/rules.d/x.rules"))


def test_a_long_path_before_an_attribute_does_not_count_as_a_command_that_reads_it() -> None:
    folders = "/".join(["catalogue"] * 80)
    assert list(acting(f"echo 1 > /sys/{folders}/unbind"))
    assert not list(acting(f"cat {folders[:300]}/driver_override"))
    assert list(acting(f"cat {folders}/driver_override"))
