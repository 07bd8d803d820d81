# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import firmware
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import Firmware
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.options import MachineOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.tests.unit.machine_defaults import DEFAULTS


def options(**given: t.Any) -> MachineOptions:
    return MachineOptions.from_mapping({**DEFAULTS, **given}, "/image")


def test_a_machine_with_other_keys_is_another_machine(tmp_path: Path) -> None:
    key = tmp_path / "mok.pub"
    key.write_bytes(b"")
    before, after = options(firmware="secure_boot"), options(firmware="secure_boot", enrolled=[str(key)])
    assert after.differences(before.to_json()) == ["enrolled"]
    assert before.differences(options().to_json()) == ["firmware"]


@pytest.mark.parametrize("kind", ["bios", "uefi"])
def test_keys_are_refused_where_nothing_asks_for_them(tmp_path: Path, kind: str) -> None:
    key = tmp_path / "mok.pub"
    key.write_bytes(b"")
    with pytest.raises(HostError, match=r"^enrolled: certificates are of use only with firmware=secure_boot\."):
        options(firmware=kind, enrolled=[str(key)])


def test_a_certificate_that_is_not_there_is_named() -> None:
    with pytest.raises(HostError, match=r"^enrolled: '?/nowhere/mok\.pub'? is not a file\."):
        options(firmware="secure_boot", enrolled=["/nowhere/mok.pub"])


def test_the_firmware_comes_before_what_the_machine_has() -> None:
    qemu = Qemu(("qemu",), ("qemu-img",), "QEMU").with_words(Firmware(Path("/f")).words(firmware.STORE))
    assert qemu.emulator[:3] == ("qemu", "-machine", "smm=on")
    assert "if=pflash,format=raw,unit=1,file=variables.fd" in qemu.emulator
