# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as large as they come: 1,000 PCI functions, and three kernels with 25,000 aliases and a initramfs each."""

from __future__ import annotations

import shutil
import struct
import subprocess
import typing as t

from ansible_collections.vfio.variants.tests.unit import boot_menus, initramfs_files
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

KERNELS = (DEBIAN_13, DEBIAN_12, "7.3.4+deb13-amd64")
FUNCTIONS = 1000
MODULES = 1000
ALIASES = 25
IN_IMAGE = 300
"""How many of the modules each initramfs image holds."""
CONFIG = struct.Struct("<HHHHBBBBBBBB28xHH16x")


def large_host(root: Path, kinds: int, functions: int = FUNCTIONS) -> Tree:
    """Groups of two functions, of ``kinds`` kinds; each kernel's modules have been indexed by depmod itself, and the first runs."""
    # Every host has /var/cache; without it nothing would be kept.
    tree = Tree(root).systemd().directory("/var/cache")
    for release in KERNELS:
        _kernel(tree, release)
    for number in range(functions):
        _function(tree, number, identity(number % kinds))
    modprobe_d = "".join(f"blacklist driver{number}\nsoftdep driver{number + 1} pre: vfio-pci\n" for number in range(0, 40, 10))
    tree.file("/etc/modprobe.d/site.conf", f"{modprobe_d}options vfio-pci ids={identity(0)},{identity(30)}\n")
    tree.file("/boot/grub/grub.cfg", boot_menus.debian_grub(KERNELS))
    return tree.running(KERNELS[0]).cmdline(f"{boot_menus.ROOT} quiet")


def identity(number: int) -> str:
    """The vendor and device of a kind."""
    return f"{0x8000 + number // 250:04x}:{number % 250:04x}"


def _kernel(tree: Tree, release: str) -> None:
    tree.kernel(release)
    here = f"/lib/modules/{release}/kernel"
    for number in range(MODULES):
        ids = tuple(_entry(number * ALIASES + place) for place in range(ALIASES))
        tree.file(f"{here}/driver{number}.ko", _module(release, f"driver{number}", ids))
    tree.file(f"{here}/vfio-pci.ko", _module(release, "vfio-pci", (Entry(override=1),)))
    tree.file(f"/lib/modules/{release}/modules.order").file(f"/lib/modules/{release}/modules.builtin.modinfo")
    _depmod(tree, release)
    _image(tree, release)


def _entry(number: int) -> Entry:
    vendor, device = (int(part, 16) for part in identity(number).split(":"))
    return Entry(vendor, device)


def _module(release: str, name: str, ids: tuple[Entry, ...]) -> bytes:
    return driver_file(release, [Driver(name.encode(), ids)], aliases=[entry.alias for entry in ids], parmtype="ids:string")


def _depmod(tree: Tree, release: str) -> None:
    subprocess.run(["depmod", "-b", str(tree.root), release], check=True, timeout=300)


def _image(tree: Tree, release: str) -> None:
    """A initramfs image as mkinitramfs leaves it: some modules with depmod's files about them, modprobe.d, and its scripts.

    Python itself unpacks gzip, so that nothing else is needed where the tree is the root.
    """
    inner = Tree(tree.root / "image")
    for name in (*(f"driver{number}" for number in range(IN_IMAGE)), "vfio-pci"):
        path = f"/lib/modules/{release}/kernel/{name}.ko"
        inner.file(path, tree.place(path).read_bytes())
    for name in ("order", "builtin", "builtin.modinfo"):
        inner.file(f"/lib/modules/{release}/modules.{name}", tree.place(f"/lib/modules/{release}/modules.{name}").read_bytes())
    _depmod(inner, release)
    made = {f"usr/{path.relative_to(inner.root).as_posix()}": path.read_bytes() for path in sorted(inner.root.rglob("*")) if path.is_file()}
    content = {**initramfs_files.initramfs_tools({}, release=release), "etc/modprobe.d/site.conf": "blacklist driver1\n", **made}
    tree.file(f"/boot/initrd.img-{release}", packed(archive(content), "gzip"))
    shutil.rmtree(inner.root)


def _function(tree: Tree, number: int, pci_id: str) -> None:
    address = f"{number // 256:04x}:{number % 256:02x}:00.0"
    tree.pci(address, pci_id, group=number // 2, driver="vfio-pci" if number % 3 else None, nodes=["net/e0"] if number % 2 else [])
    # What lspci wants to see besides.
    vendor, device = (int(part, 16) for part in pci_id.split(":"))
    config = CONFIG.pack(vendor, device, 0, 0, 0xA1, 0, 0x02, 0x03, 0, 0, 0, 0, 0, 0)
    here = f"/sys/bus/pci/devices/{address}"
    tree.file(f"{here}/config", config).file(f"{here}/irq", "0\n").file(f"{here}/resource", "0x0 0x0 0x0\n" * 7)
