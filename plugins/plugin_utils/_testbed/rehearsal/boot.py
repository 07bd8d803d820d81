# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rehearsed boot: the machine's start, its report, and its end, which comes in any case."""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import CONSOLE
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.machine import last_words
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot_words import Plan, emulator_arguments
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.comparison import unended
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.places import MachinePlaces
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.signed_start import REFUSED
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import OFFERED, BootTrace, UnfinishedError, parse

_SAY_EVERY = 20.0
_PANIC = re.compile(r"Kernel panic - not syncing: ([^\r\n]*)")
_LONGEST_PANIC = 200
#: How a line begins that says that the boot goes on.
STILL = "booting; "
#: systemctl(1), is-system-running: no job is left.
_ENDED = ("running", "degraded")
#: By which a deadline grows at most, on a machine that is as busy as can be.
LONGEST_STRETCH = 6
#: Of what is said about a machine that does not start.
_LINES = 10


def unreported(console: str, said: str, timeout: float, is_in_time: bool) -> HostError:
    """Why there is no report: the kernel panicked, the machine ended by itself, or it had not ended in ``timeout`` seconds.

    ``said`` are the console's last words.
    """
    panic = _PANIC.findall(console)
    if panic:
        return HostError(
            f"The kernel of the rehearsal panicked: {panic[-1].strip()[:_LONGEST_PANIC]}",
            "Look at the whole console, keep=true says where it is: what a driver or a program does to a function that is empty there it"
            " need not do on the host.",
        )
    if is_in_time:
        return HostError(
            f"The machine of the rehearsal ended before its report. Its console ends with: {said}",
            "Look at the whole console: keep=true says where it is.",
        )
    return HostError(
        f"The machine of the rehearsal did not come to its report within {timeout:.0f} s. Its console ends with: {said}",
        "Raise timeout, or look at the whole console: keep=true says where it is.",
    )


@dataclass(frozen=True)
class RehearsalMachine:
    """``folder`` has the disk and the joined initramfs, and gets the console and the report."""

    folder: Path
    qemu: Qemu
    accelerator: str
    initrd: Path | None

    def boot(self, plan: Plan, places: MachinePlaces, progress: Progress, timeout: float) -> BootTrace:
        """Boot and wait for the report.  Raises HostError when none has come within ``timeout`` seconds of an idle machine."""
        functions = {one.function.id: one.function.emulated for one in places.placements.values() if one.function.emulated is not None}
        arguments = emulator_arguments(plan, places, self.accelerator, self.initrd)
        ended = run_to_end(self.folder, self.qemu, arguments, timeout, self._saying(progress), functions)
        if ended.problem and not ended.is_late and not ended.console:
            raise HostError(f"The machine of the rehearsal did not start: {' '.join(ended.problem.splitlines()[-_LINES:])}")
        try:
            report = parse(ended.report)
        except UnfinishedError:
            if plan.partition is not None and REFUSED in ended.console:
                raise HostError(
                    f"The host's shim and GRUB do not start this kernel with the host's keys: Secure Boot stops the boot. {self._said()}",
                    "Look who has signed it: sbverify --list, and mokutil --list-enrolled.",
                ) from None
            raise unreported(ended.console, self._said(), timeout, not ended.is_late) from None
        if report.log and not any(event.kind == OFFERED for event in report.events):
            raise HostError(
                "The kernel of the rehearsal has offered devices to drivers, and has traced none of that: it allows no kprobe events.",
                "It may be built with lockdown=confidentiality, or without them.",
            )
        if report.state not in _ENDED:
            state = f"systemd said {report.state}" if report.state else "systemd did not answer"
            hanging = "".join(f" {one[0].upper()}{one[1:]}." for one in unended(report, sorted(report.owners)))
            raise HostError(f"The boot in the machine of the rehearsal had not ended when it reported: {state}.{hanging}", "Raise timeout.")
        return report

    def _said(self) -> str:
        return last_words(self.folder / CONSOLE) or "nothing"

    def _saying(self, progress: Progress) -> t.Callable[[], bool]:
        """What says from time to time that the boot goes on, and never that it is over."""
        said = time.monotonic()

        def say() -> bool:
            nonlocal said
            if time.monotonic() > said + _SAY_EVERY:
                said = time.monotonic()
                progress(f"{STILL}console: {last_words(self.folder / CONSOLE)}")
            return False

        return say
