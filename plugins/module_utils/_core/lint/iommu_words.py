# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words about the IOMMU that this host's processor, or this kernel, does not have."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Vendor

OTHERS: t.Mapping[tuple[Vendor, str], tuple[str, str]] = {
    ("amd", "intel_iommu"): ("an Intel", "Remove it: the IOMMU of an AMD processor is on without a word."),
    ("intel", "amd_iommu"): ("an AMD", "Write `intel_iommu=on`."),
}
STOCK = re.compile(
    r".*(?:[+.]deb\d+(?:[+u.]\S*)?-(?:cloud-|rt-)?(?:amd64|arm64)|-\d+-(?:cloud-|rt-)?(?:amd64|arm64)|-\d+-(?:generic|lowlatency)"
    r"|-default)|[\d.]+-[\d.]+(?:rc\d[\w.]*)?\.(?:fc|el)\d+(?:_\d+)?\.(?:x86_64|aarch64)"
)
"""Releases of kernels that Debian, Ubuntu, Fedora, Red Hat and SUSE build."""

CLAIMED = (
    "a kernel that has its patch puts devices into IOMMU groups of their own that no hardware keeps apart: a guest can then read and "
    "write the memory of devices in other groups, past the IOMMU. Remove it unless all guests and the host trust each other."
)


def words_for_another_processor(host: HostPolicy) -> t.Iterator[Finding]:
    """`intel_iommu=on` on an AMD machine, or the other way round, where nothing else switches its own IOMMU on."""
    for boot in host.boots:
        for (vendor, word), (whose, advice) in OTHERS.items():
            own = "amd_iommu" if vendor == "amd" else "intel_iommu"
            given = boot.cmdline.last(word) if vendor == host.files.vendor else None
            if given is not None and boot.cmdline.last(own) is None and not given.endswith("=off"):
                said = f"{boot.cmdline_source}: `{given}` is for {whose} processor, which this host does not have: it has no effect."
                yield Finding("word-for-another-processor", boot.cmdline_source, f"{said} {advice}")


def acs_override(host: HostPolicy) -> t.Iterator[Finding]:
    """`pcie_acs_override=` is not a part of Linux: Proxmox, CachyOS, Bazzite and linux-zen add it, other distributions do not."""
    for boot in host.boots:
        argument = next((one for one in boot.cmdline.arguments if one.startswith(("pcie_acs_override=", "pcie-acs-override="))), None)
        if argument is not None and STOCK.fullmatch(boot.release):
            said = f"{boot.cmdline_source}: {boot.release} does not have the patch that reads `{argument}`, so it has no effect."
            yield Finding("word-of-a-patch", boot.cmdline_source, f"{said} Remove it, or boot a kernel that has the patch.")
        elif argument is not None:
            yield Finding("isolation-only-claimed", boot.cmdline_source, f"{boot.cmdline_source}: with `{argument}` {CLAIMED}")
