# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers of a GV100 as far as the stock nouveau driver needs them to bind: no channels, no display, no engines that run.

Register names and uses are those of the nouveau sources (drivers/gpu/drm/nouveau/nvkm), named beside each.
"""

from __future__ import annotations

import time

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.config_space import ConfigSpace
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.memory import SparseMemory
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.vbios import build_vbios

PRESETS = {
    # devinit: bit 1 says that the VBIOS scripts have run. Without it the driver would run those of our VBIOS, which has none.
    0x02240C: 0x00000002,
    # devinit: bit 0 is the fuse that takes the display engine out, as on a board with no connector.
    0x021C04: 0x00000001,
    # fb/ram: one memory partition, one L2 slice, one memory controller, and 1024 MiB on it. Zero of any makes the driver give up.
    0x022438: 0x00000001,
    0x022450: 0x00000001,
    0x022458: 0x00000001,
    0x90020C: 0x00000400,
    # fb: video memory as (bits 9-4) << (bits 3-0 + 20) bytes: 16 GiB. The driver places its own tables at the end of it.
    0x100CE0: 0x0000010A,
    # mmu: bits 23-16 are free places in the invalidation queue, bit 15 says that the last one is done.
    0x100C80: 0x00FF8000,
    # fault: entries that fit in the replayable and the non-replayable fault buffer; zero would be an allocation of nothing.
    0x100E34: 0x00000040,
    0x100E48: 0x00000040,
    # ltc: number of L2 caches, and slices of each in bits 31-28. The driver divides by them.
    0x12006C: 0x00000001,
    0x17E280: 0x10000000,
}

# PMC_BOOT_0: the chip's name. Read only, as in hardware: the driver's endianness probe writes next to it.
BOOT_0 = 0x000000
# bar: writing 1 flushes, bits 0 and 1 read back 0 when done. Here it is done at once.
BAR_FLUSH = 0x070000
# mmu: page table and trigger of an invalidation, which is done at once, so that nothing is kept.
MMU_INVALIDATE_TABLE, MMU_INVALIDATE_TRIGGER = 0x100CB8, 0x100CBC
# timer: nanoseconds; the driver's every wait loop compares two reads, so that time which stands still hangs the guest.
PTIMER_LOW, PTIMER_HIGH = 0x009400, 0x009410
# pci: config space is mirrored here, and the driver's link code reads it in this place.
CONFIG_MIRROR = range(0x088000, 0x089000)
# bios: the VBIOS lies here when the driver shadows it (PROM); it is what makes nouveau's probe succeed.
PROM_START = 0x300000
# bar: a window of 1 MiB on video memory (PRAMIN); register 0x1700 holds its start in units of 64 KiB.
WINDOW_START = 0x001700
PRAMIN = range(0x700000, 0x800000)


class Gv100:
    """A RegisterModel of BAR 0."""

    def __init__(self, function: PciFunction, config: ConfigSpace, registers: SparseMemory) -> None:
        self._boot_0 = function.registers.get(0, {}).get(BOOT_0, 0)
        self._config = config
        self._registers = registers
        self._video = SparseMemory()
        self._vbios = build_vbios(function.vendor, function.device)
        self._prom = range(PROM_START, PROM_START + len(self._vbios))
        self._time_zero = time.monotonic_ns()

    def presets(self) -> dict[int, int]:
        return PRESETS

    def reset(self) -> None:
        self._video.clear()
        self._time_zero = time.monotonic_ns()

    def read(self, offset: int) -> int | None:
        if offset == BOOT_0:
            return self._boot_0
        if offset in (PTIMER_LOW, PTIMER_HIGH):
            now = time.monotonic_ns() - self._time_zero
            return now & 0xFFFFFFE0 if offset == PTIMER_LOW else now >> 32 & 0xFFFFFFFF
        if offset in PRAMIN:
            return self._video.read32(self._in_window(offset))
        if offset in self._prom:
            return int.from_bytes(self._vbios[offset - PROM_START : offset - PROM_START + 4], "little")
        if offset in CONFIG_MIRROR:
            return int.from_bytes(self._config.read(offset - CONFIG_MIRROR.start, 4), "little")
        return None

    def write(self, offset: int, value: int) -> bool:
        if offset in PRAMIN:
            self._video.write32(self._in_window(offset), value)
        elif offset in (PTIMER_LOW, PTIMER_HIGH):
            self._set_time(offset, value)
        elif offset == BAR_FLUSH:
            self._registers.write32(BAR_FLUSH, 0)
        elif offset in CONFIG_MIRROR:
            self._write_config(offset - CONFIG_MIRROR.start, value)
        else:
            return offset in (BOOT_0, MMU_INVALIDATE_TABLE, MMU_INVALIDATE_TRIGGER) or offset in self._prom
        return True

    def _set_time(self, offset: int, half: int) -> None:
        now = time.monotonic_ns() - self._time_zero
        wanted = now & ~0xFFFFFFFF | half if offset == PTIMER_LOW else half << 32 | now & 0xFFFFFFFF
        self._time_zero += now - wanted

    def _in_window(self, offset: int) -> int:
        return (self._registers.read32(WINDOW_START) << 16) + offset - PRAMIN.start

    def _write_config(self, offset: int, value: int) -> None:
        if offset + 4 <= self._config.size:
            self._config.write(offset, value.to_bytes(4, "little"))
