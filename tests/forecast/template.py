# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every configuration's root has before its own files come: the modules, and the distribution's rules and settings."""

from __future__ import annotations

import shutil
from pathlib import Path

from kernel import Kernel
from release import ReleaseTree

#: Folders of the distribution below /usr/lib.
_FOLDERS = ("udev/rules.d", "modprobe.d", "modules-load.d")
_UNITS = ("systemd-modules-load.service", "systemd-udev-trigger.service", "systemd-udevd.service", "driverctl@.service")
#: The programs are the guest's own; to who reads the tree, their being there says which init the root has.
_PRESENT = ("usr/lib/systemd/systemd", "usr/lib/systemd/systemd-udevd", "usr/bin/udevadm", "usr/bin/kmod")
#: As hooks/udev of initramfs-tools names them.
IMAGE_RULES = (
    "50-firmware.rules",
    "50-udev-default.rules",
    "60-block.rules",
    "60-persistent-storage.rules",
    "71-seat.rules",
    "73-special-net-names.rules",
    "75-net-description.rules",
    "80-net-setup-link.rules",
    "80-drivers.rules",
)


def lay_out(release: ReleaseTree, kernel: Kernel) -> None:
    """Fill ``root`` of the kernel's folder, whose modules are there already."""
    root = kernel.folder / "root"
    for path in _FOLDERS:
        target = root / "usr/lib" / path
        target.mkdir(parents=True, exist_ok=True)
        for source in sorted((release.root / "usr/lib" / path).glob("*")):
            if source.is_file():
                shutil.copy(source, target / source.name)
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name in _UNITS:
        shutil.copy(release.root / "usr/lib/systemd/system" / name, units / name)
    for name in _PRESENT:
        _empty(root / name)
    _empty(root / f"usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-{release.systemd_version}.so")
    (root / "usr/sbin").mkdir(parents=True)
    (root / "usr/sbin/init").symlink_to("../lib/systemd/systemd")
    shutil.copy(release.program("driverctl"), root / "usr/sbin/driverctl")
    for name in ("bin", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/modules-load.d").mkdir(parents=True)
    (root / "etc/modules-load.d/modules.conf").symlink_to("../modules")
    (root / "etc/group").write_text(_groups(root / "usr/lib/udev/rules.d"), encoding="utf-8")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="utf-8")
    (root / "boot").mkdir()
    shutil.copy(release.boot_file("config", kernel.release), root / f"boot/config-{kernel.release}")


def _empty(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)


def _groups(rules: Path) -> str:
    """The groups that the rules name: base-passwd and udev's maintainer script make them on a real system."""
    names = {"root": 0}
    for path in sorted(rules.glob("*.rules")):
        for part in path.read_text(encoding="utf-8").split('GROUP="')[1:]:
            names.setdefault(part.partition('"')[0], len(names) + 100)
    return "".join(f"{name}:x:{number}:\n" for name, number in names.items())
