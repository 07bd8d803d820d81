# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices with which the kernel serves others, keeps file systems in flash memory, or writes its own memory away."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Case, Host

TARGETS, STORES = "/sys/kernel/config/target", "/sys/kernel/config/target/core"
NVME_SPACE, NVME_PORT = "/sys/kernel/config/nvmet/subsystems/a/namespaces/1", "/sys/kernel/config/nvmet/ports/1"
GID = "fe80000000000000" + "0c42a10300652c5e"
GUID = "0c42:a103:0065:2c5e"
PORT = "0x100000109b1c0c0c"


def infiniband(host: Host, gid: str = f"fe80:0000:0000:0000:{GUID}") -> Host:
    """A card whose port has this GID."""
    return host.function("mlx5", class_code=0x020700).file(f"{host.card}/infiniband/mlx5_0/ports/1/gids/0", f"{gid}\n")


def scsi_target(host: Host, name: str, enabled: str = "1") -> Host:
    """A target of SCSI over RDMA with the name of a port."""
    return host.file(f"{TARGETS}/srpt/{name}/{name}/enable", f"{enabled}\n")


def fibre_channel(host: Host, *subsystems: str) -> Host:
    """An adapter over whose port these subsystems of NVMe are served."""
    host.function("sas", id="10df:e300", class_code=0x0C0400).file(f"{host.card}/host0/fc_host/host0/port_name", f"{PORT}\n")
    host.file(f"{NVME_PORT}/addr_trtype", "fc\n").file(f"{NVME_PORT}/addr_traddr", f"nn-0x200000109b1c0c0c:pn-{PORT}\n")
    for subsystem in subsystems:
        host.linked(f"{NVME_PORT}/subsystems/{subsystem}", f"../../../subsystems/{subsystem}")
    return host


def served_memory(host: Host, memory: str) -> Host:
    """A disk elsewhere that is served through the memory of a function."""
    host.function("nvme").file(f"{NVME_SPACE}/p2pmem", f"{memory}\n")
    return host.file(f"{NVME_SPACE}/device_path", "/dev/sdz\n").file(f"{NVME_SPACE}/enable", "1\n")


def flash(host: Host) -> Host:
    """A card with flash memory, number 2 of the host's."""
    host.function("nic", id="11ab:4100", class_code=0x050100)
    return host.file(f"{host.card}/mtd/mtd2/uevent", "MAJOR=90\nMINOR=4\nDEVNAME=mtd2\n")


def volumes(host: Host, number: str = "2") -> Host:
    """The same, with volumes on the flash memory of that number."""
    return flash(host).file("/sys/class/ubi/ubi0/mtd_num", f"{number}\n")


def kept(host: Host, path: str, text: str) -> Host:
    """A partition with UUID ee, which only a file names."""
    return host.nvme_disk("p1").linked("/dev/disk/by-uuid/ee", "../../nvme0n1p1").file(path, text)


def reachable(host: Host, path: str, text: str) -> Host:
    """An interface that leads to 10.0.0.0/24, and a file."""
    return host.nic().route("enp3s0", "0000000A", "00000000", "00FFFFFF").file(path, text)


KDUMP, KDUMP_TOOLS, KDUMP_SUSE = "/etc/kdump.conf", "/etc/default/kdump-tools", "/etc/sysconfig/kdump"

TARGETS_AND_FLASH: dict[str, Case] = {
    # -- what others are served
    "a port of InfiniBand over which disks are served, by its GID": Case(
        lambda host: scsi_target(infiniband(host), f"0x{GID}"), "in_use", f"over its port 0x{GID} (target srpt)"
    ),
    "a port of InfiniBand over which disks are served, by its GUID": Case(
        lambda host: scsi_target(infiniband(host), GUID), "in_use", f"over its port {GUID} (target srpt)"
    ),
    "a port of Fibre Channel over which disks of NVMe are served": Case(
        lambda host: fibre_channel(host, "a"), "in_use", f"over its port {PORT} (NVMe target)"
    ),
    "memory through which disks are served": Case(
        lambda host: served_memory(host, CARD), "in_use", "its memory is used to serve disks to other hosts (NVMe target a)"
    ),
    "a tape drive that is passed on": Case(
        lambda host: (
            host.function("sas")
            .file(f"{host.card}/host0/target0:0:4/0:0:4:0/scsi_tape/st0/uevent", "DEVNAME=st0\nMAJOR=9\nMINOR=0\n")
            .file(f"{STORES}/pscsi_0/tape/udev_path", "/dev/st0\n")
            .file(f"{STORES}/pscsi_0/tape/enable", "1\n")
        ),
        "in_use",
        "/dev/st0 is served to other hosts (SCSI target tape)",
    ),
    "a disk that is served over RDMA": Case(
        lambda host: host.nvme_disk("p1").linked(
            "/sys/class/rnbd-server/ctl/devices/!dev!nvme0n1p1/block_dev", "/sys/class/block/nvme0n1p1"
        ),
        "in_use",
        "/dev/nvme0n1p1 is served to other hosts (RNBD",
    ),
    # -- flash memory
    "root on a volume of flash memory": Case(
        lambda host: volumes(host).mounted("/", "ubifs", "ubi0:rootfs", "0:14"), "root", "ubi0:rootfs is mounted at /"
    ),
    "root on the first volumes of flash memory, as the next boot is told": Case(
        lambda host: volumes(host).file("/proc/cmdline", "ubi.mtd=2 root=ubi:rootfs rootfstype=ubifs rw\n"),
        "root",
        "ubi:rootfs is named by root= in",
    ),
    "data in flash memory by its number": Case(
        lambda host: flash(host).mounted("/srv", "jffs2", "mtd2", "0:14"), "data_mounts", "mtd2 is mounted at /srv"
    ),
    "data in flash memory of which nothing says the number": Case(
        lambda host: flash(host).fstab("mtd:logs /srv jffs2 defaults 0 0"),
        "data_mounts",
        "mtd:logs is needed at boot for /srv (/etc/fstab:2), and /dev/mtd2 may be a part of it",
    ),
    "flash memory with volumes that are not mounted": Case(volumes, "data_mounts", "/dev/mtd2 is a part of ubi0"),
    # -- memory that is written away
    "the disk to which a crash is written": Case(
        lambda host: kept(host, KDUMP, "# raw /dev/sda9\n\next4 UUID=ee\npath /var/crash\n"),
        "data_mounts",
        f"the kernel of a crash writes to UUID=ee ({KDUMP}:3)",
    ),
    "the partition to which a crash is written as it is": Case(
        lambda host: kept(host, KDUMP, "raw /dev/nvme0n1p1\n"), "data_mounts", "the kernel of a crash writes to /dev/nvme0n1p1"
    ),
    "the interface to the server of crashes": Case(
        lambda host: reachable(host, KDUMP, "nfs 10.0.0.9:/dumps\n"), "data_mounts", f"10.0.0.9:/dumps ({KDUMP}:1), over enp3s0"
    ),
    "the interface to the host that gets crashes by SSH": Case(
        lambda host: reachable(host, KDUMP, "ssh kdump@10.0.0.9\nsshkey /root/.ssh/kdump\n"),
        "data_mounts",
        f"the kernel of a crash writes to kdump@10.0.0.9:/ ({KDUMP}:1), over enp3s0",
    ),
    "the interface to the server of crashes of Debian": Case(
        lambda host: reachable(host, KDUMP_TOOLS, 'USE_KDUMP=1\n# NFS="10.9.9.9:/x"\nNFS="10.0.0.9:/dumps"\n'),
        "data_mounts",
        f"the kernel of a crash writes to 10.0.0.9:/dumps ({KDUMP_TOOLS}:3), over enp3s0",
    ),
    "the interface to the server of crashes of SUSE": Case(
        lambda host: reachable(host, KDUMP_SUSE, 'KDUMP_SAVEDIR="file:///var/crash sftp://dump@10.0.0.9/in"\n'),
        "data_mounts",
        "the kernel of a crash writes to dump@10.0.0.9:/",
    ),
    "the disk of hibernation that initramfs-tools is told": Case(
        lambda host: kept(host, "/etc/initramfs-tools/conf.d/resume", "RESUME=UUID=ee\n"),
        "swap",
        "hibernation writes to UUID=ee (/etc/initramfs-tools/conf.d/resume:1)",
    ),
    "the disk of hibernation that the kernel knows": Case(
        lambda host: host.nvme_disk("p1").file("/sys/power/resume", "259:1\n"), "swap", "hibernation writes to 259:1 (/sys/power/resume)"
    ),
}
