# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an access log testifies: who touched the device, and in which boot."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.access_log import (
    Access,
    AccessLog,
    AccessLogError,
    FunctionEvent,
)

# The lines that a machine leaves as QEMU 11.1 wrote them, shortened.
POWER_ON = ["LISTEN /run/gpu0", "CONNECT", "VERSION 0.1", "R CFG 0x0 4096 0x1db110de", "DMA_MAP 0x0 0x10000000 0x3"]
RESET = ["R CFG 0x4 2 0x103", "W CFG 0x4 2 0x100", "DEVICE_RESET", "R CFG 0x3d 1 0x1", "W CFG 0x10 4 0x0", "W CFG 0x14 4 0x0"]
ENUMERATION = ["R CFG 0x0 4 0x1db110de", "W CFG 0x10 4 0xffffffff", "W CFG 0x10 4 0x0", "W CFG 0x10 4 0xfd000000", "W CFG 0x4 2 0x103"]
NOUVEAU = ["R BAR0 0x0 4 0x140000a1", "R BAR0 0x4 4 0x0", "W BAR0 0x140 4 0x0"]
VFIO_PROGRAM = ["R BAR0 0x0 4 0x140000a1"]
# A machine that starts again resets its devices twice.
BOOT = [*RESET, *RESET, *ENUMERATION]


def write(path: Path, *parts: list[str], end: str = "\n") -> Path:
    lines = [f"{number}.5 {line}" for number, line in enumerate(itertools.chain(*parts))]
    path.write_text("\n".join(lines) + end)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_a_line_says_who_did_what_where(path):
    write(path, ["CONNECT", "R BAR0 0x10 4 0x140000a1", "W CFG 0x4 2 0x6", "DMA_MAP 0x0 0x1000 0x3"])
    assert AccessLog.read(path).entries == (
        FunctionEvent(0.5, "CONNECT"),
        Access(1.5, "R", "BAR0", 0x10, 4, 0x140000A1),
        Access(2.5, "W", "CFG", 4, 2, 6),
        FunctionEvent(3.5, "DMA_MAP", "0x0 0x1000 0x3"),
    )


@pytest.mark.parametrize(
    "entry", [Access(1.25, "W", "BAR3", 0xFFC, 4, 0xDEAD), FunctionEvent(2.5, "FLR"), FunctionEvent(3.0, "DISCONNECT", "two words")]
)
def test_what_is_written_is_what_is_read(path, entry):
    path.write_text(entry.line() + "\n")
    assert AccessLog.read(path).entries == (entry,)


def test_a_line_that_is_still_being_written_is_left_for_the_next_time(path):
    write(path, ["CONNECT", "R BAR0 0x10 4 0x14"], end="")
    first = AccessLog.read(path)
    assert [entry.line() for entry in first.entries] == ["0.500000 CONNECT"]
    with path.open("a") as file:
        file.write("0000a1\n")
    (access,) = AccessLog.read(path, after=first.end).entries
    assert isinstance(access, Access)
    assert access.value == 0x140000A1


def test_a_mark_leaves_out_what_came_before(path):
    mark = AccessLog.read(write(path, POWER_ON, BOOT, NOUVEAU)).end
    assert AccessLog.read(path, after=mark).entries == ()
    with path.open("a") as file:
        file.write("99.0 R BAR0 0x8 4 0x0\n")
    assert [access.offset for access in AccessLog.read(path, after=mark).bar_accesses()] == [8]


def test_an_empty_log_has_no_entries(path):
    path.touch()
    assert AccessLog.read(path).entries == ()
    assert AccessLog.read(path).since_boot().first_bar_access() is None


def test_an_absent_log_is_an_error_and_not_an_untouched_device(path):
    with pytest.raises(AccessLogError, match="cannot be read: No such file or directory"):
        AccessLog.read(path)


@pytest.mark.parametrize(
    "line", ["", "CONNECT", "1.0", "1.0 R BAR0 0x0 4", "1.0 R BAR0 zero 4 0x0", "1.0 W BAR0 0x0 four 0x0", "x CONNECT"]
)
def test_a_line_that_is_neither_access_nor_event_is_an_error_with_its_number(path, line):
    path.write_text(f"0.5 CONNECT\n{line}\n")
    with pytest.raises(AccessLogError, match="Line 2 of the access log"):
        AccessLog.read(path)


def test_firmware_and_bus_code_do_not_count_as_a_driver(path):
    assert not AccessLog.read(write(path, POWER_ON, BOOT)).touched_by_driver


def test_the_first_touch_of_a_bar_is_named(path):
    log = AccessLog.read(write(path, POWER_ON, BOOT, NOUVEAU))
    assert log.touched_by_driver
    first = log.first_bar_access()
    assert first is not None
    assert (first.direction, first.region, first.offset) == ("R", "BAR0", 0)
    assert len(log.bar_accesses()) == 3


def test_a_reboot_parts_what_was_from_what_is(path):
    log = AccessLog.read(write(path, POWER_ON, BOOT, NOUVEAU, BOOT))
    assert log.touched_by_driver
    assert not log.since_boot().touched_by_driver
    assert not log.since_last_reset().touched_by_driver


def test_the_first_boot_after_power_on_is_a_boot(path):
    log = AccessLog.read(write(path, POWER_ON, RESET, ENUMERATION, NOUVEAU))
    assert len(log.since_boot().bar_accesses()) == 3
    assert not log.since_boot().events("CONNECT")


def test_a_reset_by_the_guest_does_not_hide_what_the_native_driver_did_in_the_same_boot(path):
    """vfio-pci resets the device when a program opens it: after that the last reset is no longer the beginning of the boot."""
    log = AccessLog.read(write(path, POWER_ON, BOOT, NOUVEAU, RESET, VFIO_PROGRAM))
    assert len(log.since_last_reset().bar_accesses()) == 1
    assert len(log.since_boot().bar_accesses()) == 4


def test_a_function_level_reset_does_not_hide_it_either(path):
    log = AccessLog.read(write(path, POWER_ON, BOOT, NOUVEAU, ["W CFG 0x80 2 0xa910", "FLR"], VFIO_PROGRAM))
    assert len(log.since_last_reset().bar_accesses()) == 1
    assert len(log.since_boot().bar_accesses()) == 4


def test_a_bus_scan_after_a_driver_has_come_back_is_not_a_boot(path):
    log = AccessLog.read(write(path, POWER_ON, BOOT, NOUVEAU, RESET, VFIO_PROGRAM, ENUMERATION))
    assert len(log.since_boot().bar_accesses()) == 4


def test_a_machine_that_was_started_again_on_the_same_log_is_a_boot(path):
    log = AccessLog.read(write(path, POWER_ON, BOOT, NOUVEAU, ["DISCONNECT"], POWER_ON, RESET, ENUMERATION))
    assert not log.since_boot().touched_by_driver


def test_events_can_be_asked_for_by_name(path):
    log = AccessLog.read(write(path, POWER_ON, BOOT))
    assert len(log.events("DEVICE_RESET")) == 2
    assert [event.name for event in log.events("LISTEN", "CONNECT")] == ["LISTEN", "CONNECT"]
