# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine is virtual, on which units' conditions depend; what is not clear is not guessed."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.virtual_machine import is_virtual
from ansible_collections.vfio.variants.tests.unit.trees import Tree

REAL = {"/proc/cpuinfo": "flags\t\t: fpu vme\n", "/sys/class/dmi/id/sys_vendor": "Dell Inc.\n"}
QEMU = {"/proc/cpuinfo": "flags\t\t: fpu hypervisor vme\n", "/sys/class/dmi/id/sys_vendor": "QEMU\n"}


@pytest.mark.parametrize(
    ("files", "virtual"),
    [
        (REAL, False),
        (QEMU, True),
        # Another hypervisor, which may be one that systemd does not know.
        ({**QEMU, "/sys/class/dmi/id/sys_vendor": "Dell Inc."}, None),
        # A machine that says so without the processor's flag.
        ({**REAL, "/sys/class/dmi/id/bios_vendor": "innotek GmbH"}, None),
        ({**REAL, "/sys/class/dmi/id/product_version": "KVM x"}, None),
        ({**REAL, "/sys/class/dmi/id/product_name": "PowerEdge KVM"}, False),
        ({**REAL, "/proc/xen/capabilities": ""}, None),
        ({**REAL, "/sys/hypervisor/type": "xen"}, None),
        ({**REAL, "/proc/cpuinfo": "processor: 0\n"}, None),
        ({**REAL, "/sys/class/dmi/id/sys_vendor": "\n"}, None),
        ({}, None),
    ],
)
def test_only_what_processor_and_firmware_agree_on_is_said(tmp_path: Path, files: t.Mapping[str, str], virtual: bool | None) -> None:
    tree = Tree(tmp_path)
    for path, content in files.items():
        tree.file(path, content)
    assert is_virtual(tree.host()) is virtual
