# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a boot's trace says of each device: a report that Debian 13 really wrote, and lines of other ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.comparison import not_logged
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.owner import decision, owner_of
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import (
    EVENTS,
    BootTrace,
    Probe,
    UnfinishedError,
    command_line_word,
    offers,
    parse,
)

REPORT = Path(__file__).with_name("trixie-report.txt").read_text(encoding="utf-8")
CARD = "0000:3b:00.0"


def report(*lines: str) -> BootTrace:
    """Of lines such as `modprobe 70 offered CARD nouveau`, each a second after the other."""
    text = []
    for number, line in enumerate(lines, 1):
        who, process, kind, *rest = line.split()
        values = f'dev="{rest[0]}" drv="{rest[1]}"' if len(rest) == 2 else f'{"name" if kind == "loading" else "drv"}="{rest[0]}"'
        text.append(f"@rehearsal trace  {who}-{process}  [000] .....  {number}.000000: {kind}: (symbol+0x0/0x10) {values}")
    bound = [f"@rehearsal owner {CARD} vfio-pci"] if any("vfio-pci" in line for line in lines) else []
    return parse("\n".join((*text, *bound, "@rehearsal root 1500000", "@rehearsal end")))


@pytest.mark.parametrize(
    ("address", "driver", "stage"),
    [
        ("0000:00:05.0", "e1000e", "initramfs"),
        ("0000:00:1c.0", "pcieport", "kernel"),
        ("0000:05:00.0", "nouveau", "root"),
        ("0000:09:00.1", "igb", "initramfs"),
        ("0000:3b:00.0", "nvme", "initramfs"),
    ],
)
def test_a_real_boots_first_offers(address: str, driver: str, stage: str) -> None:
    found = parse(REPORT)
    owner = owner_of(found, address)
    assert owner is not None
    assert (owner.driver, offers(found, address)[0].stage) == (driver, stage)


def test_in_a_real_boot_the_trace_agrees_with_the_kernels_own_log() -> None:
    found = parse(REPORT)
    assert {"0000:05:00.0", "0000:3b:00.0"} <= found.log.keys()
    assert not_logged(found, found.owners) == []


def test_a_load_by_another_process_decides_where_a_thread_of_the_kernel_offers() -> None:
    found = parse(REPORT)
    owner = owner_of(found, "0000:3b:00.0")
    assert owner is not None
    assert owner.who.startswith("kworker/")
    assert 'name="nvme"' in decision(found, owner)
    assert "(udev-worker)" in decision(found, owner)


@pytest.mark.parametrize(
    "line",
    [
        f"bus: 'pci': really_probe: probing driver i6300ESB timer with device {CARD}",
        f"pci {CARD}: bus: 'pci': really_probe: probing driver i6300ESB timer with device",
        f"pci {CARD}: bus: 'pci': really_probe: probing driver i6300ESB timer",
    ],
)
def test_the_log_of_a_driver_whose_name_has_blanks_is_read(line: str) -> None:
    assert parse(f"@rehearsal log [    1.0] {line}\n@rehearsal end").log == {CARD: (Probe("i6300ESB timer"),)}


def test_a_report_without_its_end_is_none() -> None:
    with pytest.raises(UnfinishedError):
        parse(REPORT.replace("@rehearsal end", ""))


def test_of_several_offers_the_first_counts() -> None:
    found = report(f"modprobe 70 offered {CARD} nouveau", f"modprobe 71 offered {CARD} vfio-pci")
    owner = owner_of(found, CARD)
    assert owner is not None
    assert owner.driver == "nouveau"


def test_whoever_unbinds_makes_room_for_the_next() -> None:
    lines = (f"modprobe 70 offered {CARD} nouveau", f"sh 72 unbinds {CARD} nouveau", f"sh 72 offered {CARD} vfio-pci")
    owner = owner_of(report(*lines), CARD)
    assert owner is not None
    assert (owner.driver, owner.who) == ("vfio-pci", "sh")


def test_a_device_that_is_unbound_and_not_offered_again_has_no_driver() -> None:
    assert owner_of(report(f"modprobe 70 offered {CARD} nouveau", f"sh 72 unbinds {CARD} nouveau"), CARD) is None


def test_unbinding_from_a_driver_that_does_not_own_it_changes_nothing() -> None:
    owner = owner_of(report(f"modprobe 70 offered {CARD} nouveau", f"sh 72 unbinds {CARD} vfio-pci"), CARD)
    assert owner is not None


def test_a_module_that_is_removed_lets_go() -> None:
    lines = (
        "modprobe 70 loading nouveau",
        f"modprobe 70 offered {CARD} nouveau",
        "rmmod 72 leaving nouveau",
        f"sh 73 offered {CARD} vfio-pci",
    )
    owner = owner_of(report(*lines), CARD)
    assert owner is not None
    assert owner.driver == "vfio-pci"


def test_a_module_that_leaves_because_its_probes_failed_would_have_stayed_on_the_host() -> None:
    lines = (
        "modprobe 70 loading nvidia",
        f"modprobe 70 offered {CARD} nvidia",
        "modprobe 70 leaving nvidia",
        f"sh 73 offered {CARD} nouveau",
    )
    owner = owner_of(report(*lines), CARD)
    assert owner is not None
    assert owner.driver == "nvidia"


def test_what_was_written_with_a_line_end_is_read() -> None:
    text = f'@rehearsal trace sh-7 [000] ..... 2.0: unbinds: (unbind_store+0x0/0x10) drv="nouveau" dev="{CARD}\n@rehearsal trace "\n'
    (event,) = parse(f"{text}@rehearsal end").events
    assert (event.device, event.driver) == (CARD, "nouveau")


def test_every_event_is_on_the_command_line() -> None:
    assert all(f"p:{name},{probe}" in command_line_word() for name, probe in EVENTS.items())


def test_vfio_declines_for_reasons_that_the_host_has_too() -> None:
    lines = (f"modprobe 70 offered {CARD} vfio-pci", f"modprobe 71 offered {CARD} nouveau")
    refused = dataclasses.replace(report(*lines), owners={CARD: None})
    owner = owner_of(refused, CARD)
    assert owner is not None
    assert owner.driver == "nouveau"
    assert owner_of(dataclasses.replace(report(lines[0]), owners={CARD: None}), CARD) is None


@pytest.mark.parametrize("state", ["running", "degraded", "starting", ""])
def test_whether_the_boot_had_ended_is_read(state: str) -> None:
    assert parse(f"@rehearsal state {state}\n@rehearsal end").state == state
