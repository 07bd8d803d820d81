# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the initramfs that is the same for all configurations of a kernel: programs, and the root without its own files."""

from __future__ import annotations

from pathlib import Path

from archive import MERGED, Archive
from kernel import Kernel
from release import ReleaseTree

_GUEST = Path(__file__).resolve().parent / "guest"
#: The root's, but for those that the image has as well.
_PROGRAMS = ("bash", "busybox", "kmod", "systemd-modules-load", "udevadm")
KMOD_LINKS = ("insmod", "lsmod", "modinfo", "modprobe", "rmmod")
APPLETS = (
    *("basename", "cat", "chmod", "chroot", "cp", "cut", "date", "dirname", "echo", "env", "expr", "find", "grep", "head", "ln", "ls"),
    *(
        "mkdir",
        "mknod",
        "mktemp",
        "mount",
        "mv",
        "printf",
        "readlink",
        "realpath",
        "reboot",
        "rm",
        "rmdir",
        "sed",
        "seq",
        "setsid",
        "sh",
        "sleep",
    ),
    *("sort", "tail", "tee", "test", "touch", "tr", "true", "umount", "uname", "wc"),
)
_FOLDERS = ("dev", "proc", "run", "sys", "tmp", "etc", "var")
#: Mounted over the root's own by guest/enter-root.
_SHARED = ("usr/bin", "usr/sbin", "usr/lib64", "usr/lib/forecast", "usr/lib/systemd", "usr/lib/x86_64-linux-gnu")
_UDEVADM = "/usr/lib/forecast/udevadm"


def make(release: ReleaseTree, kernel: Kernel) -> None:
    archive = Archive()
    _add_folders(archive)
    _add_programs(archive, release)
    _add_guest(archive)
    root = kernel.folder / "root"
    for top in ("etc", "usr/lib/modprobe.d", "usr/lib/modules", "usr/lib/modules-load.d", "usr/lib/udev"):
        archive.tree(root / top, f"/root/{top}")
    kernel.base.write_bytes(archive.content())


def _add_folders(archive: Archive) -> None:
    for root in ("", "root/"):
        for name in _FOLDERS:
            archive.folder(root + name)
        for name in MERGED:
            archive.folder(f"{root}usr/{name}")
            archive.link(f"{root}{name}", f"usr/{name}")
    for name in _SHARED:
        archive.folder(f"root/{name}")


def _add_programs(archive: Archive, release: ReleaseTree) -> None:
    programs = {name: release.program(name) for name in _PROGRAMS}
    for name, path in programs.items():
        archive.file(_UDEVADM if name == "udevadm" else release.installed(path), path.read_bytes(), 0o755)
    for path in release.libraries(programs.values()):
        archive.file(release.installed(path), path.read_bytes(), 0o755)
    archive.file("/usr/lib64/ld-linux-x86-64.so.2", release.loader.read_bytes(), 0o755)
    archive.link("/usr/lib/systemd/systemd-udevd", _UDEVADM)
    archive.file("/usr/sbin/driverctl", release.program("driverctl").read_bytes(), 0o755)
    for name in KMOD_LINKS:
        archive.link(f"/usr/sbin/{name}", "/usr/bin/kmod")
    for name in APPLETS:
        archive.link(f"/usr/bin/{name}", "busybox")


def _add_guest(archive: Archive) -> None:
    archive.file("/init", (_GUEST / "init").read_bytes(), 0o755)
    archive.file("/usr/bin/udevadm", (_GUEST / "udevadm").read_bytes(), 0o755)
    archive.file("/forecast/enter-root", (_GUEST / "enter-root").read_bytes())
    for root in ("", "/root"):
        archive.file(f"{root}/forecast/report", (_GUEST / "report").read_bytes())
    archive.file("/root/forecast/capture", (_GUEST / "capture").read_bytes())
    archive.file("/root/forecast/root", (_GUEST / "root").read_bytes(), 0o755)
