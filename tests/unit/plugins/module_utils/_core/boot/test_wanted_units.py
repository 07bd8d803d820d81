# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units rules have systemd start, and for which devices."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.wanted_units import wanted_units
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.boots import device, udev_rules
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

CARD, OTHER = (
    device("0000:01:00.0", path="/devices/pci0000:00/0000:01:00.0"),
    device("0000:02:00.0", path="/devices/pci0000:00/0000:02:00.0"),
)
INVENTORY = Inventory((CARD, OTHER), {})


def wanted(rules: str) -> dict[str, frozenset[str] | None]:
    return wanted_units(udev_rules(rules), DEBIAN_13, Cmdline.parse(""), INVENTORY)


def test_a_unit_starts_for_the_devices_whose_rule_wants_it() -> None:
    text = 'SUBSYSTEM=="pci", KERNEL=="0000:01:00.0", TAG+="systemd", ENV{SYSTEMD_WANTS}+="a.service b@$kernel.service"\n'
    assert wanted(text) == {"a.service": frozenset({CARD.address}), f"b@{CARD.address}.service": frozenset({CARD.address})}


def test_without_systemd_s_tag_nothing_starts() -> None:
    assert wanted('SUBSYSTEM=="pci", ENV{SYSTEMD_WANTS}+="a.service"\n') == {}
    assert wanted('SUBSYSTEM=="pci", TAG+="systemd"\nSUBSYSTEM=="pci", ENV{SYSTEMD_WANTS}="a.service"\n') == {
        "a.service": frozenset({CARD.address, OTHER.address})
    }


@pytest.mark.parametrize("key", ['SUBSYSTEM=="usb"', 'SUBSYSTEM=="net", KERNEL=="eth0"'])
def test_devices_of_other_buses_start_units_too(key: str) -> None:
    assert wanted(f'{key}, TAG+="systemd", ENV{{SYSTEMD_WANTS}}+="site.service"\n') == {"site.service": None}
