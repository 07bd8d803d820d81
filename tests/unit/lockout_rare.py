# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uses that leave no open node below the device: packets as they are, buses without addresses, what a machine itself needs."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Case, Host

PACKETS = "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n0000000000000000 3      3    0003   {number}     1 0      0      4711\n"
SAN = "eth9.201-fcoe"


def listened(host: Host, command: str = "suricata", owner: bool = True) -> Host:
    """An interface without an address, whose packets a program gets."""
    here = host.nic().file("/proc/net/packet", PACKETS.format(number=3)).card
    host.file(f"{here}/net/enp3s0/ifindex", "3\n").file("/proc/812/comm", f"{command}\n")
    return host.linked("/proc/812/fd/9", "socket:[4711]") if owner else host


LOOPBACK, FAR, NEAR = "0100007F", "000000FD000000000000000009000000", "000000FD000000000000000001000000"
"""127.0.0.1, fd00::9 and fd00::1 as the kernel writes them."""
COLUMNS = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def _sockets(*rows: tuple[str, str, str]) -> str:
    line = "   0: {} {} 01 00000000:00000000 00:00000000 00000000     0        0 {} 1\n"
    return COLUMNS + "".join(line.format(*row) for row in rows)


def tunnelled(host: Host) -> Host:
    """A session whose client is a program on this host, which has the way to it from elsewhere."""
    host.nic().ssh("127.0.0.1", "127.0.0.1").file("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80 enp3s0\n")
    server, client = f"{LOOPBACK}:0016", f"{LOOPBACK}:9C40"
    # The server's own end is another socket.
    return host.file("/proc/net/tcp", _sockets((server, client, "50"), (client, server, "51")))


def by_reverse_tunnel(host: Host) -> Host:
    """As `ssh -R` and agents make it."""
    tunnelled(host).linked("/proc/600/fd/3", "socket:[51]").linked("/proc/600/fd/4", "socket:[52]")
    return host.file("/proc/net/tcp6", _sockets((f"{NEAR}:C000", f"{FAR}:01BB", "52")))


def from_a_session(host: Host) -> Host:
    """A person who has come by SSH says `ssh localhost`."""
    tunnelled(host).linked("/proc/600/fd/3", "socket:[51]").file("/proc/600/stat", "600 (ssh) S 599 600 600 0\n")
    return host.file("/proc/599/environ", "SSH_CONNECTION=fd00::9 4000 fd00::1 22\0")


def from_here(host: Host) -> Host:
    """A person at the machine says so."""
    return tunnelled(host).linked("/proc/600/fd/3", "socket:[51]").file("/proc/600/stat", "600 (ssh) S 1 600 600 0\n")


def by_datagrams(host: Host) -> Host:
    """A tunnel over UDP, of which nothing says where it leads."""
    from_here(host).linked("/proc/600/fd/4", "socket:[53]")
    return host.file("/proc/net/udp6", _sockets((f"{'0' * 32}:C001", f"{'0' * 32}:0000", "53")))


def of_can(host: Host, flags: str = "0x40081") -> Host:
    """A controller of the bus CAN."""
    host.function("nic").interface("can0", host.card)
    return host.file(f"{host.card}/net/can0/type", "280\n").file(f"{host.card}/net/can0/flags", f"{flags}\n")


def virtio(host: Host, driver: str) -> Host:
    host.function("virtio").linked(f"{host.card}/virtio2/driver", f"/sys/bus/virtio/drivers/{driver}")
    return host.file(f"{host.card}/virtio2/device", "0x0017\n")


def on_fcoe(host: Host) -> Host:
    """Data on a disk of Fibre Channel over Ethernet, on a VLAN of an interface without an address."""
    host.nic().interface(SAN).over("enp3s0", SAN)
    host.disk(f"/sys/devices/virtual/net/{SAN}/ctlr_0/host7/rport-7:0-0/target7:0:0/7:0:0:0/block", "sdq", "65:0")
    return host.mounted("/srv", "xfs", "/dev/sdq", "65:0")


def on_aoe(host: Host) -> Host:
    """Data on a disk of ATA over Ethernet, which needs no address either."""
    host.nic().disk("/sys/devices/virtual/block", "etherd!e1.0", "152:16")
    host.file("/sys/devices/virtual/block/etherd!e1.0/netif", "enp3s0\n")
    return host.mounted("/srv", "xfs", "/dev/etherd/e1.0", "152:16")


def watched(host: Host) -> Host:
    """A controller of the machine's management (IPMI), through which the kernel's watchdog works."""
    host.tree.pci(CARD, "103c:3302", class_code=0x0C0701, driver="ipmi_si", group=3)
    host.tree.module("ipmi_watchdog")
    return host.opened("/dev/watchdog", "systemd")


def printed_on(host: Host) -> Host:
    return host.function("serial").file(f"{host.card}/printer/lp0/uevent", "DEVNAME=lp0\n")


def port(host: Host, words: str) -> Host:
    host.function("serial").file(f"{host.card}/tty/ttyS4/dev", "4:68\n")
    host.tree.cmdline(f"root=/dev/mapper/root ro {words}")
    return host


def passed_through(host: Host) -> Host:
    """A disk with several paths that a guest has by its generic node."""
    host.function("nvme").file(f"{host.card}/nvme/nvme0/nvme0c0n1/uevent", "\n")
    host.file("/sys/class/nvme-generic/ng0n1/uevent", "MAJOR=242\nMINOR=0\nDEVNAME=ng0n1\n")
    return host.opened("/dev/ng0n1")


RARE = {
    "an interface whose packets a program captures": Case(
        listened, "in_use", "process 812 (suricata) gets the packets of enp3s0 (packet socket)"
    ),
    "an interface whose packets a program gets that cannot be seen": Case(
        lambda host: listened(host, owner=False), "in_use", "a program gets the packets of enp3s0 (packet socket)"
    ),
    "this connection by a tunnel whose end is on this host": Case(by_reverse_tunnel, "connection", "enp3s0 carries this SSH connection"),
    "this connection from this host, in a session from elsewhere": Case(from_a_session, "connection", "enp3s0 carries this SSH connection"),
    "this connection by a tunnel of which nothing says where it leads": Case(
        by_datagrams, "connection", "over which interface this SSH connection runs cannot be determined"
    ),
    "this connection by a tunnel whose program cannot be seen": Case(
        tunnelled, "connection", "over which interface this SSH connection runs cannot be determined"
    ),
    "a controller of a bus without addresses": Case(of_can, "in_use", "can0 is up (CAN)"),
    "the IOMMU of a virtual machine": Case(
        lambda host: virtio(host, "virtio_iommu"), "root", "other devices of this host reach memory by it (virtio-iommu)"
    ),
    "memory of a virtual machine that comes and goes": Case(
        lambda host: virtio(host, "virtio_mem"), "in_use", "memory of the host may be on it (virtio-mem)"
    ),
    "memory of a card that the host uses as its own": Case(
        lambda host: host.function("virtio").linked(
            f"{host.card}/virtio2/ndbus0/region0/dax0.1/dax0.0/driver", "/sys/bus/dax/drivers/kmem"
        ),
        "in_use",
        "memory of the host is on it (dax0.0)",
    ),
    "a USB device that another host uses": Case(
        lambda host: host.function("usb").file(f"{host.card}/usb1/1-4/usbip_status", "2\n"),
        "in_use",
        "another host uses the USB device 1-4 on it (USB/IP)",
    ),
    "data over Fibre Channel over Ethernet": Case(on_fcoe, "data_mounts", f"/dev/sdq is mounted at /srv, over {SAN}"),
    "data over ATA over Ethernet": Case(on_aoe, "data_mounts", "/dev/etherd/e1.0 is mounted at /srv, over enp3s0"),
    "the management controller of the watchdog": Case(
        watched, "in_use", "process 4711 (systemd) has /dev/watchdog open, which is for all cards of ipmi_si"
    ),
    "the printer of the console": Case(
        lambda host: printed_on(host).tree.cmdline("root=/dev/mapper/root ro console=lp0"), "console", "the console is on lp0"
    ),
    "the port of a braille display": Case(lambda host: port(host, "console=brl,ttyS4"), "console", "the console is on ttyS4"),
    "the port of the kernel's debugger with a keyboard": Case(
        lambda host: port(host, "kgdboc=ekgdboc,kbd,ttyS4,115200"), "console", "the console is on ttyS4"
    ),
    "a console by the name of its device": Case(
        lambda host: host.function("serial").tree.cmdline(f"root=/dev/mapper/root ro console={CARD}:0.0,115200"),
        "console",
        f"the console {CARD}:0.0,115200 is on it",
    ),
    "the disk of the kernel's last messages": Case(
        lambda host: host.nvme_disk("p3").file("/sys/module/pstore_blk/parameters/blkdev", "/dev/nvme0n1p3\n"),
        "data_mounts",
        "the kernel writes its last messages of a crash to /dev/nvme0n1p3 (/sys/module/pstore_blk/parameters/blkdev)",
    ),
    "the flash memory of the kernel's last messages": Case(
        lambda host: (
            host.function("nvme")
            .file(f"{host.card}/mtd/mtd2/uevent", "MAJOR=90\nMINOR=4\nDEVNAME=mtd2\n")
            .file("/sys/module/mtdoops/parameters/mtddev", "2\n")
        ),
        "data_mounts",
        "the kernel writes its last messages of a crash to mtd2",
    ),
    "a disk with several paths that a guest has by its generic node": Case(
        passed_through, "in_use", "process 4711 (a guest, qemu-system-x86) has /dev/ng0n1 open"
    ),
}
