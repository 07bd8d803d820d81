# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What uses a PCI function at the moment: processes, file systems, swap, network interfaces."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

MAX_DEPTH = 12
IP_TIMEOUT = 10
SYSTEM_MOUNTS = ("/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/etc")
NVME_PATH = re.compile(r"(nvme\d+)c\d+(n\d+)")
ANY_V4 = "00000000"
ANY_V6 = "0" * 32


@dataclasses.dataclass(frozen=True)
class Use:
    """One use of a function, as a clause of a message.  Without a ``vital`` one the host would stop working or be unreachable."""

    what: str
    vital: bool = False


@dataclasses.dataclass(frozen=True)
class Node:
    """A device node that a driver created for a function, such as ``/dev/dri/card0``, with its ``major:minor``."""

    name: str
    number: str | None = None
    sysfs: str = ""
    is_block: bool = False


def uses_of(host: Host, device: Device) -> tuple[Use, ...]:
    """Everything that uses the function at the moment, vital uses first."""
    nodes = device_nodes(host, device)
    interfaces = network_interfaces(host, device)
    if device.driver is not None and device.iommu_group is not None:
        nodes = (*nodes, Node(f"/dev/vfio/{device.iommu_group}"))
    found = [
        *_network_uses(host, interfaces),
        *_block_uses(host, nodes),
        *_process_uses(host, {node.name for node in nodes}),
    ]
    if device.virtual_functions:
        found.append(Use(f"it has {len(device.virtual_functions)} virtual functions, which would be lost"))
    return tuple(sorted(found, key=lambda use: not use.vital))


def device_nodes(host: Host, device: Device) -> tuple[Node, ...]:
    """The device nodes of everything below the function, including its disks' partitions and what is stacked on them."""
    nodes: dict[str, Node] = {}
    for folder in _folders(host, f"{DEVICES}/{device.address}", 0):
        _add_node(host, folder, nodes)
        # With native multipath a controller has a hidden path (nvme0c0n1), and the disk (nvme0n1) is elsewhere in sysfs.
        path = NVME_PATH.fullmatch(folder.rpartition("/")[2])
        if path:
            _add_node(host, f"/sys/class/block/{path[1]}{path[2]}", nodes)
    return tuple(nodes.values())


def _add_node(host: Host, folder: str, nodes: dict[str, Node]) -> None:
    uevent = dict(line.split("=", 1) for line in (host.text_or_none(f"{folder}/uevent") or "").splitlines() if "=" in line)
    name = f"/dev/{uevent.get('DEVNAME', '')}"
    if "DEVNAME" not in uevent or name in nodes:
        return
    is_block = host.link_name(f"{folder}/subsystem") == "block"
    nodes[name] = Node(name, host.text_or_none(f"{folder}/dev"), folder, is_block)
    if is_block:
        for partition in host.names(folder):
            if host.exists(f"{folder}/{partition}/partition"):
                _add_node(host, f"{folder}/{partition}", nodes)
        for holder in host.names(f"{folder}/holders"):
            _add_node(host, f"/sys/class/block/{holder}", nodes)


def _folders(host: Host, folder: str, depth: int) -> t.Iterator[str]:
    yield folder
    if depth == MAX_DEPTH:
        return
    for name in host.names(folder):
        below = f"{folder}/{name}"
        if host.link(below) is None and host.is_dir(below):
            yield from _folders(host, below, depth + 1)


def network_interfaces(host: Host, device: Device) -> tuple[str, ...]:
    """The names of the function's network interfaces, and of the bridges, bonds and VLANs above them."""
    here = f"{DEVICES}/{device.address}"
    parents = [here, *(f"{here}/{name}" for name in host.names(here) if name.startswith("virtio"))]
    found: list[str] = []
    pending = [name for parent in parents for name in host.names(f"{parent}/net")]
    while pending:
        interface = pending.pop()
        if interface not in found:
            found.append(interface)
            links = host.names(f"/sys/class/net/{interface}")
            pending += [name[len("upper_") :] for name in links if name.startswith("upper_")]
    return tuple(found)


def _network_uses(host: Host, interfaces: tuple[str, ...]) -> t.Iterator[Use]:
    if not interfaces:
        return
    routes = default_route_interfaces(host)
    addresses = interface_addresses(host)
    managed = _connection_address(host)
    for interface in interfaces:
        if interface in routes:
            yield Use(f"{interface} carries the default route", vital=True)
        elif managed is not None and managed in addresses.get(interface, ()):
            yield Use(f"{interface} carries this SSH connection ({managed})", vital=True)
        elif addresses.get(interface):
            yield Use(f"{interface} has the address {addresses[interface][0]}")


def default_route_interfaces(host: Host) -> frozenset[str]:
    """The interfaces with a default route, IPv4 or IPv6."""
    v4 = [line.split() for line in (host.text_or_none("/proc/net/route") or "").splitlines()[1:]]
    v6 = [line.split() for line in (host.text_or_none("/proc/net/ipv6_route") or "").splitlines()]
    found = {fields[0] for fields in v4 if len(fields) > 7 and fields[1] == ANY_V4 and fields[7] == ANY_V4}
    found |= {fields[9] for fields in v6 if len(fields) > 9 and fields[0] == ANY_V6 and fields[1] == "00" and fields[9] != "lo"}
    return frozenset(found)


def interface_addresses(host: Host) -> t.Mapping[str, tuple[str, ...]]:
    """The global addresses of each interface; empty if the host has no ``ip`` command."""
    if host.which("ip") is None:
        return {}
    try:
        links = json.loads(host.run(["ip", "-json", "address", "show"], IP_TIMEOUT).stdout or "[]")
    except (HostError, ValueError):
        return {}
    return {
        link["ifname"]: tuple(entry["local"] for entry in link.get("addr_info", ()) if entry.get("scope") == "global" and "local" in entry)
        for link in links
        if "ifname" in link
    }


def _connection_address(host: Host) -> str | None:
    """This host's address in the SSH connection that this process descends from.  Parents are searched because sudo drops the variable."""
    process = "self"
    for _step in range(32):
        environment = host.text_or_none(f"/proc/{process}/environ") or ""
        for variable in environment.split("\0"):
            if variable.startswith("SSH_CONNECTION="):
                fields = variable.split("=", 1)[1].split()
                return fields[2] if len(fields) == 4 else None
        status = host.text_or_none(f"/proc/{process}/stat") or ""
        fields = status.rpartition(")")[2].split()
        if len(fields) < 2 or fields[1] in ("0", "1"):
            return None
        process = fields[1]
    return None


def _block_uses(host: Host, nodes: tuple[Node, ...]) -> t.Iterator[Use]:
    disks = [node for node in nodes if node.is_block]
    names, numbers = {node.name for node in disks}, {node.number for node in disks}
    if not disks:
        return
    for line in (host.text_or_none("/proc/self/mountinfo") or "").splitlines():
        fields, _dash, tail = line.partition(" - ")
        where, source = fields.split()[4], tail.split()[1] if len(tail.split()) > 1 else ""
        if fields.split()[2] in numbers or source in names:
            yield Use(f"{source} is mounted at {where}", vital=where in SYSTEM_MOUNTS)
    for line in (host.text_or_none("/proc/swaps") or "").splitlines()[1:]:
        if line.split()[0] in names:
            yield Use(f"{line.split()[0]} is in use as swap", vital=True)


def _process_uses(host: Host, names: set[str]) -> t.Iterator[Use]:
    if not names:
        return
    for process in host.names("/proc"):
        if not process.isdecimal() or int(process) == host.process_id:
            continue
        try:
            handles = host.names(f"/proc/{process}/fd")
        except HostError:
            continue
        opened = {host.link(f"/proc/{process}/fd/{handle}") for handle in handles}
        for name in sorted(names & {path for path in opened if path}):
            yield Use(f"process {process} ({host.text_or_none(f'/proc/{process}/comm') or '?'}) has {name} open")
