# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal's machine that comes to no report; shell scripts stand in QEMU's place, the rest is real."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, silent
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import processes
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import boot
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot_words import Plan
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.places import place

PLAN = Plan(Path("/vmlinuz"), (), ("quiet",), "virtio_blk", "intel", 1 << 30, 1)
REPORT = Path(__file__).with_name("trixie-report.txt")


def failure(folder: Path, script: str, timeout: float = 60, say: Progress | None = None) -> str:
    machine = boot.RehearsalMachine(folder, Qemu(("sh", "-c", script, "qemu"), (), ""), "tcg", None)
    with pytest.raises(HostError) as caught:
        machine.boot(PLAN, place(()), say or Progress("box", silent), timeout)
    assert processes.running(folder) == {}
    return str(caught.value)


def test_a_machine_that_does_not_start_says_what_qemu_said(tmp_path: Path) -> None:
    said = failure(tmp_path, "echo cannot set up guest memory >&2; exit 1")
    assert said == "The machine of the rehearsal did not start: QEMU ended with 1: cannot set up guest memory"


def test_a_machine_that_ends_early_or_never_shows_the_end_of_its_console(tmp_path: Path) -> None:
    assert "ended before its report. Its console ends with: so far" in failure(tmp_path, "echo so far > console.log")
    late = failure(tmp_path, "echo so far > console.log; exec sleep 600", timeout=1)
    assert "did not come to its report within 1 s. Its console ends with: so far" in late


def test_while_it_boots_it_shows_its_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "_SAY_EVERY", 0.0)
    said: list[str] = []
    failure(tmp_path, "echo so far > console.log; exec sleep 600", timeout=2, say=Progress("box", said.append))
    assert any("booting; console: so far (" in line for line in said), said


def test_its_report_is_read_and_taken_only_where_systemd_had_no_job_left(tmp_path: Path) -> None:
    said = failure(tmp_path, f"sed 's/$/\\r/' {REPORT} > report.log")
    assert "had not ended when it reported: systemd did not answer" in said
