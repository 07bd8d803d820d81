# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that say in arguments, tables and units what they live on, and hosts that live on networks which are not plain."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import Case, Host

ROOT = "root=/dev/mapper/root ro"


def named(host: Host, words: str) -> Host:
    """A partition with UUID ee, which only the kernel's arguments name."""
    host.nvme_disk("p1").linked("/dev/disk/by-uuid/ee", "../../nvme0n1p1").linked("/dev/disk/by-partuuid/a1-01", "../../nvme0n1p1")
    return host.file("/proc/cmdline", f"{words}\n")


def server(host: Host, interface: str = "enp3s0") -> Host:
    """An interface that leads to 10.0.0.0/24."""
    return host.nic().route(interface, "0000000A", "00000000", "00FFFFFF")


WORDS: dict[str, Case] = {
    # -- the kernel's arguments
    "/usr of the next boot": Case(lambda host: named(host, f"{ROOT} mount.usr=UUID=ee"), "root", "UUID=ee is named by mount.usr= in"),
    "/boot of a kernel that checks itself": Case(
        lambda host: named(host, f"{ROOT} fips=1 boot=UUID=ee"), "boot", "UUID=ee is named by boot= in"
    ),
    "the disk of hibernation": Case(lambda host: named(host, f"{ROOT} resume=UUID=ee"), "swap", "UUID=ee is named by resume= in"),
    "the encrypted disk of the root, as mkinitcpio is told": Case(
        lambda host: named(host, "cryptdevice=UUID=ee:root root=/dev/mapper/root"), "root", "UUID=ee is named by cryptdevice= in"
    ),
    "a mount of the kernel's arguments": Case(
        lambda host: named(host, f"{ROOT} systemd.mount-extra=UUID=ee:/srv:ext4"),
        "data_mounts",
        "UUID=ee is named by systemd.mount-extra= in",
    ),
    "swap of the kernel's arguments": Case(
        lambda host: named(host, f"{ROOT} systemd.swap-extra=UUID=ee"), "swap", "UUID=ee is named by systemd.swap-extra= in"
    ),
    "root on a medium with a live system, by the label that dracut had first": Case(
        lambda host: (
            host.nvme_disk("p1").linked("/dev/disk/by-label/LIVE", "../../nvme0n1p1").file("/proc/cmdline", "root=live:CDLABEL=LIVE ro\n")
        ),
        "root",
        "LABEL=LIVE is named by root= in",
    ),
    "another disk of the root, as an option of its mount": Case(
        lambda host: named(host, f"{ROOT} rootflags=subvol=@,device=/dev/nvme0n1p1"),
        "root",
        "/dev/nvme0n1p1 is named by rootflags= in",
    ),
    "an array that the kernel assembles": Case(
        lambda host: named(host, f"{ROOT} md=0,/dev/nvme0n1p1,/dev/sdb1"), "root", "/dev/nvme0n1p1 is named by md= in"
    ),
    "a volume that the kernel makes": Case(
        lambda host: named(host, 'root=/dev/dm-0 dm-mod.create="root,,,ro,0 4096 verity 1 PARTUUID=a1-01 /dev/sdb1 4096" ro'),
        "root",
        "PARTUUID=a1-01 is named by dm-mod.create= in",
    ),
    "the disk over a root that is only read": Case(
        lambda host: named(host, f"{ROOT} overlayroot=device:dev=UUID=ee,timeout=20"), "root", "UUID=ee is named by overlayroot= in"
    ),
    "the medium of a live system": Case(
        lambda host: named(host, f"{ROOT} boot=live live-media=/dev/disk/by-uuid/ee"),
        "root",
        "/dev/disk/by-uuid/ee is named by live-media= in",
    ),
    "a disk in a word of which nothing is known": Case(
        lambda host: named(host, f"{ROOT} block2mtd.block2mtd=/dev/nvme0n1p1,128ki"),
        "data_mounts",
        "/dev/nvme0n1p1 is named by block2mtd.block2mtd= in",
    ),
    "a card of the early console, by its place": Case(
        lambda host: host.function("serial").file("/proc/cmdline", f"{ROOT} earlyprintk=pciserial,force,3:0.0,115200\n"),
        "console",
        "the early console pciserial,force,3:0.0,115200 is on it",
    ),
    "the controller of a debug port": Case(
        lambda host: host.function("usb").file("/proc/cmdline", f"{ROOT} earlyprintk=xdbc0,keep\n"),
        "console",
        "the early console xdbc0,keep may be on it",
    ),
    "root by its number": Case(lambda host: named(host, "root=259:1 ro"), "root", "259:1 is named by root= in"),
    "root by its number as a kernel without an initramfs reads it": Case(
        lambda host: named(host, "root=10301 ro"), "root", "259:1 is named by root= in"
    ),
    "root by the partition before it": Case(
        lambda host: (
            host.nvme_disk("p1", "p2")
            .linked("/dev/disk/by-partuuid/a1-01", "../../nvme0n1p1")
            .file("/proc/cmdline", "root=PARTUUID=a1-01/PARTNROFF=1 ro\n")
        ),
        "root",
        "PARTUUID=a1-01/PARTNROFF=1 is named by root= in",
    ),
    "the network by which the initramfs unlocks the root": Case(
        lambda host: host.nic().file("/proc/cmdline", f"{ROOT} rd.neednet=1 ip=enp3s0:dhcp\n"), "root", "enp3s0 is named by ip= in"
    ),
    "the interface from which the firmware has booted": Case(
        lambda host: (
            host.nic()
            .file("/sys/class/net/enp3s0/address", "52:54:00:12:34:56\n")
            .file("/proc/cmdline", "root=/dev/nfs ip=dhcp BOOTIF=01-52-54-00-12-34-56\n")
        ),
        "root",
        "BOOTIF=",
    ),
    "/usr that is checked as it is read": Case(
        lambda host: named(host, f"{ROOT} systemd.verity_usr_data=UUID=ee usrhash=00ff"),
        "root",
        "UUID=ee is named by systemd.verity_usr_data= in",
    ),
    "root on iSCSI of the next boot": Case(
        lambda host: server(host).file("/proc/cmdline", "root=UUID=aa netroot=iscsi:me:secret@10.0.0.2::3260::iqn.x:y ip=dhcp\n"),
        "root",
        "the root file system is on 10.0.0.2",
    ),
    "root on NVMe of the next boot": Case(
        lambda host: server(host).file("/proc/cmdline", "root=UUID=aa rd.nvmf.discover=tcp,10.0.0.2,,4420 ip=dhcp\n"),
        "root",
        "the root file system is on 10.0.0.2",
    ),
    "root on SMB of the next boot": Case(
        lambda host: server(host).file("/proc/cmdline", "root=/dev/cifs cifsroot=//10.0.0.2/r,vers=3 ip=dhcp\n"),
        "root",
        "the root file system is on 10.0.0.2",
    ),
    "root that is fetched from a server without an address": Case(
        lambda host: server(host).file("/proc/cmdline", "root=live:http://boot/x.squashfs ip=dhcp\n"),
        "root",
        "the root file system is on boot, over which interface cannot be determined, and enp3s0 may be it",
    ),
    # -- tables and units
    "data of a unit on a server": Case(
        lambda host: server(host).file("/etc/systemd/system/srv.mount", "[Mount]\nWhat=10.0.0.2:/srv\nWhere=/srv\nType=nfs\n"),
        "data_mounts",
        "10.0.0.2:/srv is needed for /srv (/etc/systemd/system/srv.mount), over enp3s0",
    ),
    "a disk of a server to which nobody has logged in": Case(
        lambda host: server(host).linked("/dev/disk/by-uuid/aa", "../../sda1").fstab("UUID=zz /data xfs _netdev 0 0"),
        "data_mounts",
        "UUID=zz is needed at boot for /data (/etc/fstab:2), over which interface cannot be determined, and enp3s0 may be it",
    ),
    "the disk with the sums of /usr": Case(
        lambda host: host.nvme_disk("p1").file("/etc/veritytab", "# name data hash\nusr UUID=aa /dev/nvme0n1p1 00ff\n"),
        "root",
        "/dev/nvme0n1p1 is needed for usr at boot (/etc/veritytab:2)",
    ),
    "a disk of data that is checked": Case(
        lambda host: host.nvme_disk("p1").file("/etc/integritytab", "old /dev/sdz1 - noauto\ndata /dev/nvme0n1p1\n"),
        "data_mounts",
        "/dev/nvme0n1p1 is needed for data at boot (/etc/integritytab:2)",
    ),
    "/var on its own disk": Case(
        lambda host: host.nvme_disk("p1").mounted("/var", "ext4", "/dev/nvme0n1p1", "259:1"), "root", "/dev/nvme0n1p1 is mounted at /var"
    ),
    "/usr that fstab needs": Case(
        lambda host: host.nvme_disk("p1").linked("/dev/disk/by-uuid/ee", "../../nvme0n1p1").fstab("UUID=ee /usr ext4 defaults 0 2"),
        "root",
        "UUID=ee is needed at boot for /usr",
    ),
    "the firmware's partition of a board": Case(
        lambda host: (
            host.nvme_disk("p1", udev="E:ID_FS_LABEL=system-boot\n")
            .linked("/dev/disk/by-label/system-boot", "../../nvme0n1p1")
            .fstab("LABEL=system-boot /boot/firmware vfat defaults 0 1")
        ),
        "boot",
        "LABEL=system-boot is needed at boot for /boot/firmware",
    ),
    "swap that fstab names, not in use now": Case(
        lambda host: host.nvme_disk("p1").linked("/dev/disk/by-uuid/ee", "../../nvme0n1p1").fstab("UUID=ee none swap sw 0 0"),
        "data_mounts",
        "UUID=ee is needed at boot for swap (/etc/fstab:2)",
    ),
    "swap of a unit": Case(
        lambda host: (
            host.nvme_disk("p1")
            .file("/etc/systemd/system/dev-nvme0n1p1.swap", "[Swap]\nWhat=/dev/nvme0n1p1\n[Install]\nWantedBy=swap.target\n")
            .linked("/etc/systemd/system/swap.target.wants/dev-nvme0n1p1.swap", "../dev-nvme0n1p1.swap")
        ),
        "data_mounts",
        "/dev/nvme0n1p1 is needed for swap",
    ),
    "encrypted swap with a key of chance": Case(
        lambda host: (
            host.nvme_disk("p2")
            .stacked("dm-0", "253:0", "nvme0n1p2")
            .file("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-0 partition 1000 0 -2\n")
        ),
        "swap",
        "/dev/dm-0",
    ),
    "data that is mounted on demand": Case(
        lambda host: (
            host.nvme_disk("p1").linked("/dev/disk/by-uuid/ee", "../../nvme0n1p1").fstab("UUID=ee /srv xfs noauto,x-systemd.automount 0 0")
        ),
        "data_mounts",
        "UUID=ee is needed at boot for /srv",
    ),
    "the chip that unlocks the root": Case(
        lambda host: (
            host.function("serial", id="8086:a324", class_code=0x0C8000)
            .file(f"{host.card}/spi_master/spi0/spi-PRP0001:01/tpm/tpm0/uevent", "DEVNAME=tpm0\nMAJOR=10\nMINOR=224\n")
            .file("/etc/crypttab", "root UUID=aa none tpm2-device=auto,x-initrd.attach\n")
        ),
        "root",
        "tpm0",
    ),
    "the controller of the token that unlocks the root": Case(
        lambda host: (
            host.function("usb")
            .file(f"{host.card}/usb1/1-3/1-3:1.1/0003:1050:0407.0003/hidraw/hidraw2/uevent", "DEVNAME=hidraw2\nMAJOR=240\nMINOR=2\n")
            .file(f"{host.card}/usb1/1-3/1-3:1.1/0003:1050:0407.0003/report_descriptor", b"\x06\xd0\xf1\x09\x01\xa1\x01")
            .file("/etc/crypttab", "root UUID=aa none fido2-device=auto,x-initrd.attach\n")
        ),
        "root",
        "fido2-device=",
    ),
    # -- disks behind adapters
    "root on a loop device of a partition": Case(
        lambda host: (
            host.nvme_disk("p1")
            .stacked("loop0", "7:0")
            .file("/sys/devices/virtual/block/loop0/loop/backing_file", "/dev/nvme0n1p1\n")
            .mounted("/", "ext4", "/dev/loop0", "7:0")
        ),
        "root",
        "/dev/loop0 is mounted at /",
    ),
    "root on iSCSI of an adapter that does it itself": Case(
        lambda host: (
            host.function("sas", id="1077:8032", class_code=0x010000)
            .disk(f"{host.card}/host5/session1/target5:0:0/5:0:0:0/block", "sda", "8:0", "2")
            .mounted("/", "ext4", "/dev/sda2", "8:1")
        ),
        "root",
        "/dev/sda2 is mounted at /",
    ),
    "root on a disk of a hypervisor": Case(
        lambda host: (
            host.function("virtio", id="1af4:1042", class_code=0x010000)
            .disk(f"{host.card}/virtio0/block", "vda", "254:0", "1")
            .mounted("/", "ext4", "/dev/vda1", "254:1")
        ),
        "root",
        "/dev/vda1 is mounted at /",
    ),
    "root on NVMe over RDMA": Case(
        lambda host: (
            server(host)
            .disk("/sys/devices/virtual/nvme-fabrics/ctl/nvme5", "nvme5n1", "259:40", "p1")
            .file("/sys/class/nvme/nvme5/transport", "rdma\n")
            .file("/sys/class/nvme/nvme5/address", "traddr=10.0.0.2,trsvcid=4420\n")
            .mounted("/", "ext4", "/dev/nvme5n1p1", "259:41")
        ),
        "root",
        "over enp3s0",
    ),
    # -- file systems of networks
    "root on SMB": Case(
        lambda host: server(host).mounted("/", "cifs", "//nas/root", "0:40", "rw,vers=3.1.1,addr=10.0.0.2"),
        "root",
        "//nas/root is mounted at /, over enp3s0",
    ),
    "homes on NFS over RDMA": Case(
        lambda host: server(host).mounted("/home", "nfs4", "nas:/home", "0:40", "rw,vers=4.2,proto=rdma,port=20049,addr=10.0.0.2"),
        "data_mounts",
        "nas:/home is mounted at /home, over enp3s0",
    ),
    "homes that autofs mounts": Case(
        lambda host: (
            server(host)
            .mounted("/home", "autofs", "/etc/auto.home", "0:41", "rw,fd=6,indirect")
            .file("/etc/auto.home", "* 10.0.0.2:/home/&\n")
        ),
        "data_mounts",
        "/home is mounted when it is accessed (/etc/auto.home), over enp3s0",
    ),
    "data on Lustre": Case(
        lambda host: (
            host.function("mlx5")
            .interface("ib0", host.card)
            .route("ib0", "0000000A", "00000000", "00FFFFFF")
            .mounted("/scratch", "lustre", "10.0.0.2@o2ib:10.0.0.3@o2ib:/scratch", "0:42")
        ),
        "data_mounts",
        "mounted at /scratch, over ib0",
    ),
    "data on GlusterFS": Case(
        lambda host: server(host).mounted("/vm", "fuse.glusterfs", "10.0.0.2:/vm", "0:43"),
        "data_mounts",
        "10.0.0.2:/vm is mounted at /vm, over enp3s0",
    ),
    "data of another host over SSH": Case(
        lambda host: server(host).mounted("/mnt", "fuse.sshfs", "me@10.0.0.2:/srv", "0:44"),
        "data_mounts",
        "is mounted at /mnt, over enp3s0",
    ),
    # -- routes and connections
    "default route on the other card of a bond": Case(
        lambda host: (
            host.nic()
            .interface("bond0")
            .over("enp3s0", "bond0")
            .route("bond0")
            .file("/sys/class/net/bond0/bonding/active_slave", "enp9s0\n")
        ),
        "route",
        "bond0 carries the default route",
    ),
    "default route in a table of its own (VRF)": Case(
        lambda host: host.nic().interface("mgmt").over("enp3s0", "mgmt").route("enp3s0"), "route", "enp3s0 carries the default route"
    ),
    "default route over a modem on PCI Express": Case(
        lambda host: (
            host.function("nic", id="17cb:0308", class_code=0x0D4000).interface("wwan0", f"{host.card}/mhi0/mhi0_IP_HW0").route("wwan0")
        ),
        "route",
        "wwan0 carries the default route",
    ),
    "default route over a bridge without transparency": Case(
        lambda host: (
            host.function("nic", id="8086:201c", class_code=0x068000).interface("eth7", f"{host.card}/ntb0/ntb_transport0").route("eth7")
        ),
        "route",
        "eth7 carries the default route",
    ),
    "this connection by a VLAN on a bond": Case(
        lambda host: (
            host.nic()
            .interface("bond0")
            .over("enp3s0", "bond0")
            .interface("bond0.7")
            .over("bond0", "bond0.7")
            .route("bond0.7", "0000000A", "00000000", "00FFFFFF")
            .ssh("10.0.0.9", "10.0.0.1")
        ),
        "connection",
        "bond0.7 carries this SSH connection",
    ),
}
