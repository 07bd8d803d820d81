# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver's table of IDs: what its aliases say, and which functions an entry is for (pci_match_one_device())."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
from ansible_collections.vfio.variants.tests.unit.boots import device

NVME, NVME_BY_VENDOR = "pci:v*d*sv*sd*bc01sc08i02*", "pci:v0000144Dd*sv*sd*bc01sc08i*"


def takes(alias: str, **identity: t.Any) -> bool:
    entry = PciId.from_alias(alias)
    assert entry is not None
    return entry.matches(device(**identity))


@pytest.mark.parametrize(
    ("alias", "class_code", "matches"),
    [
        # PCI_CLASS_STORAGE_EXPRESS with its interface, as drivers/nvme/host/pci.c has it.
        (NVME, 0x010802, True),
        (NVME, 0x010803, False),
        (NVME, 0x010602, False),
        (NVME, 0x020802, False),
        # Without an interface any of them.
        (NVME_BY_VENDOR, 0x010802, True),
        (NVME_BY_VENDOR, 0x010801, True),
        (NVME_BY_VENDOR, 0x010902, False),
        # A base class alone.
        ("pci:v*d*sv*sd*bc03sc*i*", 0x030200, True),
        ("pci:v*d*sv*sd*bc03sc*i*", 0x038000, True),
        ("pci:v*d*sv*sd*bc03sc*i*", 0x040300, False),
        # No class at all.
        ("pci:v*d*sv*sd*bc*sc*i*", 0xFFFFFF, True),
    ],
)
def test_of_a_class_only_what_the_entry_states_has_to_agree(alias: str, class_code: int, matches: bool) -> None:
    assert takes(alias, id="144d:a808", class_code=class_code) is matches


@pytest.mark.parametrize(
    ("identity", "matches"),
    [
        ({"id": "10de:1db1", "subsystem": "10de:1212"}, True),
        ({"id": "10df:1db1", "subsystem": "10de:1212"}, False),
        ({"id": "10de:1db4", "subsystem": "10de:1212"}, False),
        ({"id": "10de:1db1", "subsystem": "10df:1212"}, False),
        ({"id": "10de:1db1", "subsystem": "10de:1213"}, False),
    ],
)
def test_each_number_that_an_entry_states_has_to_be_the_device_s(identity: dict[str, str], matches: bool) -> None:
    assert takes("pci:v000010DEd00001DB1sv000010DEsd00001212bc*sc*i*", **identity) is matches
    assert takes("pci:v*d*sv*sd*bc*sc*i*", **identity)


@pytest.mark.parametrize(("bus", "override_only"), [("pci", False), ("vfio_pci", True)])
def test_an_alias_of_vfio_stands_for_an_entry_that_needs_an_override(bus: str, override_only: bool) -> None:
    entry = PciId.from_alias(f"{bus}:v000010DEd00001DB1sv*sd*bc*sc*i*")
    assert entry == PciId(0x10DE, 0x1DB1, override_only=override_only)


@pytest.mark.parametrize("alias", ["usb:v1D6Bp*", "pci:v10DEd*sv*sd*bc*sc*i*", "pci:v000010dEd*sv*sd*bc*sc*i*", "acpi*:PNP0A08:*"])
def test_what_modpost_does_not_write_for_pci_is_not_an_entry(alias: str) -> None:
    assert PciId.from_alias(alias) is None
