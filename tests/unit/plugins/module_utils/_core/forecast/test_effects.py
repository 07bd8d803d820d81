# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Effects that depend on the driver which a device has at its event."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import IfDriver, SetBusAutoprobe, plain
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.stage_events import depend_on_driver
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
from ansible_collections.vfio.variants.tests.unit.boots import udev_rules

EFFECT = SetBusAutoprobe(False, Reason("a rule", "drivers_autoprobe=0"))


def driver(value: str, operator: str = "==") -> Key:
    return Key("DRIVER", None, operator, value)


@pytest.mark.parametrize(
    ("keys", "holds"),
    [
        ((driver("nouveau"),), {"nouveau"}),
        ((driver("n*"),), {"nouveau", "nvidia"}),
        ((driver("n*"), driver("nvidia", "!=")), {"nouveau"}),
        ((driver("?*"),), {"nouveau", "nvidia", "vfio-pci"}),
        ((driver(""),), {None}),
        ((driver("n*", "!="),), {"vfio-pci", None}),
    ],
)
def test_all_keys_must_agree_with_the_driver_and_none_is_the_empty_name(keys: tuple[Key, ...], holds: set[str | None]) -> None:
    effect = IfDriver(keys, EFFECT)
    assert {name for name in ("nouveau", "nvidia", "vfio-pci", None) if effect.holds(name, None)} == holds
    assert plain(effect) is plain(EFFECT) is EFFECT


@pytest.mark.parametrize(
    ("line", "depends"),
    [
        ('DRIVER=="nouveau", NAME="x"', True),
        ('DRIVERS=="nouveau", NAME="x"', True),
        ('KERNEL=="0000:*", NAME="x"', False),
    ],
)
def test_events_depend_on_the_driver_where_a_rule_asks_for_it(line: str, depends: bool) -> None:
    assert depend_on_driver(udev_rules(f"{line}\n")) is depends
