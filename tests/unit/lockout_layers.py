# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose disk or network is behind a layer that does not name what it rests on."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import Case, Host

BCACHEFS = "E:ID_FS_TYPE=bcachefs\nE:ID_FS_UUID=bb\n"
VOLUME_GROUP = "E:ID_FS_TYPE=LVM2_member\nE:ID_FS_UUID=pv\n"


def on_a_file(host: Host, layer: str, number: str) -> Host:
    """A disk made of a loop device of a file on the claimed disk."""
    host.nvme_disk("p1").mounted("/mnt/host", "ext4", "/dev/nvme0n1p1", "259:1").stacked("loop0", "7:0")
    host.file("/sys/class/block/loop0/loop/backing_file", "/mnt/host/root.img\n")
    return host.stacked(layer, number, "loop0")


def other_member(host: Host, fields: str) -> Host:
    """The claimed disk is one of several of a file system; the link by its UUID leads to another."""
    host.nvme_disk("p2", udev=fields).file("/sys/class/block/sda2/dev", "8:2\n").file("/run/udev/data/b8:2", fields)
    return host.linked("/dev/disk/by-uuid/bb", "../../sda2")


def two_networks(host: Host) -> Host:
    host.nic().route("enp3s0", "0000000A", "00000000", "00FFFFFF").interface("enp9s0", "/sys/devices/pci0000:09/0000:09:00.0")
    return host.route("enp9s0", "0000010A", "00000000", "00FFFFFF")


LAYERS: dict[str, Case] = {
    "root on LVM on a loop device of a file on the disk": Case(
        lambda host: on_a_file(host, "dm-0", "253:0").mounted("/", "ext4", "/dev/mapper/vg-root", "253:0"),
        "root",
        "/dev/mapper/vg-root is mounted at /",
    ),
    "root on an array of loop devices": Case(
        lambda host: on_a_file(host, "md0", "9:0").mounted("/", "ext4", "/dev/md0", "9:0"), "root", "/dev/md0 is mounted at /"
    ),
    "swap on an encrypted volume of a pool": Case(
        lambda host: (
            host.nvme_disk("p3", udev="E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n")
            .stacked("zd0", "230:0")
            .stacked("dm-0", "253:0", "zd0")
            .file("/proc/swaps", "Filename Type\n/dev/dm-0 partition 1 0 -2\n")
        ),
        "swap",
        "/dev/dm-0 is in use as swap",
    ),
    "root of the next boot on several disks": Case(
        lambda host: other_member(host, BCACHEFS).file("/proc/cmdline", "root=UUID=bb ro\n"), "root", "UUID=bb is named by root= in"
    ),
    "data of the next boot on several disks": Case(
        lambda host: other_member(host, BCACHEFS).fstab("UUID=bb /srv bcachefs defaults 0 0"), "data_mounts", "UUID=bb is needed at boot"
    ),
    "a disk that fstab names by a label with a blank": Case(
        lambda host: (
            host.nvme_disk("p1", udev="E:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=my_disk\nE:ID_FS_LABEL_ENC=my\\x20disk\n")
            .linked("/dev/disk/by-label/my\\x20disk", "../../nvme0n1p1")
            .fstab("LABEL=my\\040disk /home ext4 defaults 0 2")
        ),
        "data_mounts",
        "LABEL=my disk is needed at boot for /home",
    ),
    "the EFI partition by the name that installers give": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_PART_ENTRY_NAME=EFI\\x20System\\x20Partition\n").fstab(
            "PARTLABEL=EFI\\040System\\040Partition /efi vfat noauto 0 2"
        ),
        "boot",
        "PARTLABEL=EFI System Partition is needed at boot for /efi",
    ),
    "root's journal on another disk": Case(
        lambda host: (
            host.nvme_disk("p1")
            .file("/proc/fs/jbd2/sdb1-8/info", "")
            .file("/proc/fs/jbd2/nvme0n1p1/info", "")
            .mounted("/srv", "ext4", "/dev/sdb1", "8:17")
            .mounted("/", "ext4", "/dev/sda1", "8:1")
        ),
        "root",
        "/dev/sda1 is mounted at /",
    ),
    "the disk with the key of the root, as the kernel's arguments name it": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_FS_LABEL=KEY\n").file(
            "/proc/cmdline", "root=/dev/mapper/root rd.luks.key=b40f1abf=/root.key:LABEL=KEY ro\n"
        ),
        "root",
        "LABEL=KEY is named by rd.luks.key= in",
    ),
    "the disk with the key of the root, as mkinitcpio is told": Case(
        lambda host: host.nvme_disk("p1").file(
            "/proc/cmdline", "cryptdevice=UUID=aa:root cryptkey=/dev/nvme0n1p1:ext4:/root.key root=/dev/mapper/root\n"
        ),
        "root",
        "/dev/nvme0n1p1 is named by cryptkey= in",
    ),
    "the disk that the next boot unlocks for the root": Case(
        lambda host: (
            host.nvme_disk("p1")
            .linked("/dev/disk/by-uuid/11-22", "../../nvme0n1p1")
            .file("/proc/cmdline", "rd.luks.uuid=luks-11-22 root=/dev/mapper/root\n")
        ),
        "root",
        "UUID=11-22 is named by rd.luks.uuid= in",
    ),
    "the disk with the key in the initramfs's own crypttab": Case(
        lambda host: host.nvme_disk("p1").file("/etc/crypttab.initramfs", "root UUID=aa /root.key:/dev/nvme0n1p1 luks\n"),
        "root",
        "/dev/nvme0n1p1 is needed to unlock root at boot (/etc/crypttab.initramfs:1)",
    ),
    "a volume that fstab needs and that is not active": Case(
        lambda host: host.nvme_disk("p1", udev=VOLUME_GROUP).fstab("/dev/mapper/vg-home /home ext4 defaults 0 2"),
        "data_mounts",
        "/dev/mapper/vg-home is needed at boot for /home (/etc/fstab:2), and /dev/nvme0n1p1 may be a part of it",
    ),
    # -- networks
    "root on NFS, with a longer route in another table": Case(
        lambda host: (
            host.nic()
            .interface("vrf0")
            .program(
                "/usr/bin/ip",
                """case "$*" in *-4*) echo '[{"dst":"10.0.0.0/8","dev":"enp3s0"}, \
{"dst":"10.0.0.0/24","dev":"vrf0","table":"10"}]' ;; *) echo '[]' ;; esac""",
            )
            .mounted("/", "nfs4", "10.0.0.2:/root", "0:22", "rw,addr=10.0.0.2")
        ),
        "root",
        "10.0.0.2:/root is mounted at /, over enp3s0",
    ),
    "this connection of a task that runs in the background": Case(
        lambda host: (
            host.nic()
            .file("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80 enp3s0\n")
            .file("/proc/self/environ", "PATH=/bin\0")
            .file("/proc/self/stat", "77 (python3) S 1 77 77 0\n")
            .file("/proc/self/sessionid", "31")
            .file("/proc/500/sessionid", "31")
            .file("/proc/500/comm", "sh\n")
            .file("/proc/500/environ", "SSH_CONNECTION=fd00::9 4000 fd00::1 22\0")
        ),
        "connection",
        "enp3s0 carries this SSH connection (fd00::1)",
    ),
    "default route over a modem": Case(
        lambda host: (
            host.function("usb")
            .file(f"{host.card}/usb1/1-4/1-4:1.0/ttyUSB0/tty/ttyUSB0/uevent", "DEVNAME=ttyUSB0\nMAJOR=188\nMINOR=0\n")
            .opened("/dev/ttyUSB0", "pppd")
            .linked("/proc/4711/fd/8", "/dev/ppp")
            .interface("ppp0")
            .file("/sys/devices/virtual/net/ppp0/uevent", "DEVTYPE=ppp\n")
            .route("ppp0")
        ),
        "route",
        "ppp0 carries the default route, through process 4711 (pppd), which has /dev/ttyUSB0 open",
    ),
    "default route over a switch in user space": Case(
        lambda host: (
            host.function("nic", driver="uio_pci_generic")
            .file(f"{host.card}/uio/uio0/uevent", "DEVNAME=uio0\nMAJOR=240\nMINOR=0\n")
            .opened("/dev/uio0", "ovs-vswitchd")
            .linked("/proc/4711/fd/8", "/dev/net/tun")
            .interface("br-ex")
            .file("/sys/devices/virtual/net/br-ex/tun_flags", "0x1002\n")
            .route("br-ex")
        ),
        "route",
        "br-ex carries the default route, through process 4711 (ovs-vswitchd), which has /dev/uio0 open",
    ),
    "default route over a tunnel whose other end is in a network of this card": Case(
        lambda host: (
            host.nic()
            .interface("wg0")
            .file("/sys/devices/virtual/net/wg0/uevent", "DEVTYPE=wireguard\n")
            .interface("enp9s0", "/sys/devices/pci0000:09/0000:09:00.0")
            .route("wg0", gateway="00000000")
            .route("enp9s0", "0000010A", "0100000A", "0000FFFF")
            .route("enp3s0", "0000000A", "00000000", "00FFFFFF")
        ),
        "route",
        "wg0 carries the default route",
    ),
    "root on Ceph, whose monitors are in two networks": Case(
        lambda host: two_networks(host).mounted("/", "ceph", "10.1.0.2:6789,10.0.0.2:6789:/", "0:40"), "root", "over enp3s0, enp9s0"
    ),
    "root on Ceph, whose monitors are an option": Case(
        lambda host: two_networks(host).mounted("/", "ceph", "admin@x.fs=/", "0:40", "mon_addr=10.1.0.2:6789/10.0.0.2:6789"),
        "root",
        "over enp3s0, enp9s0",
    ),
    "a disk that fstab names by its UUID in capitals": Case(
        lambda host: (
            host.nvme_disk("p1").linked("/dev/disk/by-partuuid/ab-cd", "../../nvme0n1p1").fstab("PARTUUID=AB-CD /home ext4 defaults 0 2")
        ),
        "data_mounts",
        "PARTUUID=AB-CD is needed at boot for /home",
    ),
    "a disk that a drop-in of a unit names": Case(
        lambda host: (
            host.nvme_disk("p1")
            .file("/etc/systemd/system/srv.mount", "[Mount]\nWhat=/dev/sda9\nWhere = /srv\n")
            .file("/etc/systemd/system/srv.mount.d/disk.conf", "[Mount]\nWhat = /dev/nvme0n1p1\n")
        ),
        "data_mounts",
        "/dev/nvme0n1p1 is needed for /srv",
    ),
    "a volume of a thin pool": Case(
        lambda host: (
            host.nvme_disk("p1")
            .stacked("dm-0", "253:0", "nvme0n1p1")
            .stacked("dm-2", "253:2", "dm-0")
            .stacked("dm-3", "253:3", "dm-2")
            .mounted("/", "ext4", "/dev/mapper/vg-root", "253:3")
        ),
        "root",
        "/dev/mapper/vg-root is mounted at /",
    ),
    "root on a medium with a live system": Case(
        lambda host: (
            host.function("usb")
            .disk(f"{host.card}/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block", "sr0", "11:0")
            .mounted("/run/live", "iso9660", "/dev/sr0", "11:0")
            .stacked("loop0", "7:0")
            .file("/sys/class/block/loop0/loop/backing_file", "/run/live/fs.squashfs\n")
            .mounted("/run/rootfs", "squashfs", "/dev/loop0", "7:0")
            .mounted("/", "overlay", "overlay", "0:40", "rw,lowerdir=/run/rootfs,upperdir=/cow/u,workdir=/cow/w")
        ),
        "root",
        "overlay is mounted at /",
    ),
    "root on a disk over InfiniBand": Case(
        lambda host: (
            host.function("mlx5")
            .disk(f"{host.card}/infiniband_srp/host9/target9:0:0/9:0:0:0/block", "sdx", "8:80")
            .mounted("/", "ext4", "/dev/sdx", "8:80")
        ),
        "root",
        "/dev/sdx is mounted at /",
    ),
    "a controller that is served whole to other hosts": Case(
        lambda host: (
            host.nvme_disk()
            .file(f"{host.card}/nvme/nvme0/uevent", "DEVNAME=nvme0\nMAJOR=240\nMINOR=0\n")
            .file("/sys/kernel/config/nvmet/subsystems/fast/passthru/device_path", "/dev/nvme0\n")
            .file("/sys/kernel/config/nvmet/subsystems/fast/passthru/enable", "1\n")
        ),
        "in_use",
        "/dev/nvme0 is served to other hosts (NVMe target fast)",
    ),
    "a port over which disks are served": Case(
        lambda host: (
            host.function("sas", id="1077:2261", class_code=0x0C0400)
            .file(f"{host.card}/host7/fc_host/host7/port_name", "0x21000024ff111111\n")
            .file("/sys/kernel/config/target/qla2xxx/21:00:00:24:ff:11:11:11/tpgt_1/enable", "1\n")
        ),
        "in_use",
        "disks are served to other hosts over its port 21:00:00:24:ff:11:11:11 (target qla2xxx)",
    ),
    "the card of the kernel's debugger": Case(
        lambda host: host.function("serial").file(f"{host.card}/tty/ttyS4/dev", "4:68\n").file("/proc/cmdline", "kgdboc=ttyS4,115200\n"),
        "console",
        "the console is on ttyS4",
    ),
    "the interface to which the kernel's messages go": Case(
        lambda host: host.nic().file("/proc/cmdline", "netconsole=6665@10.0.0.1/enp3s0,6666@10.0.0.2/00:11:22:33:44:55\n"),
        "console",
        "the kernel's messages are sent over enp3s0 (netconsole=)",
    ),
}
