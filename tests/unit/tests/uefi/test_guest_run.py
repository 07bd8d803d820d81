# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.tests.uefi import guest_run

ONE = "\x1b[2Jfirmware\n@boot {}\n@cmdline ro entry=a\n@loaded base\n@parameters AAE=\n@variable BootNext-8be4 BwAAAAEA\n@end\n"


def test_each_boot_has_what_the_guest_said() -> None:
    first, second = guest_run.parse(ONE.format(0) + ONE.format(1))
    assert (first.cmdline, first.loaded, first.entry) == ("ro entry=a", ("base",), "a")
    assert (second.parameters, second.variable("BootNext")) == (b"\0\1", b"\1\0")


@pytest.mark.parametrize("text", [ONE.format(1), ONE.format(0).replace("@end", ""), ONE.format(0) + "@boot 1\n@problem x\n@end\n"])
def test_a_boot_that_went_wrong_is_not_a_boot(text: str) -> None:
    with pytest.raises(HostError, match="went wrong"):
        guest_run.parse(text)


def test_what_the_guest_wrote_is_read_and_why_qemu_failed_is_said_with_the_console(tmp_path: Path) -> None:
    """A shell stands in QEMU's place."""
    ended = guest_run.reported(Qemu(("sh", "-c", "echo firmware > console.log; echo @end > report.log"), (), ""), (), tmp_path)
    assert (ended.console, ended.report) == ("firmware\n", "@end\n")
    with pytest.raises(HostError, match=r"QEMU ended with 1: no such disk\n\nfirmware"):
        guest_run.reported(Qemu(("sh", "-c", "echo firmware > console.log; echo no such disk >&2; exit 1"), (), ""), (), tmp_path)
