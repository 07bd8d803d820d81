# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What os-release of real distributions says of their names, with where it was read: the lines ID, ID_LIKE, VARIANT_ID and IMAGE_ID.

`COLLECTED` are of files that others collected from installed systems, in three repositories of GitHub: which-distro/os-release
(b92bccaf), chef/os_release (198876e0) and zyga/os-release-zoo (d83e1330).  `OWN` are of the files, or of the lines that write them, in the
distribution's own repository.  `QUOTED` are only quoted, in reports and in tests of other programs.  `UNSEEN` has been found nowhere.
"""

from __future__ import annotations

import typing as t


class Named(t.NamedTuple):
    """``known_as`` is the name of a family, or of a distribution that is refused; ``files`` are further ones that tell it."""

    known_as: str
    source: str
    os_release: str
    files: tuple[str, ...] = ()


OSTREE, MICROOS, FEDORA = "an ostree or bootc image", "MicroOS or another transactional system", "RHEL and Fedora"
COLLECTED = (
    Named("Debian", "which-distro/os-release/devuan/5", "ID=devuan\nID_LIKE=debian\n"),
    Named("Debian", "which-distro/os-release/kali/2019.4", "ID=kali\nID_LIKE=debian\n"),
    Named("Debian", "which-distro/os-release/linuxmint/6", "ID=linuxmint\nID_LIKE=debian\n"),
    Named("Debian", "which-distro/os-release/linuxmint/22", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'),
    Named("Debian", "which-distro/os-release/neon/22.04", 'ID=neon\nID_LIKE="ubuntu debian"\n'),
    Named("Debian", "which-distro/os-release/elementary/7", 'ID=elementary\nID_LIKE="ubuntu debian"\n'),
    Named("Debian", "which-distro/os-release/zorin/17", 'ID=zorin\nID_LIKE="ubuntu debian"\n'),
    Named("Debian", "which-distro/os-release/pop/22.04", 'ID=pop\nID_LIKE="ubuntu debian"\n'),
    Named("Debian", "which-distro/os-release/pureos/10.0", "ID=pureos\n"),
    Named("Debian", "which-distro/os-release/Deepin/20.9", "ID=Deepin\n"),
    Named("Debian", "which-distro/os-release/parrot/5.3", "ID=parrot\nID_LIKE=debian\n"),
    Named("Debian", "which-distro/os-release/raspbian/8", "ID=raspbian\nID_LIKE=debian\n"),
    Named("Debian", "chef/os_release/debian_13", "ID=debian\n"),
    Named("Debian", "chef/os_release/ubuntu_2404", "ID=ubuntu\nID_LIKE=debian\n"),
    Named("Debian", "zyga/os-release-zoo/pop-os/pop-os-17.04.txt", "ID=pop-os\nID_LIKE=debian ubuntu\n"),
    Named("Debian", "zyga/os-release-zoo/zorinos/zorinos-12.txt", "ID=Zorin OS\nID_LIKE=ubuntu\n"),
    Named("Debian", "zyga/os-release-zoo/elementary/elementary-0.4.txt", 'ID="elementary OS"\nID_LIKE=ubuntu\n'),
    Named(FEDORA, "chef/os_release/alma_10", 'ID="almalinux"\nID_LIKE="rhel centos fedora"\n'),
    Named(FEDORA, "chef/os_release/amazon_2", 'ID="amzn"\nID_LIKE="centos rhel fedora"\n'),
    Named(FEDORA, "chef/os_release/amazon_2023", 'ID="amzn"\nID_LIKE="fedora"\n'),
    Named(FEDORA, "chef/os_release/azurelinux_3", "ID=azurelinux\n"),
    Named(FEDORA, "chef/os_release/cbl-mariner_2", "ID=mariner\n"),
    Named(FEDORA, "chef/os_release/centos_stream_9", 'ID="centos"\nID_LIKE="rhel fedora"\n'),
    Named(FEDORA, "chef/os_release/hce_2", 'ID="hce"\n'),
    Named(FEDORA, "chef/os_release/openeuler", 'ID="openEuler"\n'),
    Named(FEDORA, "chef/os_release/oracle_9", 'ID="ol"\nID_LIKE="fedora"\nVARIANT_ID="server"\n'),
    Named(FEDORA, "chef/os_release/redhat_9", 'ID="rhel"\nID_LIKE="fedora"\n'),
    Named(FEDORA, "chef/os_release/redhat_10", 'ID="rhel"\nID_LIKE="centos fedora"\n'),
    Named(FEDORA, "chef/os_release/rocky_9", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'),
    Named(FEDORA, "chef/os_release/scientific_7", 'ID="scientific"\nID_LIKE="rhel centos fedora"\n'),
    Named(FEDORA, "chef/os_release/virtuozzo_7", 'ID="virtuozzo"\nID_LIKE="rhel fedora"\n'),
    Named(FEDORA, "chef/os_release/nobara", 'ID=nobara\nID_LIKE="rhel centos fedora"\nVARIANT_ID=kde\n'),
    Named(FEDORA, "chef/os_release/fedora_43", "ID=fedora\nVARIANT_ID=container\n"),
    Named(FEDORA, "which-distro/os-release/eurolinux/9.2", 'ID="eurolinux"\nID_LIKE="rhel fedora centos"\n'),
    Named(FEDORA, "which-distro/os-release/nobara/36", "ID=nobara\nVARIANT_ID=kde\n"),
    Named(FEDORA, "which-distro/os-release/ultramarine/40", "ID=ultramarine\nID_LIKE=fedora\nVARIANT_ID=flagship\n"),
    Named(FEDORA, "which-distro/os-release/tencentos/4.2", 'ID="tencentos"\nID_LIKE="tencentos"\n'),
    Named(FEDORA, "which-distro/os-release/openmandriva/6.0", 'ID="openmandriva"\n'),
    Named(FEDORA, "which-distro/os-release/fedora/server/40", "ID=fedora\nVARIANT_ID=server\n"),
    Named("SUSE", "chef/os_release/opensuse_13", 'ID=opensuse\nID_LIKE="suse"\n'),
    Named("SUSE", "chef/os_release/opensuseleap_16", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n'),
    Named("SUSE", "chef/os_release/opensusetumbleweed", 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n'),
    Named("SUSE", "chef/os_release/sled_15", 'ID="sled"\nID_LIKE="suse"\n'),
    Named("SUSE", "chef/os_release/sles_15", 'ID="sles"\nID_LIKE="suse"\n'),
    Named("SUSE", "chef/os_release/sles_sap_12_3", 'ID="sles"\n'),
    Named("Arch", "chef/os_release/arch", "ID=arch\n"),
    Named("Arch", "chef/os_release/archarm", "ID=archarm\nID_LIKE=arch\n"),
    Named("Arch", "chef/os_release/arcolinux", "ID=arcolinux\nID_LIKE=arch\n"),
    Named("Arch", "chef/os_release/cachyos", "ID=cachyos\n"),
    Named("Arch", "chef/os_release/endeavouros", "ID=endeavouros\nID_LIKE=arch\n"),
    Named("Arch", "chef/os_release/manjaro", "ID=manjaro\nID_LIKE=arch\n"),
    Named("Arch", "chef/os_release/manjaro-arm", 'ID="manjaro-arm"\nID_LIKE="manjaro arch"\n'),
    Named("Arch", "which-distro/os-release/artix/artix", "ID=artix\n"),
    Named("Arch", "which-distro/os-release/blackarch/blackarch", "ID=blackarch\nIMAGE_ID=blackarch-linux-netinst\n"),
    Named("Arch", "which-distro/os-release/cachyos/cachyos", "ID=cachyos\nID_LIKE=arch\nIMAGE_ID=cachyos\n"),
    Named("Arch", "which-distro/os-release/garuda/garuda", "ID=garuda\n"),
    Named("Arch", "which-distro/os-release/archcraft/archcraft", "ID=archcraft\nID_LIKE=arch\nIMAGE_ID=archcraft\n"),
    Named(OSTREE, "which-distro/os-release/aurora/41", 'ID=aurora\nID_LIKE="fedora"\nVARIANT_ID=aurora\n'),
    Named(OSTREE, "which-distro/os-release/bazzite/40", "ID=bazzite\nID_LIKE='rhel centos fedora bluefin aurora nobara ultramarine'\n"),
    Named(OSTREE, "which-distro/os-release/bluefin/41", 'ID=bluefin\nID_LIKE="fedora"\nVARIANT_ID=bluefin\n'),
    Named(OSTREE, "which-distro/os-release/coreos/766.3.0", "ID=coreos\n"),
    Named(OSTREE, "which-distro/os-release/endless/5.1.1", 'ID="endless"\nID_LIKE="ubuntu debian"\n'),
    Named(OSTREE, "which-distro/os-release/fedora/aurora/40", "ID=fedora\nVARIANT_ID=aurora\n"),
    Named(OSTREE, "which-distro/os-release/fedora/bluefin/39", "ID=fedora\nVARIANT_ID=bluefin\n"),
    Named(OSTREE, "which-distro/os-release/fedora/budgie-atomic/40", "ID=fedora\nVARIANT_ID=budgie-atomic\n"),
    Named(OSTREE, "which-distro/os-release/fedora/coreos/40", "ID=fedora\nVARIANT_ID=coreos\n"),
    Named(OSTREE, "which-distro/os-release/fedora/iot/40", "ID=fedora\nVARIANT_ID=iot\n"),
    Named(OSTREE, "which-distro/os-release/fedora/kinoite/40", "ID=fedora\nVARIANT_ID=kinoite\n"),
    Named(OSTREE, "which-distro/os-release/fedora/onyx/39", "ID=fedora\nVARIANT_ID=onyx\n"),
    Named(OSTREE, "which-distro/os-release/fedora/sericea/39", "ID=fedora\nVARIANT_ID=sericea\n"),
    Named(OSTREE, "which-distro/os-release/fedora/silverblue/40", "ID=fedora\nVARIANT_ID=silverblue\n"),
    Named(OSTREE, "which-distro/os-release/fedora/sway-atomic/40", "ID=fedora\nVARIANT_ID=sway-atomic\n"),
    Named("NixOS", "which-distro/os-release/nixos/25.05", 'ID=nixos\nID_LIKE=""\nIMAGE_ID=""\nVARIANT_ID=""\n'),
    Named("Guix", "which-distro/os-release/guix/1", "ID=guix\n"),
    Named("Flatcar", "chef/os_release/flatcar", "ID=flatcar\nID_LIKE=coreos\n"),
    Named("Alpine", "which-distro/os-release/alpine/3.22.1", "ID=alpine\n"),
    Named("Alpine", "which-distro/os-release/postmarketos/v25.12", 'ID="postmarketos"\nID_LIKE="alpine"\n'),
    Named(MICROOS, "which-distro/os-release/suse-microos/5.1", 'ID="suse-microos"\nID_LIKE="suse"\n'),
    Named("SteamOS", "which-distro/os-release/steamos/3.7.16", "ID=steamos\nID_LIKE=arch\nVARIANT_ID=steamdeck\n"),
    Named("ChimeraOS", "which-distro/os-release/chimeraos/chimeraos", "ID=chimeraos\nID_LIKE=arch\n"),
    Named("Container-Optimized OS", "chef/os_release/cos_97", "ID=cos\n"),
    Named("Clear Linux", "which-distro/os-release/clear-linux-os/clear-linux-os", "ID=clear-linux-os\nID_LIKE=clear-linux-os\n"),
    Named("OpenWrt", "chef/os_release/openwrt_2203", 'ID="openwrt"\nID_LIKE="lede openwrt"\n'),
    Named("blendOS", "which-distro/os-release/blendos/blendos", "ID=blendos\nIMAGE_ID=blendOS\n"),
    Named("Gentoo", "chef/os_release/gentoo_218", "ID=gentoo\n"),
    Named("Gentoo", "which-distro/os-release/funtoo/funtoo", 'ID="funtoo"\n'),
    Named("Chimera Linux", "which-distro/os-release/chimera/chimera", 'ID="chimera"\n'),
    Named("Photon OS", "which-distro/os-release/photon/5.0", "ID=photon\n"),
    Named("Void", "which-distro/os-release/void/void", 'ID="void"\n'),
    Named("Slackware", "which-distro/os-release/slackware/15.0", "ID=slackware\n"),
    Named("SUSE", "which-distro/os-release/sles_sap", "ID=sles_sap\n"),
    # Their os-release is that of the distribution which they are made of.
    Named("Vanilla OS", "which-distro/os-release/vanillaos/2", "ID=ubuntu\nID_LIKE=debian\n", ("/usr/share/abroot/abroot.json",)),
    Named("EasyOS or Puppy Linux", "which-distro/os-release/puppy/10.0.8", "ID=debian\n", ("/etc/DISTRO_SPECS",)),
)
OWN = (
    Named("Talos", "siderolabs/talos/pkg/machinery/version/os-release", "ID=talos\n"),
    Named("Home Assistant OS", "home-assistant/operating-system/buildroot-external/meta", "ID=haos\nVARIANT_ID=generic-x86-64\n"),
    Named("LibreELEC or CoreELEC", "LibreELEC/LibreELEC.tv/scripts/image", 'ID="libreelec"\n'),
    Named("VyOS", "vyos/vyos-build/scripts/image-build/build-vyos-image", "ID=vyos\n"),
    Named("Ubuntu Core", "snapcore/core-base/hooks/018-set-os-release.chroot", "ID=ubuntu-core\n"),
    Named("Chimera Linux", "chimera-linux/cports/main/base-files/files/lib/os-release", 'ID="chimera"\n'),
    Named("Photon OS", "vmware/photon/SPECS/photon-release/photon-release.spec", "ID=photon\n"),
    Named("Vanilla OS", "Vanilla-OS/base-files/etc/os-release", "ID=vanilla\nID_LIKE=debian\n"),
    Named("Bottlerocket", "bottlerocket-os/bottlerocket/packages/release/release.spec", "ID=bottlerocket\n"),
    Named(FEDORA, "microsoft/azurelinux/SPECS/azurelinux-release/azurelinux-release.spec", "ID=azurelinux\n"),
    # mkosi.postinst.chroot: ID="$ID", ID_LIKE="particleos-$ID"
    Named("ParticleOS", "systemd/particleos/mkosi.postinst.chroot", 'ID="fedora"\nID_LIKE="particleos-fedora"\n'),
    Named("ParticleOS", "systemd/particleos/mkosi.postinst.chroot", 'ID="debian"\nID_LIKE="particleos-debian"\n'),
    # 3buildeasydistro: ID="${DISTRO_COMPAT_VERSION}"
    Named("EasyOS or Puppy Linux", "bkauler/woofq/easyos/easy-code/3buildeasydistro", 'ID="scarthgap"\n', ("/etc/DISTRO_SPECS",)),
    Named("Kairos", "kairos-io/kairos-init/pkg/stages/steps_init.go", "ID=ubuntu\nID_LIKE=debian\n", ("/etc/kairos-release",)),
    Named("Kairos", "kairos-io/kairos-init/pkg/bundled/cloudconfigs", "ID=alpine\n", ("/etc/kairos-release", "/run/cos/active_mode")),
    Named("Elemental", "rancher/elemental-toolkit/pkg/constants/constants.go", 'ID="sl-micro"\n', ("/run/elemental/active_mode",)),
    Named(
        MICROOS,
        "MicroOS-release.spec of openSUSE",
        'ID="opensuse-microos"\nID_LIKE="suse opensuse opensuse-tumbleweed microos sl-micro"\n',
    ),
    Named(OSTREE, "fedora-release.spec of Fedora", "ID=fedora\nVARIANT_ID=cosmic-atomic\n"),
    # "VARIANT_ID=ucore" is put into Fedora CoreOS' file.
    Named(OSTREE, "ublue-os/ucore", "ID=fedora\nVARIANT_ID=ucore\n"),
    Named("KDE Linux", "set-nextroot.sh of KDE Linux", "ID=kde-linux\n"),
)
QUOTED = (
    Named(OSTREE, "reports of OpenShift 4.13", 'ID="rhcos"\nID_LIKE="rhel fedora"\nVARIANT_ID=coreos\n'),
    Named(MICROOS, "reports of SUSE Linux Micro 6.0", 'ID="sl-micro"\nID_LIKE="suse"\n'),
    Named(MICROOS, "reports of SUSE Linux Micro 6.1", 'ID="sl-micro"\nID_LIKE="suse sle-micro opensuse-microos microos"\n'),
    Named(
        MICROOS,
        "openSUSE's bug 1228361",
        'ID="opensuse-aeon"\nID_LIKE="suse opensuse opensuse-tumbleweed opensuse-microos microos"\n',
    ),
    Named("Elemental", "Harvester's tests", 'ID="sle-micro-rancher"\nID_LIKE="suse"\n', ("/run/cos/active_mode",)),
    Named("Kairos", "builds of its versions before 3", "ID=kairos\n"),
    Named("Unraid", "tests of monitoring agents", 'ID="unraid-os"\n', ("/etc/unraid-version",)),
    Named("Home Assistant OS", "reports of its old name", "ID=hassos\n"),
    Named("LibreELEC or CoreELEC", "tests of Kodi's tools", 'ID="coreelec"\n'),
    Named("ChromeOS", "tests of os-release's parsers", "ID_LIKE=chromiumos\nID=chromeos\n"),
    Named("ChromeOS", "scripts for FydeOS", "ID=FydeOS\n"),
    Named("AerynOS", "tests of package managers", "ID=aerynos\n"),
    Named("AerynOS", "tests of package managers", "ID=serpentos\n"),
    Named("GNOME OS", "scripts of accountsservice", "ID=org.gnome.os\n"),
    Named("OpenWrt", "release notes of programs for it", 'ID="immortalwrt"\n'),
    Named("OpenWrt", "release notes of programs for it", 'ID="lede"\n'),
    Named("Azure Linux OS Guard", "tests of Azure's agents", "ID=azurelinux\nVARIANT_ID=osguard\n"),
    Named("Azure Container Linux", "tests of Azure's agents", "ID=azurelinux\nVARIANT_ID=azurecontainerlinux\n"),
    Named(FEDORA, "reports of Anolis OS 23", 'ID="anolis"\n'),
    Named(FEDORA, "reports of Alibaba Cloud Linux 3", 'ID="alinux"\nID_LIKE="rhel fedora centos anolis"\n'),
    Named(FEDORA, "reports of OpenCloudOS 9.0", 'ID="opencloudos"\nID_LIKE="opencloudos"\n'),
    Named(FEDORA, "reports of OpenCloudOS 8.6", 'ID="OpenCloudOS"\nID_LIKE="rhel fedora"\n'),
    Named(FEDORA, "reports of BigCloud Enterprise Linux for Euler", 'ID="bclinux"\n'),
    Named(FEDORA, "reports of Kylin Linux Advanced Server V10", 'ID="kylin"\n'),
    Named(FEDORA, "reports of Kylin Linux Advanced Server V10", 'ID="kylin"\nID_LIKE="fedora"\nVARIANT_ID="server"\n'),
    Named(FEDORA, "reports of Mageia 8", 'ID=mageia\nID_LIKE="mandriva fedora"\n'),
    Named(FEDORA, "tests of lsb-release's readers", 'ID="mageia"\nID_LIKE="mandriva mandrake"\n'),
    Named("Debian", "reports of Kylin Linux Desktop V10", "ID=kylin\nID_LIKE=debian\n"),
    Named("Debian", "reports of Kylin V11", "ID=kylin\nID_LIKE=openKylin\n"),
)
UNSEEN = ("opensuse-leap-micro", "opensuse-kalpa", "opensuse-slowroll", "openelec", "truenas")
