# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host in which a file is replaced by what the fuzzer makes of it."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.planned_host import PlannedHost
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.boot_menus import debian_grub
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import archive
from ansible_collections.vfio.variants.tests.unit.initramfs_files import initramfs_tools
from ansible_collections.vfio.variants.tests.unit.policy_hosts import VARIANT, gpu_host
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

IMAGE: t.Final[str] = f"/boot/initrd.img-{DEBIAN_13}"
GRUB = "/boot/grub/grub.cfg"
UNIT = "/etc/systemd/system/x.service"


# What reads the configuration that targets replace, so that it counts.
SERVICES = (
    "cron",
    "anacron",
    "cloud-init",
    "cloud-config",
    "cloud-final",
    "networking",
    "NetworkManager",
    "vpp",
    "supergfxd",
    "bumblebeed",
    "dpdk",
    "kexec",
    "libvirtd",
    "pve-guests",
    "xendomains",
)


def lay_out(root: Path) -> Tree:
    """A Debian 13 with two V100, initramfs-tools and GRUB, a unit of the site, and an initramfs that is as it should be."""
    tree = gpu_host(root)
    menu = debian_grub([DEBIAN_13]).replace("menuentry '", "### BEGIN /etc/grub.d/10_linux ###\nmenuentry '", 1)
    tree.file(GRUB, f"{menu}### END /etc/grub.d/10_linux ###\n").file(IMAGE, archive(initramfs_tools()))
    tree.file("/usr/sbin/update-initramfs", "#!/bin/sh\n", 0o755)
    # What its arguments are changed by: a running kernel of GRUB's, settings, and the programs that make the menu of them.
    tree.cmdline(f"BOOT_IMAGE=/boot/vmlinuz-{DEBIAN_13} root=/dev/sda1 ro").file("/etc/os-release", "ID=debian\nVERSION_ID=13\n")
    tree.file("/etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n').file(
        "/usr/sbin/update-grub", "#!/bin/sh\n", 0o755
    )
    tree.file("/usr/sbin/grub-mkconfig", 'for x in "/etc/default/grub.d"/*.cfg ; do . "$x"; done\n', 0o755)
    tree.file(UNIT, "[Service]\nExecStart=/bin/true\n").link("/etc/systemd/system/multi-user.target.wants/x.service", UNIT)
    tree.module(VARIANT, drivers=[VARIANT]).directory("/sys/firmware/efi/efivars").directory("/etc/cron.d")
    # The first function whose network is looked at.
    tree.directory("/sys/devices/pci0000:02/0000:02:00.0/net/eth0").file("/sys/class/net/eth0/operstate", "up\n")
    _disk(tree)
    for name in SERVICES:
        tree.file(f"/usr/lib/systemd/system/{name}.service", f"[Service]\nExecStart=/usr/sbin/{name}\n")
        tree.link(f"/etc/systemd/system/multi-user.target.wants/{name}.service", f"/usr/lib/systemd/system/{name}.service")
        tree.file(f"/usr/sbin/{name}", b"\x7fELF", 0o755)
    tree.file("/usr/lib/libvirt.so.0.11003.0").file("/usr/sbin/libvirtd", b"\x7fELF", 0o755)
    tree.file("/usr/lib/dpdk/dpdk-init", "#!/bin/sh\n", 0o755)
    return tree.file("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n")


def _disk(tree: Tree) -> None:
    """One without a use, so that all that names disks is compared with it."""
    tree.pci("0000:04:00.0", "144d:a808", class_code=0x010802)
    here = "/sys/devices/pci0000:04/0000:04:00.0/nvme/nvme0/nvme0n1"
    tree.file(f"{here}/dev", "259:0\n").file(f"{here}/uevent", "MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\nDEVTYPE=disk\n")
    tree.link(f"{here}/subsystem", "/sys/class/block").link("/sys/class/block/nvme0n1", here).link("/sys/dev/block/259:0", here)
    tree.file("/run/udev/data/b259:0", "E:ID_FS_TYPE=ext4\nE:ID_FS_UUID=0f22fa61-1111-2222-3333-444455556666\n")


@functools.lru_cache(maxsize=1)
def tree() -> Tree:
    """One for this process; gone when it ends."""
    root = Path(tempfile.mkdtemp(prefix="vfio-variants-fuzz-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return lay_out(root)


@functools.lru_cache(maxsize=1)
def kernel() -> Kernel:
    return Kernel.read(tree().host(), DEBIAN_13)


@functools.lru_cache(maxsize=1)
def inventory() -> Inventory:
    return Inventory.read(tree().host())


def with_files(files: t.Mapping[str, bytes | None]) -> PlannedHost:
    """The host with these files instead of its own."""
    base = tree()
    return PlannedHost(base.host(Commands(base.root)), dict(files))
