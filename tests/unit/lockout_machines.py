# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines as they are in racks, on desks and in clouds, with what they live on behind several layers."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import Case, Host

ZFS = "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\n"
PORT = "0x100000109bdee0f1"


def fibre_channel(host: Host, address: str) -> Host:
    """A disk of NVMe over Fibre Channel, which is elsewhere in sysfs than the adapter."""
    host.function("sas", id="10df:f400", class_code=0x0C0400).file(f"{host.card}/host7/fc_host/host7/port_name", f"{PORT}\n")
    host.disk("/sys/devices/virtual/nvme-fabrics/ctl/nvme5", "nvme5n1", "259:40", "p1")
    host.file("/sys/class/nvme/nvme5/transport", "fc\n").file("/sys/class/nvme/nvme5/address", f"{address}\n")
    return host.mounted("/", "ext4", "/dev/nvme5n1p1", "259:41")


def team(host: Host) -> Host:
    host.nic().interface("team0").over("enp3s0", "team0").interface("team0.7").over("team0", "team0.7")
    return host.interface("br7").over("team0.7", "br7").route("br7")


MACHINES: dict[str, Case] = {
    "root on NVMe over Fibre Channel, by this port": Case(
        lambda host: fibre_channel(host, f"traddr=nn-0x1:pn-0x2,host_traddr=nn-0x200000109bdee0f1:pn-{PORT}"),
        "root",
        "/dev/nvme5n1p1 is mounted at /, over Fibre Channel",
    ),
    "root on NVMe over Fibre Channel, by a port that is not said": Case(
        lambda host: fibre_channel(host, "traddr=nn-0x1:pn-0x2"), "root", "over Fibre Channel"
    ),
    "root on a disk of Fibre Channel with several paths": Case(
        lambda host: (
            host.function("sas", id="10df:f400", class_code=0x0C0400)
            .disk(f"{host.card}/host7/rport-7:0-2/target7:0:0/7:0:0:1/block", "sdc", "8:32", "1")
            .stacked("dm-0", "253:0", "sdc")
            .stacked("dm-1", "253:1", "dm-0")
            .mounted("/", "xfs", "/dev/mapper/mpatha1", "253:1")
        ),
        "root",
        "/dev/mapper/mpatha1 is mounted at /",
    ),
    "root behind Intel's VMD": Case(
        lambda host: (
            host.function("nvme", id="8086:9a0b", class_code=0x010400)
            .disk(f"{host.card}/pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme0", "nvme0n1", "259:0", "p2")
            .mounted("/", "ext4", "/dev/nvme0n1p2", "259:1")
        ),
        "root",
        "/dev/nvme0n1p2 is mounted at /",
    ),
    "root on ZFS on an encrypted partition by its ID": Case(
        lambda host: (
            host.nvme_disk("p3")
            .stacked("dm-0", "253:0", "nvme0n1p3")
            .file("/run/udev/data/b253:0", ZFS)
            .linked("/dev/disk/by-id/nvme-x-part3", "../../nvme0n1p3")
            .mounted("/", "zfs", "tank/root")
        ),
        "root",
        "tank/root is mounted at /",
    ),
    "root on LVM on an array on multipath": Case(
        lambda host: (
            host.function("sas")
            .disk(f"{host.card}/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block", "sda", "8:0")
            .stacked("dm-0", "253:0", "sda")
            .stacked("md127", "9:127", "dm-0")
            .stacked("dm-1", "253:1", "md127")
            .mounted("/", "ext4", "/dev/mapper/vg-root", "253:1")
        ),
        "root",
        "/dev/mapper/vg-root is mounted at /",
    ),
    "root on DRBD": Case(
        lambda host: host.nvme_disk("p2").stacked("drbd0", "147:0", "nvme0n1p2").mounted("/", "ext4", "/dev/drbd0", "147:0"),
        "root",
        "/dev/drbd0 is mounted at /",
    ),
    "root on a disk that a program makes": Case(
        lambda host: host.nic().stacked("ublkb0", "259:9").mounted("/", "ext4", "/dev/ublkb0", "259:9"), "root", "enp3s0 may be it"
    ),
    "root on a disk that a program makes of what cannot be seen": Case(
        lambda host: host.nvme_disk("p1").stacked("ublkb0", "259:9").mounted("/", "ext4", "/dev/ublkb0", "259:9"),
        "root",
        "/dev/ublkb0 is mounted at /, and /dev/nvme0n1 may be a part of it",
    ),
    "root on a card reader": Case(
        lambda host: (
            host.function("sas", id="1217:8621", class_code=0x080501)
            .disk(f"{host.card}/mmc_host/mmc0/mmc0:0001/block", "mmcblk0", "179:0", "p2")
            .mounted("/", "ext4", "/dev/mmcblk0p2", "179:1")
        ),
        "root",
        "/dev/mmcblk0p2 is mounted at /",
    ),
    "root on persistent memory of the hypervisor": Case(
        lambda host: (
            host.function("virtio", id="1af4:105b", class_code=0x018000)
            .disk(f"{host.card}/virtio3/ndbus0/region0/namespace0.0/block", "pmem0", "259:7")
            .mounted("/", "ext4", "/dev/pmem0", "259:7")
        ),
        "root",
        "/dev/pmem0 is mounted at /",
    ),
    "compressed swap that overflows to the disk": Case(
        lambda host: (
            host.nvme_disk("p3")
            .stacked("zram0", "252:0")
            .file("/sys/class/block/zram0/backing_dev", "/dev/nvme0n1p3\n")
            .file("/proc/swaps", "Filename Type\n/dev/zram0 partition 1 0 100\n")
        ),
        "swap",
        "/dev/zram0 is in use as swap",
    ),
    "the disk with the key of the root": Case(
        lambda host: (
            host.function("usb")
            .disk(f"{host.card}/usb1/1-3/1-3:1.0/host9/target9:0:0/9:0:0:0/block", "sdx", "65:112", "1")
            .linked("/dev/disk/by-label/KEY", "../../sdx1")
            .mounted("/", "ext4", "/dev/mapper/luks", "253:0")
            .file("/etc/crypttab", "luks UUID=aa /root.key:LABEL=KEY luks\n")
        ),
        "root",
        "LABEL=KEY is needed to unlock luks at boot (/etc/crypttab:1)",
    ),
    "the disk with the header of a disk of data": Case(
        lambda host: host.nvme_disk("p1").file("/etc/crypttab", "data UUID=aa none luks,header=/dev/nvme0n1p1\n"),
        "data_mounts",
        "/dev/nvme0n1p1 is needed to unlock data at boot (/etc/crypttab:1)",
    ),
    "the disk with the key by its place": Case(
        lambda host: (
            host.nvme_disk("p2")
            .linked("/dev/disk/by-path/pci-0000:03:00.0-nvme-1-part2", "../../nvme0n1p2")
            .file("/etc/crypttab", "root UUID=1 /dev/disk/by-path/pci-0000:03:00.0-nvme-1-part2:/keys/root luks,initramfs\n")
        ),
        "root",
        "is needed to unlock root at boot",
    ),
    "the disk with the key, as Debian's cryptsetup names it": Case(
        lambda host: host.nvme_disk("p1").file("/etc/crypttab", "luks UUID=aa /dev/nvme0n1p1:/root.key luks,initramfs\n"),
        "root",
        "/dev/nvme0n1p1 is needed to unlock luks at boot",
    ),
    "default route over a bridge on a VLAN of a team": Case(team, "route", "br7 carries the default route"),
    "default route over wireless": Case(
        lambda host: (
            host.function("nic", id="8086:2725", class_code=0x028000)
            .interface("wlp3s0", host.card)
            .file(f"{host.card}/ieee80211/phy0/name", "phy0\n")
            .route("wlp3s0")
        ),
        "route",
        "wlp3s0 carries the default route",
    ),
    "default route over Thunderbolt": Case(
        lambda host: (
            host.function("usb", id="8086:9a1b", class_code=0x0C0340)
            .interface("thunderbolt0", f"{host.card}/domain0/0-0/0-1/0-1.0")
            .route("thunderbolt0")
        ),
        "route",
        "thunderbolt0 carries the default route",
    ),
    "default route over InfiniBand": Case(
        lambda host: host.function("mlx5").interface("ib0", host.card).interface("ib0.8001", host.card).route("ib0.8001"),
        "route",
        "ib0.8001 carries the default route",
    ),
    "default route over a port of a switch on this card": Case(
        lambda host: host.nic().interface("lan1").over("enp3s0", "lan1").route("lan1"), "route", "lan1 carries the default route"
    ),
    "a USB card in another network namespace": Case(
        lambda host: host.function("usb").folder("usb1/1-3/1-3:1.0/net"), "in_use", "another network namespace"
    ),
    "a modem over which somebody dials": Case(
        lambda host: (
            host.function("usb")
            .file(f"{host.card}/usb1/1-4/1-4:1.0/ttyUSB0/tty/ttyUSB0/uevent", "DEVNAME=ttyUSB0\nMAJOR=188\nMINOR=0\n")
            .opened("/dev/ttyUSB0", "pppd")
        ),
        "in_use",
        "process 4711 (pppd) has /dev/ttyUSB0 open",
    ),
    "the USB card of the console": Case(
        lambda host: (
            host.function("usb")
            .file(f"{host.card}/usb1/1-4/1-4:1.0/ttyUSB0/tty/ttyUSB0/dev", "188:0\n")
            .file("/sys/class/tty/console/active", "tty0 ttyUSB0\n")
        ),
        "console",
        "the console is on ttyUSB0",
    ),
    "the controller of a laptop's keyboard": Case(
        lambda host: host.function("usb", id="8086:a368", class_code=0x0C8000).file(
            f"{host.card}/i2c_designware.0/i2c-1/i2c-X/0018:06CB.0001/input/input4/capabilities/key", "1000000000007 fffffffffffffffe\n"
        ),
        "console",
        "a keyboard is connected to it",
    ),
    "sound that is played": Case(
        lambda host: (
            host.function("gpu", id="8086:a348", class_code=0x040300)
            .file(f"{host.card}/sound/card0/pcmC0D0p/uevent", "DEVNAME=snd/pcmC0D0p\nMAJOR=116\nMINOR=3\n")
            .opened("/dev/snd/pcmC0D0p", "pipewire")
        ),
        "in_use",
        "process 4711 (pipewire) has /dev/snd/pcmC0D0p open",
    ),
    "a watchdog that the first process keeps alive": Case(
        lambda host: (
            host.function("gpu", id="8086:a323", class_code=0x0C0500)
            .file(f"{host.card}/iTCO_wdt/watchdog/watchdog0/uevent", "DEVNAME=watchdog0\nMAJOR=248\nMINOR=0\n")
            .opened("/dev/watchdog0", "systemd")
        ),
        "in_use",
        "process 4711 (systemd) has /dev/watchdog0 open",
    ),
    "a tape that is written": Case(
        lambda host: (
            host.function("sas")
            .file(f"{host.card}/host0/target0:0:4/0:0:4:0/scsi_tape/nst0/uevent", "DEVNAME=nst0\nMAJOR=9\nMINOR=128\n")
            .opened("/dev/nst0", "bareos-sd")
        ),
        "in_use",
        "process 4711 (bareos-sd) has /dev/nst0 open",
    ),
    "a disk that a guest has as a whole": Case(
        lambda host: host.nvme_disk("p1").opened("/dev/nvme0n1"), "in_use", "(a guest, qemu-system-x86) has /dev/nvme0n1 open"
    ),
    "a device with a driver of user space": Case(
        lambda host: (
            host.function("nic").file(f"{host.card}/uio/uio0/uevent", "DEVNAME=uio0\nMAJOR=240\nMINOR=0\n").opened("/dev/uio0", "testpmd")
        ),
        "in_use",
        "has /dev/uio0 open",
    ),
    "an interface whose verbs a program uses": Case(
        lambda host: (
            host.function("mlx5")
            .file(f"{host.card}/infiniband_verbs/uverbs0/uevent", "DEVNAME=infiniband/uverbs0\nMAJOR=231\nMINOR=192\n")
            .opened("/dev/infiniband/uverbs0", "ucx_perftest")
        ),
        "in_use",
        "has /dev/infiniband/uverbs0 open",
    ),
}
