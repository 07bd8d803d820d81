# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as large as they come: 1,000 PCI functions, and three kernels with 25,000 aliases and a boot image each."""

from __future__ import annotations

import shutil
import struct
import subprocess
import typing as t

from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

KERNELS = (DEBIAN_12, DEBIAN_13, "7.3.4+deb13-amd64")
FUNCTIONS = 1000
MODULES = 1000
ALIASES = 25
IN_IMAGE = 300
"""How many of the modules each boot image holds."""
CONFIG = struct.Struct("<HHHHBBBBBBBB28xHH16x")


def large_host(root: Path) -> Tree:
    """500 groups of two functions; each kernel's modules have been indexed by depmod itself, and DEBIAN_13 runs."""
    tree = Tree(root)
    for release in KERNELS:
        _kernel(tree, release)
    for number in range(FUNCTIONS):
        _function(tree, number)
    modprobe_d = "".join(f"blacklist driver{number}\nsoftdep driver{number} pre: vfio-pci\n" for number in range(0, 100, 10))
    return tree.running(DEBIAN_13).cmdline("root=/dev/sda1 quiet").file("/etc/modprobe.d/site.conf", modprobe_d)


def identity(number: int) -> str:
    """Each function is a device of its own: nothing that is known of one tells about another."""
    return f"{0x8000 + number // 250:04x}:{number % 250:04x}"


def _kernel(tree: Tree, release: str) -> None:
    tree.kernel(release)
    here = f"/lib/modules/{release}"
    for number in range(MODULES):
        patterns = [_pattern(number * ALIASES + place) for place in range(ALIASES)]
        tree.file(f"{here}/kernel/driver{number}.ko", module_file(release, patterns, name=f"driver{number}"))
    tree.file(f"{here}/modules.order").file(f"{here}/modules.builtin.modinfo")
    _depmod(tree, release)
    _image(tree, release)


def _pattern(number: int) -> str:
    vendor, device = identity(number).upper().split(":")
    return f"pci:v0000{vendor}d0000{device}sv*sd*bc*sc*i*"


def _depmod(tree: Tree, release: str) -> None:
    subprocess.run(["depmod", "-b", str(tree.root), release], check=True, timeout=300)


def _image(tree: Tree, release: str) -> None:
    """A boot image as mkinitramfs leaves it: some modules with depmod's files about them, and what says that it is one."""
    inner = Tree(tree.root / "image")
    for number in range(IN_IMAGE):
        path = f"/lib/modules/{release}/kernel/driver{number}.ko"
        inner.file(path, tree.place(path).read_bytes())
    for name in ("order", "builtin", "builtin.modinfo"):
        inner.file(f"/lib/modules/{release}/modules.{name}", tree.place(f"/lib/modules/{release}/modules.{name}").read_bytes())
    _depmod(inner, release)
    inner.file("/conf/modules").file("/init", "#!/bin/sh\n").file("/scripts/functions").file(
        "/etc/modprobe.d/site.conf", "blacklist driver1\n"
    )
    files = {str(path.relative_to(inner.root)): path.read_bytes() for path in sorted(inner.root.rglob("*")) if path.is_file()}
    tree.file(f"/boot/initrd.img-{release}", packed(archive(files), "zstd"))
    shutil.rmtree(inner.root)


def _function(tree: Tree, number: int) -> None:
    address = f"{number // 256:04x}:{number % 256:02x}:00.0"
    tree.pci(
        address, identity(number), group=number // 2, driver="vfio-pci" if number % 3 else None, nodes=["net/e0"] if number % 2 else []
    )
    # What lspci wants to see besides.
    vendor, device = (int(part, 16) for part in identity(number).split(":"))
    config = CONFIG.pack(vendor, device, 0, 0, 0xA1, 0, 0x02, 0x03, 0, 0, 0, 0, 0, 0)
    here = f"/sys/bus/pci/devices/{address}"
    tree.file(f"{here}/config", config).file(f"{here}/irq", "0\n").file(f"{here}/resource", "0x0 0x0 0x0\n" * 7)
