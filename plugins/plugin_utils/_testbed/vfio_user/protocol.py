# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vfio-user protocol as QEMU's client speaks it: messages, commands and the structures inside them. Little endian throughout.

Structures of the device commands are those of linux/vfio.h; the framing is that of QEMU's docs/interop/vfio-user.rst.
"""

from __future__ import annotations

import errno
import json
import struct
import typing as t
from dataclasses import dataclass
from enum import IntEnum, IntFlag

HEADER = struct.Struct("<HHIII")  # id, command, size of the whole message, flags, error number
VERSION = struct.Struct("<HH")  # major, minor; a JSON text ended by a NUL follows
DEVICE_INFO = struct.Struct("<IIII")  # argsz, flags, regions, interrupts
REGION_INFO = struct.Struct("<IIIIQQ")  # argsz, flags, index, offset of capabilities, size, offset
IRQ_INFO = struct.Struct("<IIII")  # argsz, flags, index, count
IRQ_SET = struct.Struct("<IIIII")  # argsz, flags, index, start, count
DMA_MAP = struct.Struct("<IIQQQ")  # argsz, flags, offset in the file, address, size
DMA_UNMAP = struct.Struct("<IIQQ")  # argsz, flags, address, size
REGION_ACCESS = struct.Struct("<QII")  # offset, region, length

MAJOR, MINOR = 0, 0
MAX_TRANSFER = 1 << 20
MAX_MESSAGE = HEADER.size + REGION_ACCESS.size + MAX_TRANSFER
MAX_FDS = 16

TYPE_MASK, TYPE_REQUEST, TYPE_REPLY = 0xF, 0, 1
DEVICE_FLAG_RESET, DEVICE_FLAG_PCI = 1 << 0, 1 << 1
REGION_FLAG_READ, REGION_FLAG_WRITE = 1 << 0, 1 << 1
IRQ_FLAG_EVENTFD, IRQ_FLAG_MASKABLE, IRQ_FLAG_AUTOMASKED, IRQ_FLAG_NORESIZE = 1 << 0, 1 << 1, 1 << 2, 1 << 3


class Command(IntEnum):
    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    DEVICE_GET_INFO = 4
    DEVICE_GET_REGION_INFO = 5
    DEVICE_GET_REGION_IO_FDS = 6
    DEVICE_GET_IRQ_INFO = 7
    DEVICE_SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DMA_READ = 11
    DMA_WRITE = 12
    DEVICE_RESET = 13


class Flags(IntFlag):
    NO_REPLY = 0x10
    ERROR = 0x20


class Region(IntEnum):
    """Region indexes of a PCI device in linux/vfio.h behind those of the BARs, 0 to 5."""

    ROM = 6
    CONFIG = 7
    VGA = 8


REGIONS = len(Region) + 6


class Irq(IntEnum):
    """Interrupt indexes of a PCI device in linux/vfio.h."""

    INTX = 0
    MSI = 1
    MSIX = 2
    ERR = 3
    REQ = 4


class ProtocolError(Exception):
    """The stream can no longer be trusted: only a disconnect is left."""


class RequestError(Exception):
    """A request that cannot be fulfilled: it gets an error reply with this error number, and the connection goes on."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


@dataclass(frozen=True)
class Message:
    """One message from the client, without its file descriptors."""

    id: int
    command: int
    flags: int
    body: bytes

    @property
    def is_request(self) -> bool:
        return self.flags & TYPE_MASK == TYPE_REQUEST

    @property
    def wants_reply(self) -> bool:
        return not self.flags & Flags.NO_REPLY

    def reply(self, body: bytes) -> bytes:
        return HEADER.pack(self.id, self.command, HEADER.size + len(body), TYPE_REPLY, 0) + body

    def error(self, number: int) -> bytes:
        return HEADER.pack(self.id, self.command, HEADER.size, TYPE_REPLY | Flags.ERROR, number)


def take_message(buffer: bytearray) -> Message | None:
    """Takes the first whole message out of the buffer; None where it is not whole yet. Raises ProtocolError."""
    if len(buffer) < HEADER.size:
        return None
    message_id, command, size, flags, _error = HEADER.unpack_from(buffer)
    if not HEADER.size <= size <= MAX_MESSAGE:
        raise ProtocolError(f"a message of {size} bytes")
    if flags & TYPE_MASK not in (TYPE_REQUEST, TYPE_REPLY):
        raise ProtocolError(f"a message of type {flags & TYPE_MASK}")
    if len(buffer) < size:
        return None
    body = bytes(buffer[HEADER.size : size])
    del buffer[:size]
    return Message(message_id, command, flags, body)


def unpack(structure: struct.Struct, body: bytes) -> tuple[int, ...]:
    """The structure at the start of a request's body. Raises RequestError where the body is too short for it."""
    if len(body) < structure.size:
        raise RequestError(errno.EINVAL, f"{len(body)} bytes instead of {structure.size}")
    return structure.unpack_from(body)


def agree_on_version(body: bytes) -> bytes:
    """The answer to the client's first message. Raises ProtocolError where the two do not speak the same protocol."""
    if len(body) < VERSION.size:
        raise ProtocolError("a version message without a version")
    major, _minor = VERSION.unpack_from(body)
    if major != MAJOR:
        raise ProtocolError(f"protocol version {major}, only {MAJOR} is spoken here")
    text = body[VERSION.size :].rstrip(b"\0")
    try:
        if text and not isinstance(json.loads(text), dict):
            raise ProtocolError("capabilities that are no JSON object")
    except (ValueError, RecursionError) as error:
        raise ProtocolError("capabilities that are no JSON") from error
    capabilities: dict[str, t.Any] = {"max_msg_fds": MAX_FDS, "max_data_xfer_size": MAX_TRANSFER, "pgsizes": 4096, "max_dma_maps": 65535}
    return VERSION.pack(MAJOR, MINOR) + json.dumps({"capabilities": capabilities}).encode() + b"\0"
