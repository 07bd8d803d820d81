# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated function itself: its regions, what is in them, and what a reset puts back."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.access_log import BARS, CONFIG, ROM
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.config_space import ConfigSpace
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.gv100 import Gv100
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.memory import SparseMemory
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.protocol import Irq, Region

# PCI Firmware Specification 3.0, 5.1: an image is a multiple of 512 bytes; a ROM BAR decodes at least 2 KiB.
ROM_BAR_MIN = 2048


class RegisterModel(t.Protocol):
    """Behaviour of the registers in BAR 0. Offsets are multiples of 4, values have 32 bits."""

    def presets(self) -> dict[int, int]:
        """What registers hold after a reset, below the presets of the function's own description."""

    def reset(self) -> None:
        """Forgets what the guest wrote."""

    def read(self, offset: int) -> int | None:
        """The register's value; None where it is plain memory."""

    def write(self, offset: int, value: int) -> bool:
        """Takes the write; False where the register is plain memory."""


class VfioUserDevice:
    """A PCI function as vfio-user's regions show it. Offsets and lengths passed in lie inside their region."""

    def __init__(self, function: PciFunction) -> None:
        self.function = function
        self._rom = Path(function.rom).read_bytes() if function.rom else b""
        rom_size = max(ROM_BAR_MIN, 1 << (len(self._rom) - 1).bit_length()) if self._rom else 0
        self.config = ConfigSpace(function, rom_size)
        self._sizes = {one.index: one.size for one in function.bars} | {Region.ROM: rom_size, Region.CONFIG: self.config.size}
        self._memory = {one.index: SparseMemory() for one in function.bars}
        self._model: RegisterModel | None = Gv100(function, self.config, self._memory[0]) if function.model == "gv100" else None
        self.reset()

    def reset(self) -> None:
        """All registers and all of config space as the description says, as after power-on."""
        self.config.reset()
        for memory in self._memory.values():
            memory.clear()
        if self._model is not None:
            self._model.reset()
            for offset, value in self._model.presets().items():
                self._memory[0].write32(offset, value)
        for index, presets in self.function.registers.items():
            for offset, value in presets.items():
                self._memory[index].write32(offset, value)

    def region_size(self, region: int) -> int:
        return self._sizes.get(region, 0)

    def region_name(self, region: int) -> str:
        if region in (Region.ROM, Region.CONFIG):
            return ROM if region == Region.ROM else CONFIG
        return BARS[region]

    def irq_count(self, irq: int) -> int:
        capabilities = self.function.capabilities
        msix = capabilities.msix.vectors if capabilities.msix else 0
        return {Irq.INTX: 1, Irq.MSI: capabilities.msi, Irq.MSIX: msix, Irq.ERR: int(capabilities.pcie), Irq.REQ: 1}[Irq(irq)]

    def read(self, region: int, offset: int, length: int) -> bytes:
        if region == Region.CONFIG:
            return self.config.read(offset, length)
        if region == Region.ROM:
            return self._rom[offset : offset + length].ljust(length, b"\xff")
        if region == 0 and self._model is not None:
            return self._read_modelled(self._model, offset, length)
        return self._memory[region].read(offset, length)

    def write(self, region: int, offset: int, data: bytes) -> bool:
        """True where the write is the order for a function level reset."""
        if region == Region.CONFIG:
            return self.config.write(offset, data)
        if region == 0 and self._model is not None:
            self._write_modelled(self._model, offset, data)
        elif region in self._memory:
            self._memory[region].write(offset, data)
        return False

    def _register(self, model: RegisterModel, offset: int) -> int:
        value = model.read(offset)
        return self._memory[0].read32(offset) if value is None else value

    def _read_modelled(self, model: RegisterModel, offset: int, length: int) -> bytes:
        first, last = offset & ~3, (offset + length + 3) & ~3
        words = b"".join(self._register(model, at).to_bytes(4, "little") for at in range(first, last, 4))
        return words[offset - first : offset - first + length]

    def _write_modelled(self, model: RegisterModel, offset: int, data: bytes) -> None:
        """Writes whole registers; what a narrower write leaves alone keeps its value."""
        first, last = offset & ~3, (offset + len(data) + 3) & ~3
        words = bytearray(self._read_modelled(model, first, last - first)) if (offset | len(data)) & 3 else bytearray(last - first)
        words[offset - first : offset - first + len(data)] = data
        for at in range(first, last, 4):
            value = int.from_bytes(words[at - first : at - first + 4], "little")
            if not model.write(at, value):
                self._memory[0].write32(at, value)
