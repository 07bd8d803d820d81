# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vfio-user client gets from a real server over its socket: identity, regions, registers, resets, and refusals."""

from __future__ import annotations

import errno
import json
import os
import struct
import typing as t

import pytest

CONFIG, ROM, VGA = 7, 6, 8
DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO, GET_IO_FDS, GET_IRQ_INFO, SET_IRQS, READ, WRITE, RESET = 2, 3, 4, 5, 6, 7, 8, 9, 10, 13
NO_REPLY = 0x10
MIB = 1 << 20

NIC = {
    "vendor": "0x8086",
    "device": "0x10d3",
    "class_code": "0x020000",
    "bars": [{"index": 0, "size": "128K"}, {"index": 2, "size": 32, "kind": "io"}, {"index": 4, "size": "16K", "kind": "mem64"}],
    "registers": {0: {"0x0": "0x00100a01"}, 4: {"0x10": 7}},
    "capabilities": {"pm": None, "msix": {"vectors": 5, "bar": 4, "table": 0, "pending": "8K"}, "pcie": None},
    "flr": True,
}


def test_the_version_is_agreed_on_and_limits_are_named(v100):
    version = v100.connect().version
    assert struct.unpack_from("<HH", version.body) == (0, 0)
    assert version.body.endswith(b"\0")
    assert json.loads(version.body[4:-1])["capabilities"]["max_data_xfer_size"] == MIB


def test_the_device_says_that_it_is_a_pci_device_that_can_be_reset(v100):
    reply = v100.connect().ask(GET_INFO, struct.pack("<IIII", 16, 0, 0, 0))
    assert struct.unpack("<IIII", reply.body) == (16, 0b11, 9, 5)


def test_the_regions_are_those_of_the_description(start):
    client = start(NIC).connect()
    assert [client.region(index) for index in range(9)] == [
        (128 << 10, 3), (0, 0), (32, 3), (0, 0), (16 << 10, 3), (0, 0), (0, 0), (4096, 3), (0, 0),
    ]  # fmt: skip


def test_the_config_space_ends_at_256_bytes_without_pcie(start):
    assert start({**NIC, "capabilities": ["pm"], "flr": False}).connect().region(CONFIG) == (256, 3)


def test_interrupts_are_counted_as_the_capabilities_say(start):
    client = start(NIC).connect()
    counts = []
    for index in range(5):
        reply = client.ask(GET_IRQ_INFO, struct.pack("<IIII", 16, 0, index, 0))
        counts.append(struct.unpack("<IIII", reply.body)[3])
    assert counts == [1, 0, 5, 1, 1]


def test_the_identity_stands_in_config_space(v100):
    client = v100.connect()
    assert client.read(CONFIG, 0x00) == 0x1DB110DE
    assert client.read(CONFIG, 0x08) == 0x030200A1
    assert client.read(CONFIG, 0x2C) == 0x121210DE


@pytest.mark.parametrize(
    ("register", "answer"), [(0x10, 0xFFFE0000), (0x14, 0), (0x18, 0xFFFFFFE1), (0x20, 0xFFFFC004), (0x24, 0xFFFFFFFF)]
)
def test_a_bar_answers_all_ones_with_its_size(start, register, answer):
    client = start(NIC).connect()
    client.write(CONFIG, register, 0xFFFFFFFF)
    assert client.read(CONFIG, register) == answer


def test_registers_hold_their_presets_and_what_is_written(start):
    client = start(NIC).connect()
    assert client.read(0, 0) == 0x00100A01
    assert client.read(4, 0x10) == 7
    client.write(0, 0x42, 0xBEEF, length=2)
    assert client.read(0, 0x40) == 0xBEEF0000
    assert client.read(0, 0x43, length=1) == 0xBE


def test_an_access_may_cross_pages_of_the_emulated_memory(start):
    client = start(NIC).connect()
    client.write(0, 0xFFE, 0x1122334455667788, length=8)
    assert client.read(0, 0xFFE, length=8) == 0x1122334455667788
    assert client.read(0, 0x1000) == 0x33445566


def test_a_reset_puts_back_presets_and_config_space(start):
    server = start(NIC)
    client = server.connect()
    client.write(0, 0, 1)
    client.write(0, 0x100, 1)
    client.write(CONFIG, 0x04, 0x0006, length=2)
    assert client.ask(RESET).error == 0
    assert client.read(0, 0) == 0x00100A01
    assert client.read(0, 0x100) == 0
    assert client.read(CONFIG, 0x04, length=2) == 0
    assert server.log_holds("DEVICE_RESET")


def _device_control(client: t.Any) -> int:
    """Walks the capabilities to the PCI Express one, as a driver does."""
    at = client.read(CONFIG, 0x34, length=1)
    while client.read(CONFIG, at, length=1) != 0x10:
        at = client.read(CONFIG, at + 1, length=1)
    return int(at) + 8


def test_a_function_level_reset_puts_back_presets(start):
    server = start(NIC)
    client = server.connect()
    control = _device_control(client)
    client.write(0, 0, 1)
    client.write(CONFIG, control, client.read(CONFIG, control, length=2) | 0x8000, length=2)
    assert client.read(0, 0) == 0x00100A01
    assert not client.read(CONFIG, control, length=2) & 0x8000
    assert len(server.log().events("FLR")) == 1
    assert not server.log().events("DEVICE_RESET")


def test_the_reset_bit_does_nothing_where_the_function_has_no_flr(v100):
    client = v100.connect()
    client.write(1, 0, 1)
    client.write(CONFIG, _device_control(client), 0xFFFF, length=2)
    assert client.read(1, 0) == 1
    assert not v100.log().events("FLR")


def test_a_function_without_reset_says_so_and_refuses_one(start):
    client = start({**NIC, "reset": False}).connect()
    reply = client.ask(GET_INFO, struct.pack("<IIII", 16, 0, 0, 0))
    assert struct.unpack("<IIII", reply.body)[1] == 0b10
    client.write(0, 0, 1)
    assert client.ask(RESET).error == errno.ENOTSUP
    assert client.read(0, 0) == 1


def test_the_rom_is_shown_and_padded_to_its_bar(start, tmp_path):
    rom = tmp_path / "rom"
    rom.write_bytes(b"\x55\xaa" * 1500)
    client = start({**NIC, "rom": str(rom)}).connect()
    assert client.region(ROM) == (4096, 1)
    assert client.read(ROM, 2998, length=4) == 0xFFFFAA55
    client.write(CONFIG, 0x30, 0xFFFFF801)
    assert client.read(CONFIG, 0x30) == 0xFFFFF001


def test_each_access_is_a_line_by_the_time_the_client_has_its_answer(start):
    server = start(NIC)
    client = server.connect()
    mark = server.log().end
    client.read(0, 0)
    client.write(4, 0x20, 0xABCD, length=2)
    lines = server.log_file.read_bytes()[mark:].decode().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["R BAR0 0x0 4 0x100a01", "W BAR4 0x20 2 0xabcd"]


def test_a_write_without_an_answer_is_still_done(start):
    client = start(NIC).connect()
    client.send(WRITE, struct.pack("<QII", 0x50, 0, 4) + b"\x01\0\0\0", flags=NO_REPLY)
    assert client.read(0, 0x50) == 1


def test_descriptors_that_come_with_a_message_are_not_kept(start):
    server = start(NIC)
    client = server.connect()
    before = server.descriptors()
    reader, writer = os.pipe()
    try:
        for _round in range(20):
            reply = client.ask(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0x1000, 0x1000), descriptors=[reader])
            assert reply.error == 0
            reply = client.ask(SET_IRQS, struct.pack("<IIIII", 20, 0x24, 2, 0, 2), descriptors=[reader, writer])
            assert reply.error == 0
    finally:
        os.close(reader)
        os.close(writer)
    assert server.descriptors() == before
    assert server.log().events("DMA_MAP")[0].detail == "0x1000 0x1000 0x3"


def test_dma_is_unmapped_with_an_echo_of_the_request(start):
    client = start(NIC).connect()
    request = struct.pack("<IIQQ", 24, 0, 0x1000, 0x1000)
    assert client.ask(DMA_UNMAP, request).body == request


@pytest.mark.parametrize(
    ("command", "body", "number"),
    [
        pytest.param(READ, struct.pack("<QII", 0, 9, 4), errno.EINVAL, id="a region that no PCI device has"),
        pytest.param(READ, struct.pack("<QII", 0, 1, 4), errno.EINVAL, id="a BAR that the function does not have"),
        pytest.param(READ, struct.pack("<QII", 4093, CONFIG, 4), errno.EINVAL, id="a read over the end of config space"),
        pytest.param(READ, struct.pack("<QII", (1 << 64) - 2, 0, 4), errno.EINVAL, id="an offset that wraps"),
        pytest.param(READ, struct.pack("<QII", 0, 0, 0xFFFFFFFF), errno.EINVAL, id="a read of four gigabytes"),
        pytest.param(READ, b"\0" * 15, errno.EINVAL, id="a read without a length"),
        pytest.param(WRITE, struct.pack("<QII", 0, 0, 8) + b"\0" * 4, errno.EINVAL, id="a write with half its data"),
        pytest.param(WRITE, struct.pack("<QII", 128 << 10, 0, 4) + b"\0" * 4, errno.EINVAL, id="a write behind the BAR"),
        pytest.param(GET_REGION_INFO, struct.pack("<IIIIQQ", 32, 0, 9, 0, 0, 0), errno.EINVAL, id="the size of region 9"),
        pytest.param(GET_IRQ_INFO, struct.pack("<IIII", 16, 0, 5, 0), errno.EINVAL, id="interrupt index 5"),
        pytest.param(SET_IRQS, struct.pack("<IIIII", 20, 0x24, 2, 4, 2), errno.EINVAL, id="one vector too many"),
        pytest.param(SET_IRQS, struct.pack("<IIIII", 20, 0x24, 9, 0, 0), errno.EINVAL, id="interrupts of index 9"),
        pytest.param(GET_IO_FDS, b"\0" * 16, errno.ENOTSUP, id="a command that is not supported"),
        pytest.param(999, b"", errno.ENOTSUP, id="a command that does not exist"),
    ],
)
def test_what_cannot_be_done_is_refused_and_the_connection_goes_on(start, command, body, number):
    server = start(NIC)
    client = server.connect()
    assert client.ask(command, body).error == number
    assert client.read(CONFIG, 0) == 0x10D38086
    assert len(server.log().events("REFUSED")) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(struct.pack("<HHIII", 1, READ, 15, 0, 0), id="a message shorter than its header"),
        pytest.param(struct.pack("<HHIII", 1, READ, 0x7FFFFFFF, 0, 0), id="a message of two gigabytes"),
        pytest.param(struct.pack("<HHIII", 1, READ, 16, 7, 0), id="a message of no known type"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", id="another protocol"),
        pytest.param(struct.pack("<HHIII", 1, READ, 32, 0, 0) + b"\0" * 16, id="a request before the version"),
        pytest.param(struct.pack("<HHIII", 1, 1, 16, 0, 0), id="a version message without a version"),
        pytest.param(struct.pack("<HHIIIHH", 1, 1, 20, 0, 0, 1, 0), id="version 1"),
        pytest.param(struct.pack("<HHIIIHH", 1, 1, 25, 0, 0, 0, 0) + b"{no}\0", id="capabilities that are no JSON"),
        pytest.param(struct.pack("<HHIIIHH", 1, 1, 23, 0, 0, 0, 0) + b"17\0", id="capabilities that are no object"),
        pytest.param(struct.pack("<HHIIIHH", 1, 1, 23, 0, 0, 0, 0) + b"\xff\xfe\0", id="capabilities that are no text"),
        pytest.param(struct.pack("<HHIIIHH", 1, 1, 100020, 0, 0, 0, 0) + b"[" * 100000, id="capabilities without an end"),
    ],
)
def test_garbage_ends_the_connection_and_nothing_else(v100, garbage):
    client = v100.connect(agree=False)
    client.sock.sendall(garbage)
    assert client.is_disconnected()
    client.close()
    assert v100.connect().read(CONFIG, 0) == 0x1DB110DE
    assert "protocol error" in v100.log().events("DISCONNECT")[0].detail


def test_a_reply_that_nobody_asked_for_is_ignored(v100):
    client = v100.connect()
    client.send(READ, b"", flags=1)
    assert client.read(CONFIG, 0) == 0x1DB110DE


def test_a_message_may_come_byte_by_byte(v100):
    client = v100.connect()
    message = struct.pack("<HHIIIQII", 77, READ, 32, 0, 0, 0, CONFIG, 4)
    for position in range(len(message)):
        client.sock.sendall(message[position : position + 1])
    assert client.receive().id == 77


def test_many_messages_may_come_at_once(v100):
    client = v100.connect()
    message = struct.pack("<HHIIIQII", 5, READ, 32, 0, 0, 0, CONFIG, 4)
    client.sock.sendall(message * 500)
    assert [client.receive().id for _answer in range(500)] == [5] * 500
