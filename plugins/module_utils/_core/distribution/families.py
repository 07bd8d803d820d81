# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Families of distributions: how each changes kernel arguments, builds its images, and names the headers of its kernels."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.os_release import names
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.os_release import Names
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

GRUBBY, GRUB_MKCONFIG, KERNEL_INSTALL, SDBOOTUTIL = "grubby", "grub-mkconfig", "kernel-install", "sdbootutil"
MKINITCPIO, U_BOOT_UPDATE, ENTRIES, PROXMOX_BOOT_TOOL = "mkinitcpio", "u-boot-update", "entries", "proxmox-boot-tool"
ANY = (PROXMOX_BOOT_TOOL, SDBOOTUTIL, GRUBBY, GRUB_MKCONFIG, KERNEL_INSTALL, MKINITCPIO, U_BOOT_UPDATE, ENTRIES)


@dataclasses.dataclass(frozen=True)
class Headers:
    """How the package is called that has the headers of the kernels whose whole release ``release`` matches.

    ``package`` is a format with its groups and ``release``.
    """

    release: re.Pattern[str]
    package: str


def _headers(*rows: tuple[str, str]) -> tuple[Headers, ...]:
    return tuple(Headers(re.compile(release), package) for release, package in rows)


# The first whose expression matches.
_OF_DEBIAN = _headers(
    # Proxmox's names since 6.5; the packages before have the old one, as their own name or as what they provide.
    (r"(?:[1-5]\..*|6\.[0-4]\..*)-pve", "pve-headers-{release}"),
    (r".*-pve", "proxmox-headers-{release}"),
    # Raspberry Pi OS up to 11 has all kernels of a version in one package.
    (r"[\d.]+-v\d\w*\+", "raspberrypi-kernel-headers"),
    # Armbian names its packages by branch and by family of boards.
    (r"[\d.]+(?:-rc\d+)?-(?P<branch>legacy|vendor|current|edge|bleedingedge)-(?P<boards>\w+)", "linux-headers-{branch}-{boards}"),
    (r".*", "linux-headers-{release}"),
)
_OF_RPM = _headers(
    # Oracle's kernel, and those of its builds for debugging and with large pages.
    (r"(?P<base>.+uek\.\w+)[.+]debug", "kernel-uek-debug-devel-{base}"),
    (r"(?P<base>.+uek\.\w+)[.+]64k", "kernel-uek64k-devel-{base}"),
    (r".+uek(?:\..+)?", "kernel-uek-devel-{release}"),
    # RHEL 8 and 9 before 9.3 build the real-time kernel from a source of its own, which their release shows.
    (r"(?P<base>.+\.rt\d+\..+?)[.+]debug", "kernel-rt-debug-devel-{base}"),
    (r".+\.rt\d+\.[^+]+", "kernel-rt-devel-{release}"),
    # XenServer's and XCP-ng's kernel keeps its release from update to update.
    (r"\d+\.\d+\.\d+\+\d+", "kernel-devel-uname-r = {release}"),
    # kernel.spec of Fedora and RHEL: a flavour is a suffix of the release and a part of the package's name.
    (r"(?P<base>[^+]+)\+(?P<flavour>[a-z0-9]+(?:-[a-z0-9]+)*)", "kernel-{flavour}-devel-{base}"),
    # ELRepo's kernel-ml and kernel-lt have the same releases; both provide this name.
    (r".+\.elrepo\..+", "kernel-devel-uname-r = {release}"),
    # Amazon Linux 2023 has several kernels beside each other; 6.1 is its first.
    (r"6\.1\..+amzn2023.*", "kernel-devel-{release}"),
    (r"(?P<series>\d+\.\d+)\..+amzn20\d\d.*", "kernel{series}-devel-{release}"),
    # Azure Linux 3 has 6.6, and for newer hardware a later one beside it.
    (r"(?!6\.6\.).+\.azl3", "kernel-hwe-devel-{release}"),
    # Mageia puts the flavour between the parts of its version, and has one kernel without; up to 8 that is the package's name, since 9 its
    # version. OpenMandriva's release ends with the distribution's own, by which packages are not asked for.
    (r"(?P<version>[\d.]+)-(?P<flavour>[a-z]\w*)-(?P<build>\d+\.mga\d+)", "kernel-{flavour}-devel-{version}-{build}"),
    (r"[\d.]+-\d+\.mga\d+", "kernel-linus-devel-{release}"),
    (r"[\d.]+-(?P<flavour>[a-z]\w*(?:-[a-z]\w*)*)-\d+omv\d+", "kernel-{flavour}-devel"),
    # Virtuozzo, and kernels for Fedora from elsewhere.
    (r".+\.vz\d.*", "vzkernel-devel-{release}"),
    (r".+\.surface\.fc.+", "kernel-surface-devel-{release}"),
    (r"[\d.]+-cachyos\d+\.fc.+", "kernel-cachyos-devel-{release}"),
    (r".*", "kernel-devel-{release}"),
)
_OF_SUSE = _headers((r"(?P<base>.+)-(?P<flavour>[a-z0-9_]+)", "kernel-{flavour}-devel = {base}"), (r".*", "kernel-devel"))
# Only where the kernel's folder does not name its package.
_OF_ARCH = _headers(
    (r"(?P<major>\d+)\.(?P<minor>\d+)\..+-rt\d+-MANJARO", "linux{major}{minor}-rt-headers"),
    (r"(?P<major>\d+)\.(?P<minor>\d+)\..+-MANJARO", "linux{major}{minor}-headers"),
    (r"[^-]+(?:-[^-\d]*\d[^-]*)*-(?P<flavour>[a-z]+(?:-[a-z]+)*)", "linux-{flavour}-headers"),
    (r".*", "linux-headers"),
)
# Of distributions without a family of their own, by what only their releases have.
_OF_OTHERS = _headers(
    # ALT's flavour is between the version and the release of the package, and has been the kernel's series since 6.
    (r"[\d.]+(?:-rc\d+)?-(?P<flavour>\S+)-alt\d\S*", "kernel-headers-modules-{flavour}"),
    # Photon and Solus.
    (r"(?P<base>.+\.ph\d+)-(?P<flavour>[a-z]+)", "linux-{flavour}-devel-{base}"),
    (r".+\.ph\d+", "linux-devel-{release}"),
    (r"[\d.]+-\d+\.(?P<flavour>current|lts)", "linux-{flavour}-headers"),
)
_OF_ALPINE = _headers((r".+-(?P<flavour>[a-z]+)", "linux-{flavour}-dev"), (r".*", "linux-lts-dev"))
_OF_VOID = _headers((r"(?P<series>\d+\.\d+)\..*", "linux{series}-headers"), (r".*", "linux-headers"))
_OF_GENTOO = _headers((r".*-gentoo-dist.*", "sys-kernel/gentoo-kernel"), (r".*", "sys-kernel/gentoo-sources"))


@dataclasses.dataclass(frozen=True)
class Family:
    """Distributions that are alike.

    ``methods`` change kernel arguments, ``native`` is what a person does there.  ``generators`` are the packages that build initramfs
    images there, the usual one first.  ``has_versioned_compilers``: whether a compiler's package has its version in its name.
    """

    name: str
    ids: tuple[str, ...]
    methods: tuple[str, ...]
    native: str
    generators: tuple[str, ...]
    headers: tuple[Headers, ...]
    has_versioned_compilers: bool = False


_LIKE_FEDORA = (
    "rhel fedora centos rocky almalinux ol amzn scientific eurolinux virtuozzo nobara ultramarine azurelinux mariner openeuler "
    "mageia openmandriva anolis opencloudos tencentos kylin alinux hce bclinux"
)
_OTHERS_LIKE_DEBIAN = ("deepin", "pureos", "openkylin")
OF_TWO_FAMILIES = ("kylin",)
"""IDs of several systems, which ID_LIKE tells apart: Kylin's for desktops is like Debian, that for servers like Fedora, or says nothing."""
# The first that an ID, or else an ID_LIKE, belongs to.
FAMILIES = (
    Family(
        "Debian",
        ("debian", "ubuntu", "raspbian", "linuxmint", "pop", "devuan", "kali", "neon", "elementary", "zorin", *_OTHERS_LIKE_DEBIAN),
        (PROXMOX_BOOT_TOOL, GRUB_MKCONFIG, KERNEL_INSTALL, U_BOOT_UPDATE, ENTRIES),
        "add them to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub and run `update-grub`, or to /etc/kernel/cmdline and run "
        "`kernel-install add RELEASE /boot/vmlinuz-RELEASE`",
        ("initramfs-tools", "dracut"),
        _OF_DEBIAN,
        has_versioned_compilers=True,
    ),
    Family(
        "RHEL and Fedora",
        tuple(_LIKE_FEDORA.split()),
        (GRUBBY, GRUB_MKCONFIG, KERNEL_INSTALL, ENTRIES),
        "run `grubby --update-kernel=ALL --args=…`",
        ("dracut",),
        _OF_RPM,
    ),
    Family(
        "SUSE",
        ("suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "opensuse-slowroll", "sles", "sled", "sles_sap"),
        (SDBOOTUTIL, GRUB_MKCONFIG, KERNEL_INSTALL, ENTRIES),
        "add them to /etc/default/grub and run `grub2-mkconfig -o /boot/grub2/grub.cfg`, or to /etc/kernel/cmdline and run "
        "`sdbootutil update-all-entries`",
        ("dracut",),
        _OF_SUSE,
    ),
    Family(
        "Arch",
        ("arch", "archarm", "manjaro", "manjaro-arm", "endeavouros", "cachyos", "garuda", "artix", "arcolinux", "blackarch"),
        (GRUB_MKCONFIG, MKINITCPIO, KERNEL_INSTALL, ENTRIES),
        "add them to the loader's entry, or to /etc/kernel/cmdline and run `mkinitcpio -P`",
        ("mkinitcpio", "dracut"),
        _OF_ARCH,
    ),
    Family("Alpine", ("alpine", "postmarketos"), (), "set `default_kernel_opts` and run `update-extlinux`", ("mkinitfs",), _OF_ALPINE),
    Family("Void", ("void",), ANY, "change them as its handbook says", ("dracut",), _OF_VOID),
    Family("Gentoo", ("gentoo",), ANY, "change them as its handbook says", ("dracut", "genkernel"), _OF_GENTOO),
)
OTHER = Family(
    "another distribution", (), ANY, "change them as the documentation of its boot loader says", ("initramfs-tools", "dracut"), _OF_OTHERS
)
PACKAGE = "/lib/modules/{release}/pkgbase"
"""On Arch and its derivatives it names the package that a kernel is from."""


def family(host: Host) -> Family:
    """The host's; `OTHER` for one that is not in the table."""
    return family_of(names(host))


def family_of(known: Names) -> Family:
    own, *like = known.all or ("",)
    ordered = (*like, own) if own in OF_TWO_FAMILIES else known.all
    return next((one for name in ordered for one in FAMILIES if name in one.ids), OTHER)


def headers_package(host: Host, release: str) -> str | None:
    """The package with a kernel's headers, as this distribution's package manager takes it; None if its name is not known."""
    here = family(host)
    package = package_of(host, release) if "mkinitcpio" in here.generators else None
    if package is not None:
        return f"{package}-headers"
    for one in here.headers:
        match = one.release.fullmatch(release)
        if match is not None:
            return one.package.format(release=release, **match.groupdict())
    return None


def compiler_package(host: Host, compiler: str, major: int) -> str:
    """The package that brings this version of a compiler (`gcc`), where it is not the system's own."""
    here = family(host)
    if compiler != "gcc":
        return compiler
    if here.has_versioned_compilers:
        return f"gcc-{major}"
    if here.name == "SUSE":
        return f"gcc{major}"
    # Fedora has no toolsets, because its compiler is the newest.
    return f"gcc-toolset-{major}-gcc" if here.headers is _OF_RPM and names(host).id != "fedora" else compiler


def source_advice(host: Host, release: str, version: str, package: str | None, built_from: str | None = None) -> str | None:
    """How the source of a kernel comes to this host: of Linux ``version``, of the distribution's ``package`` version.

    ``built_from`` is the name of that source, where the distribution has several.  None if it has none.
    """
    known = names(host).all
    series = ".".join(version.split(".")[:2])
    if "ubuntu" in known:
        # Only these two come as packages to install as well.
        source = built_from or "linux"
        if source != "linux" and not source.startswith("linux-hwe-"):
            return f"run `apt-get source {source}={package}` in /usr/src"
        return f"install {source}-source-{series}.0" + (f" (= {package})" if package and built_from else "")
    if "debian" in known:
        return f"install linux-source-{series}" + (f" (= {package})" if package else "")
    here = family(host)
    if here.name == "SUSE":
        parts = re.fullmatch(r"(.+)-([a-z0-9_]+)", release)
        # These two flavours have sources of their own.
        own = f"-{parts[2]}" if parts and parts[2] in ("azure", "rt") else ""
        return f"install kernel-source{own}" + (f" = {parts[1]}" if parts else "")
    # ELRepo's packages of sources have none.
    if here.headers is not _OF_RPM or ".elrepo." in release:
        return None
    built_with = (headers_package(host, release) or "").replace("-devel", "", 1)
    return f"run `dnf download --source {built_with}` in /usr/src"


def package_of(host: Host, release: str) -> str | None:
    """The package that a kernel is from, where its folder says so: images and headers are named after it."""
    found = host.text_or_none(PACKAGE.format(release=release))
    return found if found and "/" not in found else None


# override_dest_module_location() in dkms: it installs to the folder of the first word of ID_LIKE, or else of ID, as it begins.
DKMS_FOLDERS = {
    "fedora": "extra",
    "rhel": "extra",
    "ovm": "extra",
    "centos": "extra",
    "sles": "updates",
    "suse": "updates",
    "opensuse": "updates",
    "debian": "updates/dkms",
    "ubuntu": "updates/dkms",
    "arch": "updates/dkms",
}


DKMS_SETTINGS = "/etc/sysconfig/module-init-tools"


def dkms_folder(host: Host) -> str | None:
    """The folder in a kernel's module tree that DKMS installs to on this host; None if that is what each dkms.conf says."""
    set_here = (Assignments.parse(host.text_or_none(DKMS_SETTINGS) or "").get("ADDON_MODULES_DIR") or "").strip("/")
    if set_here and not {"..", "kernel"} & set(set_here.split("/")):
        return set_here
    known = names(host)
    # distro_version() in dkms: Ubuntu is like Debian, and all others are what they are like.
    word = next(iter((*(known.like if known.id != "ubuntu" else ()), known.id)), "")
    return next((folder for name, folder in DKMS_FOLDERS.items() if word.startswith(name)), None)
