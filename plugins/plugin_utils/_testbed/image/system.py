# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system inside a test image: its packages, its files, and the fixtures for emulated GPUs."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.guest_file import GuestFile
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.recipe import Recipe
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image import esp, grub
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.options import IMAGE_PREFIX, ImageOptions

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
ADDRESS = "10.0.2.15"

_COMMANDS = (("systemctl", "enable", "systemd-networkd.service"),)

_PACKAGES = (
    "systemd-sysv udev dbus e2fsprogs kmod pciutils iproute2 procps sudo zstd openssh-server python3 python3-apt"
    " dkms gcc make libc6-dev grub-pc-bin grub2-common"
).split()

#: Units that only cost time in a machine that lives for minutes.
_SLOW_UNITS = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer"
    " systemd-networkd-wait-online.service systemd-pcrphase.service systemd-binfmt.service ldconfig.service"
    " systemd-journal-catalog-update.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount"
    " getty@tty1.service grub-common.service grub-initrd-fallback.service"
).split()

#: Static, because the emulated network is always the same one; only the management card, so that any other card is free to claim.
_NETWORK = f"""[Match]
Driver=virtio_net
[Network]
Address={ADDRESS}/24
Gateway=10.0.2.2
LinkLocalAddressing=no
IPv6AcceptRA=no
"""

_AUTOLOGIN = """[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200 - vt220
"""

#: An emulated guest on a busy machine needs longer than the 90 seconds after which systemd gives a device up.
_PATIENCE = """[Manager]
DefaultDeviceTimeoutSec=600s
DefaultTimeoutStartSec=600s
"""

#: The kernel finds the root disk with these; the generator that asks the running machine (dep) sees the builder's, not the guest's.
_BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4")


def recipe_of(options: ImageOptions, public_key: str) -> Recipe:
    """The recipe of an image that lets the owner of `public_key` (one line of authorized_keys) log in as root."""
    arguments = _kernel_arguments(options)
    return Recipe(
        sources=options.suite.sources(options.mirror, options.components),
        packages=(*_PACKAGES, *_loader_packages(options), options.initramfs, *_with_headers(options.kernels), *options.packages),
        files_before_packages=(*_system_files(options, public_key), _grub_defaults(arguments)),
        files_after_packages=_files_after_packages(options),
        commands=(*_COMMANDS, *_grub_commands()),
        kernel_arguments=arguments,
        size=options.size,
    )


def _loader_packages(options: ImageOptions) -> tuple[str, ...]:
    return esp.PACKAGES if options.firmware == "uefi" else ()


def _with_headers(kernels: tuple[str, ...]) -> tuple[str, ...]:
    return (*kernels, *(name.replace(IMAGE_PREFIX, "linux-headers-", 1).replace("-unsigned", "") for name in kernels))


def _grub_commands() -> tuple[tuple[str, ...], ...]:
    modules = f"/usr/lib/grub/{grub.PLATFORM}"
    core = f"/boot/grub/{grub.PLATFORM}/core.img"
    return (
        ("mkdir", "-p", "/boot/grub"),
        ("cp", "-r", modules, "/boot/grub/"),
        ("grub-mkimage", "-O", grub.PLATFORM, "-p", grub.PREFIX, "-o", core, *grub.CORE_MODULES),
        ("grub-editenv", "/boot/grub/grubenv", "create"),
    )


def _kernel_arguments(options: ImageOptions) -> tuple[str, ...]:
    """The kernel command line behind root=."""
    # Nouveau of Linux 6.1 fails on a GV100 without the security processor's signed firmware unless told to leave it alone;
    # 6.12 and newer only look whether the files exist.
    without_sec2 = ("nouveau.config=sec2=0",) if options.nouveau_fixtures and options.suite.name == "bookworm" else ()
    return ("console=ttyS0", "mitigations=off", "audit=0", "quiet", *without_sec2, *options.kernel_arguments)


def _grub_defaults(arguments: t.Sequence[str]) -> GuestFile:
    settings = {
        "GRUB_DEFAULT": "0",
        "GRUB_TIMEOUT": "0",
        "GRUB_DISTRIBUTOR": "Debian",
        "GRUB_CMDLINE_LINUX_DEFAULT": '""',
        "GRUB_CMDLINE_LINUX": f'"{" ".join(arguments)}"',
        "GRUB_TERMINAL": "console",
        "GRUB_DISABLE_OS_PROBER": "true",
        "GRUB_DISABLE_SUBMENU": "true",
    }
    return GuestFile("/etc/default/grub", "".join(f"{name}={value}\n" for name, value in settings.items()))


def _system_files(options: ImageOptions, public_key: str) -> tuple[GuestFile, ...]:
    """Files that must be there before the packages are configured: the initramfs is built then."""
    preference = options.suite.preference("linux-*")
    return (
        GuestFile("/etc/hostname", "testbed\n"),
        GuestFile("/etc/hosts", "127.0.0.1 localhost testbed\n"),
        GuestFile("/etc/fstab", "LABEL=root / ext4 defaults,noatime 0 1\n" + (esp.FSTAB if options.firmware == "uefi" else "")),
        GuestFile("/etc/systemd/network/10-management.network", _NETWORK),
        GuestFile("/etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf", _AUTOLOGIN),
        GuestFile("/etc/systemd/system.conf.d/testbed.conf", _PATIENCE),
        GuestFile("/etc/ssh/sshd_config.d/testbed.conf", f"UseDNS no\nHostKey {HOST_KEY}\nPermitRootLogin prohibit-password\n"),
        GuestFile("/root/.ssh/authorized_keys", public_key + "\n", mode=0o600),
        *((GuestFile("/etc/apt/preferences.d/testbed", preference),) if preference else ()),
        *(GuestFile.masked_unit(unit) for unit in _SLOW_UNITS),
        *(_initramfs_files(options.initramfs, options.initramfs_modules, built_elsewhere=True)),
        *(_nouveau_fixtures() if options.nouveau_fixtures else ()),
    )


def _files_after_packages(options: ImageOptions) -> tuple[GuestFile, ...]:
    return (
        GuestFile("/etc/resolv.conf", "nameserver 10.0.2.3\n"),
        *_initramfs_files(options.initramfs, options.initramfs_modules, built_elsewhere=False),
    )


def _initramfs_files(generator: str, modules: str, built_elsewhere: bool) -> tuple[GuestFile, ...]:
    dependent = modules == "dep"
    if generator == "dracut":
        host_only = "yes" if dependent and not built_elsewhere else "no"
        drivers = f'add_drivers+=" {" ".join(_BOOT_MODULES)} "\n'
        return (GuestFile("/etc/dracut.conf.d/testbed.conf", f'hostonly="{host_only}"\n{drivers}'),)
    choice = modules if not (dependent and built_elsewhere) else "list"
    return (
        # An emulated processor takes as long to compress an image well as to make it.
        GuestFile("/etc/initramfs-tools/conf.d/testbed", f"MODULES={choice}\nCOMPRESSLEVEL=1\n"),
        GuestFile("/usr/share/initramfs-tools/modules.d/testbed", "".join(f"{module}\n" for module in _BOOT_MODULES)),
    )


def _nouveau_fixtures() -> tuple[GuestFile, ...]:
    """Empty firmware of the GV100's security processor, for whose mere presence nouveau of Linux 6.12 and newer asks."""
    return tuple(GuestFile(f"/usr/lib/firmware/nvidia/gv100/sec2/{name}.bin", "\0" * 1024) for name in ("sig", "image", "desc"))
