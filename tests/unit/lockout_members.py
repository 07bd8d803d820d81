# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""More members of the kinds of things that a host depends on a device for: programs, file systems and buses that came later."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Case, Host

PORT = "0000:05:00.0"
KEYS = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n"


def node(host: Host, kind: str, name: str, number: str, command: str, place: str = "") -> Host:
    """A node of the card's, which a program has open."""
    major, minor = number.split(":")
    here = place or f"{host.card}/{kind}/{name.rpartition('/')[2]}"
    host.file(f"{here}/uevent", f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n").file(f"{here}/dev", f"{number}\n")
    return host.opened(f"/dev/{name}", command)


def routed(host: Host, interface: str, below: str) -> Host:
    return host.interface(interface, f"{host.card}/{below}" if below else host.card).route(interface)


def data(host: Host, *places: str) -> Host:
    """A disk of data on the card, mounted there."""
    host.nvme_disk("p1")
    for place in places or ("/data",):
        host.mounted(place, "xfs", "/dev/nvme0n1p1", "259:1")
    return host


def behind_thunderbolt(host: Host, driver: str | None = "thunderbolt") -> Host:
    """The host interface of USB4, by which the cards below a root port are reached (usb4-host-interface in the firmware's tables)."""
    host.tree.pci(CARD, "8086:9a1b", class_code=0x0C0340, driver=driver, group=3)
    host.tree.pci("0000:00:07.0", "8086:9a23", class_code=0x060400, driver="pcieport", group=5)
    host.tree.link(f"{host.card}/consumer:pci:0000:00:07.0", "../../virtual/devlink/pci:0000:03:00.0--pci:0000:00:07.0")
    below = f"/sys/devices/pci0000:00/0000:00:07.0/{PORT}"
    return host.disk(f"{below}/nvme/nvme0", "nvme0n1", "259:0", "p1", "p2")


def usb_behind_thunderbolt(host: Host) -> Host:
    host.tree.pci(CARD, "8086:9a1b", class_code=0x0C0340, driver="thunderbolt", group=3)
    host.tree.pci("0000:00:0d.0", "8086:9a13", class_code=0x0C0330, driver="xhci_hcd", group=5)
    host.tree.link(f"{host.card}/consumer:pci:0000:00:0d.0", "../../virtual/devlink/pci:0000:03:00.0--pci:0000:00:0d.0")
    host.interface("enx0", "/sys/devices/pci0000:00/0000:00:0d.0/usb2/2-1/2-1:1.0")
    return host.route("enx0")


def physical_without_driver(host: Host) -> Host:
    host.function("nic", max_virtual_functions=7, driver=None)
    return host.function("nic", "0000:03:10.0", id="8086:10ca", physical_function=CARD, group=41)


def by_character_node(host: Host, driver: str, path: str, command: str, **more: object) -> Host:
    """A controller that is managed by a node of which nothing in sysfs says whose it is."""
    given = {"id": "9005:028d", "class_code": 0x010400, "driver": driver, **more}
    host.tree.pci(CARD, group=3, **given)  # type: ignore[arg-type]
    return host.opened(path, command)


MEMBERS = {
    # -- disks
    "root of an image that is a file on the disk (composefs)": Case(
        lambda host: (
            host.nvme_disk("p1", "p2")
            .mounted("/sysroot", "xfs", "/dev/nvme0n1p2", "259:2")
            .mounted(
                "/", "overlay", "composefs", "0:30", "ro,lowerdir+=/run/ostree/.private/cfsroot-lower,datadir+=/sysroot/ostree/repo/objects"
            )
        ),
        "root",
        "composefs is mounted at /",
    ),
    "the system's folder with images of extensions": Case(
        lambda host: data(host).mounted("/usr", "overlay", "sysext", "0:31", "ro,lowerdir=/run/systemd/sysext/meta/usr:/data/ext/usr"),
        "root",
        "sysext is mounted at /usr",
    ),
    "a home that is a file on a disk of data": Case(
        lambda host: (
            data(host)
            .stacked("loop3", "7:3")
            .file("/sys/class/block/loop3/loop/backing_file", "/data/me.home\n")
            .stacked("dm-4", "253:4", "loop3")
            .mounted("/home/me", "btrfs", "/dev/mapper/home-me", "253:4")
        ),
        "data_mounts",
        "/dev/mapper/home-me is mounted at /home/me",
    ),
    "root on two layers of dm-crypt and dm-integrity": Case(
        lambda host: (
            host.nvme_disk("p1")
            .stacked("dm-0", "253:0", "nvme0n1p1")
            .stacked("dm-1", "253:1", "dm-0")
            .mounted("/", "ext4", "/dev/mapper/root", "253:1")
        ),
        "root",
        "/dev/mapper/root is mounted at /",
    ),
    "the journal of an array of the root": Case(
        lambda host: host.nvme_disk("p5").stacked("md0", "9:0", "nvme0n1p5", "sda1").mounted("/", "xfs", "/dev/md0", "9:0"),
        "root",
        "/dev/md0 is mounted at /",
    ),
    "the EFI partition on an array": Case(
        lambda host: host.nvme_disk("p1").stacked("md1", "9:1", "nvme0n1p1").mounted("/boot/efi", "vfat", "/dev/md1", "9:1"),
        "boot",
        "/dev/md1 is mounted at /boot/efi",
    ),
    "the second EFI partition": Case(
        lambda host: host.nvme_disk("p1").mounted("/boot/efi2", "vfat", "/dev/nvme0n1p1", "259:1"),
        "boot",
        "/dev/nvme0n1p1 is mounted at /boot/efi2",
    ),
    "the cache of a pool": Case(
        lambda host: host.nvme_disk("p1", udev="E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n").mounted("/", "zfs", "rpool/ROOT/x"),
        "root",
        "rpool/ROOT/x is mounted at /",
    ),
    "root on a disk of an SD card's slot of USB": Case(
        lambda host: (
            host.function("usb")
            .disk(f"{host.card}/usb1/1-1/1-1:1.0/host0/block", "sdb", "8:16", "1")
            .mounted("/", "ext4", "/dev/sdb1", "8:17")
        ),
        "root",
        "/dev/sdb1 is mounted at /",
    ),
    "root on a disk of FireWire": Case(
        lambda host: (
            host.function("usb", class_code=0x0C0010, driver="firewire_ohci")
            .disk(f"{host.card}/fw1/fw1.0/host9/target9:0:0/9:0:0:0/block", "sdc", "8:32", "1")
            .mounted("/", "ext4", "/dev/sdc1", "8:33")
        ),
        "root",
        "/dev/sdc1 is mounted at /",
    ),
    "root on a disk of virtio-scsi": Case(
        lambda host: (
            host.function("virtio", id="1af4:1048", class_code=0x010000)
            .disk(f"{host.card}/virtio1/host2/target2:0:0/2:0:0:0/block", "sda", "8:0", "1")
            .mounted("/", "xfs", "/dev/sda1", "8:1")
        ),
        "root",
        "/dev/sda1 is mounted at /",
    ),
    "a disk of a container's storage that is a raw volume": Case(
        lambda host: host.nvme_disk("p1").stacked("dm-3", "253:3", "nvme0n1p1").opened("/dev/dm-3", "ceph-osd"),
        "data_mounts",
        "nvme0n1p1 is a part of /dev/dm-3",
    ),
    "a disk that a server in user space has open": Case(
        lambda host: host.nvme_disk("p1").opened("/dev/nvme0n1p1", "qemu-storage-da"),
        "in_use",
        "qemu-storage-da) has /dev/nvme0n1p1 open",
    ),
    "a controller that a program manages": Case(
        lambda host: node(host.function("nvme"), "nvme", "nvme0", "238:0", "smartd"), "in_use", "process 4711 (smartd) has /dev/nvme0 open"
    ),
    "a disk by its generic node": Case(
        lambda host: node(host.function("sas"), "scsi_generic", "sg3", "21:3", "sas3ircu"),
        "in_use",
        "process 4711 (sas3ircu) has /dev/sg3 open",
    ),
    "an enclosure that a program manages": Case(
        lambda host: node(host.function("sas"), "bsg", "bsg/0:0:4:0", "243:4", "storcli64"), "in_use", "has /dev/bsg/0:0:4:0 open"
    ),
    "a controller of Adaptec that a program manages": Case(
        lambda host: by_character_node(host, "aacraid", "/dev/aac0", "arcconf"), "in_use", "process 4711 (arcconf) has /dev/aac0 open"
    ),
    "a controller of 3ware that a program manages": Case(
        lambda host: by_character_node(host, "3w-9xxx", "/dev/twa0", "3dm2", id="13c1:1004"),
        "in_use",
        "process 4711 (3dm2) has /dev/twa0 open",
    ),
    "a controller of 3ware for SAS that a program manages": Case(
        lambda host: by_character_node(host, "3w-sas", "/dev/twl0", "tw_cli", id="13c1:1010"), "in_use", "(tw_cli) has /dev/twl0 open"
    ),
    "a controller of PMC that a program manages": Case(
        lambda host: by_character_node(host, "pmcraid", "/dev/pmcsas0", "pmcraid_app", id="9005:0103"), "in_use", "has /dev/pmcsas0 open"
    ),
    "an old MegaRAID that a program manages": Case(
        lambda host: by_character_node(host, "megaraid", "/dev/megadev0", "megarc.bin", id="1000:0408"), "in_use", "has /dev/megadev0 open"
    ),
    # -- networks
    "a card of Omni-Path that a program computes over": Case(
        lambda host: by_character_node(host, "hfi1", "/dev/hfi1_0", "mpirun", id="8086:24f0", class_code=0x020800).folder(
            "infiniband/hfi1_0/ports"
        ),
        "in_use",
        "process 4711 (mpirun) has /dev/hfi1_0 open",
    ),
    "a card of True Scale that a program computes over": Case(
        lambda host: by_character_node(host, "ib_qib", "/dev/ipath0", "mpirun", id="1077:7322", class_code=0x0C0600),
        "in_use",
        "process 4711 (mpirun) has /dev/ipath0 open",
    ),
    "a card of EtherCAT that a program moves machines by": Case(
        lambda host: by_character_node(host, "ec_e1000e", "/dev/EtherCAT0", "linuxcnc", id="8086:10d3", class_code=0x020000),
        "in_use",
        "process 4711 (linuxcnc) has /dev/EtherCAT0 open",
    ),
    "default route on a part of a card by vDPA": Case(
        lambda host: routed(host.function("mlx5"), "eth1", "vdpa0/virtio3"), "route", "eth1 carries the default route"
    ),
    "default route over a bridge to another host (NTB)": Case(
        lambda host: routed(host.function("nic", id="8086:2030", class_code=0x068000, driver="ntb_hw_intel"), "eth2", "ntb_transport0"),
        "route",
        "eth2 carries the default route",
    ),
    "default route over FireWire": Case(
        lambda host: routed(host.function("usb", class_code=0x0C0010, driver="firewire_ohci"), "firewire0", "fw0/fw0.0"),
        "route",
        "firewire0 carries the default route",
    ),
    "default route over a mesh": Case(
        lambda host: host.nic("mesh0").interface("bat0").over("mesh0", "bat0").route("bat0"), "route", "bat0 carries the default route"
    ),
    "default route over IP on a radio of low power": Case(
        lambda host: (
            host.nic("wpan0")
            .interface("lowpan0")
            .file("/sys/class/net/wpan0/ifindex", "4\n")
            .file("/sys/class/net/lowpan0/ifindex", "5\n")
            .file("/sys/class/net/lowpan0/iflink", "4\n")
            .file("/sys/class/net/lowpan0/type", "825\n")
            .route("lowpan0")
        ),
        "route",
        "lowpan0 carries the default route",
    ),
    "default route over a representor of a virtual function": Case(
        lambda host: routed(host.function("mlx5"), "enp3s0f0r1", ""), "route", "enp3s0f0r1 carries the default route"
    ),
    "an address of itself alone (169.254)": Case(
        lambda host: (
            host.nic("usb0")
            .route("usb0", "0000FEA9", "00000000", "0000FFFF")
            .file("/proc/net/fib_trie", "     |-- 169.254.3.1\n        /32 host LOCAL\n")
        ),
        "in_use",
        "usb0 has the address 169.254.3.1",
    ),
    "this connection by a card in a VRF": Case(
        lambda host: (
            host.nic()
            .interface("mgmt")
            .over("enp3s0", "mgmt")
            .route("enp3s0", "0000000A", "00000000", "00FFFFFF")
            .ssh("10.0.0.9", "10.0.0.1")
        ),
        "connection",
        "enp3s0 carries this SSH connection",
    ),
    # -- consoles
    "a console at an I/O port of the card": Case(
        lambda host: (
            host.function("serial")
            .file(f"{host.card}/resource", "0x000000000000e000 0x000000000000e007 0x0000000000040101\n")
            .file("/proc/cmdline", "console=uart8250,io,0xe000,115200n8\n")
        ),
        "console",
        "the console uart8250,io,0xe000,115200n8 is on it",
    ),
    "a laptop's keyboard on a bus of its own": Case(
        lambda host: host.function("nic", id="8086:43e8", class_code=0x0C8000, driver="intel-lpss").file(
            f"{host.card}/i2c_designware.0/i2c-0/i2c-ELAN/0018:04F3.0001/input/input5/capabilities/key", KEYS
        ),
        "console",
        "a keyboard is connected to it",
    ),
    "the keyboard of a virtual machine": Case(
        lambda host: host.function("virtio", id="1af4:1052", class_code=0x090000).file(
            f"{host.card}/virtio4/input/input2/capabilities/key", KEYS
        ),
        "console",
        "a keyboard is connected to it",
    ),
    # -- users
    "a GPU that crosvm has": Case(
        lambda host: host.function("gpu", driver="nvgrace_gpu_vfio_pci").opened("/dev/vfio/3", "crosvm"),
        "in_use",
        "(a guest, crosvm) has /dev/vfio/3 open",
    ),
    "a GPU that Cloud Hypervisor has by iommufd": Case(
        lambda host: node(
            host.function("gpu", driver="nvgrace_gpu_vfio_pci"), "vfio-dev", "vfio/devices/vfio0", "511:0", "cloud-hyperviso"
        ),
        "in_use",
        "(a guest, cloud-hyperviso) has /dev/vfio/devices/vfio0 open",
    ),
    "a card whose memory a program of SPDK has": Case(
        lambda host: host.function("nvme", driver=None).opened(f"/sys/devices/pci0000:03/{CARD}/resource0", "spdk_tgt"),
        "in_use",
        "(spdk_tgt) has",
    ),
    "the power of a server by its UPS": Case(
        lambda host: node(
            host.function("usb"), "", "hidraw0", "246:0", "usbhid-ups", f"{host.card}/usb1/1-2/1-2:1.0/0003:1/hidraw/hidraw0"
        ),
        "in_use",
        "process 4711 (usbhid-ups) has /dev/hidraw0 open",
    ),
    "a modem that a program manages": Case(
        lambda host: node(host.function("usb"), "", "cdc-wdm0", "180:0", "ModemManager", f"{host.card}/usb1/1-2/1-2:1.4/usbmisc/cdc-wdm0"),
        "in_use",
        "process 4711 (ModemManager) has /dev/cdc-wdm0 open",
    ),
    "the time from satellites": Case(
        lambda host: node(host.function("nic"), "gnss", "gnss0", "240:0", "gpsd"), "in_use", "process 4711 (gpsd) has /dev/gnss0 open"
    ),
    "a pulse for each second": Case(
        lambda host: node(host.function("nic"), "", "pps0", "241:0", "chronyd", f"{host.card}/ptp/ptp0/pps/pps0"),
        "in_use",
        "process 4711 (chronyd) has /dev/pps0 open",
    ),
    "television that is recorded": Case(
        lambda host: node(
            host.function("gpu", id="14f1:8880", class_code=0x040000, driver="cx23885"),
            "dvb",
            "dvb/adapter0/frontend0",
            "212:3",
            "tvheadend",
        ),
        "in_use",
        "process 4711 (tvheadend) has /dev/dvb/adapter0/frontend0 open",
    ),
    "the management engine that a program talks to": Case(
        lambda host: node(host.function("nic", id="8086:a33a", class_code=0x078000, driver="mei_me"), "mei", "mei0", "240:9", "lms"),
        "in_use",
        "process 4711 (lms) has /dev/mei0 open",
    ),
    "the controller of the machine's management": Case(
        lambda host: node(host.function("nic", id="103c:3302", class_code=0x0C0701, driver="ipmi_si"), "ipmi", "ipmi0", "239:0", "ipmievd"),
        "in_use",
        "process 4711 (ipmievd) has /dev/ipmi0 open",
    ),
    "memory that a guest has as its own": Case(
        lambda host: node(
            host.function("virtio", id="1af4:105b", class_code=0x018000),
            "",
            "dax0.0",
            "250:0",
            "qemu-system-x86",
            f"{host.card}/virtio2/ndbus0/region0/dax0.0/dax0.0",
        ),
        "in_use",
        "has /dev/dax0.0 open",
    ),
    "a port of verbs in a container": Case(
        lambda host: node(host.function("mlx5"), "infiniband_verbs", "infiniband/uverbs0", "231:192", "nccl"),
        "in_use",
        "process 4711 (nccl) has /dev/infiniband/uverbs0 open",
    ),
    # -- what leads to other devices
    "root in a box at Thunderbolt": Case(
        lambda host: behind_thunderbolt(host).mounted("/", "ext4", "/dev/nvme0n1p2", "259:2"), "root", "/dev/nvme0n1p2 is mounted at /"
    ),
    "data in a box at Thunderbolt": Case(
        lambda host: behind_thunderbolt(host).mounted("/srv", "ext4", "/dev/nvme0n1p1", "259:1"),
        "data_mounts",
        "/dev/nvme0n1p1 is mounted at /srv",
    ),
    "default route over a dock at USB4": Case(usb_behind_thunderbolt, "route", "enx0 carries the default route"),
    "default route on a virtual function of a card without a driver": Case(
        lambda host: physical_without_driver(host).interface("enp3s0v0", "/sys/devices/pci0000:03/0000:03:10.0").route("enp3s0v0"),
        "route",
        "enp3s0v0 carries the default route",
    ),
    "virtual functions of a card without a driver": Case(
        physical_without_driver, "in_use", "it has 1 virtual function, which would be lost"
    ),
    "the IOMMU of the machine": Case(
        lambda host: host.function("gpu", id="1022:1481", class_code=0x080600, driver=None),
        "root",
        "other devices of this host reach memory by it (IOMMU)",
    ),
}
