# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that costs nothing until it is written: a BAR of 16 GiB of which a driver uses a few pages."""

from __future__ import annotations

PAGE = 4096


class SparseMemory:
    """Bytes, zero until written. Reading allocates nothing."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def clear(self) -> None:
        self._pages.clear()

    def read(self, offset: int, length: int) -> bytes:
        parts = []
        while length:
            number, start = divmod(offset, PAGE)
            count = min(length, PAGE - start)
            page = self._pages.get(number)
            parts.append(bytes(page[start : start + count]) if page is not None else bytes(count))
            offset, length = offset + count, length - count
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        while data:
            number, start = divmod(offset, PAGE)
            part = data[: PAGE - start]
            self._pages.setdefault(number, bytearray(PAGE))[start : start + len(part)] = part
            offset, data = offset + len(part), data[len(part) :]

    def read32(self, offset: int) -> int:
        return int.from_bytes(self.read(offset, 4), "little")

    def write32(self, offset: int, value: int) -> None:
        self.write(offset, value.to_bytes(4, "little"))
