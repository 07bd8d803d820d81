# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the guest's EFI system partition, and what each boot changes in the firmware's variables before the next one."""

from __future__ import annotations

import struct
import typing as t
from pathlib import Path

from archive import Archive

from ansible_collections.vfio.variants.tests.uefi.materials import Materials

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.gpt import Partition

# Given here once, by systemd's documentation; the firmware and the loaders would ignore what stands under any other.
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
SYSTEMD_BOOT = "EFI/systemd/systemd-bootx64.efi"
UNIFIED = "EFI/Linux/unified.efi"
GRUB = "EFI/debian/grubx64.efi"
CONSOLE = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check"
_HERE = Path(__file__).resolve().parent
_ATTRIBUTES = struct.pack("<I", 7)
_ACTIVE = 1
_FILE_PATH, _HARD_DRIVE, _END = (4, 4), (4, 1), (0x7F, 0xFF)

TEXTS = {
    "loader/loader.conf": "timeout 0\ndefault first.conf\nconsole-mode keep\n",
    "loader/entries/first.conf": f"title First\nlinux /linux\ninitrd /base.img\noptions {CONSOLE} entry=first\n",
    "loader/entries/second.conf": (
        f"title Second\nlinux /linux\ninitrd /base.img\ninitrd /more.img\noptions {CONSOLE}\noptions entry=second vfio-pci.ids=10de:1db1\n"
    ),
    "EFI/debian/grub.cfg": (
        f"set timeout=0\nset default=0\nmenuentry 'GRUB' {{\n  linux /linux {CONSOLE} entry=grub\n  initrd /base.img /more.img\n}}\n"
    ),
}


def lay_out(materials: Materials, folder: Path, partition: Partition) -> None:
    """The partition's files below `folder`."""
    for place, text in TEXTS.items():
        write_file(folder / place, text.encode())
    loader = materials.root / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    for place in (SYSTEMD_BOOT, "EFI/BOOT/BOOTX64.EFI"):
        write_file(folder / place, loader.read_bytes())
    write_file(folder / GRUB, (materials.root / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed").read_bytes())
    write_file(folder / "linux", materials.kernel.read_bytes())
    write_file(folder / "base.img", _base(materials, partition))
    write_file(folder / "more.img", _marker("more"))
    unified = folder / UNIFIED
    unified.parent.mkdir(parents=True)
    words = (f"--linux={materials.kernel}", f"--initrd={folder / 'base.img'}", f"--uname={materials.release}")
    materials.ukify(*words, f"--cmdline={CONSOLE} entry=unified", f"--output={unified}")
    addons = folder / f"{UNIFIED}.extra.d"
    addons.mkdir()
    materials.ukify("--cmdline=addon=own", f"--output={addons / 'own.addon.efi'}")
    everywhere = folder / "loader/addons"
    everywhere.mkdir()
    materials.ukify("--cmdline=addon=global", f"--output={everywhere / 'all.addon.efi'}")


def changes(partition: Partition) -> tuple[dict[str, bytes], ...]:
    """What each boot writes, by variable; there is one boot more than the last change, which only looks."""
    stub = f"{CONSOLE} entry=stub initrd=\\base.img"
    options = {
        f"Boot0100-{GLOBAL}": _option("Unified", partition, UNIFIED),
        f"Boot0101-{GLOBAL}": _option("Kernel", partition, "linux", stub.encode("utf-16-le") + b"\0\0"),
        f"Boot0102-{GLOBAL}": _option("debian", partition, GRUB),
        f"Boot0103-{GLOBAL}": _option("Linux Boot Manager", partition, SYSTEMD_BOOT),
    }
    return (
        options,
        {f"LoaderEntryOneShot-{LOADER}": _text("second.conf")},
        {f"LoaderEntryDefault-{LOADER}": _text("UNIFIED.*")},
        {f"BootNext-{GLOBAL}": _numbers(0x100)},
        {f"BootNext-{GLOBAL}": _numbers(0x101)},
        {f"BootNext-{GLOBAL}": _numbers(0x102)},
        {f"BootOrder-{GLOBAL}": _numbers(0x102, 0x103)},
        {f"BootNext-{GLOBAL}": _numbers(0x103)},
        {},
        {},
    )


def _base(materials: Materials, partition: Partition) -> bytes:
    archive = started_by(materials, "init")
    archive.folder("/changes")
    archive.file("/loaded-base", "")
    for number, written in enumerate(changes(partition)):
        archive.folder(f"/changes/{number}")
        for name, content in written.items():
            archive.file(f"/changes/{number}/{name}", content)
    return archive.content()


def started_by(materials: Materials, program: str) -> Archive:
    """An initramfs in the making, with busybox, efivarfs, and that file of `guest` as its init."""
    archive = Archive()
    for name in ("dev", "proc", "sys", "usr/bin"):
        archive.folder(f"/{name}")
    archive.link("/bin", "usr/bin")
    archive.file("/init", (_HERE / "guest" / program).read_bytes(), 0o755)
    archive.file("/usr/bin/busybox", (materials.root / "usr/bin/busybox").read_bytes(), 0o755)
    for name in ("base64", "cat", "dd", "grep", "insmod", "ls", "mount", "poweroff", "printf", "reboot", "rmmod", "sh", "sync"):
        archive.link(f"/usr/bin/{name}", "busybox")
    archive.file("/efivarfs.ko", materials.module("kernel/fs/efivarfs/efivarfs.ko.xz"))
    return archive


def _marker(name: str) -> bytes:
    archive = Archive()
    archive.file(f"/loaded-{name}", "")
    return archive.content()


def write_file(path: Path, content: bytes) -> None:
    """A file of the partition, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _text(value: str) -> bytes:
    return _ATTRIBUTES + (value + "\0").encode("utf-16-le")


def _numbers(*numbers: int) -> bytes:
    return _ATTRIBUTES + struct.pack(f"<{len(numbers)}H", *numbers)


def _option(title: str, partition: Partition, path: str, data: bytes = b"") -> bytes:
    """An EFI_LOAD_OPTION with a partition of a hard disk and a file on it.  (UEFI specification 2.10, 3.1.3 and 10.3.5)"""
    place = struct.pack("<IQQ16sBB", 2, partition.first, partition.sectors, partition.guid.bytes_le, 2, 2)
    name = ("\\" + path.replace("/", "\\") + "\0").encode("utf-16-le")
    nodes = b"".join(_node(kind, body) for kind, body in ((_HARD_DRIVE, place), (_FILE_PATH, name), (_END, b"")))
    return _ATTRIBUTES + struct.pack("<IH", _ACTIVE, len(nodes)) + (title + "\0").encode("utf-16-le") + nodes + data


def _node(kind: tuple[int, int], body: bytes) -> bytes:
    return struct.pack("<BBH", *kind, 4 + len(body)) + body
