# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The config space of an emulated function: header, capability chains, and which bits a write may change.

Register layouts: linux/pci_regs.h, PCI Local Bus 3.0 chapter 6, PCI Express Base chapter 7.
"""

from __future__ import annotations

import struct

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import Bar

CONVENTIONAL_SIZE, EXPRESS_SIZE = 256, 4096
# Where the board's own config space has its first capability; the order pm, msi, pcie then gives the offsets of a real V100.
FIRST_CAPABILITY = 0x60
FIRST_EXTENDED = 0x100

COMMAND, STATUS, BAR0, ROM_ADDRESS, CAPABILITY_POINTER = 0x04, 0x06, 0x10, 0x30, 0x34
INTERRUPT_LINE, INTERRUPT_PIN = 0x3C, 0x3D
STATUS_HAS_CAPABILITIES = 0x0010
COMMAND_WRITABLE = 0x0547  # I/O, memory, bus master, parity, SERR, INTx off
CAP_PM, CAP_MSI, CAP_PCIE, CAP_MSIX = 0x01, 0x05, 0x10, 0x11
EXT_CAP_DSN = 0x0003
PCIE_DEVICE_CONTROL = 0x08
DEVICE_CONTROL_FLR = 0x8000


class ConfigSpace:
    """Bytes with a mask of writable bits. A reset puts back what the function's description says."""

    def __init__(self, function: PciFunction, rom_size: int = 0) -> None:
        self.size = EXPRESS_SIZE if function.capabilities.pcie else CONVENTIONAL_SIZE
        self._data = bytearray(self.size)
        self._writable = bytearray(self.size)
        self._flr_at: int | None = None
        self._header(function)
        self._bars(function.bars)
        if rom_size:
            self._word32(ROM_ADDRESS, 0, writable=~(rom_size - 1) & 0xFFFFFFFF | 1)
        self._capabilities(function)
        self._extended_capabilities(function)
        self._initial = bytes(self._data)

    def reset(self) -> None:
        self._data[:] = self._initial

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> bool:
        """Changes the writable bits; True where the write starts a function level reset, which is left to the caller."""
        for at, byte in enumerate(data, offset):
            mask = self._writable[at]
            self._data[at] = self._data[at] & ~mask | byte & mask
        if self._flr_at is None or not offset <= self._flr_at < offset + len(data):
            return False
        return bool(data[self._flr_at - offset] & DEVICE_CONTROL_FLR >> 8)

    def _put(self, offset: int, layout: str, *values: int) -> None:
        struct.pack_into(f"<{layout}", self._data, offset, *values)

    def _allow(self, offset: int, mask: int, length: int) -> None:
        self._writable[offset : offset + length] = mask.to_bytes(length, "little")

    def _word32(self, offset: int, value: int, writable: int) -> None:
        self._put(offset, "I", value)
        self._allow(offset, writable, 4)

    def _header(self, function: PciFunction) -> None:
        self._put(0x00, "HH", function.vendor, function.device)
        self._allow(COMMAND, COMMAND_WRITABLE, 2)
        self._put(0x08, "I", function.class_code << 8 | function.revision)
        self._allow(0x0C, 0xFF, 1)  # cache line size
        self._put(0x2C, "HH", function.subsystem_vendor, function.subsystem_device)
        self._allow(INTERRUPT_LINE, 0xFF, 1)
        self._put(INTERRUPT_PIN, "B", 1)

    def _bars(self, bars: tuple[Bar, ...]) -> None:
        """BARs answer all ones with their size, as hardware does, for whoever does not ask the protocol for it."""
        for window in bars:
            offset = BAR0 + 4 * window.index
            address_bits = ~(window.size - 1)
            if window.kind == "io":
                self._word32(offset, 0x1, writable=address_bits & 0xFFFFFFFC)
                continue
            kind = (0x4 if window.kind == "mem64" else 0x0) | (0x8 if window.prefetchable else 0x0)
            self._word32(offset, kind, writable=address_bits & 0xFFFFFFF0)
            if window.kind == "mem64":
                self._word32(offset + 4, 0, writable=address_bits >> 32 & 0xFFFFFFFF)

    def _capabilities(self, function: PciFunction) -> None:
        """Lays the capabilities one behind the other and links them."""
        wanted = function.capabilities
        link, at = CAPABILITY_POINTER, FIRST_CAPABILITY
        for present, add in (
            (wanted.pm, self._power_management),
            (wanted.msi, self._msi),
            (wanted.pcie, self._pci_express),
            (wanted.msix, self._msix),
        ):
            if not present:
                continue
            self._put(link, "B", at)
            link = at + 1
            at += add(at, function)
        if link != CAPABILITY_POINTER:
            self._put(STATUS, "H", STATUS_HAS_CAPABILITIES)

    def _power_management(self, at: int, _function: PciFunction) -> int:
        no_soft_reset = 0x0008  # back from D3hot nothing is lost, so that the kernel resets the function by other means
        self._put(at, "BBHH", CAP_PM, 0, 0x0003, no_soft_reset)
        self._allow(at + 4, 0x0103, 2)  # power state, PME enable
        return 8

    def _msi(self, at: int, function: PciFunction) -> int:
        capable = function.capabilities.msi.bit_length() - 1
        self._put(at, "BBH", CAP_MSI, 0, 0x0080 | capable << 1)  # 64-bit addresses
        self._allow(at + 2, 0x0071, 2)  # enable, number of vectors in use
        self._allow(at + 4, 0xFFFFFFFC, 4)
        self._allow(at + 8, 0xFFFFFFFF, 4)
        self._allow(at + 12, 0xFFFF, 2)
        return 16

    def _pci_express(self, at: int, function: PciFunction) -> int:
        """Version 2 capability of an endpoint with an 8 GT/s x16 link."""
        speed_8gt, width_x16, aspm = 0x3, 0x10 << 4, 0x3 << 10
        device_capabilities = 0x00008001 | (1 << 28 if function.flr else 0)  # role-based errors, payloads of 256 bytes, FLR
        link_capabilities = 0x00453000 | aspm | width_x16 | speed_8gt
        link_status = 0x1000 | width_x16 | speed_8gt  # slot clock
        self._put(at, "BBHI", CAP_PCIE, 0, 0x0002, device_capabilities)
        self._put(at + PCIE_DEVICE_CONTROL, "HHIHH", 0x2910, 0, link_capabilities, 0, link_status)
        self._put(at + 0x24, "I", 0x00000013)  # device capabilities 2: completion timeout ranges
        self._put(at + 0x2C, "I", 0x0000000E)  # link capabilities 2: 2.5, 5 and 8 GT/s
        # Bit 15 of device control starts the reset and always reads 0.
        self._allow(at + PCIE_DEVICE_CONTROL, 0x7FFF, 2)
        self._allow(at + 0x10, 0x0FFF, 2)  # link control
        self._allow(at + 0x28, 0xFFFF, 2)  # device control 2
        self._allow(at + 0x30, 0xFFFF, 2)  # link control 2
        if function.flr:
            self._flr_at = at + PCIE_DEVICE_CONTROL + 1
        return 60

    def _msix(self, at: int, function: PciFunction) -> int:
        msix = function.capabilities.msix
        if msix is None:
            return 0
        self._put(at, "BBHII", CAP_MSIX, 0, msix.vectors - 1, msix.table | msix.in_bar, msix.pending | msix.in_bar)
        self._allow(at + 2, 0xC000, 2)  # enable, mask all
        return 12

    def _extended_capabilities(self, function: PciFunction) -> None:
        if function.capabilities.serial is not None:
            self._put(FIRST_EXTENDED, "IQ", EXT_CAP_DSN | 1 << 16, function.capabilities.serial)
