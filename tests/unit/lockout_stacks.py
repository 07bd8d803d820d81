# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks of disks, networks and programs as hosts in use have them, from the file system or the address down to the card."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Case, Host
from ansible_collections.vfio.variants.tests.unit.lockout_members import data, node, routed

SECOND = "0000:06:00.0"
NVMES = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0"


def scsi(host: Host, name: str = "sda", *parts: str, udev: str = "") -> Host:
    return host.function("sas").disk(f"{host.card}/host0/target0:0:0/0:0:0:0/block", name, "8:0", *parts, udev=udev)


def second(host: Host, name: str = "sdb", number: str = "8:16", *parts: str) -> Host:
    """A disk of another card."""
    host.function("ahci", SECOND)
    return host.disk(f"/sys/devices/pci0000:06/{SECOND}/ata1/host1/target1:0:0/1:0:0:0/block", name, number, *parts)


def path_of_nvme(host: Host) -> Host:
    """One of a disk's two controllers, with native multipath."""
    return host.function("nvme").file(f"{host.card}/nvme/nvme0/nvme0c0n1/uevent", "").disk(NVMES, "nvme0n1", "259:0", "p1", "p2")


def iscsi(host: Host, *servers: str) -> Host:
    """Sessions to servers, whose disks are one by several paths."""
    for number, server in enumerate(servers):
        session = f"/sys/devices/platform/host{number}/session{number}"
        name = f"sd{'xyz'[number]}"
        host.disk(f"{session}/target{number}:0:0/{number}:0:0:1/block", name, f"65:{number * 16}")
        host.linked(f"{session}/connection{number}:0", "../x").file(
            f"/sys/class/iscsi_connection/connection{number}:0/address", f"{server}\n"
        )
    return host.stacked("dm-0", "253:0", *(f"sd{'xyz'[number]}" for number in range(len(servers))))


def storage_net(host: Host, interface: str = "enp3s0") -> Host:
    return host.route(interface, "0000000A", "00000000", "00FFFFFF")


def misc(host: Host, device: str, driver: str, path: str, command: str, class_code: int = 0x088000) -> Host:
    """A card whose driver has a node without a parent in sysfs, which a program has open."""
    host.tree.pci(CARD, device, class_code=class_code, driver=driver, group=3)
    return host.opened(path, command)


STACKS: dict[str, Case] = {
    # -- disks
    "root on bcache, on the disk that it caches": Case(
        lambda host: scsi(host, "sda", "2").stacked("bcache0", "252:0", "sda2").mounted("/", "ext4", "/dev/bcache0", "252:0"),
        "root",
        "/dev/bcache0 is mounted at /",
    ),
    "root on bcache, on the disk that caches": Case(
        lambda host: (
            second(host.nvme_disk("p1"), "sdb", "8:16", "1")
            .stacked("bcache0", "252:0", "sdb1")
            .file(f"{host.card}/nvme/nvme0/nvme0n1/nvme0n1p1/bcache/set/bdev0/x", "")
            .linked(f"{host.card}/nvme/nvme0/nvme0n1/nvme0n1p1/bcache/set/bdev0/dev", "/sys/class/block/bcache0")
            .mounted("/", "ext4", "/dev/bcache0", "252:0")
        ),
        "root",
        "/dev/bcache0 is mounted at /",
    ),
    "root on LVM on an array of NVMe with several paths": Case(
        lambda host: (
            path_of_nvme(host)
            .stacked("md0", "9:0", "nvme0n1p2")
            .stacked("dm-0", "253:0", "md0")
            .mounted("/", "xfs", "/dev/mapper/vg-root", "253:0")
        ),
        "root",
        "/dev/mapper/vg-root is mounted at /",
    ),
    "root on LVM on VDO": Case(
        lambda host: (
            scsi(host, "sda", "3")
            .stacked("dm-0", "253:0", "sda3")
            .stacked("dm-1", "253:1", "dm-0")
            .stacked("dm-2", "253:2", "dm-1")
            .mounted("/", "xfs", "/dev/mapper/vg-root", "253:2")
        ),
        "root",
        "/dev/mapper/vg-root is mounted at /",
    ),
    "root on a disk whose writes are cached": Case(
        lambda host: (
            second(host.nvme_disk("p1"), "sdb", "8:16", "1")
            .stacked("dm-3", "253:3", "sdb1", "nvme0n1p1")
            .mounted("/", "ext4", "/dev/mapper/vg-root", "253:3")
        ),
        "root",
        "/dev/mapper/vg-root is mounted at /",
    ),
    "the other leg of a root that LVM mirrors": Case(
        lambda host: (
            second(host.nvme_disk("p1"), "sdb", "8:16", "1")
            .stacked("dm-0", "253:0", "sdb1")
            .stacked("dm-1", "253:1", "nvme0n1p1")
            .stacked("dm-2", "253:2", "dm-0", "dm-1")
            .mounted("/", "ext4", "/dev/mapper/vg-root", "253:2")
        ),
        "root",
        "/dev/mapper/vg-root is mounted at /",
    ),
    "root on an array of the firmware's RAID": Case(
        lambda host: (
            host.function("ahci")
            .disk(f"{host.card}/ata1/host0/target0:0:0/0:0:0:0/block", "sda", "8:0")
            .stacked("md127", "9:127", "sda")
            .stacked("md126", "9:126", "sda")
            .mounted("/", "ext4", "/dev/md126", "9:126")
        ),
        "root",
        "/dev/md126 is mounted at /",
    ),
    "the spare of the array of the root": Case(
        lambda host: scsi(host, "sda", "2").stacked("md0", "9:0", "sda2").mounted("/", "ext4", "/dev/md0", "9:0"),
        "root",
        "/dev/md0 is mounted at /",
    ),
    "a special device of the root's pool": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n").mounted("/", "zfs", "rpool/ROOT/pve-1"),
        "root",
        "rpool/ROOT/pve-1 is mounted at /",
    ),
    "a spare of the root's pool": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_FS_TYPE=zfs_member\n").mounted("/", "zfs", "rpool/ROOT/pve-1"),
        "root",
        "rpool/ROOT/pve-1 is mounted at /, and /dev/nvme0n1p1 may be a part of it",
    ),
    "root on btrfs over two encrypted disks": Case(
        lambda host: (
            second(host.nvme_disk("p2"), "sdb", "8:16", "2")
            .stacked("dm-0", "253:0", "sdb2")
            .stacked("dm-1", "253:1", "nvme0n1p2")
            .linked("/sys/fs/btrfs/f0f1/devices/dm-0", "x")
            .linked("/sys/fs/btrfs/f0f1/devices/dm-1", "x")
            .mounted("/", "btrfs", "/dev/mapper/luks-a", "0:30")
            .linked("/dev/mapper/luks-a", "../dm-0")
        ),
        "root",
        "/dev/mapper/luks-a is mounted at /",
    ),
    "a swap file on btrfs, this being the second disk": Case(
        lambda host: (
            host.nvme_disk("p2")
            .linked("/sys/fs/btrfs/f0f1/devices/sda2", "x")
            .linked("/sys/fs/btrfs/f0f1/devices/nvme0n1p2", "x")
            .mounted("/swap", "btrfs", "/dev/sda2", "0:31")
            .file("/proc/swaps", "Filename Type\n/swap/swapfile file 1 0 100\n")
        ),
        "swap",
        "/swap/swapfile is in use as swap",
    ),
    "swap on an array": Case(
        lambda host: (
            scsi(host, "sda", "3").stacked("md1", "9:1", "sda3").file("/proc/swaps", "Filename Type\n/dev/md1 partition 1 0 100\n")
        ),
        "swap",
        "/dev/md1 is in use as swap",
    ),
    "swap on a network block device": Case(
        lambda host: host.nic().stacked("nbd0", "43:0").file("/proc/swaps", "Filename Type\n/dev/nbd0 partition 1 0 100\n"),
        "swap",
        "enp3s0 may be it",
    ),
    "root of a virtual machine": Case(
        lambda host: (
            host.function("virtio", id="1af4:1042", class_code=0x010000)
            .disk(f"{host.card}/virtio1/block", "vda", "254:0", "1")
            .mounted("/", "ext4", "/dev/vda1", "254:1")
        ),
        "root",
        "/dev/vda1 is mounted at /",
    ),
    "root on a disk of VMware": Case(
        lambda host: (
            host.function("sas", id="15ad:07c0", driver="vmw_pvscsi")
            .disk(f"{host.card}/host0/target0:0:0/0:0:0:0/block", "sda", "8:0", "1")
            .mounted("/", "ext4", "/dev/sda1", "8:1")
        ),
        "root",
        "/dev/sda1 is mounted at /",
    ),
    "root over an adapter that does Fibre Channel over Ethernet itself": Case(
        lambda host: (
            host.function("sas", id="1077:8080", class_code=0x0C0400)
            .disk(f"{host.card}/host7/rport-7:0-1/target7:0:0/7:0:0:0/block", "sdc", "8:32", "2")
            .mounted("/", "ext4", "/dev/sdc2", "8:34")
        ),
        "root",
        "/dev/sdc2 is mounted at /",
    ),
    "root on iSCSI by two networks, this being one": Case(
        lambda host: iscsi(storage_net(host.nic()), "10.0.0.2", "10.1.0.2").mounted("/", "ext4", "/dev/mapper/mpatha", "253:0"),
        "root",
        "over enp3s0",
    ),
    "root on iSCSI over a VLAN of a bond": Case(
        lambda host: iscsi(
            storage_net(host.nic().interface("bond0").over("enp3s0", "bond0").interface("bond0.40").over("bond0", "bond0.40"), "bond0.40"),
            "10.0.0.2",
        ).mounted("/", "ext4", "/dev/mapper/root", "253:0"),
        "root",
        "over bond0.40",
    ),
    "root on NFS over a bridge": Case(
        lambda host: storage_net(host.nic().interface("br0").over("enp3s0", "br0"), "br0").mounted(
            "/", "nfs4", "10.0.0.2:/root", options="rw,addr=10.0.0.2"
        ),
        "root",
        "10.0.0.2:/root is mounted at /, over br0",
    ),
    "data on BeeGFS": Case(
        lambda host: storage_net(host.nic()).mounted("/scratch", "beegfs", "beegfs_nodev"),
        "data_mounts",
        "beegfs_nodev is mounted at /scratch",
    ),
    "data of a cluster on a disk that it shares": Case(
        lambda host: scsi(host, "sda", "1").mounted("/shared", "gfs2", "/dev/sda1", "8:1"), "data_mounts", "/dev/sda1 is mounted at /shared"
    ),
    "data that autofs mounts from a disk": Case(
        lambda host: (
            host.nvme_disk("p1")
            .mounted("/media/data", "autofs", "/etc/auto.data", "0:41", "rw,fd=6,indirect")
            .file("/etc/auto.data", "# comment\nx -fstype=xfs :/dev/nvme0n1p1\n")
        ),
        "data_mounts",
        "/media/data is mounted when it is accessed (/etc/auto.data)",
    ),
    "data that autofs mounts from a disk by its name": Case(
        lambda host: (
            host.nvme_disk("p1")
            .linked("/dev/disk/by-label/DATA", "../../nvme0n1p1")
            .mounted("/media/data", "autofs", "/etc/auto.data", "0:41", "rw,fd=6,indirect")
            .file("/etc/auto.data", "x -fstype=ext4,rw :/dev/disk/by-label/DATA\n")
        ),
        "data_mounts",
        "/media/data is mounted when it is accessed (/etc/auto.data)",
    ),
    "a folder of the host's shared by VirtualBox": Case(
        lambda host: misc(host, "80ee:cafe", "vboxguest", "/dev/null", "x").mounted("/vagrant", "vboxsf", "vagrant", "0:44"),
        "data_mounts",
        "vagrant is mounted at /vagrant",
    ),
    "a folder of the host's that VirtualBox is to share at boot": Case(
        lambda host: misc(host, "80ee:cafe", "vboxguest", "/dev/null", "x").fstab("srv /srv vboxsf defaults 0 0"),
        "data_mounts",
        "srv is needed at boot for /srv (/etc/fstab:2)",
    ),
    "disks and networks of Xen": Case(
        lambda host: misc(host, "5853:0001", "xen-platform-pci", "/dev/null", "x", 0xFF8000).mounted("/", "ext4", "/dev/xvda1", "202:1"),
        "root",
        "other devices of this host are reached by it (Xen)",
    ),
    "containers' layers on a thin pool": Case(
        lambda host: host.nvme_disk("p4").stacked("dm-6", "253:6", "nvme0n1p4").stacked("dm-7", "253:7", "dm-6"),
        "data_mounts",
        "is a part of /dev/dm-6",
    ),
    "a disk of a cluster's storage (OSD)": Case(
        lambda host: host.nvme_disk().stacked("dm-4", "253:4", "nvme0n1").opened("/dev/dm-4", "ceph-osd"),
        "data_mounts",
        "/dev/nvme0n1 is a part of /dev/dm-4",
    ),
    "a pool of guests in a file on a disk of data": Case(
        lambda host: (
            data(host, "/var/lib/incus")
            .stacked("loop0", "7:0")
            .file("/sys/class/block/loop0/loop/backing_file", "/var/lib/incus/disks/default.img\n")
            .mounted("/srv", "btrfs", "/dev/loop0", "0:40")
            .linked("/sys/fs/btrfs/aa/devices/loop0", "x")
        ),
        "data_mounts",
        "/dev/loop0 is mounted at /srv",
    ),
    "a disk of an old controller that fstab needs": Case(
        lambda host: (
            host.function("sas", id="103c:3230", driver="cciss")
            .file(f"{host.card}/cciss0/c0d0/block/cciss!c0d0/uevent", "MAJOR=104\nMINOR=0\nDEVNAME=cciss/c0d0\nDEVTYPE=disk\n")
            .file(f"{host.card}/cciss0/c0d0/block/cciss!c0d0/dev", "104:0\n")
            .file(f"{host.card}/cciss0/c0d0/block/cciss!c0d0/cciss!c0d0p1/partition", "1\n")
            .file(
                f"{host.card}/cciss0/c0d0/block/cciss!c0d0/cciss!c0d0p1/uevent",
                "MAJOR=104\nMINOR=1\nDEVNAME=cciss/c0d0p1\nDEVTYPE=partition\n",
            )
            .fstab("/dev/cciss/c0d0p1 /srv ext3 defaults 0 2")
        ),
        "data_mounts",
        "/dev/cciss/c0d0p1 is needed at boot for /srv",
    ),
    "a disk that fstab names by its volume": Case(
        lambda host: (
            scsi(host, "sda", "5")
            .stacked("dm-2", "253:2", "sda5")
            .linked("/dev/vg0/home", "../dm-2")
            .fstab("/dev/vg0/home /home ext4 defaults 0 2")
        ),
        "data_mounts",
        "/dev/vg0/home is needed at boot for /home",
    ),
    "a disk that fstab names by its array": Case(
        lambda host: (
            scsi(host, "sda", "5")
            .stacked("md127", "9:127", "sda5")
            .linked("/dev/md/home", "../md127")
            .fstab("/dev/md/home /home ext4 defaults 0 2")
        ),
        "data_mounts",
        "/dev/md/home is needed at boot for /home",
    ),
    "the stick with the key of the root, which is not there now": Case(
        lambda host: (
            host.function("usb")
            .disk(f"{host.card}/usb2/2-1/2-1:1.0/host9/target9:0:0/9:0:0:0/block", "sdk", "8:160", "1")
            .linked("/dev/disk/by-uuid/ABCD-EF01", "../../sdk1")
            .file("/etc/crypttab", "root UUID=x /key:UUID=abcd-ef01 luks,keyfile-timeout=10s,x-initrd.attach\n")
        ),
        "root",
        "UUID=abcd-ef01 is needed to unlock root at boot (/etc/crypttab:1)",
    ),
    # -- networks
    "default route over the card that stands by in a bond": Case(
        lambda host: (
            host.nic().file(f"{host.card}/net/enp3s0/operstate", "down\n").interface("bond0").over("enp3s0", "bond0").route("bond0")
        ),
        "route",
        "bond0 carries the default route",
    ),
    "default route over a switch on macvlan": Case(
        lambda host: host.nic().interface("mac0").over("enp3s0", "mac0").interface("br0").over("mac0", "br0").route("br0"),
        "route",
        "br0 carries the default route",
    ),
    "default route over VXLAN on this card": Case(
        lambda host: host.nic().interface("vxlan7").over("enp3s0", "vxlan7").interface("br7").over("vxlan7", "br7").route("br7"),
        "route",
        "br7 carries the default route",
    ),
    "default route over a tunnel of Tailscale": Case(
        lambda host: (
            host.nic()
            .interface("tailscale0")
            .file("/sys/devices/virtual/net/tailscale0/tun_flags", "0x1001\n")
            .route("tailscale0", gateway="00000000")
            .route("enp3s0", "0500000A", "0100000A", "FFFFFFFF")
        ),
        "route",
        "tailscale0 carries the default route",
    ),
    "default route over a child of InfiniBand": Case(
        lambda host: routed(host.function("mlx5", class_code=0x020700).interface("ib0", host.card), "ib0.8001", ""),
        "route",
        "ib0.8001 carries the default route",
    ),
    "default route on a card of VMware": Case(
        lambda host: routed(host.function("nic", id="15ad:07b0", driver="vmxnet3"), "ens192", ""),
        "route",
        "ens192 carries the default route",
    ),
    "default route on a virtual function that is the uplink": Case(
        lambda host: routed(host.function("nic", id="8086:154c", driver="iavf"), "eth0", ""), "route", "eth0 carries the default route"
    ),
    "default route over a modem behind a hub": Case(
        lambda host: routed(host.function("usb"), "wwan0", "usb1/1-2/1-2.4/1-2.4:1.8"), "route", "wwan0 carries the default route"
    ),
    "an address that moves between hosts": Case(
        lambda host: (
            host.nic()
            .interface("vrrp.51")
            .over("enp3s0", "vrrp.51")
            .file("/proc/net/if_inet6", "20010db8000000000000000000000001 07 40 00 80 vrrp.51\n")
        ),
        "in_use",
        "vrrp.51 has the address 2001:db8::1",
    ),
    # -- consoles, and what manages the machine
    "the console on a display of USB": Case(
        lambda host: host.function("usb").file(f"{host.card}/usb1/1-4/1-4:1.0/graphics/fb1/dev", "29:1\n"),
        "console",
        "the console is on its framebuffer fb1",
    ),
    "the keyboard of remote management": Case(
        lambda host: host.function("usb").file(
            f"{host.card}/usb1/1-14/1-14.1/1-14.1:1.0/0003:046B:FF10.0001/input/input3/capabilities/key",
            "e080ffdf01cfffff fffffffffffffffe\n",
        ),
        "console",
        "a keyboard is connected to it",
    ),
    "the agent of the hypervisor": Case(
        lambda host: node(
            host.function("virtio", id="1af4:1043", class_code=0x078000),
            "x",
            "vport1p1",
            "244:1",
            "qemu-ga",
            f"{host.card}/virtio0/virtio-ports/vport1p1",
        ),
        "in_use",
        "process 4711 (qemu-ga) has /dev/vport1p1 open",
    ),
    "the channel to VMware's hypervisor": Case(
        lambda host: misc(host, "15ad:0740", "vmw_vmci", "/dev/vmci", "vmtoolsd"), "in_use", "process 4711 (vmtoolsd) has /dev/vmci open"
    ),
    "the channel to VirtualBox": Case(
        lambda host: misc(host, "80ee:cafe", "vboxguest", "/dev/vboxguest", "VBoxService"),
        "in_use",
        "process 4711 (VBoxService) has /dev/vboxguest open",
    ),
    "an adapter of Fibre Channel that a program manages": Case(
        lambda host: misc(host, "10df:f400", "lpfc", "/dev/lpfcmgmt", "elxhbamgrd", 0x0C0400),
        "in_use",
        "process 4711 (elxhbamgrd) has /dev/lpfcmgmt open",
    ),
    "the machine's management that a monitor asks": Case(
        lambda host: node(
            host.function("serial", id="103c:3307", class_code=0x088000, driver="hpilo"), "hpilo", "hpilo/d0ccb1", "240:1", "amsd"
        ),
        "in_use",
        "process 4711 (amsd) has /dev/hpilo/d0ccb1 open",
    ),
    "a watchdog on the bus for sensors": Case(
        lambda host: node(
            host.function("serial", id="8086:a0a3", class_code=0x0C0500, driver="i801_smbus"),
            "x",
            "watchdog0",
            "247:0",
            "systemd",
            f"{host.card}/iTCO_wdt/watchdog/watchdog0",
        ),
        "in_use",
        "process 4711 (systemd) has /dev/watchdog0 open",
    ),
    "a key to programs at a USB controller": Case(
        lambda host: node(host.function("usb"), "x", "bus/usb/001/004", "189:3", "hasplmd", f"{host.card}/usb1/1-4"),
        "in_use",
        "process 4711 (hasplmd) has /dev/bus/usb/001/004 open",
    ),
    "a radio for the house at a USB controller": Case(
        lambda host: node(host.function("usb"), "x", "ttyUSB0", "188:0", "node", f"{host.card}/usb1/1-5/1-5:1.0/ttyUSB0/tty/ttyUSB0"),
        "in_use",
        "process 4711 (node) has /dev/ttyUSB0 open",
    ),
    # -- GPUs
    "a GPU that a pod has been given": Case(
        lambda host: node(
            host.function("gpu", id="8086:56c0", driver="i915", class_code=0x038000),
            "drm",
            "dri/renderD128",
            "226:128",
            "ffmpeg",
            f"{host.card}/drm/renderD128",
        ),
        "in_use",
        "process 4711 (ffmpeg) has /dev/dri/renderD128 open",
    ),
    "a GPU that is watched by DCGM": Case(
        lambda host: (
            host.function("gpu", driver="nvidia")
            .file(f"/proc/driver/nvidia/gpus/{CARD}/information", "Device Minor: \t 0\n")
            .opened("/dev/nvidia0", "nv-hostengine")
        ),
        "in_use",
        "process 4711 (nv-hostengine) has /dev/nvidia0 open",
    ),
    "a GPU of whose instances a container computes on one": Case(
        lambda host: (
            host.function("gpu", driver="nvidia")
            .file(f"/proc/driver/nvidia/gpus/{CARD}/information", "Device Minor: \t 0\n")
            .linked("/proc/4711/fd/9", "/dev/nvidia-caps/nvidia-cap21")
            .opened("/dev/nvidia0", "python3")
        ),
        "in_use",
        "process 4711 (python3) has /dev/nvidia0 open",
    ),
    "a GPU whose virtual functions guests have": Case(
        lambda host: (
            host.function("gpu", driver="nvidia", max_virtual_functions=16)
            .function("gpu", "0000:03:00.4", driver="nvidia", physical_function=CARD, group=40)
            .file(f"/proc/driver/nvidia/gpus/{CARD}/information", "Device Minor: \t 0\n")
            .opened("/dev/vfio/40")
        ),
        "in_use",
        "it has 1 virtual function, which would be lost",
    ),
    "the GPU of the desktop": Case(
        lambda host: node(host.function("gpu", class_code=0x030000), "drm", "dri/card0", "226:0", "Xorg", f"{host.card}/drm/card0"),
        "in_use",
        "process 4711 (Xorg) has /dev/dri/card0 open",
    ),
}
