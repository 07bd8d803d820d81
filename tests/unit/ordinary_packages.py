# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts by itself in 160 packages of Debian 12 and 13, as the packages have it, laid into a root tree with dpkg's database.

The archive holds the texts unchanged; of a compiled program it holds the first bytes.  To make it again, download the packages of
`GROUPS` into FOLDER/trixie and FOLDER/bookworm (`apt-get download`) and run `tools/run python tests/unit/ordinary_packages.py FOLDER`.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.trees import Tree

ARCHIVE = Path(__file__).with_name("files") / "ordinary-packages.tar.xz"
RELEASES = ("trixie", "bookworm")
GROUPS: t.Mapping[str, str] = {
    "server": "systemd udev systemd-sysv kmod initramfs-tools initramfs-tools-core dbus openssh-server sudo apt apparmor cron logrotate"
    " e2fsprogs lvm2 dmsetup mdadm cloud-init grub-common ifupdown unattended-upgrades rsyslog chrony nftables smartmontools lm-sensors"
    " rasdaemon irqbalance intel-microcode fwupd tpm2-tools needrestart",
    "virtualization": "qemu-system-x86 qemu-system-common qemu-utils libvirt-daemon libvirt-daemon-system libvirt-daemon-common"
    " libvirt-daemon-driver-qemu openvswitch-switch openvswitch-common openvswitch-switch-dpdk dpdk driverctl mdevctl tuned numad swtpm"
    " dnsmasq-base",
    "storage": "multipath-tools multipath-tools-boot kpartx zfsutils-linux zfs-zed zfs-initramfs open-iscsi nvme-cli rdma-core"
    " infiniband-diags mstflint btrfs-progs drbd-utils ceph-common ceph-osd nfs-common nfs-kernel-server cryptsetup cryptsetup-initramfs"
    " bcache-tools targetcli-fb",
    "nvidia": "nvidia-kernel-common nvidia-kernel-support nvidia-modprobe nvidia-persistenced nvidia-alternative glx-alternative-nvidia"
    " nvidia-suspend-common nvidia-smi nvidia-driver update-glx",
    "network": "network-manager netplan.io networkd-dispatcher ethtool frr keepalived ifupdown2 ifenslave lldpd",
    "containers": "docker.io containerd podman lxc incus nova-compute neutron-openvswitch-agent ovn-host",
    "desktop": "gdm3 lightdm sddm plymouth upower udisks2 bluez alsa-utils switcheroo-control power-profiles-daemon tlp laptop-mode-tools"
    " bumblebee acpid thermald modemmanager usb-modeswitch pcscd bolt iio-sensor-proxy",
    "management": "ipmitool openipmi freeipmi-tools edac-utils watchdog snmpd collectd prometheus-node-exporter zabbix-agent2 kdump-tools"
    " kexec-tools hyperv-daemons open-vm-tools spice-vdagent qemu-guest-agent sysfsutils sysstat",
}
_WANTED_BY = re.compile(r"^WantedBy=(\S+)", re.MULTILINE)


@functools.cache
def _files() -> t.Mapping[tuple[str, str], t.Sequence[tuple[str, int, bytes | None, str]]]:
    """Path, mode, content and target of each file and link, by release and package."""
    found: dict[tuple[str, str], list[tuple[str, int, bytes | None, str]]] = {}
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            release, package, path = member.name.split("/", 2)
            file = archive.extractfile(member) if member.isfile() else None
            content = None if file is None else file.read()
            found.setdefault((release, package), []).append((f"/{path}", member.mode, content, member.linkname))
    return found


def texts(release: str, package: str) -> t.Iterator[tuple[str, str]]:
    """Each file of a package that is a text, with its path."""
    for path, _mode, content, _target in _files()[release, package]:
        if content is not None:
            yield path, content.decode("utf-8", "replace")


def install(tree: Tree, release: str, groups: t.Iterable[str], known: bool = True) -> Tree:
    """Lay the packages of some groups into a tree, and enable each of their units; with dpkg's database, if they are ``known``."""
    units: dict[str, str] = {}
    for package in (name for group in groups for name in GROUPS[group].split()):
        sums = ""
        for path, mode, content, target in _files().get((release, package), ()):
            place = re.sub(r"^/(lib|bin|sbin)/", r"/usr/\1/", path)
            if tree.place(place).is_symlink() or tree.place(place).exists():
                continue
            if content is None:
                tree.link(place, target)
                continue
            tree.file(place, content, mode)
            sums += f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {path[1:]}\n"
            if place.startswith("/usr/lib/systemd/system/") and place.endswith(".service") and "@" not in place:
                units[place] = content.decode("utf-8", "replace")
        if known and sums:
            tree.file(f"/var/lib/dpkg/info/{package}.md5sums", sums)
    for path, text in units.items():
        for target in _WANTED_BY.findall(text):
            tree.link(f"/etc/systemd/system/{target}.wants/{path.rpartition('/')[2]}", path)
    return tree


# -- making the archive

_READ = re.compile(
    r"(?:usr/)?lib/(?:systemd/(?:system|system-generators)|udev/rules\.d|modprobe\.d|modules-load\.d|tmpfiles\.d|sysctl\.d)/"
    r"|etc/(?:systemd|udev|init\.d|cron|default|network|networkd-dispatcher|NetworkManager|libvirt/hooks|tuned|dhcp|modules|modprobe\.d"
    r"|tmpfiles\.d|sysctl\.d|anacrontab|crontab|bumblebee|laptop-mode|cloud|dpdk|driverctl|nvidia|kernel)"
    r"|usr/share/(?:dbus-1/system-services|initramfs-tools/scripts)/|usr/lib/NetworkManager/dispatcher\.d/"
)
_PROGRAM = re.compile(r"(?:usr/)?(?:s?bin|lib|libexec)/")
_WORD = re.compile(rb"[\w.+@-]{3,}")
_LARGEST = 100_000
_ELF = b"\x7fELF"


def _selected(package: Path) -> t.Iterator[tuple[Path, bytes]]:
    """What starts or is read by itself, then the programs that any of it names."""
    files = {path: str(path.relative_to(package)) for path in sorted(package.rglob("*")) if path.is_file() and not path.is_symlink()}
    chosen = {path: _content(path) for path, name in files.items() if _READ.match(name)}
    programs = {path for path, name in files.items() if _PROGRAM.match(name) and path.stat().st_mode & 0o111 and path not in chosen}
    while True:
        words = {word.decode() for content in chosen.values() for word in _WORD.findall(content)}
        more = {path: _content(path) for path in programs - chosen.keys() if path.name in words}
        if not more:
            break
        chosen.update(more)
    yield from ((path, content) for path, content in chosen.items() if len(content) <= _LARGEST)


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return content[:8] if content.startswith(_ELF) else content


def _collect(downloads: Path) -> None:
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for release in RELEASES:
            for package in sorted({name for group in GROUPS.values() for name in group.split()}):
                for download in sorted((downloads / release).glob(f"{package}_*.deb")):
                    with tempfile.TemporaryDirectory() as folder:
                        subprocess.run(["dpkg-deb", "-x", download, folder], check=True, timeout=120)
                        _add(archive, f"{release}/{package}", Path(folder))


def _add(archive: tarfile.TarFile, prefix: str, folder: Path) -> None:
    for path, content in _selected(folder):
        entry = tarfile.TarInfo(f"{prefix}/{path.relative_to(folder)}")
        entry.size, entry.mode = len(content), path.stat().st_mode & 0o777
        archive.addfile(entry, io.BytesIO(content))
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and _READ.match(str(path.relative_to(folder))):
            entry = tarfile.TarInfo(f"{prefix}/{path.relative_to(folder)}")
            entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
            archive.addfile(entry)


if __name__ == "__main__":
    _collect(Path(sys.argv[1]))
