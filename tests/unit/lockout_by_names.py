# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and servers that a host needs by a way round: files that are mounted, sums, labels, pools, layers that are not active."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Case, Host


def words(host: Host, text: str) -> Host:
    host.tree.cmdline(f"root=/dev/mapper/root ro {text}")
    return host


def to_server(host: Host) -> Host:
    """An interface that leads to 10.0.0.2."""
    return host.nic().route("enp3s0", "0000000A", "00000000", "00FFFFFF")


def up_with_address(host: Host) -> Host:
    return host.nic().file("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80 enp3s0\n")


def cxl(host: Host) -> Host:
    host.tree.pci(CARD, "1e98:0001", class_code=0x050210, driver="cxl_pci", group=3)
    host.disk("/sys/devices/platform/ACPI0017:00/root0/nvdimm-bridge0/ndbus0/region0/namespace0.0/block", "pmem0", "259:9")
    host.tree.directory("/sys/bus/cxl/devices/region0")
    return host


def local_nbd(host: Host) -> Host:
    host.nvme_disk("p1").mounted("/data", "xfs", "/dev/nvme0n1p1", "259:1")
    host.stacked("nbd0", "43:0").file("/sys/devices/virtual/block/nbd0/pid", "812\n").file("/proc/812/comm", "qemu-nbd\n")
    return host.linked("/proc/812/fd/9", "/data/usr.qcow2").mounted("/usr", "ext4", "/dev/nbd0", "43:0")


HASH = "0123456789abcdef0123456789abcdef" + "fedcba9876543210fedcba9876543210"
DATA, SUMS = "01234567-89ab-cdef-0123-456789abcdef", "fedcba98-7654-3210-fedc-ba9876543210"

BY_NAMES: dict[str, Case] = {
    # -- disks
    "root on a cache that dm-cache keeps on this disk": Case(
        lambda host: (
            host.nvme_disk("p1")
            .stacked("dm-1", "253:1", "nvme0n1p1")
            .stacked("dm-0", "253:0", "dm-1")
            .mounted("/", "ext4", "/dev/dm-0", "253:0")
        ),
        "root",
        "/dev/dm-0 is mounted at /",
    ),
    "the sums of a root with dm-verity": Case(
        lambda host: host.nvme_disk("p2").stacked("dm-0", "253:0", "nvme0n1p2", "sda1").mounted("/", "ext4", "/dev/dm-0", "253:0"),
        "root",
        "/dev/dm-0 is mounted at /",
    ),
    "root on a disk of another host by RNBD": Case(
        lambda host: host.nvme_disk("p1").stacked("rnbd0", "251:0").mounted("/", "ext4", "/dev/rnbd0", "251:0"),
        "root",
        "/dev/rnbd0 is mounted at /",
    ),
    "a system folder that is a file on a disk of data": Case(
        lambda host: (
            host.nvme_disk("p1").mounted("/data", "xfs", "/dev/nvme0n1p1", "259:1").mounted("/usr", "erofs", "/data/usr.erofs", "0:45")
        ),
        "root",
        "/data/usr.erofs is mounted at /usr",
    ),
    "a system folder that is encrypted in a folder of a disk of data": Case(
        lambda host: (
            host.nvme_disk("p1").mounted("/data", "xfs", "/dev/nvme0n1p1", "259:1").mounted("/var", "ecryptfs", "/data/.var", "0:45")
        ),
        "root",
        "/data/.var is mounted at /var",
    ),
    "a folder that a program of FUSE shows elsewhere": Case(
        lambda host: (
            host.nvme_disk("p1").mounted("/data", "xfs", "/dev/nvme0n1p1", "259:1").mounted("/var", "fuse.bindfs", "/data/v", "0:45")
        ),
        "root",
        "/data/v is mounted at /var",
    ),
    "root on persistent memory of CXL": Case(
        lambda host: cxl(host).mounted("/", "ext4", "/dev/pmem0", "259:9"), "root", "/dev/pmem0 is mounted at /"
    ),
    "data on persistent memory of CXL": Case(
        lambda host: cxl(host).mounted("/srv", "ext4", "/dev/pmem0", "259:9"), "data_mounts", "/dev/pmem0 is mounted at /srv"
    ),
    "swap on a file of NFS": Case(
        lambda host: (
            to_server(host)
            .mounted("/net", "nfs", "10.0.0.2:/x", "0:50", "addr=10.0.0.2")
            .file("/proc/swaps", "Filename Type\n/net/swap file 1 0 -2\n")
        ),
        "swap",
        "/net/swap is in use as swap, over enp3s0",
    ),
    "a pool of Stratis that fstab needs and that is not active": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_FS_TYPE=stratis\n").fstab(
            "/dev/stratis/p/f /srv xfs defaults,x-systemd.requires=stratis-fstab-setup@1 0 0"
        ),
        "data_mounts",
        "/dev/stratis/p/f is needed at boot for /srv",
    ),
    "a disk of the firmware's RAID that fstab needs and that is not active": Case(
        lambda host: host.nvme_disk(udev="E:ID_FS_TYPE=isw_raid_member\n").fstab("/dev/md/vol0 /srv xfs defaults 0 0"),
        "data_mounts",
        "/dev/md/vol0 is needed at boot for /srv",
    ),
    "a volume of VDO that fstab needs and that is not active": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_FS_TYPE=vdo\n").fstab("/dev/mapper/vdo0 /srv xfs defaults 0 0"),
        "data_mounts",
        "/dev/mapper/vdo0 is needed at boot for /srv",
    ),
    "a path of a disk with several that fstab needs and that is not active": Case(
        lambda host: host.nvme_disk(udev="E:ID_FS_TYPE=mpath_member\n").fstab("/dev/mapper/mpatha /srv xfs defaults 0 0"),
        "data_mounts",
        "/dev/mapper/mpatha is needed at boot for /srv",
    ),
    "a disk of BitLocker that fstab needs and that is not active": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_FS_TYPE=BitLocker\n").fstab("/dev/mapper/win /srv ntfs3 defaults 0 0"),
        "data_mounts",
        "/dev/mapper/win is needed at boot for /srv",
    ),
    "the root of the next boot by the sum of its sums": Case(
        lambda host: words(host.nvme_disk("p3").linked(f"/dev/disk/by-partuuid/{DATA}", "../../nvme0n1p3"), f"roothash={HASH}"),
        "root",
        f"PARTUUID={DATA} is named by roothash= in",
    ),
    "the sums of the root of the next boot": Case(
        lambda host: words(host.nvme_disk("p4").linked(f"/dev/disk/by-partuuid/{SUMS}", "../../nvme0n1p4"), f"roothash={HASH}"),
        "root",
        f"PARTUUID={SUMS} is named by roothash= in",
    ),
    "/usr of the next boot by the sum of its sums": Case(
        lambda host: words(host.nvme_disk("p3").linked(f"/dev/disk/by-partuuid/{DATA}", "../../nvme0n1p3"), f"usrhash={HASH}"),
        "root",
        f"PARTUUID={DATA} is named by usrhash= in",
    ),
    "swap of the kernel's arguments by mapper over this disk": Case(
        lambda host: words(
            host.nvme_disk("p1").stacked("dm-2", "253:2", "nvme0n1p1").linked("/dev/mapper/vg-swap", "../dm-2"),
            "resume=/dev/mapper/vg-swap",
        ),
        "swap",
        "/dev/mapper/vg-swap is named by resume=",
    ),
    "root of the next boot on a volume by rd.lvm.lv": Case(
        lambda host: words(
            host.nvme_disk("p1")
            .stacked("dm-2", "253:2", "nvme0n1p1")
            .linked("/dev/mapper/vg-root2", "../dm-2")
            .linked("/dev/vg/root2", "../dm-2"),
            "rd.lvm.lv=vg/root2",
        ),
        "root",
        "is named by rd.lvm.lv=",
    ),
    "an array that the initramfs assembles for the root, by its ID": Case(
        lambda host: words(
            host.nvme_disk("p1", udev="E:ID_FS_TYPE=linux_raid_member\nE:ID_FS_UUID=6d3c1a2b-1111-2222-3333-444455556666\n"),
            "rd.md.uuid=6d3c1a2b:11112222:33334444:55556666",
        ),
        "root",
        "is named by rd.md.uuid=",
    ),
    "root of the next boot on a shared folder": Case(
        lambda host: words(
            host.function("virtio", id="1af4:105a", class_code=0x018000).linked(
                f"{host.card}/virtio3/driver", "../../bus/virtio/drivers/virtiofs"
            ),
            "root=myfs rootfstype=virtiofs",
        ),
        "root",
        "myfs is named by root=",
    ),
    "root of the next boot on a shared folder, as dracut names it": Case(
        lambda host: words(
            host.function("virtio", id="1af4:105a", class_code=0x018000).linked(
                f"{host.card}/virtio3/driver", "../../bus/virtio/drivers/virtiofs"
            ),
            "root=virtiofs:myfs",
        ),
        "root",
        "myfs is named by root=",
    ),
    "root of the next boot on a pool, as dracut names it": Case(
        lambda host: words(host.nvme_disk("p3", udev="E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n"), "root=zfs:rpool/ROOT/x"),
        "root",
        "is named by root=",
    ),
    "root of the next boot on whatever pool there is": Case(
        lambda host: words(host.nvme_disk("p3", udev="E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n"), "root=zfs:AUTO"),
        "root",
        "is named by root=",
    ),
    "root of the next boot on a pool, as the tools of Ubuntu name it": Case(
        lambda host: words(host.nvme_disk("p3", udev="E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n"), "boot=zfs zfs=rpool/ROOT/x"),
        "root",
        "is named by zfs=",
    ),
    "root of the next boot, as dracut names it": Case(
        lambda host: words(host.nvme_disk("p3").linked("/dev/disk/by-uuid/ee", "../../nvme0n1p3"), "root=block:UUID=ee"),
        "root",
        "UUID=ee is named by root=",
    ),
    "the medium of a live system by its label alone": Case(
        lambda host: words(host.nvme_disk("p1", udev="E:ID_FS_TYPE=iso9660\nE:ID_FS_LABEL=ARCH_202611\n"), "archisolabel=ARCH_202611"),
        "root",
        "is named by archisolabel=",
    ),
    "the disk of LibreELEC": Case(
        lambda host: words(host.nvme_disk("p2").linked("/dev/disk/by-label/STORAGE", "../../nvme0n1p2"), "disk=LABEL=STORAGE"),
        "data_mounts",
        "LABEL=STORAGE is named by disk=",
    ),
    "data on JuiceFS": Case(
        lambda host: up_with_address(host).mounted("/srv", "fuse.juicefs", "JuiceFS:vol", "0:50"),
        "data_mounts",
        "JuiceFS:vol is mounted at /srv",
    ),
    "data on MooseFS": Case(
        lambda host: up_with_address(host).mounted("/srv", "fuse.mfs", "mfsmaster:9421", "0:50"),
        "data_mounts",
        "mfsmaster:9421 is mounted at /srv",
    ),
    "data of another host over SSH, as fstab had it first": Case(
        lambda host: up_with_address(host).fstab("sshfs#me@nas:/x /srv fuse defaults,_netdev 0 0"),
        "data_mounts",
        "sshfs#me@nas:/x is needed at boot for /srv",
    ),
    "data on WebDAV": Case(
        lambda host: up_with_address(host).mounted("/srv", "fuse", "https://dav.example.com/", "0:50"),
        "data_mounts",
        "https://dav.example.com/ is mounted at /srv",
    ),
    "data on a bucket": Case(
        lambda host: up_with_address(host).mounted("/srv", "fuse.mountpoint-s3", "mountpoint-s3", "0:50"),
        "data_mounts",
        "mountpoint-s3 is mounted at /srv",
    ),
    "the EFI partition by its name, in quotes": Case(
        lambda host: (
            host.nvme_disk("p1")
            .linked("/dev/disk/by-partlabel/EFI\\x20System", "../../nvme0n1p1")
            .fstab('PARTLABEL="EFI\\040System" /boot/efi vfat umask=0077 0 1')
        ),
        "boot",
        "is needed at boot for /boot/efi",
    ),
    "the EFI partition by the ID of its table, in capitals": Case(
        lambda host: (
            host.nvme_disk("p1")
            .linked("/dev/disk/by-partuuid/8d4b8d4b-0000-4000-8000-0123456789ab", "../../nvme0n1p1")
            .fstab("PARTUUID=8D4B8D4B-0000-4000-8000-0123456789AB /efi vfat noauto,x-systemd.automount 0 0")
        ),
        "boot",
        "is needed at boot for /efi",
    ),
    "a network block device that a program of this host serves from a disk of data": Case(
        local_nbd, "root", "/dev/nbd0 is mounted at /usr"
    ),
}
