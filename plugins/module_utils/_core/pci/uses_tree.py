# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything below a folder of sysfs: the device nodes, disks, network interfaces and consoles that a driver has made of a device."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.listing import listing

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

MOST_FOLDERS = 50_000
"""Of one device: a host adapter with a thousand disks has fewer."""
MOST_LAYERS = 64
NVME_PATH = re.compile(r"(nvme\d+)c\d+(n\d+)")
MDEV = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VIRTIO = re.compile(r"virtio\d+")
CHANNEL, WORK_QUEUE = re.compile(r"dma\d+chan\d+"), re.compile(r"wq\d+\.\d+")
MEMORY = re.compile(r"dax\d+\.\d+")
EXPORTED = "2"
"""SDEV_ST_USED in include/uapi/linux/usbip.h."""
FLASH = re.compile(r"/dev/mtd\d+")
OF_DEVICES = ("uevent", "dev")
LETTERS = 0xFFFFFFFE
"""The keys 1 to 31, which make an input device a keyboard for udev (test_key() in udev-builtin-input_id.c)."""


@dataclasses.dataclass(frozen=True)
class TreeNode:
    """A device node that a driver created, such as ``/dev/dri/card0``, with its ``major:minor`` and its folder in sysfs."""

    name: str
    number: str | None = None
    folder: str = ""
    is_block: bool = False


@dataclasses.dataclass
class Below:
    """What is below a folder."""

    nodes: dict[str, TreeNode] = dataclasses.field(default_factory=dict)
    interfaces: list[str] = dataclasses.field(default_factory=list)
    """Its own network interfaces, without those above them."""
    hidden_interfaces: bool = False
    """Whether it has interfaces in another network namespace."""
    terminals: list[str] = dataclasses.field(default_factory=list)
    framebuffers: list[str] = dataclasses.field(default_factory=list)
    keyboards: list[str] = dataclasses.field(default_factory=list)
    """The folders of its keyboards."""
    mediated: list[str] = dataclasses.field(default_factory=list)
    """The UUIDs of its mediated devices."""
    virtio: list[str] = dataclasses.field(default_factory=list)
    """The folders of its virtio devices."""
    ports: list[str] = dataclasses.field(default_factory=list)
    """The names of its ports of Fibre Channel, by which disks that are elsewhere in sysfs say that they are behind it."""
    channels: list[str] = dataclasses.field(default_factory=list)
    """The folders of its channels of the kernel's DMA engine."""
    work_queues: list[str] = dataclasses.field(default_factory=list)
    """The folders of the work queues of an accelerator for data (idxd)."""
    radios: list[str] = dataclasses.field(default_factory=list)
    """Its controllers of Bluetooth."""
    rdma: list[str] = dataclasses.field(default_factory=list)
    """The folders of its devices for RDMA, such as ``…/infiniband/mlx5_0``."""
    memory: list[str] = dataclasses.field(default_factory=list)
    """Its memory that the host uses as its own (drivers/dax/kmem.c)."""
    exported: list[str] = dataclasses.field(default_factory=list)
    """Devices of USB that another host uses (drivers/usb/usbip)."""
    complete: bool = True

    @property
    def disks(self) -> tuple[TreeNode, ...]:
        return tuple(node for node in self.nodes.values() if node.is_block)

    @property
    def flash(self) -> tuple[TreeNode, ...]:
        """Flash memory without a disk's controller (MTD)."""
        return tuple(node for node in self.nodes.values() if FLASH.fullmatch(node.name))


def read_below(host: Host, places: t.Sequence[str]) -> Below:
    """What is below these places, at any depth, with the disks that are stacked on theirs."""
    found = Below()
    pending, count = list(places), 0
    while pending:
        folder = pending.pop()
        count += 1
        if count > MOST_FOLDERS:
            found.complete = False
            break
        try:
            names, folders = listing(host, folder)
        except HostError:
            found.complete = False
            names, folders = None, ()
        _look(host, folder, found, names)
        pending += [f"{folder}/{name}" for name in folders]
    return found


def _look(host: Host, folder: str, found: Below, names: t.Container[str] | None) -> None:
    """``names`` are those in the folder, None if they are not known."""
    parent, _slash, name = folder.rpartition("/")
    kind = parent.rpartition("/")[2]
    if kind == "net":
        found.interfaces.append(name)
    elif name == "net" and not host.names(folder):
        # The entries of another network namespace are not visible (drivers/base/core.c, net_namespace()).
        found.hidden_interfaces = True
    elif kind == "fc_host":
        found.ports.append((host.text_or_none(f"{folder}/port_name") or "").lower())
    else:
        _look_at_names(folder, kind, name, found)
    # Most folders group attributes, and are no devices.
    if (names is None or name.startswith("input") or "bInterfaceClass" in names) and _is_keyboard(host, folder, name):
        found.keyboards.append(folder)
    if names is None or any(one in names for one in OF_DEVICES):
        _add_node(host, folder, found.nodes, 0)
    # With native multipath a controller has a hidden path (nvme0c0n1), and the disk (nvme0n1) is elsewhere in sysfs.
    path = NVME_PATH.fullmatch(name)
    if path:
        _add_node(host, f"/sys/class/block/{path[1]}{path[2]}", found.nodes, 0)
        _add_node(host, f"/sys/class/nvme-generic/ng{path[1][len('nvme') :]}{path[2]}", found.nodes, 0)
    if names is not None and "usbip_status" in names and host.text_or_none(f"{folder}/usbip_status") == EXPORTED:
        found.exported.append(name)
    if MEMORY.fullmatch(name) and host.link_name(f"{folder}/driver") == "kmem":
        found.memory.append(name)


def _look_at_names(folder: str, kind: str, name: str, found: Below) -> None:
    """``kind`` is the folder that it is in, which has the name of its class."""
    if kind in ("tty", "printer"):
        found.terminals.append(name)
    elif kind == "graphics":
        found.framebuffers.append(name)
    elif kind == "bluetooth" and name.startswith("hci"):
        found.radios.append(name)
    elif kind == "infiniband":
        found.rdma.append(folder)
    elif MDEV.fullmatch(name):
        found.mediated.append(name)
    elif VIRTIO.fullmatch(name):
        found.virtio.append(folder)
    elif CHANNEL.fullmatch(name):
        found.channels.append(folder)
    elif WORK_QUEUE.fullmatch(name):
        found.work_queues.append(folder)


def _is_keyboard(host: Host, folder: str, name: str) -> bool:
    if name.startswith("input") and name[5:].isdecimal():
        words = (host.text_or_none(f"{folder}/capabilities/key") or "").split()
        try:
            return bool(words) and int(words[-1], 16) & LETTERS == LETTERS
        except ValueError:
            return False
    # A boot keyboard whose driver is not loaded (HID 1.11, 4.2 and 4.3).
    return host.text_or_none(f"{folder}/bInterfaceClass") == "03" and host.text_or_none(f"{folder}/bInterfaceProtocol") == "01"


def _add_node(host: Host, folder: str, nodes: dict[str, TreeNode], layer: int) -> None:
    uevent = properties(host.text_or_none(f"{folder}/uevent"))
    kind, base = folder.split("/")[-2:]
    is_block = host.link_name(f"{folder}/subsystem") == "block" or uevent.get("DEVTYPE") in ("disk", "partition") or kind == "block"
    device = uevent.get("DEVNAME") or (base if is_block and host.exists(f"{folder}/dev") else None)
    name = f"/dev/{device}"
    if device is None or name in nodes or layer > MOST_LAYERS:
        return
    number = host.text_or_none(f"{folder}/dev")
    if number is None and "MAJOR" in uevent and "MINOR" in uevent:
        number = f"{uevent['MAJOR']}:{uevent['MINOR']}"
    nodes[name] = TreeNode(name, number, folder, is_block)
    if is_block:
        for above in _stacked(host, folder):
            _add_node(host, above, nodes, layer + 1)


def _stacked(host: Host, folder: str) -> t.Iterator[str]:
    """The folders of the partitions of a disk, and of the disks that are made of it."""
    for name in host.names(folder):
        if host.exists(f"{folder}/{name}/partition"):
            yield f"{folder}/{name}"
    for holder in host.names(f"{folder}/holders"):
        yield f"/sys/class/block/{holder}"
    # bcache: a disk is a holder of its backing device only, and the set of a caching device links to the backing devices.
    for member in host.names(f"{folder}/bcache/set"):
        disk = host.link_name(f"{folder}/bcache/set/{member}/dev") if member.startswith("bdev") else None
        if disk is not None:
            yield f"/sys/class/block/{disk}"


def properties(text: str | None) -> dict[str, str]:
    """The lines `KEY=value` of an attribute `uevent`."""
    return dict(line.split("=", 1) for line in (text or "").splitlines() if "=" in line)
