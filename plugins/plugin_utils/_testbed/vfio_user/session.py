# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One client's requests, answered by the device."""

from __future__ import annotations

import errno
import typing as t

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user import protocol
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.device import VfioUserDevice
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.protocol import Command, Irq, Message, Region, RequestError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.recorder import Recorder


class Session:
    """Lives as long as a connection. The device outlives it."""

    def __init__(self, device: VfioUserDevice, recorder: Recorder) -> None:
        self._device = device
        self._recorder = recorder
        self._agreed = False
        self._handlers: dict[int, t.Callable[[bytes], bytes]] = {
            Command.DMA_MAP: self._dma_map,
            Command.DMA_UNMAP: self._dma_unmap,
            Command.DEVICE_GET_INFO: self._device_info,
            Command.DEVICE_GET_REGION_INFO: self._region_info,
            Command.DEVICE_GET_IRQ_INFO: self._irq_info,
            Command.DEVICE_SET_IRQS: self._set_irqs,
            Command.REGION_READ: self._region_read,
            Command.REGION_WRITE: self._region_write,
            Command.DEVICE_RESET: self._reset,
        }

    def answer(self, message: Message) -> bytes:
        """The bytes to send back, none where none are wanted. Raises ProtocolError where the connection must end."""
        if not message.is_request:
            return b""  # an answer to a request, of which this side sends none
        try:
            reply = message.reply(self._handle(message))
        except RequestError as error:
            self._recorder.event("REFUSED", f"command {message.command}: {error}")
            reply = message.error(error.number)
        return reply if message.wants_reply else b""

    def _handle(self, message: Message) -> bytes:
        if message.command == Command.VERSION:
            reply = protocol.agree_on_version(message.body)
            self._agreed = True
            return reply
        if not self._agreed:
            raise protocol.ProtocolError(f"command {message.command} before the version")
        handler = self._handlers.get(message.command)
        if handler is None:
            raise RequestError(errno.ENOTSUP, "not supported")
        return handler(message.body)

    def _dma_map(self, body: bytes) -> bytes:
        _argsz, flags, _offset, address, size = protocol.unpack(protocol.DMA_MAP, body)
        self._recorder.event("DMA_MAP", f"{address:#x} {size:#x} {flags:#x}")
        return b""

    def _dma_unmap(self, body: bytes) -> bytes:
        _argsz, flags, address, size = protocol.unpack(protocol.DMA_UNMAP, body)
        self._recorder.event("DMA_UNMAP", f"{address:#x} {size:#x} {flags:#x}")
        return body[: protocol.DMA_UNMAP.size]

    def _device_info(self, _body: bytes) -> bytes:
        flags = protocol.DEVICE_FLAG_PCI | (protocol.DEVICE_FLAG_RESET if self._device.function.reset else 0)
        return protocol.DEVICE_INFO.pack(protocol.DEVICE_INFO.size, flags, protocol.REGIONS, len(Irq))

    def _region_info(self, body: bytes) -> bytes:
        region = protocol.unpack(protocol.REGION_INFO, body)[2]
        if region >= protocol.REGIONS:
            raise RequestError(errno.EINVAL, f"region {region}")
        size = self._device.region_size(region)
        flags = protocol.REGION_FLAG_READ | (0 if region == Region.ROM else protocol.REGION_FLAG_WRITE) if size else 0
        return protocol.REGION_INFO.pack(protocol.REGION_INFO.size, flags, region, 0, size, 0)

    def _irq_info(self, body: bytes) -> bytes:
        irq = protocol.unpack(protocol.IRQ_INFO, body)[2]
        if irq >= len(Irq):
            raise RequestError(errno.EINVAL, f"interrupt {irq}")
        count = self._device.irq_count(irq)
        kind = protocol.IRQ_FLAG_MASKABLE | protocol.IRQ_FLAG_AUTOMASKED if irq == Irq.INTX else protocol.IRQ_FLAG_NORESIZE
        return protocol.IRQ_INFO.pack(protocol.IRQ_INFO.size, protocol.IRQ_FLAG_EVENTFD | kind if count else 0, irq, count)

    def _set_irqs(self, body: bytes) -> bytes:
        """Checks and forgets: an emulated function never raises an interrupt, so that nobody needs its eventfd."""
        _argsz, _flags, irq, start, count = protocol.unpack(protocol.IRQ_SET, body)
        if irq >= len(Irq) or start + count > self._device.irq_count(irq):
            raise RequestError(errno.EINVAL, f"interrupts {start} to {start + count} of index {irq}")
        return b""

    def _span(self, body: bytes) -> tuple[int, int, int]:
        offset, region, length = protocol.unpack(protocol.REGION_ACCESS, body)
        size = self._device.region_size(region)
        if length > protocol.MAX_TRANSFER or offset + length > size:
            raise RequestError(errno.EINVAL, f"{length} bytes at {offset:#x} of region {region}, which has {size:#x}")
        return offset, region, length

    def _region_read(self, body: bytes) -> bytes:
        offset, region, length = self._span(body)
        data = self._device.read(region, offset, length)
        self._recorder.access("R", self._device.region_name(region), offset, data)
        return body[: protocol.REGION_ACCESS.size] + data

    def _region_write(self, body: bytes) -> bytes:
        offset, region, length = self._span(body)
        data = body[protocol.REGION_ACCESS.size :][:length]
        if len(data) < length:
            raise RequestError(errno.EINVAL, f"{len(data)} bytes of data instead of {length}")
        if region == Region.ROM:
            raise RequestError(errno.EINVAL, "the ROM is read only")
        function_level_reset = self._device.write(region, offset, data)
        self._recorder.access("W", self._device.region_name(region), offset, data)
        if function_level_reset:
            self._device.reset()
            self._recorder.event("FLR")
        return body[: protocol.REGION_ACCESS.size]

    def _reset(self, _body: bytes) -> bytes:
        if not self._device.function.reset:
            raise RequestError(errno.ENOTSUP, "no reset")
        self._device.reset()
        self._recorder.event("DEVICE_RESET")
        return b""
