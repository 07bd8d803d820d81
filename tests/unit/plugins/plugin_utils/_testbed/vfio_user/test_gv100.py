# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GV100's registers behave as far as nouveau looks at them, seen through the device as a driver sees it."""

from __future__ import annotations

import time

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.device import VfioUserDevice
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.vbios import build_vbios

PROM = 0x300000


@pytest.fixture
def device() -> VfioUserDevice:
    return VfioUserDevice(PciFunction.from_options({"profile": "v100-sxm2-16gb"}))


def read(device: VfioUserDevice, offset: int) -> int:
    return int.from_bytes(device.read(0, offset, 4), "little")


def write(device: VfioUserDevice, offset: int, value: int) -> None:
    assert not device.write(0, offset, value.to_bytes(4, "little"))


def test_the_chip_names_itself_and_cannot_be_renamed(device):
    write(device, 0, 0xFFFFFFFF)
    assert read(device, 0) == 0x140000A1


def test_the_timer_runs(device):
    before = read(device, 0x9410) << 32 | read(device, 0x9400)
    time.sleep(0.001)
    assert (read(device, 0x9410) << 32 | read(device, 0x9400)) >= before + 1_000_000


def test_the_timer_can_be_set_and_runs_on(device):
    write(device, 0x9410, 0x1234)
    write(device, 0x9400, 0x10000000)
    assert read(device, 0x9410) == 0x1234
    assert 0x10000000 <= read(device, 0x9400) < 0x60000000


def test_the_vbios_can_be_shadowed(device):
    assert device.read(0, PROM, 0x2000) == build_vbios(0x10DE, 0x1DB1)


def test_the_vbios_cannot_be_written(device):
    write(device, PROM, 0)
    assert read(device, PROM) & 0xFFFF == 0xAA55


def test_video_memory_is_seen_through_the_window(device):
    write(device, 0x1700, 0x30000)
    write(device, 0x700010, 0xCAFE)
    write(device, 0x1700, 0x30001)
    assert read(device, 0x700010) == 0
    write(device, 0x1700, 0x2FFFF)
    assert read(device, 0x710010) == 0xCAFE


def test_config_space_is_mirrored(device):
    assert read(device, 0x88000) == 0x1DB110DE
    device.write(7, 0x04, b"\x06\x00")
    assert read(device, 0x88004) & 0xFFFF == 0x0006
    write(device, 0x88004, 0)
    assert device.read(7, 0x04, 2) == b"\x00\x00"


@pytest.mark.parametrize(("flush", "busy"), [(0x070000, 0x3), (0x100CBC, 0x80000000)])
def test_a_flush_is_done_when_the_driver_looks(device, flush, busy):
    write(device, flush, 0x80000001)
    assert not read(device, flush) & busy


def test_a_reset_forgets_video_memory_and_restores_registers(device):
    write(device, 0x700000, 1)
    write(device, 0x2240C, 0)
    device.reset()
    assert (read(device, 0x700000), read(device, 0x2240C)) == (0, 2)


@pytest.mark.parametrize(("profile", "gib"), [("v100-sxm2-16gb", 16), ("v100-sxm2-32gb", 32), ("v100-sxm3-32gb", 32)])
def test_each_board_says_how_much_memory_it_has(profile, gib):
    value = read(VfioUserDevice(PciFunction.from_options({"profile": profile})), 0x100CE0)
    assert (value >> 4 & 0x3F) << (value & 0xF) + 20 == gib << 30


def test_a_users_preset_stands_above_the_models():
    device = VfioUserDevice(PciFunction.from_options({"profile": "v100-sxm2-16gb", "registers": {0: {"0x2240c": 0}}}))
    assert read(device, 0x2240C) == 0


def test_an_access_of_a_byte_or_across_registers_is_put_together(device):
    assert device.read(0, PROM + 1, 1) == b"\xaa"
    assert device.read(0, 2, 4) == b"\x00\x14\x00\x00"
    device.write(0, 0x1001, b"\x11\x22\x33\x44\x55")
    assert device.read(0, 0x1000, 8) == b"\x00\x11\x22\x33\x44\x55\x00\x00"
