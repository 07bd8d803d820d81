# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a distribution changes kernel arguments, and which distributions have a way of their own that nothing else may bypass."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
FSTAB = "/etc/fstab"
GRUBBY, GRUB_MKCONFIG, KERNEL_INSTALL, SDBOOTUTIL = "grubby", "grub-mkconfig", "kernel-install", "sdbootutil"
MKINITCPIO, U_BOOT_UPDATE, ENTRIES, PROXMOX_BOOT_TOOL = "mkinitcpio", "u-boot-update", "entries", "proxmox-boot-tool"
ANY = (PROXMOX_BOOT_TOOL, SDBOOTUTIL, GRUBBY, GRUB_MKCONFIG, KERNEL_INSTALL, MKINITCPIO, U_BOOT_UPDATE, ENTRIES)


@dataclasses.dataclass(frozen=True)
class Family:
    """Distributions that change arguments alike: by one of ``methods``; ``native`` is what a person does there."""

    name: str
    ids: tuple[str, ...]
    methods: tuple[str, ...]
    native: str


@dataclasses.dataclass(frozen=True)
class Refused:
    """Distributions where a change by this collection would be lost or would break something."""

    name: str
    ids: tuple[str, ...]
    files: tuple[str, ...]
    sentence: str


@dataclasses.dataclass(frozen=True)
class Names:
    """What /etc/os-release says."""

    id: str
    like: tuple[str, ...]
    variant: str


# The first that an ID, or else an ID_LIKE, belongs to.
FAMILIES = (
    Family(
        "Debian",
        ("debian", "ubuntu", "raspbian", "linuxmint", "pop"),
        (PROXMOX_BOOT_TOOL, GRUB_MKCONFIG, KERNEL_INSTALL, U_BOOT_UPDATE, ENTRIES),
        "add them to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub and run `update-grub`, or to /etc/kernel/cmdline and run "
        "`kernel-install add`",
    ),
    Family(
        "RHEL and Fedora",
        ("rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn", "azurelinux", "openEuler", "openeuler"),
        (GRUBBY, GRUB_MKCONFIG, KERNEL_INSTALL, ENTRIES),
        "run `grubby --update-kernel=ALL --args=…`",
    ),
    Family(
        "SUSE",
        ("suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "opensuse-slowroll", "sles", "sled"),
        (SDBOOTUTIL, GRUB_MKCONFIG, KERNEL_INSTALL, ENTRIES),
        "add them to /etc/default/grub and run `grub2-mkconfig -o /boot/grub2/grub.cfg`, or to /etc/kernel/cmdline and run "
        "`sdbootutil update-all-entries`",
    ),
    Family(
        "Arch",
        ("arch", "manjaro", "endeavouros", "cachyos", "garuda"),
        (GRUB_MKCONFIG, MKINITCPIO, KERNEL_INSTALL, ENTRIES),
        "add them to the loader's entry, or to /etc/kernel/cmdline and run `mkinitcpio -P`",
    ),
)
OTHER = Family("another distribution", (), ANY, "change them as the documentation of its boot loader says")

REFUSED = (
    Refused(
        "an ostree or bootc image",
        ("rhcos", "coreos", "fedora-coreos"),
        ("/run/ostree-booted", "/ostree/repo/config", "/sysroot/ostree/repo/config"),
        "use `rpm-ostree kargs --append-if-missing=…`, or with bootc a file in /usr/lib/bootc/kargs.d of the image, and reboot",
    ),
    Refused("NixOS", ("nixos",), ("/etc/NIXOS",), "set `boot.kernelParams` in its configuration and run `nixos-rebuild boot`"),
    Refused("Guix", ("guix",), ("/run/current-system/parameters",), "set `kernel-arguments` in its `operating-system`"),
    Refused("Talos", ("talos",), (), "set `machine.install.extraKernelArgs` in the machine configuration and upgrade"),
    Refused("Flatcar", ("flatcar",), (), "set `linux_append` in /usr/share/oem/grub.cfg, or `kernelArguments` in its Ignition file"),
    Refused(
        "Alpine",
        ("alpine", "postmarketos"),
        ("/etc/alpine-release",),
        "set `default_kernel_opts` in /etc/update-extlinux.conf and run `update-extlinux`, or edit GRUB's settings; its initramfs has no "
        "udev, so that no boot policy of this collection holds there",
    ),
    Refused(
        "Unraid",
        ("unraid",),
        ("/etc/unraid-version", "/boot/config/vfio-pci.cfg"),
        "edit `append` on the page Main → Flash → Syslinux Configuration, and bind devices on Tools → System Devices",
    ),
    Refused(
        "MicroOS or another transactional system",
        (
            "opensuse-microos",
            "opensuse-leap-micro",
            "opensuse-aeon",
            "opensuse-kalpa",
            "microos",
            "aeon",
            "kalpa",
            "sle-micro",
            "sl-micro",
            "suse-microos",
        ),
        (),
        "use `transactional-update run` or `transactional-update grub.cfg`, which write a new snapshot, and reboot",
    ),
    Refused("Ubuntu Core", ("ubuntu-core",), (), "use `snap set system system.kernel.cmdline-append=…`"),
    Refused("SteamOS", ("steamos",), (), "its root is replaced by updates; no supported way is known"),
)
VARIANTS = frozenset(("coreos", "iot", "kinoite", "onyx", "sericea", "silverblue", "cosmic-atomic", "sway-atomic", "budgie-atomic"))
"""Fedora's VARIANT_ID of ostree images."""


def names(host: Host) -> Names:
    """Empty where there is no such file."""
    text = next((text for text in (host.text_or_none(place) for place in OS_RELEASE) if text is not None), "")
    found = Assignments.parse(text)
    return Names(found.get("ID") or "", tuple((found.get("ID_LIKE") or "").split()), found.get("VARIANT_ID") or "")


def family(host: Host) -> Family:
    """The host's; `OTHER` for one that is not in the table."""
    known = names(host)
    for name in (known.id, *known.like):
        for one in FAMILIES:
            if name in one.ids:
                return one
    return OTHER


def refusal(host: Host) -> str | None:
    """The sentence why this host's arguments are not changed, and what to do instead; None if they may be."""
    known = names(host)
    for one in REFUSED:
        place = next((place for place in one.files if host.exists(place)), None)
        if place is not None or known.id in one.ids or (one.name == "Alpine" and "alpine" in known.like):
            return _sentence(one, place or f"ID={known.id}")
    if known.id == "fedora" and known.variant in VARIANTS:
        return _sentence(REFUSED[0], f"VARIANT_ID={known.variant}")
    if host.which("transactional-update") is not None and _has_read_only_root(host):
        return _sentence(next(one for one in REFUSED if "microos" in one.ids), FSTAB)
    return None


def _sentence(one: Refused, evidence: str) -> str:
    return f"This host is {one.name} ({evidence}), where this collection changes no kernel arguments: {one.sentence}."


def _has_read_only_root(host: Host) -> bool:
    lines = (re.split(r"\s+", line.strip()) for line in (host.text_or_none(FSTAB) or "").splitlines())
    return any(len(line) > 3 and line[1] == "/" and "ro" in line[3].split(",") and not line[0].startswith("#") for line in lines)
