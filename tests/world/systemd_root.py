# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root of these guests: a small installation of systemd, udev, kmod, cron, at and driverctl, from Debian's packages."""

from __future__ import annotations

import shutil
from pathlib import Path

import template
from archive import MERGED
from base_archive import APPLETS, KMOD_LINKS
from kernel import Kernel
from release import ReleaseTree

PACKAGES = (
    *("at", "bash", "busybox", "cron", "dash", "dracut-core", "driverctl", "initramfs-tools-core", "kmod"),
    *("libpam-modules", "pciutils", "systemd", "systemd-sysv", "udev"),
)
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_PROGRAMS = (
    *("bash", "busybox", "dash", "kmod", "lspci", "setpci", "udevadm"),
    *("systemctl", "systemd-escape", "systemd-notify", "systemd-run", "systemd-sysext", "systemd-tmpfiles"),
    *("atd", "cron", "driverctl"),
)
#: Below usr/lib/systemd.
_SYSTEMD = ("systemd", "systemd-executor", "systemd-modules-load", "systemd-sysctl", "systemd-udevd")
_GENERATORS = ("systemd-debug-generator", "systemd-rc-local-generator", "systemd-run-generator", "systemd-sysv-generator")
#: Opened when they are first needed.
_OPENED = ("libkmod.so.2", "libmount.so.1", "libblkid.so.1", "libseccomp.so.2", "libpam.so.0", "libpam_misc.so.0", "libcrypt.so.1")
_PAM = ("pam_deny.so", "pam_env.so", "pam_limits.so", "pam_loginuid.so", "pam_permit.so")
#: What is started of what the packages bring. A whole installation takes a guest without KVM three times as long.
_WANTED = {
    "sysinit.target.wants": (
        *("kmod-static-nodes.service", "systemd-modules-load.service", "systemd-sysctl.service"),
        *("systemd-tmpfiles-setup-dev-early.service", "systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-setup.service"),
        *("systemd-udev-load-credentials.service", "systemd-udev-trigger.service", "systemd-udevd.service"),
    ),
    "sockets.target.wants": ("systemd-udevd-control.socket", "systemd-udevd-kernel.socket"),
    "timers.target.wants": ("systemd-tmpfiles-clean.timer",),
}
_MORE_APPLETS = ("awk", "logger", "nohup", "printenv", "ps", "pwd", "sync", "sysctl", "timeout", "xargs")
_MACHINE_ID = "0123456789abcdef0123456789abcdef\n"
_TEXTS = {
    "etc/default/cron": "",
    "etc/fstab": "",
    "etc/hostname": "host\n",
    "etc/machine-id": _MACHINE_ID,
    "etc/pam.d/common-account": "account required pam_permit.so\n",
    "etc/pam.d/common-auth": "auth required pam_permit.so\n",
    "etc/pam.d/common-session-noninteractive": "session required pam_permit.so\n",
    "etc/pam.d/other": "auth required pam_deny.so\naccount required pam_deny.so\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
}
_FOLDERS = (
    *("boot", "dev", "home", "proc", "root", "run", "srv", "sys", "tmp", "usr/local/bin", "usr/local/sbin", "usr/local/lib"),
    *("etc/cron.d", "etc/driverctl.d", "etc/modprobe.d", "etc/modules-load.d", "etc/sysctl.d", "etc/systemd/system", "etc/tmpfiles.d"),
    *("etc/udev/rules.d", "var/lib/systemd", "var/log", "var/spool/cron/crontabs", "var/spool/cron/atjobs", "var/spool/cron/atspool"),
)


def lay_out(release: ReleaseTree, kernel: Kernel) -> None:
    """Fill ``root`` of the kernel's folder, whose modules are there already."""
    root = kernel.folder / "root"
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in MERGED:
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    (root / "var/run").symlink_to("/run")
    for folder in ("modprobe.d", "modules-load.d", "sysctl.d", "tmpfiles.d", "udev"):
        _copy_folder(release.root / "usr/lib" / folder, root / "usr/lib" / folder)
    _copy_units(release, root)
    _copy_settings(release, root)
    _copy_programs(release, root)
    shutil.copy(release.boot_file("config", kernel.release), root / f"boot/config-{kernel.release}")


def _copy_folder(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("hwdb.d"))


def _copy_units(release: ReleaseTree, root: Path) -> None:
    source, target = release.root / "usr/lib/systemd/system", root / "usr/lib/systemd/system"
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.is_symlink() or path.is_file():
            _copy(path, target / path.name)
        elif path.suffix == ".d":
            _copy_folder(path, target / path.name)
    for folder, names in _WANTED.items():
        (target / folder).mkdir()
        for name in names:
            if (source / folder / name).is_symlink():
                _copy(source / folder / name, target / folder / name)


def _copy_settings(release: ReleaseTree, root: Path) -> None:
    etc = release.root / "etc"
    for name in ("cron.d", "default", "init.d", "pam.d", "security", "udev"):
        _copy_folder(etc / name, root / "etc" / name)
    for name in ("crontab", "os-release", "environment"):
        if (etc / name).is_file():
            _copy(etc / name, root / "etc" / name)
    _copy(release.root / "usr/lib/os-release", root / "usr/lib/os-release")
    for path, text in _TEXTS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / "etc/modules-load.d/modules.conf").symlink_to("../modules")
    (root / "etc/group").write_text(template._groups(root / "usr/lib/udev/rules.d"), encoding="utf-8")


def _copy_programs(release: ReleaseTree, root: Path) -> None:
    programs = [release.program(name) for name in _PROGRAMS]
    programs += [path for name in _SYSTEMD if (path := release.root / "usr/lib/systemd" / name).exists()]
    programs += [release.root / "usr/lib/systemd/system-generators" / name for name in _GENERATORS]
    for path in programs:
        _copy(path, root / release.installed(path).lstrip("/"))
    binaries = [path for path in programs if not path.is_symlink() and path.read_bytes().startswith(b"\x7fELF")]
    libraries = release.root / _LIBRARIES
    opened = [libraries / name for name in _OPENED if (libraries / name).exists()]
    modules = [libraries / "security" / name for name in _PAM]
    for path in {*release.libraries([*binaries, *opened, *modules]), *opened, *modules}:
        target = root / release.installed(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (root / "usr/lib64").mkdir(exist_ok=True)
    shutil.copy(release.loader, root / "usr/lib64/ld-linux-x86-64.so.2")
    _link_programs(root)


def _link_programs(root: Path) -> None:
    links = {f"usr/sbin/{name}": "../bin/kmod" for name in KMOD_LINKS}
    links |= {f"usr/bin/{name}": "busybox" for name in (*APPLETS, *_MORE_APPLETS)}
    links |= {"usr/bin/sh": "dash", "usr/sbin/init": "../lib/systemd/systemd", "usr/bin/systemd-confext": "systemd-sysext"}
    for path, target in links.items():
        place = root / path
        place.unlink(missing_ok=True)
        place.symlink_to(target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
    else:
        shutil.copy(source, target)
