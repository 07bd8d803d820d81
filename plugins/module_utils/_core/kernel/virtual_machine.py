# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine is virtual, as systemd and udev find out, and by which names they call that."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

NONE: t.Final = "none"
MACHINES: t.Final[tuple[str, ...]] = tuple(
    "kvm amazon qemu bochs xen uml vmware oracle microsoft zvm parallels bhyve qnx acrn powervm apple sre google vm-other".split()
)
"""What detect_vm() finds (virtualization_table in src/basic/virt.c); of containers, whose host has the devices, udev sees nothing."""
CONFIDENTIAL: t.Final[tuple[str, ...]] = ("sev", "sev-es", "sev-snp", "tdx", "protvirt", "cca")
"""confidential_virtualization_table in src/basic/confidential-virt.c"""
LARGEST = 64 << 10
_DMI = "/sys/class/dmi/id"
# dmi_vendor_table in src/basic/virt.c, and the files that it is compared with.
_VENDORS = (
    "KVM", "OpenStack", "KubeVirt", "Amazon EC2", "QEMU", "VMware", "VMW", "innotek GmbH", "VirtualBox", "Oracle Corporation", "Xen",
    "Bochs", "Parallels", "BHYVE", "Hyper-V", "Apple Virtualization", "Google Compute Engine", "Microsoft Corporation",
)  # fmt: skip
_NAMES = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
_FLAGS = re.compile(r"^flags\s*:(.*)$", re.MULTILINE)


def is_virtual(tree: FileTree) -> bool | None:
    """Whether the machine is virtual, as detect_vm() in src/basic/virt.c, where it is clear; None elsewhere."""
    flags = _FLAGS.search((tree.head("/proc/cpuinfo", LARGEST) or b"").decode("ascii", "replace"))
    names = [(tree.text_or_none(f"{_DMI}/{name}") or "").strip() for name in _NAMES]
    if flags is None or not names[1] or tree.exists("/proc/xen") or tree.exists("/sys/hypervisor/type"):
        return None
    if "hypervisor" in flags[1].split():
        return True if names[1] == "QEMU" else None
    return None if any(name.startswith(_VENDORS) for name in names) else False
