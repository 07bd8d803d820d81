# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose file systems or swap depend on a device."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.boot_menus import boot_numbers, boot_option
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import Case, Host

ZFS_MEMBER = "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n"
BTRFS = "/sys/fs/btrfs/5a1e/devices"


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


def started_by_firmware(host: Host) -> Host:
    partition = "8d4b8d4b-0000-4000-8000-0123456789ab"
    boot_option(host.tree, 3, "\\EFI\\debian\\grubx64.efi", partition=partition)
    boot_numbers(host.tree, "BootCurrent", 3)
    return host.nvme_disk("p1").linked(f"/dev/disk/by-partuuid/{partition}", "../../nvme0n1p1")


STORAGE: dict[str, Case] = {
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
    "a disk that fstab names by its place": Case(
        lambda host: (
            host.nvme_disk("p1")
            .linked("/dev/disk/by-path/pci-0000:03:00.0-nvme-1-part1", "../../nvme0n1p1")
            .fstab("/dev/disk/by-path/pci-0000:03:00.0-nvme-1-part1 /home ext4 defaults 0 1")
        ),
        "data_mounts",
        "is needed at boot for /home",
    ),
    "a disk that crypttab unlocks": Case(
        lambda host: (
            host.nvme_disk("p1").linked("/dev/disk/by-partuuid/cc", "../../nvme0n1p1").file("/etc/crypttab", "data PARTUUID=cc none luks\n")
        ),
        "data_mounts",
        "PARTUUID=cc is unlocked at boot (/etc/crypttab:1)",
    ),
    "a boot partition that is only mounted for updates": Case(
        lambda host: host.nvme_disk("p1").linked("/dev/disk/by-uuid/ee", "../../nvme0n1p1").fstab("UUID=ee /boot ext4 noauto 0 2"),
        "boot",
        "UUID=ee is needed at boot for /boot",
    ),
    "the partition that the firmware has started the host from": Case(
        started_by_firmware,
        "boot",
        "the firmware has started this host from PARTUUID=8d4b8d4b-0000-4000-8000-0123456789ab (Boot0003 (Linux))",
    ),
    "a file that fstab mounts as a loop device": Case(
        lambda host: host.nvme_disk("p1").fstab("/dev/nvme0n1p1 /data ext4 defaults 0 2", "/data/a.iso /srv/a iso9660 loop,ro 0 0"),
        "data_mounts",
        "/data/a.iso is needed at boot for /srv/a (/etc/fstab:3)",
    ),
    "a folder that fstab mounts elsewhere": Case(
        lambda host: host.nvme_disk("p1").fstab("/dev/nvme0n1p1 /data ext4 defaults 0 2", "/data/lib /var/lib/x none bind 0 0"),
        "data_mounts",
        "/data/lib is needed at boot for /var/lib/x",
    ),
    "a folder that fstab mounts as the system's": Case(
        lambda host: (
            host.nvme_disk("p1")
            .fstab("/dev/nvme0n1p1 /data ext4 nofail 0 2", "/data/var /var none bind 0 0")
            .mounted("/data", "ext4", "/dev/nvme0n1p1", "259:1")
        ),
        "root",
        "/data/var is needed at boot for /var",
    ),
    "the lower disk of an overlay that fstab makes": Case(
        lambda host: host.nvme_disk("p1").fstab(
            "/dev/nvme0n1p1 /lower ext4 ro 0 2", "overlay /opt/x overlay lowerdir=/lower,upperdir=/run/u,workdir=/run/w 0 0"
        ),
        "data_mounts",
        "overlay is needed at boot for /opt/x",
    ),
    "the layers of a container": Case(
        lambda host: (
            host.nvme_disk("p1")
            .mounted("/var/lib/docker", "ext4", "/dev/nvme0n1p1", "259:1")
            .mounted("/var/lib/docker/overlay2/3f/merged", "overlay", "overlay", "0:61", "rw,lowerdir=l/A:l/B")
        ),
        "data_mounts",
        "overlay is mounted at /var/lib/docker/overlay2/3f/merged",
    ),
    "a disk of mergerfs": Case(
        lambda host: (
            host.nvme_disk("p1")
            .mounted("/mnt/a", "ext4", "/dev/nvme0n1p1", "259:1")
            .mounted("/srv/all", "fuse.mergerfs", "/mnt/a:/mnt/b", "0:62")
        ),
        "data_mounts",
        "/mnt/a:/mnt/b is mounted at /srv/all",
    ),
    "a part of an array that is not mounted": Case(
        lambda host: host.nvme_disk("p1").stacked("md0", "9:0", "nvme0n1p1"), "data_mounts", "/dev/nvme0n1p1 is a part of /dev/md0"
    ),
    "a pool without mounted file systems": Case(
        lambda host: host.nvme_disk("p1", udev=ZFS_MEMBER.replace("rpool", "vms")).file("/proc/spl/kstat/zfs/vms/state", "ONLINE\n"),
        "data_mounts",
        "the pool vms is imported",
    ),
    "a disk that a unit of an image mounts": Case(
        lambda host: host.nvme_disk("p1").file("/usr/lib/systemd/system/srv-data.mount", "[Mount]\nWhat=/dev/nvme0n1p1\nWhere=/srv/data\n"),
        "data_mounts",
        "is needed for /srv/data",
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
}
