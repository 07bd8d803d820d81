# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that would lose their disk, network or console with a device: each is refused live and for the next boot, with a sentence."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import IGNORE, OPTIONAL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, OTHER, Host
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.policy_hosts import contents, run

if t.TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = dict.fromkeys(OPTIONAL, IGNORE)
ZFS_MEMBER = "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n"
BTRFS = "/sys/fs/btrfs/5a1e/devices"


class Case(t.NamedTuple):
    """``build`` makes the host; ``says`` is a part of the sentence; ``guard`` the guard that keeps the device."""

    build: t.Callable[[Host], object]
    guard: str
    says: str


def iscsi(host: Host) -> Host:
    session = "/sys/devices/platform/host9/session1"
    host.nic().route("enp3s0", "0000000A", "00000000", "00FFFFFF")
    host.disk(f"{session}/target9:0:0/9:0:0:1/block", "sdb", "8:16", "1")
    return host.file("/sys/class/iscsi_connection/connection1:0/address", "10.0.0.2\n").linked(f"{session}/connection1:0", "../x")


def nvme_over_tcp(host: Host) -> Host:
    host.nic().route("enp3s0", "0000000A", "00000000", "00FFFFFF")
    host.disk("/sys/devices/virtual/nvme-fabrics/ctl/nvme5", "nvme5n1", "259:40", "p1")
    return host.file("/sys/class/nvme/nvme5/transport", "tcp\n").file("/sys/class/nvme/nvme5/address", "traddr=10.0.0.2,trsvcid=4420\n")


def expanders(host: Host) -> Host:
    """A disk behind three cascaded expanders, deeper than any fixed depth."""
    below = host.function("sas").card + "/host0/port-0:0"
    for number in range(3):
        below += f"/expander-0:{number}/port-0:{number}:24"
    return host.disk(f"{below}/end_device-0:3:4/target0:0:9/0:0:9:0/block", "sdc", "8:32", "2")


def open_vswitch(host: Host) -> Host:
    host.nic().interface("ovs-system").interface("br-ex").over("enp3s0", "ovs-system")
    return host.route("br-ex")


def virtual_function(host: Host, **more: t.Any) -> Host:
    host.function("nic", max_virtual_functions=7)
    return host.function("nic", "0000:03:10.0", id="8086:10ca", physical_function=CARD, **{"group": 41, **more})


REFUSED: dict[str, Case] = {
    # -- root, boot, swap
    "root on a partition": Case(
        lambda host: host.nvme_disk("p1").mounted("/", "ext4", "/dev/nvme0n1p1", "259:1"), "root", "/dev/nvme0n1p1 is mounted at /"
    ),
    "root named /dev/root": Case(lambda host: host.nvme_disk("p1").mounted("/", "ext4", "/dev/root", "259:1"), "root", "mounted at /"),
    "root on ZFS, its member known to udev": Case(
        lambda host: host.nvme_disk("p3", udev=ZFS_MEMBER).mounted("/", "zfs", "rpool/ROOT/debian"),
        "root",
        "rpool/ROOT/debian is mounted at /, and /dev/nvme0n1p3 may be a part of it",
    ),
    "root on ZFS, nothing known about the disk": Case(
        lambda host: host.nvme_disk("p3").mounted("/", "zfs", "rpool/ROOT/debian"), "root", "may be a part of it"
    ),
    "boot on ZFS": Case(
        lambda host: host.nvme_disk("p3", udev=ZFS_MEMBER.replace("rpool", "bpool")).mounted("/boot", "zfs", "bpool/BOOT/x"),
        "boot",
        "bpool",
    ),
    "swap on a volume of a pool": Case(
        lambda host: host.nvme_disk("p3", udev=ZFS_MEMBER).file("/proc/swaps", "Filename Type\n/dev/zd0 partition 1 0 -2\n"),
        "swap",
        "/dev/zd0 is in use as swap",
    ),
    "root on btrfs, this being the second device": Case(
        lambda host: (
            host.nvme_disk("p2").mounted("/", "btrfs", "/dev/sda2", "0:30").linked(f"{BTRFS}/sda2", "x").linked(f"{BTRFS}/nvme0n1p2", "x")
        ),
        "root",
        "/dev/sda2 is mounted at /",
    ),
    "root on btrfs, its devices known to udev only": Case(
        lambda host: (
            host.nvme_disk("p2", udev="E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=aa\n")
            .mounted("/", "btrfs", "/dev/sda2", "0:30")
            .file("/sys/class/block/sda2/dev", "8:2\n")
            .file("/run/udev/data/b8:2", "E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=aa\n")
        ),
        "root",
        "mounted at /",
    ),
    "root on btrfs, its devices not known": Case(
        lambda host: host.nvme_disk("p2").mounted("/", "btrfs", "/dev/sda2", "0:30"), "root", "may be a part of it"
    ),
    "root on bcachefs with two disks": Case(
        lambda host: host.nvme_disk().mounted("/", "bcachefs", "/dev/sda:/dev/nvme0n1", "0:31"), "root", "/dev/sda:/dev/nvme0n1"
    ),
    "root on bcachefs, one disk named": Case(
        lambda host: (
            host.nvme_disk()
            .mounted("/", "bcachefs", "/dev/sda", "0:31")
            .linked("/sys/fs/bcachefs/77/dev-0/block", "../../../sda")
            .linked("/sys/fs/bcachefs/77/dev-1/block", "../../../nvme0n1")
        ),
        "root",
        "mounted at /",
    ),
    "root on LVM on an encrypted array": Case(
        lambda host: (
            host.nvme_disk("p1")
            .stacked("md0", "9:0", "nvme0n1p1")
            .stacked("dm-0", "253:0", "md0")
            .stacked("dm-1", "253:1", "dm-0")
            .mounted("/", "ext4", "/dev/mapper/vg-root", "253:1")
        ),
        "root",
        "/dev/mapper/vg-root is mounted at /",
    ),
    "root on NVMe with several paths": Case(
        lambda host: (
            host.function("nvme")
            .file(f"{host.card}/nvme/nvme0/nvme0c0n1/uevent", "")
            .disk("/sys/devices/virtual/nvme-subsystem/nvme-subsys0", "nvme0n1", "259:0", "p1")
            .mounted("/", "ext4", "/dev/nvme0n1p1", "259:1")
        ),
        "root",
        "/dev/nvme0n1p1 is mounted at /",
    ),
    "root behind three cascaded expanders": Case(
        lambda host: expanders(host).mounted("/", "xfs", "/dev/sdc2", "8:33"), "root", "/dev/sdc2 is mounted at /"
    ),
    "root on a USB disk": Case(
        lambda host: (
            host.function("usb")
            .disk(f"{host.card}/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block", "sdd", "8:48", "1")
            .mounted("/", "ext4", "/dev/sdd1", "8:49")
        ),
        "root",
        "/dev/sdd1",
    ),
    "root is an overlay of a disk": Case(
        lambda host: (
            host.nvme_disk("p1")
            .mounted("/media/lower", "squashfs", "/dev/nvme0n1p1", "259:1", "ro")
            .mounted("/", "overlay", "overlay", "0:40", "rw,lowerdir=/media/lower,upperdir=/run/up/u,workdir=/run/up/w")
        ),
        "root",
        "overlay is mounted at /",
    ),
    "root is an overlay of what cannot be seen": Case(
        lambda host: host.nvme_disk("p1").mounted("/", "overlay", "overlay", "0:40", "rw,lowerdir=/live/root"),
        "root",
        "may be a part of it",
    ),
    "root on a loop device of a file on the disk": Case(
        lambda host: (
            host.nvme_disk("p1")
            .mounted("/mnt/host", "ext4", "/dev/nvme0n1p1", "259:1")
            .stacked("loop0", "7:0")
            .file("/sys/class/block/loop0/loop/backing_file", "/mnt/host/root.img\n")
            .mounted("/", "ext4", "/dev/loop0", "7:0")
        ),
        "root",
        "/dev/loop0 is mounted at /",
    ),
    "root's log on another disk": Case(
        lambda host: host.nvme_disk("p1").mounted("/", "xfs", "/dev/sda1", "8:1", "rw,logdev=/dev/nvme0n1p1"), "root", "mounted at /"
    ),
    "root's cache on another disk": Case(
        lambda host: (
            host.nvme_disk()
            .linked(f"{host.card}/nvme/nvme0/nvme0n1/bcache/set/bdev0/dev", "../../../../bcache0")
            .linked(f"{host.card}/nvme/nvme0/nvme0n1/bcache/set/cache0", "x")
            .stacked("bcache0", "252:0")
            .mounted("/", "ext4", "/dev/bcache0", "252:0")
        ),
        "root",
        "/dev/bcache0 is mounted at /",
    ),
    "root of the next boot on another disk": Case(
        lambda host: (
            host.nvme_disk("p1").linked("/dev/disk/by-uuid/ab-cd", "../../nvme0n1p1").file("/proc/cmdline", "root=UUID=ab-cd ro\n")
        ),
        "root",
        "UUID=ab-cd is named by root= in",
    ),
    "the EFI partition as an idle automount": Case(
        lambda host: (
            host.nvme_disk("p1")
            .mounted("/boot/efi", "autofs", "systemd-1", "0:37", "rw,fd=56")
            .linked("/dev/disk/by-uuid/AAAA-BBBB", "../../nvme0n1p1")
            .fstab("UUID=AAAA-BBBB /boot/efi vfat noauto,nofail,x-systemd.automount 0 1")
        ),
        "boot",
        "UUID=AAAA-BBBB is needed at boot for /boot/efi (/etc/fstab:2)",
    ),
    "the EFI partition as an automount that a generator made": Case(
        lambda host: (
            host.nvme_disk("p1")
            .mounted("/efi", "autofs", "systemd-1", "0:37")
            .linked("/dev/disk/by-partuuid/77", "../../nvme0n1p1")
            .file("/run/systemd/generator.late/efi.mount", "[Mount]\nWhat=/dev/disk/by-partuuid/77\nWhere=/efi\n")
        ),
        "boot",
        "/dev/disk/by-partuuid/77 is needed for /efi",
    ),
    "an automount of which nothing says what it mounts": Case(
        lambda host: host.nvme_disk("p1").mounted("/efi", "autofs", "systemd-1", "0:37"), "boot", "/efi is mounted when it is accessed"
    ),
    "Proxmox's EFI partitions, which are not mounted": Case(
        lambda host: host.nvme_disk("p2", udev="E:ID_FS_TYPE=vfat\nE:ID_FS_UUID=1234-ABCD\n").file(
            "/etc/kernel/proxmox-boot-uuids", "1234-ABCD\n"
        ),
        "boot",
        "UUID=1234-ABCD is an EFI partition",
    ),
    "a swap file": Case(
        lambda host: (
            host.nvme_disk("p1")
            .mounted("/data", "ext4", "/dev/nvme0n1p1", "259:1")
            .file("/proc/swaps", "Filename Type\n/data/swap file 1 0 -2\n")
        ),
        "swap",
        "/data/swap is in use as swap",
    ),
    "swap on LVM": Case(
        lambda host: (
            host.nvme_disk("p1").stacked("dm-3", "253:3", "nvme0n1p1").file("/proc/swaps", "Filename Type\n/dev/dm-3 partition 1 0 -2\n")
        ),
        "swap",
        "/dev/dm-3 is in use as swap",
    ),
    # -- root over a network
    "root on NFS over this card": Case(
        lambda host: (
            host.nic()
            .route("enp3s0", "0000000A", "00000000", "00FFFFFF")
            .mounted("/", "nfs4", "10.0.0.2:/root", "0:22", "rw,addr=10.0.0.2")
        ),
        "root",
        "10.0.0.2:/root is mounted at /, over enp3s0",
    ),
    "root on iSCSI over this card": Case(lambda host: iscsi(host).mounted("/", "ext4", "/dev/sdb1", "8:17"), "root", "over enp3s0"),
    "root on NVMe over TCP": Case(lambda host: nvme_over_tcp(host).mounted("/", "ext4", "/dev/nvme5n1p1", "259:41"), "root", "over enp3s0"),
    "root on an NBD": Case(
        lambda host: host.nic().stacked("nbd0", "43:0").mounted("/", "ext4", "/dev/nbd0", "43:0"), "root", "enp3s0 may be it"
    ),
    "root on a shared folder of the hypervisor": Case(
        lambda host: (
            host.function("virtio", id="1af4:105a", class_code=0x018000)
            .linked(f"{host.card}/virtio3/driver", "../../bus/virtio/drivers/virtiofs")
            .mounted("/", "virtiofs", "rootfs", "0:20")
        ),
        "root",
        "rootfs is mounted at /",
    ),
    # -- routes
    "default route": Case(lambda host: host.nic().route("enp3s0"), "route", "enp3s0 carries the default route"),
    "default route over a VLAN of a bond in a bridge": Case(
        lambda host: (
            host.nic()
            .interface("bond0")
            .interface("bond0.7")
            .interface("br0")
            .over("enp3s0", "bond0")
            .over("bond0", "bond0.7")
            .over("bond0.7", "br0")
            .route("br0")
        ),
        "route",
        "br0 carries the default route",
    ),
    "default route on a bridge of Open vSwitch": Case(open_vswitch, "route", "br-ex carries the default route"),
    "default route on a subfunction": Case(
        lambda host: host.function("mlx5").interface("enp3s0f0s88", f"{host.card}/mlx5_core.sf.4").route("enp3s0f0s88"),
        "route",
        "enp3s0f0s88 carries the default route",
    ),
    "default route on a USB card": Case(
        lambda host: host.function("usb").interface("enx0", f"{host.card}/usb1/1-3/1-3:1.0").route("enx0"), "route", "enx0 carries"
    ),
    "default route on a virtio card": Case(
        lambda host: host.function("virtio").interface("eth0", f"{host.card}/virtio0").route("eth0"), "route", "eth0 carries"
    ),
    "default route on a virtual function": Case(
        lambda host: virtual_function(host).interface("enp3s0v0", "/sys/devices/pci0000:03/0000:03:10.0").route("enp3s0v0"),
        "route",
        "enp3s0v0 carries the default route",
    ),
    "default route over a tunnel through this card": Case(
        lambda host: (
            host.nic()
            .interface("wg0")
            .file("/sys/devices/virtual/net/wg0/uevent", "DEVTYPE=wireguard\n")
            .route("wg0", gateway="00000000")
            .route("enp3s0", "0500000A", "0100000A", "FFFFFFFF")
        ),
        "route",
        "wg0 carries the default route",
    ),
    "default route of IPv6": Case(
        lambda host: host.nic().file(
            "/proc/net/ipv6_route", f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00000003 enp3s0\n"
        ),
        "route",
        "enp3s0 carries the default route",
    ),
    # -- this connection
    "this connection by a link-local address": Case(
        lambda host: host.nic().ssh("fe80::2%enp3s0", "fe80::1%enp3s0"), "connection", "enp3s0 carries this SSH connection"
    ),
    "this connection, without the command ip": Case(
        lambda host: host.nic().route("enp3s0", "0000000A", "00000000", "00FFFFFF").ssh("10.0.0.9", "10.0.0.1"),
        "connection",
        "enp3s0 carries this SSH connection (10.0.0.1)",
    ),
    "this connection by IPv6, without the command ip": Case(
        lambda host: (
            host.nic().file("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80 enp3s0\n").ssh("fd00::9", "fd00::1")
        ),
        "connection",
        "enp3s0 carries this SSH connection (fd00::1)",
    ),
    "this connection, over what cannot be determined": Case(
        lambda host: host.nic().ssh("10.0.0.9", "10.0.0.1"),
        "connection",
        "over which interface this SSH connection runs cannot be determined",
    ),
    # -- the console
    "the display that the firmware shows": Case(lambda host: host.function("gpu", boot_vga=True), "console", "boot_vga"),
    "the firmware's framebuffer": Case(
        lambda host: (
            host.function("gpu")
            .file(f"{host.card}/resource", "0x00000000d0000000 0x00000000dfffffff 0x0000000000140204\n")
            .file("/proc/iomem", "d0000000-dfffffff : PCI Bus 0000:03\n  d0000000-d07fffff : BOOTFB\n")
        ),
        "console",
        "the console's framebuffer",
    ),
    "the firmware's framebuffer on a card without a driver": Case(
        lambda host: (
            host.function("gpu", driver=None)
            .file(f"{host.card}/resource", "0x00000000d0000000 0x00000000dfffffff 0x0000000000140204\n")
            .file("/proc/iomem", "  d0000000-d07fffff : BOOTFB\n")
        ),
        "console",
        "the console's framebuffer",
    ),
    "a framebuffer with the console": Case(
        lambda host: host.function("gpu").file(f"{host.card}/graphics/fb0/dev", "29:0\n"),
        "console",
        "the console is on its framebuffer fb0",
    ),
    "the card of the serial console": Case(
        lambda host: host.function("serial").file(f"{host.card}/tty/ttyS4/dev", "4:68\n").file("/proc/cmdline", "console=ttyS4,115200\n"),
        "console",
        "the console is on ttyS4",
    ),
    "the card of an active console": Case(
        lambda host: (
            host.function("serial")
            .file(f"{host.card}/exar.0/tty/ttyS5/dev", "4:69\n")
            .file("/sys/class/tty/console/active", "tty0 ttyS5\n")
        ),
        "console",
        "the console is on ttyS5",
    ),
    "the USB controller of the keyboard": Case(
        lambda host: host.function("usb").file(
            f"{host.card}/usb1/1-2/1-2:1.0/0003:046D:C31C.0001/input/input5/capabilities/key",
            "1000000000007 ff9f207ac14057ff fffffffffffffffe\n",
        ),
        "console",
        "a keyboard is connected to it",
    ),
    "the USB controller of a keyboard without a driver": Case(
        lambda host: (
            host.function("usb")
            .file(f"{host.card}/usb1/1-2/1-2:1.0/bInterfaceClass", "03\n")
            .file(f"{host.card}/usb1/1-2/1-2:1.0/bInterfaceProtocol", "01\n")
        ),
        "console",
        "a keyboard is connected to it",
    ),
    "the card of the virtio console": Case(
        lambda host: (
            host.function("virtio", id="1af4:1043", class_code=0x078000)
            .linked(f"{host.card}/virtio1/driver", "../../bus/virtio/drivers/virtio_console")
            .file("/sys/class/tty/console/active", "hvc0\n")
        ),
        "console",
        "the console hvc may be on it",
    ),
    # -- data
    "a mounted disk of data": Case(
        lambda host: host.nvme_disk("p1").mounted("/home", "ext4", "/dev/nvme0n1p1", "259:1"),
        "data_mounts",
        "/dev/nvme0n1p1 is mounted at /home",
    ),
    "a disk that fstab needs": Case(
        lambda host: host.nvme_disk("p1").linked("/dev/disk/by-uuid/ee", "../../nvme0n1p1").fstab("UUID=ee /var/lib ext4 defaults 0 2"),
        "data_mounts",
        "UUID=ee is needed at boot for /var/lib (/etc/fstab:2)",
    ),
    "a disk that fstab names by its label": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=home\n").fstab("LABEL=home /home ext4 defaults 0 2"),
        "data_mounts",
        "LABEL=home is needed at boot for /home",
    ),
    "a disk that crypttab unlocks": Case(
        lambda host: (
            host.nvme_disk("p1").linked("/dev/disk/by-partuuid/cc", "../../nvme0n1p1").file("/etc/crypttab", "data PARTUUID=cc none luks\n")
        ),
        "data_mounts",
        "PARTUUID=cc is unlocked at boot (/etc/crypttab:1)",
    ),
    "a disk that a unit mounts": Case(
        lambda host: host.nvme_disk("p1").file("/etc/systemd/system/srv.mount", "[Mount]\nWhat=/dev/nvme0n1p1\nWhere=/srv\n"),
        "data_mounts",
        "/dev/nvme0n1p1 is needed for /srv",
    ),
    "a pool of data": Case(
        lambda host: host.nvme_disk("p1", udev=ZFS_MEMBER.replace("rpool", "tank")).mounted("/tank", "zfs", "tank"), "data_mounts", "tank"
    ),
    "data on NFS over this card": Case(
        lambda host: (
            host.nic()
            .route("enp3s0", "0000000A", "00000000", "00FFFFFF")
            .mounted("/home", "nfs", "10.0.0.2:/home", "0:50", "addr=10.0.0.2")
        ),
        "data_mounts",
        "10.0.0.2:/home is mounted at /home, over enp3s0",
    ),
    # -- use
    "a GPU that a running guest has": Case(
        lambda host: host.function("gpu").opened("/dev/vfio/3"), "in_use", "process 4711 (a guest, qemu-system-x86) has /dev/vfio/3 open"
    ),
    "a GPU that a guest has without an IOMMU": Case(lambda host: host.function("gpu").opened("/dev/vfio/noiommu-3"), "in_use", "noiommu-3"),
    "a device that a guest has through iommufd": Case(
        lambda host: (
            host.function("gpu")
            .file(f"{host.card}/vfio-dev/vfio0/uevent", "DEVNAME=vfio/devices/vfio0\n")
            .opened("/dev/vfio/devices/vfio0")
        ),
        "in_use",
        "/dev/vfio/devices/vfio0",
    ),
    "a GPU of the proprietary driver": Case(
        lambda host: (
            host.function("gpu", driver="nvidia")
            .file(f"/proc/driver/nvidia/gpus/{CARD}/information", "Model: \t\t V100\nDevice Minor: \t 2\n")
            .opened("/dev/nvidia2", "python3")
        ),
        "in_use",
        "process 4711 (python3) has /dev/nvidia2 open",
    ),
    "a GPU of the proprietary driver that does not say its node": Case(
        lambda host: host.function("gpu", driver="nvidia"), "in_use", "which device node nvidia has made"
    ),
    "a GPU that persistence mode keeps": Case(
        lambda host: (
            host.function("gpu", driver="nvidia")
            .file(f"/proc/driver/nvidia/gpus/{CARD}/information", "Device Minor: \t 2\n")
            .file("/proc/77/comm", "nvidia-persiste\n")
        ),
        "in_use",
        "persistence mode",
    ),
    "the parent of mediated devices": Case(
        lambda host: host.function("gpu").file(f"{host.card}/4b20d080-1b54-4048-85b3-a6a62d165c01/uevent", ""),
        "in_use",
        "it has 1 mediated device",
    ),
    "a card with virtual functions": Case(virtual_function, "in_use", "it has 1 virtual function, which would be lost"),
    "a card whose virtual function a guest has": Case(
        lambda host: virtual_function(host, driver="vfio-pci", group=40).opened("/dev/vfio/40"), "in_use", "has /dev/vfio/40 open"
    ),
    "an interface with an address": Case(
        lambda host: host.nic().file("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80 enp3s0\n"),
        "in_use",
        "enp3s0 has the address fd00::1",
    ),
    "an interface in a bridge of guests": Case(
        lambda host: host.nic().interface("vmbr0").over("enp3s0", "vmbr0"), "in_use", "enp3s0 is a part of vmbr0"
    ),
    "an interface in another network namespace": Case(
        lambda host: host.function("nic").folder("net"), "in_use", "another network namespace"
    ),
    "memory of the card that a process has mapped": Case(
        lambda host: host.function("gpu").opened(f"/sys/devices/pci0000:03/{CARD}/resource0", "dpdk"), "in_use", "resource0 open"
    ),
}


@pytest.fixture(params=REFUSED)
def case(request: pytest.FixtureRequest) -> Case:
    return REFUSED[request.param]


@pytest.fixture
def host(case: Case, tmp_path: Path) -> Host:
    built = Host(tmp_path)
    case.build(built)
    return built


def live(host: Host, guards: dict[str, str] | None = None, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
    given = {"devices": CARD, "driver": "vfio-pci", "guards": guards or {}, **more}
    return device_claim(host.tree.host(host.commands()), check_mode, **given)


def next_boot(host: Host, guards: dict[str, str] | None = None, **more: t.Any) -> dict[str, t.Any]:
    return run(host.tree, {"devices": CARD, "driver": "vfio-pci", "guards": guards or {}}, **more)


def test_it_is_refused_live(case: Case, host: Host) -> None:
    for check_mode in (True, False):
        with pytest.raises(HostError) as caught:
            live(host, check_mode=check_mode)
        assert case.says in caught.value.msg
    assert host.tree.place(f"{host.card}/driver_override").read_text() == "(null)\n"


def test_it_is_refused_for_the_next_boot(case: Case, host: Host) -> None:
    before = contents(host.tree)
    for check in (True, False):
        with pytest.raises(HostError) as caught:
            next_boot(host, check=check)
        assert case.says in caught.value.msg
    assert contents(host.tree) == before


def test_only_what_the_host_can_do_without_is_overridden(case: Case, host: Host) -> None:
    if case.guard in OPTIONAL:
        assert live(host, {**EVERYTHING}, check_mode=True)["changed"]
        assert next_boot(host, EVERYTHING, check=True)["changed"]
        return
    for take in (live, next_boot):
        with pytest.raises(HostError, match="Nothing overrides this"):
            take(host, EVERYTHING)


def test_claim_info_says_which_guard_it_is(case: Case, host: Host) -> None:
    (device,) = claim_info(host.tree.host(), devices=CARD, driver="vfio-pci", kernels=["all"])["devices"]
    assert (case.guard, True) in [(found["guard"], case.says in found["what"]) for found in device["guards"]]


def test_a_card_beside_it_may_go(case: Case, host: Host) -> None:
    """Whatever the host depends on, it does not depend on a second GPU without a disk, an interface or a screen."""
    assert case.build is not None
    host.function("gpu", OTHER, id="10de:1db4")
    assert live(host, devices=OTHER, check_mode=True)["changed"]
    assert run(host.tree, {"devices": OTHER, "driver": "vfio-pci"}, check=True)["changed"]
