# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capability chains are well formed whatever a function has, and only what hardware lets a driver write can be written."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import Bar, Capabilities, Msix
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.config_space import ConfigSpace

PM, MSI, PCIE, MSIX = 0x01, 0x05, 0x10, 0x11
# Bytes that each capability takes in the layout that we use.
LENGTHS = {PM: 8, MSI: 14, PCIE: 60, MSIX: 12}


@dataclass(frozen=True)
class Found:
    id: int
    at: int


def function(capabilities: Capabilities, flr: bool = False) -> PciFunction:
    return PciFunction(vendor=0x1234, device=0x5678, bars=(Bar(0, 65536),), capabilities=capabilities, flr=flr)


def word(space: ConfigSpace, at: int, length: int = 4) -> int:
    return int.from_bytes(space.read(at, length), "little")


def walk(space: ConfigSpace) -> list[Found]:
    """Follows the chain as the kernel does, with its limit against loops."""
    found: list[Found] = []
    if not word(space, 0x06, 2) & 0x10:
        return found
    at = word(space, 0x34, 1)
    while at and len(found) < 48:
        found.append(Found(word(space, at, 1), at))
        at = word(space, at + 1, 1)
    return found


COMBINATIONS = [
    Capabilities(pm=pm, msi=msi, msix=Msix(4, 0, 0, 0x1000) if msix else None, pcie=pcie, serial=0x1122334455667788 if serial else None)
    for pm, msi, msix, pcie, serial in itertools.product((False, True), (0, 1, 32), (False, True), (False, True), (False, True))
    if pcie or not serial
]


@pytest.mark.parametrize("capabilities", COMBINATIONS, ids=str)
def test_the_chain_holds_exactly_what_the_function_has(capabilities):
    found = {one.id for one in walk(ConfigSpace(function(capabilities)))}
    wanted = {PM: capabilities.pm, MSI: capabilities.msi, MSIX: capabilities.msix, PCIE: capabilities.pcie}
    assert found == {number for number, present in wanted.items() if present}


@pytest.mark.parametrize("capabilities", COMBINATIONS, ids=str)
def test_capabilities_are_aligned_and_lie_apart_behind_the_header(capabilities):
    spans = sorted((one.at, one.at + LENGTHS[one.id]) for one in walk(ConfigSpace(function(capabilities))))
    assert all(start % 4 == 0 and start >= 0x40 and end <= 0x100 for start, end in spans)
    assert all(before[1] <= behind[0] for before, behind in itertools.pairwise(spans))


@pytest.mark.parametrize("capabilities", COMBINATIONS, ids=str)
def test_extended_space_is_there_with_pcie_only_and_holds_the_serial(capabilities):
    space = ConfigSpace(function(capabilities))
    assert space.size == (4096 if capabilities.pcie else 256)
    if capabilities.serial is not None:
        assert word(space, 0x100) == 0x00010003
        assert word(space, 0x104, 8) == capabilities.serial
    elif capabilities.pcie:
        assert word(space, 0x100) == 0


def test_a_v100_has_its_capabilities_where_the_board_has_them():
    space = ConfigSpace(PciFunction.from_options({"profile": "v100-sxm2-16gb"}))
    assert walk(space) == [Found(PM, 0x60), Found(MSI, 0x68), Found(PCIE, 0x78)]


def test_msi_says_how_many_vectors_it_can_have():
    space = ConfigSpace(function(Capabilities(msi=32)))
    at = next(one.at for one in walk(space) if one.id == MSI)
    assert word(space, at + 2, 2) >> 1 & 7 == 5


def test_msix_says_how_many_vectors_it_has_and_where():
    space = ConfigSpace(function(Capabilities(msix=Msix(vectors=9, in_bar=0, table=0x2000, pending=0x3000))))
    at = next(one.at for one in walk(space) if one.id == MSIX)
    assert (word(space, at + 2, 2), word(space, at + 4), word(space, at + 8)) == (8, 0x2000, 0x3000)


def test_every_bar_kind_has_its_type_bits():
    bars = (Bar(0, 4096), Bar(1, 4096, "mem64", prefetchable=True), Bar(3, 64, "io"), Bar(4, 4096, prefetchable=True))
    space = ConfigSpace(PciFunction(vendor=1, device=1, bars=bars))
    assert [word(space, 0x10 + 4 * index) for index in range(6)] == [0, 0xC, 0, 1, 8, 0]


def test_a_64_bit_bar_of_16_gib_answers_with_its_size_over_both_slots():
    space = ConfigSpace(PciFunction(vendor=1, device=1, bars=(Bar(1, 16 << 30, "mem64"),)))
    space.write(0x14, b"\xff" * 8)
    assert word(space, 0x14, 8) == (1 << 64) - (16 << 30) | 0x4


def test_identity_and_class_cannot_be_written():
    space = ConfigSpace(function(Capabilities()))
    before = space.read(0, 4)
    assert not space.write(0, b"\xff" * 0x10)
    assert space.read(0, 4) == before
    assert word(space, 0x08) == 0xFF000000


@pytest.mark.parametrize("flr", [False, True])
def test_only_the_reset_bit_of_a_function_with_flr_orders_a_reset(flr):
    space = ConfigSpace(function(Capabilities(), flr))
    control = next(one.at for one in walk(space) if one.id == PCIE) + 8
    assert bool(word(space, control - 4) & 1 << 28) is flr
    assert space.write(control, b"\x00\x80") is flr
    assert space.write(control + 1, b"\x80") is flr
    assert not space.write(control, b"\xff\x7f")
    assert not space.write(control, b"\xff")
    assert not word(space, control, 2) & 0x8000


def test_a_reset_puts_everything_back():
    space = ConfigSpace(function(Capabilities()))
    before = space.read(0, 4096)
    space.write(0, b"\xff" * 4096)
    assert space.read(0, 4096) != before
    space.reset()
    assert space.read(0, 4096) == before
