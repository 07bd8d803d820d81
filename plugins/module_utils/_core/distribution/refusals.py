# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributions that have ways of their own, beside which nothing is written: a change would be lost, or would break something."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.os_release import names
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.os_release import Names
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

FSTAB = "/etc/fstab"
Task = t.Literal["arguments", "policy", "images", "drivers"]
"""What a module writes: kernel arguments, a boot policy, initramfs images, drivers."""
UNWRITTEN: t.Mapping[Task, str] = {
    "arguments": "changes no kernel arguments",
    "policy": "writes no boot policy",
    "images": "rebuilds no initramfs image",
    "drivers": "installs no drivers",
}
ANYWAY = "allow_unsupported"
"""The option by which a user takes the risk."""


@dataclasses.dataclass(frozen=True)
class UnsupportedDistribution:
    """Distributions, known by IDs or by files that only they have, and what a person does there instead.

    With ``can_try`` they lack no program that is needed, so that a user may take the risk.
    """

    name: str
    ids: tuple[str, ...]
    files: tuple[str, ...]
    ways: t.Mapping[Task, str]
    can_try: bool = False
    includes_derivatives: bool = False
    """Whether what is like it is made alike; what is like an image need not be one."""


def _ways(arguments: str, policy: str, images: str, drivers: str) -> dict[Task, str]:
    return {"arguments": arguments, "policy": policy, "images": images, "drivers": drivers}


_SNAPSHOT = "use `transactional-update {}`, which works in a new snapshot, and reboot"
_IN_ITS_IMAGE = "build them into its image, from which it is upgraded"
_NO_WAY = "its system is an image that is replaced by updates; no supported way is known"
_LAYOUT = "it can be tried at one's own risk with `" + ANYWAY + ": true`; "

REFUSED = (
    UnsupportedDistribution(
        "an ostree or bootc image",
        ("rhcos", "coreos", "endless", "bazzite", "bluefin", "aurora"),
        # The last is that of bootc without ostree (STATE_DIR_ABS in its composefs_consts.rs).
        ("/run/ostree-booted", "/ostree/repo/config", "/sysroot/ostree/repo/config", "/sysroot/state/deploy"),
        _ways(
            "use `rpm-ostree kargs --append-if-missing=…`, or with bootc a file in /usr/lib/bootc/kargs.d of the image, and reboot",
            "write the files to /etc/modprobe.d and /etc/udev/rules.d, track them with `rpm-ostree initramfs-etc --track=…`, and reboot, "
            "or build them into the image",
            "use `rpm-ostree initramfs-etc --track=…` or `rpm-ostree initramfs --enable --arg=-I --arg=…`, and reboot",
            "build them into the image, since /usr is read-only",
        ),
    ),
    UnsupportedDistribution(
        "NixOS",
        ("nixos",),
        ("/etc/NIXOS",),
        _ways(
            "set `boot.kernelParams` in its configuration and run `nixos-rebuild boot`",
            "set `boot.extraModprobeConfig`, `boot.initrd.kernelModules` and `services.udev.extraRules` in its configuration and run "
            "`nixos-rebuild boot`",
            "set `boot.initrd.kernelModules` in its configuration and run `nixos-rebuild boot`",
            "add a package to `boot.extraModulePackages` in its configuration and run `nixos-rebuild boot`",
        ),
        includes_derivatives=True,
    ),
    UnsupportedDistribution(
        "Guix",
        ("guix",),
        ("/run/current-system/parameters",),
        _ways(
            "set `kernel-arguments` in its `operating-system`",
            "set `initrd-modules` and `udev-rules-service` in its `operating-system`",
            "set `initrd-modules` in its `operating-system`",
            "set `kernel-loadable-modules` in its `operating-system`",
        ),
    ),
    UnsupportedDistribution(
        "Talos",
        ("talos",),
        (),
        _ways(
            "build an installer image with them, or where GRUB starts it set `machine.install.extraKernelArgs` in the machine "
            "configuration, and upgrade",
            "set `machine.kernel.modules` and `machine.udev.rules` in the machine configuration",
            "set `machine.kernel.modules` in the machine configuration, and build a system extension for what the initramfs needs",
            "build a system extension with them",
        ),
    ),
    UnsupportedDistribution(
        "Flatcar",
        ("flatcar",),
        (),
        _ways(
            "set `linux_append` in /usr/share/oem/grub.cfg, or `kernelArguments` in its Ignition file",
            "give the files to new machines by Ignition",
            "its initramfs is a part of the kernel's image, and cannot be changed; bind devices after boot",
            "bring them in a systemd-sysext image that is built for its kernel",
        ),
    ),
    UnsupportedDistribution(
        "Alpine",
        ("alpine", "postmarketos"),
        ("/etc/alpine-release",),
        _ways(
            "set `default_kernel_opts` in /etc/update-extlinux.conf and run `update-extlinux`, or edit GRUB's settings; its initramfs has "
            "no udev, so that no boot policy of this collection holds there",
            "its initramfs has no udev; add the modules to a file in /etc/mkinitfs/features.d and the options to /etc/modprobe.d, and run "
            "`mkinitfs`",
            "add what is needed to a file in /etc/mkinitfs/features.d and run `mkinitfs`",
            "use `akms`",
        ),
        includes_derivatives=True,
    ),
    UnsupportedDistribution(
        "Unraid",
        ("unraid-os",),
        ("/etc/unraid-version", "/boot/config/vfio-pci.cfg"),
        _ways(
            "edit `append` on the page Main → Flash → Syslinux Configuration, and bind devices on Tools → System Devices",
            "use Tools → System Devices → Bind selected to VFIO at boot",
            "its root is unpacked from /boot/bzroot at each boot; use Tools → System Devices → Bind selected to VFIO at boot",
            "build a plugin with them for its kernel",
        ),
    ),
    UnsupportedDistribution(
        "MicroOS or another transactional system",
        (
            # What ID_LIKE of all of them says since 2024 is "microos".
            *("microos", "opensuse-microos", "opensuse-leap-micro", "opensuse-aeon", "opensuse-kalpa"),
            *("sle-micro", "sl-micro", "suse-microos"),
        ),
        (),
        _ways(
            "use `transactional-update run` or `transactional-update grub.cfg`, which write a new snapshot, and reboot",
            _SNAPSHOT.format("shell"),
            _SNAPSHOT.format("initrd"),
            _SNAPSHOT.format("pkg install"),
        ),
        includes_derivatives=True,
    ),
    UnsupportedDistribution(
        "Ubuntu Core",
        ("ubuntu-core",),
        (),
        _ways(
            "use `snap set system system.kernel.cmdline-append=…`",
            "build them into the gadget and the kernel snap",
            "build it into the kernel snap",
            "build them into the kernel snap",
        ),
    ),
    *(
        UnsupportedDistribution(
            name, (known_as,), (), dict.fromkeys(UNWRITTEN, "its root is replaced by updates; no supported way is known")
        )
        for name, known_as in (("SteamOS", "steamos"), ("ChimeraOS", "chimeraos"))
    ),
    UnsupportedDistribution(
        "Bottlerocket",
        ("bottlerocket",),
        (),
        {
            **dict.fromkeys(UNWRITTEN, "its root is read-only and checked; build them into a variant of it"),
            "arguments": "set `settings.boot.kernel-parameters`, and reboot",
        },
    ),
    UnsupportedDistribution(
        "Vanilla OS",
        ("vanilla",),
        # Its images of 22.10 and 2 say ID=ubuntu.
        ("/usr/share/abroot/abroot.json",),
        {
            **dict.fromkeys(UNWRITTEN, "bring them in packages by `abroot pkg add` and `abroot pkg apply`, and reboot"),
            "arguments": "use `abroot kargs edit`, and reboot",
        },
    ),
    UnsupportedDistribution(
        "Container-Optimized OS",
        ("cos",),
        (),
        {
            **dict.fromkeys(UNWRITTEN, "its root is read-only and checked; build an image with cos-customizer"),
            "drivers": "use `cos-extensions install` for those that it offers",
        },
    ),
    UnsupportedDistribution(
        "VyOS",
        ("vyos",),
        (),
        {
            **dict.fromkeys(UNWRITTEN, "build them into an image, since each image begins without changes of the system"),
            "arguments": "use `set system option kernel` in its configuration, and build what that lacks into an image",
        },
    ),
    UnsupportedDistribution(
        "TrueNAS",
        ("truenas",),
        ("/usr/bin/midclt",),
        {
            **dict.fromkeys(UNWRITTEN, "its root is replaced by updates; isolate GPUs for guests on System → Advanced Settings"),
            "arguments": "set `kernel_extra_options` by `midclt call system.advanced.update`, and reboot",
        },
    ),
    UnsupportedDistribution(
        "Clear Linux",
        ("clear-linux-os",),
        (),
        _ways(
            "write them to a file in /etc/kernel/cmdline.d and run `clr-boot-manager update`",
            "its initramfs is a part of the kernel's package; write the files by hand, and bind devices after boot",
            "its initramfs is a part of the kernel's package, and cannot be changed; bind devices after boot",
            "use its bundle kernel-native-dkms",
        ),
    ),
    UnsupportedDistribution(
        "Kairos",
        ("kairos",),
        ("/etc/kairos-release",),
        {
            **dict.fromkeys(UNWRITTEN, _IN_ITS_IMAGE),
            "arguments": "set `extra_cmdline` below `install.grub_options` in its configuration, or build them into its image",
        },
    ),
    UnsupportedDistribution(
        "Elemental",
        # Harvester's, which is an image of Elemental.
        ("sle-micro-rancher",),
        # The second folder is that of its first versions, when it was called cOS, and Kairos' as well.
        tuple(f"/run/{folder}/{mode}_mode" for folder in ("elemental", "cos") for mode in ("active", "passive", "recovery", "live")),
        {
            **dict.fromkeys(UNWRITTEN, _IN_ITS_IMAGE),
            "arguments": "set `extra_cmdline` by `grub2-editenv /oem/grubenv set`, and reboot",
        },
    ),
    UnsupportedDistribution(
        "Home Assistant OS",
        ("haos", "hassos"),
        (),
        {
            **dict.fromkeys(UNWRITTEN, "its root is an image that is only read, and is replaced by updates; no supported way is known"),
            "arguments": "edit /mnt/boot/cmdline.txt, and reboot",
        },
    ),
    UnsupportedDistribution(
        "LibreELEC or CoreELEC",
        ("libreelec", "coreelec", "openelec"),
        (),
        {
            **dict.fromkeys(UNWRITTEN, "its root is an image that is only read; its own places for settings are in /storage/.config"),
            "arguments": "edit the configuration of the boot loader on the partition that is mounted at /flash, and reboot",
        },
    ),
    UnsupportedDistribution(
        "OpenWrt",
        ("openwrt", "immortalwrt", "lede"),
        ("/etc/openwrt_release",),
        {
            **dict.fromkeys(UNWRITTEN, "it has neither udev nor an initramfs; bind devices after boot"),
            "arguments": "edit the configuration of its boot loader, and reboot",
            "drivers": "build an image with them, or install the packages kmod-… that it has",
        },
        includes_derivatives=True,
    ),
    *(
        UnsupportedDistribution(name, known_as, (), dict.fromkeys(UNWRITTEN, _NO_WAY))
        for name, known_as in (
            ("ChromeOS", ("chromeos", "chromiumos", "fydeos")),
            ("AerynOS", ("aerynos", "serpentos")),
            ("blendOS", ("blendos",)),
            ("KDE Linux", ("kde-linux",)),
            ("GNOME OS", ("org.gnome.os",)),
        )
    ),
    UnsupportedDistribution(
        "ParticleOS",
        # The ID stays that of the distribution that it is made of.
        ("particleos-arch", "particleos-debian", "particleos-fedora", "particleos-opensuse-tumbleweed"),
        (),
        dict.fromkeys(UNWRITTEN, _NO_WAY),
        includes_derivatives=True,
    ),
    UnsupportedDistribution(
        "EasyOS or Puppy Linux",
        (),
        # The ID is that of a release.
        ("/etc/DISTRO_SPECS",),
        dict.fromkeys(UNWRITTEN, _NO_WAY),
    ),
    UnsupportedDistribution(
        "Gentoo",
        ("gentoo", "funtoo"),
        (),
        _ways(
            f"{_LAYOUT}otherwise edit /etc/default/grub and run `grub-mkconfig -o /boot/grub/grub.cfg`",
            f"{_LAYOUT}otherwise write the files by hand, and run `dracut --force` or `emerge --config` of the kernel's package",
            f"{_LAYOUT}otherwise run `dracut --force`, `genkernel initramfs` or `emerge --config` of the kernel's package",
            f"{_LAYOUT}otherwise use an ebuild of the class linux-mod-r1",
        ),
        can_try=True,
        includes_derivatives=True,
    ),
    UnsupportedDistribution(
        "Chimera Linux",
        ("chimera",),
        (),
        _ways(
            f"{_LAYOUT}otherwise edit /etc/default/grub and run `update-grub`",
            f"{_LAYOUT}otherwise write the files by hand, and run `update-initramfs -u -k all`",
            f"{_LAYOUT}otherwise run `update-initramfs -u -k all`",
            f"{_LAYOUT}otherwise use `ckms`",
        ),
        can_try=True,
    ),
    UnsupportedDistribution(
        "Photon OS",
        ("photon",),
        (),
        _ways(
            f"{_LAYOUT}otherwise edit `photon_cmdline` in /boot/photon.cfg",
            f"{_LAYOUT}otherwise write the files by hand, and run `dracut --force`",
            f"{_LAYOUT}otherwise run `dracut --force`",
            f"{_LAYOUT}otherwise build them by hand for its kernel",
        ),
        can_try=True,
    ),
    UnsupportedDistribution(
        "Void",
        ("void",),
        (),
        _ways(
            f"{_LAYOUT}otherwise edit /etc/default/grub and run `grub-mkconfig -o /boot/grub/grub.cfg`",
            f"{_LAYOUT}otherwise write the files by hand, and run `xbps-reconfigure -f` of the kernel's package",
            f"{_LAYOUT}otherwise run `xbps-reconfigure -f` of the kernel's package",
            f"{_LAYOUT}otherwise run `dkms` by hand",
        ),
        can_try=True,
    ),
    UnsupportedDistribution(
        "Slackware",
        ("slackware",),
        (),
        _ways(
            f"{_LAYOUT}otherwise edit the configuration of LILO, ELILO or GRUB, and run its program",
            f"{_LAYOUT}otherwise write the files by hand, and run `geninitrd` or `mkinitrd`",
            f"{_LAYOUT}otherwise run `geninitrd` or `mkinitrd`",
            f"{_LAYOUT}otherwise build them by hand for its kernel",
        ),
        can_try=True,
        includes_derivatives=True,
    ),
)
VARIANTS = frozenset(
    (
        *("coreos", "iot", "kinoite", "onyx", "sericea", "silverblue", "cosmic-atomic", "sway-atomic", "budgie-atomic"),
        *("ucore", "aurora", "bluefin"),
    )
)
"""Fedora's VARIANT_ID of ostree images, and those that Universal Blue puts in its place."""
CHECKED_VARIANTS = {("azurelinux", "osguard"): "Azure Linux OS Guard", ("azurelinux", "azurecontainerlinux"): "Azure Container Linux"}
"""By ID and VARIANT_ID, those whose /usr is only read, and checked."""


def refuse(host: Host, task: Task, allow_unsupported: bool = False) -> None:
    """Raises HostError where this collection does not do that; with ``allow_unsupported`` only where it cannot."""
    sentence = refusal(host, task, allow_unsupported)
    if sentence is not None:
        raise HostError(sentence)


def refusal(host: Host, task: Task, allow_unsupported: bool = False) -> str | None:
    """The sentence why nothing is written on this host, and what to do instead; None if it may be."""
    found = _find(host, names(host))
    if found is None or (found[0].can_try and allow_unsupported):
        return None
    one, evidence = found
    return f"This host is {one.name} ({evidence}), where this collection {UNWRITTEN[task]}: {one.ways[task]}."


def native_way(host: Host, task: Task) -> str | None:
    """What a person does there, as a sentence; None where this collection does it."""
    found = _find(host, names(host))
    if found is None or found[0].can_try:
        return None
    way = found[0].ways[task]
    return f"{way[0].upper()}{way[1:]}."


def _find(host: Host, known: Names) -> tuple[UnsupportedDistribution, str] | None:
    """Which it is, and what says so."""
    for one in REFUSED:
        place = next((place for place in one.files if host.exists(place)), None)
        if place is not None:
            return one, place
    for name in known.all:
        for one in REFUSED:
            is_own = name == known.id.lower()
            if name in one.ids and (is_own or one.includes_derivatives):
                return one, f"ID={known.id}" if is_own else f"ID_LIKE={name}"
    if known.ostree:
        return REFUSED[0], f"OSTREE_VERSION={known.ostree}"
    if known.variant in VARIANTS and {"fedora", "rhel", "centos"} & set(known.all):
        return REFUSED[0], f"VARIANT_ID={known.variant}"
    if host.which("transactional-update") is not None and _has_read_only_root(host):
        return next(one for one in REFUSED if "microos" in one.ids), FSTAB
    return _image(host, known)


def _image(host: Host, known: Names) -> tuple[UnsupportedDistribution, str] | None:
    """What is known by no name: a system whose files are an image, or are laid over one."""
    checked = CHECKED_VARIANTS.get((known.id, known.variant))
    if checked is not None:
        ways = dict.fromkeys(UNWRITTEN, "its /usr is only read, and checked; build them into its image")
        return UnsupportedDistribution(checked, (), (), ways), f"VARIANT_ID={known.variant}"
    # Most tasks only ask what the distribution is called.
    from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.lost_changes import lost_changes

    lost = lost_changes(host)
    if lost is None:
        return None
    ways = dict.fromkeys(UNWRITTEN, f"{_LAYOUT}otherwise {lost.way}")
    return UnsupportedDistribution("a system that keeps no changes", (), (), ways, can_try=True), lost.evidence


def _has_read_only_root(host: Host) -> bool:
    lines = (re.split(r"\s+", line.strip()) for line in (host.text_or_none(FSTAB) or "").splitlines())
    return any(len(line) > 3 and line[1] == "/" and "ro" in line[3].split(",") and not line[0].startswith("#") for line in lines)
