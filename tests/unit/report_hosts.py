# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to write reports about, through the modules that a report asks."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._report.adapter import DEVICE_INFO, host_data
from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import HostData
from ansible_collections.vfio.variants.tests.unit.boot_menus import debian_grub
from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.initramfs_files import initramfs_tools
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.policy_hosts import BUILT, STOCK, VARIANT, kernel
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

OLD = "6.12.90+deb13-amd64"
WHEN = 1_795_867_564
FIRST_GPU, SECOND_GPU, NIC = "0000:03:00.0", "0000:04:00.0", "0000:05:00.0"
AUDIO = "0000:03:00.1"
VIRTUAL_FUNCTIONS = 6


def gpu_host(root: Path) -> Tree:
    """Two V100 behind bridges, one claimed for its variant, which only the newer kernel has; a NIC with virtual functions."""
    tree = kernel(Tree(root), DEBIAN_13, {**BUILT, "igb": ["pci:v00008086d00001521sv*sd*bc*sc*i*"]})
    kernel(tree, OLD, STOCK, running=False)
    tree.file("/boot/grub/grub.cfg", debian_grub((DEBIAN_13, OLD)))
    for bridge, group in (("0000:00:01.0", 1), ("0000:00:02.0", 2), ("0000:00:03.0", 3)):
        tree.pci(bridge, "8086:3420", class_code=0x060400, group=group, driver="pcieport")
    tree.pci(FIRST_GPU, driver="nouveau", group=1, below="0000:00:01.0", boot_vga=True, nodes=["drm/card0"])
    tree.pci(AUDIO, "10de:10f2", class_code=0x040300, group=1, below="0000:00:01.0")
    tree.pci(SECOND_GPU, driver="nouveau", group=2, below="0000:00:02.0", nodes=["drm/card1"])
    tree.pci(NIC, "8086:1521", class_code=0x020000, driver="igb", group=20, below="0000:00:03.0", nodes=["net/enp5s0"])
    for number in range(VIRTUAL_FUNCTIONS):
        tree.pci(f"0000:05:10.{number}", "8086:1520", class_code=0x020000, group=30 + number, physical_function=NIC, below="0000:00:03.0")
    tree.pci("0000:00:1f.2", "8086:a182", class_code=0x010601, group=9)
    keys = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{SECOND_GPU}"'
    tree.file("/etc/udev/rules.d/60-gpu.rules", f'{keys}, ATTR{{driver_override}}="{VARIANT}", RUN{{builtin}}+="kmod load {VARIANT}"\n')
    tree.file("/etc/modprobe.d/gpu.conf", "blacklist nouveua\nblacklist vfio_pci\n")
    for release in (DEBIAN_13, OLD):
        tree.file(f"/boot/initrd.img-{release}", packed(archive(initramfs_tools(release=release)), "gzip"))
    return tree


def examined(tree: Tree, name: str = "gpu-1", claims: list[dict[str, t.Any]] | None = None) -> HostData:
    """What a report knows of the host, by the modules themselves."""
    devices = device_info(tree.host(), **DEVICE_INFO)
    checked = None if claims is None else claim_info(tree.host(), claims=claims)
    return host_data(name, WHEN, devices, checked)
