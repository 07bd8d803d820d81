# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of which some files are not what they should be: no files at all, gigabytes, circles, or content that is hostile or damaged.

Each host is asked everything in a process of its own, see ``asked_host.py``.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import socket
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.tests.fuzz import base_host
from ansible_collections.vfio.variants.tests.fuzz import corpus_files as corpus
from ansible_collections.vfio.variants.tests.fuzz.asked_host import Asking
from ansible_collections.vfio.variants.tests.fuzz.progress import Count
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

Draw = random.Random

LARGEST_KEPT = 64 << 20
MODULES_FOLDER = f"/lib/modules/{DEBIAN_13}"
PLACES = (
    "/etc/modprobe.d/x.conf", "/etc/udev/rules.d/10-x.rules", "/usr/lib/udev/rules.d/80-drivers.rules", "/etc/modules",
    "/etc/modules-load.d/x.conf",
    "/etc/fstab", "/etc/crypttab", "/etc/crontab", "/etc/cron.d/x", "/etc/tmpfiles.d/x.conf", "/etc/sysctl.d/x.conf", "/etc/rc.local",
    "/etc/kdump.conf",
    "/etc/systemd/system/x.service", "/etc/network/interfaces", "/etc/cloud/cloud.cfg", "/etc/default/grub", "/etc/dracut.conf.d/x.conf",
    "/etc/initramfs-tools/modules", "/etc/initramfs-tools/hooks/x", "/etc/kernel/cmdline", "/etc/driverctl.d/pci-0000:3b:00.0",
    "/etc/dpdk/interfaces",
    "/etc/libvirt/qemu/autostart/x.xml", "/etc/pve/qemu-server/100.conf", "/etc/vpp/startup.conf", "/etc/os-release",
    "/etc/dkms/framework.conf",
    "/etc/veritytab", "/etc/integritytab", "/etc/crypttab.initramfs", "/etc/auto.master", "/etc/netplan/x.yaml",
    "/etc/systemd/network/x.network", "/etc/systemd/network/x.link",
    "/etc/NetworkManager/NetworkManager.conf", "/etc/NetworkManager/system-connections/x.nmconnection",
    "/etc/sysconfig/network-scripts/ifcfg-x", "/etc/sysconfig/network/ifcfg-x", "/etc/sysconfig/network/routes",
    "/etc/default/grub.d/x.cfg", "/etc/default/kdump-tools", "/usr/sbin/grub-mkconfig", "/boot/grub/grubenv", "/boot/refind_linux.conf",
    "/etc/mkinitcpio.conf", "/etc/mkinitcpio.d/linux.preset", "/etc/initramfs-tools/conf.d/x", "/etc/cmdline.d/x.conf",
    "/etc/containers/systemd/x.container", "/usr/lib/udev/hwdb.d/x.hwdb", "/etc/dkms/x.conf",
    "/boot/grub/grub.cfg", "/boot/loader/entries/x.conf", "/boot/efi/loader/loader.conf", "/boot/efi/EFI/Linux/x.efi",
    "/boot/limine.conf",
    "/boot/extlinux/extlinux.conf", base_host.IMAGE, f"/boot/vmlinuz-{DEBIAN_13}", f"/boot/config-{DEBIAN_13}",
    f"{MODULES_FOLDER}/modules.alias", f"{MODULES_FOLDER}/modules.dep", f"{MODULES_FOLDER}/modules.builtin",
    f"{MODULES_FOLDER}/modules.builtin.modinfo",
    f"{MODULES_FOLDER}/modules.alias.bin", f"{MODULES_FOLDER}/modules.order",
    f"{MODULES_FOLDER}/modules.softdep", f"{MODULES_FOLDER}/kernel/drivers/vfio-pci.ko", f"{MODULES_FOLDER}/kernel/drivers/nouveau.ko",
    "/proc/cmdline", "/proc/self/mountinfo", "/proc/swaps", "/proc/net/route", "/proc/modules", "/proc/sys/kernel/osrelease",
    "/proc/kallsyms",
    "/proc/cpuinfo", "/sys/bus/pci/devices/0000:3b:00.0/vendor", "/sys/bus/pci/devices/0000:3b:00.0/modalias",
    "/sys/bus/pci/devices/0000:3b:00.0/uevent", "/sys/bus/pci/devices/0000:3b:00.0/driver_override",
    "/sys/firmware/efi/efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    "/var/lib/dpkg/status", "/var/lib/dpkg/info/x.md5sums", "/var/lib/rpm/rpmdb.sqlite", "/usr/src/x-1/dkms.conf",
    "/var/lib/dkms/x/1/source",
)  # fmt: skip
FOLDERS = (
    "/etc/modprobe.d",
    "/etc/udev/rules.d",
    "/boot",
    "/boot/grub",
    MODULES_FOLDER,
    "/etc/systemd/system",
    "/sys/bus/pci/devices/0000:3b:00.0",
    "/etc/cron.d",
)


def run(count: Count, seed: int, say: t.Callable[[str], None]) -> int:
    """How many hosts are answered wrongly, too late, or with too much memory; each is shown."""
    with Asking() as asking:
        for number in count.left():
            draw = random.Random(f"{seed}-{number}")  # noqa: S311 - drawn again in the same way
            with tempfile.TemporaryDirectory(prefix="vfio-variants-tree-") as folder:
                # By links, which are taken away before something else gets their names; nothing is written to a host here.
                shutil.copytree(base_host.tree().root, f"{folder}/root", symlinks=True, copy_function=os.link)
                tree = Tree(Path(folder, "root"))
                done = [spoil(tree, draw) for _file in range(draw.randint(1, 4))]
                wrong = asking.about(tree.root)
            if wrong is not None:
                count.faults += 1
                say(f"FAILED trees {seed}-{number}: {wrong}\n  {'; '.join(done)}")
            if count.after(number):
                say(f"{number + 1} hosts, {count.faults} answered wrongly")
    return count.faults


def spoil(tree: Tree, draw: Draw) -> str:
    """Do something to one of the host's files; says what."""
    path = draw.choice(FOLDERS if draw.random() < 0.08 else PLACES)
    place = tree.place(path)
    way = draw.choice(WAYS)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # A link may have been put there, to what blocks.
        before = _beginning(place) if place.is_file() and not place.is_symlink() else b""
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        way(place, before, draw)
    except OSError as error:
        # An earlier file is in the way of this one.
        return f"{path}: {way.__name__} ({error.strerror})"
    return f"{path}: {way.__name__}"


def _beginning(place: Path) -> bytes:
    """What is in the file, of a gigabyte that was put there before only a part."""
    with place.open("rb") as file:
        return file.read(LARGEST_KEPT)


Way = t.Callable[[Path, bytes, Draw], object]


def missing(_place: Path, _before: bytes, _draw: Draw) -> None:
    """It is gone."""


def fifo(place: Path, _before: bytes, _draw: Draw) -> None:
    os.mkfifo(place)


def listening(place: Path, _before: bytes, _draw: Draw) -> None:
    # A socket's path is limited to 107 bytes.
    here = os.open(place.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(f"/proc/self/fd/{here}/{place.name}")
    finally:
        os.close(here)


def device(place: Path, _before: bytes, draw: Draw) -> None:
    os.mknod(place, 0o600 | draw.choice((0o020000, 0o060000)), os.makedev(draw.choice((1, 5, 10)), draw.choice((3, 5, 130))))


def folder(place: Path, _before: bytes, _draw: Draw) -> None:
    (place / "below").mkdir(parents=True)


def circle(place: Path, _before: bytes, _draw: Draw) -> None:
    place.symlink_to(place.name)


def outside(place: Path, _before: bytes, draw: Draw) -> None:
    place.symlink_to(draw.choice(("/dev/zero", "/dev/null", "../../../../../../../../dev/zero", "/proc/kmsg", "/nothing", ".")))


def sparse(place: Path, before: bytes, draw: Draw) -> None:
    place.write_bytes(before)
    os.truncate(place, draw.choice((1 << 25, (1 << 28) - 1, 1 << 30, 1 << 40)))


def zeros(place: Path, _before: bytes, _draw: Draw) -> None:
    place.write_bytes(bytes(4 << 20))


def lines(place: Path, _before: bytes, draw: Draw) -> None:
    place.write_bytes(draw.choice((b"\n", b"a\n", b"x=y\n", b"\\\n", b"{\n", b"if true; then\n", b"[x]\n", b"- \n")) * 200_000)


def one_line(place: Path, _before: bytes, draw: Draw) -> None:
    place.write_bytes(draw.choice((b"a", b"*", b"(", b"[", b"{", b'"', b"\\", b"$(", b"a,", b"/", b" ", b"${", b"<a>", b"0")) * 300_000)


def garbage(place: Path, _before: bytes, draw: Draw) -> None:
    place.write_bytes(draw.randbytes(draw.choice((1, 100, 5000))))


def damaged(place: Path, before: bytes, draw: Draw) -> None:
    data = bytearray(before or draw.randbytes(200))
    for _byte in range(draw.randint(1, 20)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    place.write_bytes(data)


def cut_off(place: Path, before: bytes, draw: Draw) -> None:
    place.write_bytes(before[: draw.randrange(len(before) + 1)])


def again(place: Path, before: bytes, draw: Draw) -> None:
    place.write_bytes(before * draw.choice((2, 50, 1000)) if len(before) < 10_000 else before * 2)


@functools.lru_cache(maxsize=1)
def _all_kept() -> tuple[bytes, ...]:
    return tuple(one.data for path in sorted(corpus.FOLDER.glob("*.json")) for one in corpus.read(path.stem))


def kept(place: Path, _before: bytes, draw: Draw) -> None:
    """One of the inputs that the fuzzer keeps, of any parser."""
    place.write_bytes(draw.choice(_all_kept()))


WAYS: tuple[Way, ...] = (
    missing, fifo, listening, device,
    folder, circle, outside, sparse, zeros, lines, one_line, garbage, damaged, cut_off, again, kept, kept, damaged,
)  # fmt: skip
