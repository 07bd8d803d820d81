# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host would lose with a PCI function: its disks, network, console, guests, each as a clause with the guard that it concerns.

Read for the few functions that are about to lose their driver, never for all of them.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.wording import counted
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_console import console_below, console_uses, may_have_port
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_kernel import kernel_users
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_keys import key_of, may_have_key
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_processes import (
    Processes,
    nvidia_instances,
    nvidia_nodes,
    nvidia_persistence,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_shared_nodes import shared_users
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_targets import served, served_memory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import Below, TreeNode, read_below

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.boot_display import BootDisplay
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_containers import Containers
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_mounts import MountUse
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_network import Network
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_storage import Storage

UseGuard = t.Literal["root", "boot", "swap", "route", "connection", "console", "data_mounts", "in_use"]
"""The guard that keeps the function for the sake of a use; `claim/guards.py` says what each is."""
OPEN_TIMEOUT = 5.0
MOST_SWITCHES = 64
"""NVSWITCH_DEVICE_INSTANCE_MAX of NVIDIA's open kernel modules.  Nothing says which node is which switch's."""
NETCONSOLE = re.compile(r"@[^/,]*/([^,\s]+)")
"""The interface in `netconsole=` (netpoll_parse_options() in net/core/netpoll.c)."""
PLATFORM, OF_OLD_BUSES = "/sys/devices/platform", ("i8042", "serial8250", "tpm_tis", "dmi-ipmi-si")
"""Devices at places that are known in advance; the others on such buses are found by PNP."""
THUNDERBOLT, IOMMU = 0x0C0340, 0x0806
CONSUMER = "consumer:pci:"
"""What a folder of sysfs has for each device that cannot be without this one (Documentation/driver-api/device_link.rst)."""
XEN_PLATFORM = "xen-platform-pci"
VBOX_GUEST, VBOX_FOLDER = "vboxguest", "vboxsf"
VSOCK = ("vmw_vsock_virtio_transport", "virtio_vsock")


@dataclasses.dataclass(frozen=True)
class Use:
    """One use of a function, as a clause of a message."""

    what: str
    guard: UseGuard = "in_use"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What kernels are given on their command lines, now and at the next boot: consoles, disks, interfaces."""

    consoles: tuple[str, ...] = ()
    netconsoles: tuple[str, ...] = ()
    roots: tuple[tuple[str, str, str], ...] = ()
    """Where a disk is named, its name, and where it is mounted."""
    servers: tuple[str, ...] = ()
    """Of a root file system on a server."""
    partitions: tuple[tuple[str, str], ...] = ()
    """Those that the firmware has started the host from, as PARTUUID=, with the boot option."""
    interfaces: tuple[tuple[str, str], ...] = ()
    """Where an interface is named for the initramfs, and its name or hardware address."""


class HostUses:
    """What the host's functions are used for.  What concerns the whole host is read once, when it is first needed.

    ``arguments`` and ``display`` read what kernels are given, and what the running one does about the firmware's framebuffer.
    ``lasting`` leaves out what is otherwise each time: what programs have open, this connection, and what only a command tells.
    """

    def __init__(
        self,
        host: Host,
        inventory: Inventory,
        arguments: t.Callable[[], Arguments] = Arguments,
        display: t.Callable[[], BootDisplay | None] = lambda: None,
        *,
        lasting: bool = False,
    ) -> None:
        self._host = host
        self._inventory = inventory
        self._read_arguments = arguments
        self._display = display
        self._lasting = lasting
        self._processes = Processes(host)

    def of(self, device: Device) -> tuple[Use, ...]:
        """Everything that uses the function, or one of its virtual functions, at the moment or at boot."""
        functions = [device, *(found for address in device.virtual_functions for found in (self._inventory.get(address),) if found)]
        others = (*self._behind_bridge(device), *self._behind_thunderbolt(device))
        below = read_below(self._host, [*(f"{DEVICES}/{function.address}" for function in functions), *others])
        found = [*self._below(below)]
        if not self._lasting:
            found += self._functions(device, functions, below)
            consoles = self._arguments.consoles if may_have_port(device, below) else ()
            found += [Use(clause, "console") for clause in console_uses(self._host, device, below, consoles, self._display)]
        found += [*self._lasting_of(functions, below), *self._translating(device)]
        return tuple(dict.fromkeys(found))

    def below(self, folder: str) -> tuple[Use, ...]:
        """Everything that uses a device of any bus, by its folder in sysfs."""
        below = read_below(self._host, [folder])
        consoles = self._arguments.consoles if below.terminals or below.virtio else ()
        shown = (Use(clause, "console") for clause in console_below(self._host, below, consoles))
        return tuple(dict.fromkeys((*self._below(below), *shown)))

    def without_driver(self, device: Device) -> tuple[Use, ...]:
        """Of a function without a driver: the console, which the firmware may have put on it, and programs that drive it themselves.

        What is behind a bridge to older buses needs no driver of it, and virtual functions do not need that of their physical one.
        """
        if device.leads_to_old_buses or device.virtual_functions:
            return self.of(device)
        clauses = console_uses(self._host, device, Below(), (), self._display)
        drivers = (Use(clause) for clause in self._processes.driving(device.address))
        return (*(Use(clause, "console") for clause in clauses), *drivers, *self._translating(device))

    # --

    def _behind_bridge(self, device: Device) -> t.Iterator[str]:
        """The folders of devices behind a bridge to ISA or LPC, which are no children of it in sysfs."""
        if device.leads_to_old_buses:
            yield from (f"/sys/devices/{name}" for name in self._host.names("/sys/devices") if name.startswith("pnp"))
            yield from (f"{PLATFORM}/{name}" for name in self._host.names(PLATFORM) if name.startswith(OF_OLD_BUSES))

    def _behind_thunderbolt(self, device: Device) -> t.Iterator[str]:
        """The folders of root ports and USB controllers whose connections a controller of Thunderbolt or USB4 makes.

        The kernel takes these from their drivers as well (tb_acpi_add_links(), device_links_unbind_consumers()).
        """
        if device.class_code == THUNDERBOLT:
            names = (name.rpartition(CONSUMER)[2] for name in self._host.names(f"{DEVICES}/{device.address}") if name.startswith(CONSUMER))
            yield from (f"{DEVICES}/{name}" for name in names)

    def _translating(self, device: Device) -> t.Iterator[Use]:
        if device.class_code >> 8 == IOMMU:
            yield Use("other devices of this host reach memory by it (IOMMU)", "root")

    def _below(self, below: Below) -> t.Iterator[Use]:
        yield from self._disks(below)
        yield from self._volumes(below)
        yield from self._interfaces(below)
        yield from self._keys(below)
        # What reads the network is imported for what may be of it alone.
        if any(self._host.link_name(f"{folder}/driver") in VSOCK for folder in below.virtio) and self._network.may_be_no_network:
            yield Use("this SSH connection may run over its socket (vsock)", "connection")
        if not self._lasting:
            yield from (Use(clause) for clause in self._processes.using(below.nodes.values()))
            yield from (Use(clause) for clause in self._containers.given(below.nodes.values()))
            yield from (Use(clause) for clause in served(self._host, below))
        yield from self._of_the_machine(below)
        if below.mediated:
            yield Use(f"it has {counted(len(below.mediated), 'mediated device')} ({below.mediated[0]})")
        if not below.complete:
            yield Use("what is below it in sysfs cannot be read completely, so whether the host depends on it cannot be determined", "root")

    def _of_the_machine(self, below: Below) -> t.Iterator[Use]:
        """Memory and translation that a function provides, and what other hosts use of it."""
        drivers = {self._host.link_name(f"{folder}/driver") for folder in below.virtio}
        if "virtio_iommu" in drivers:
            yield Use("other devices of this host reach memory by it (virtio-iommu)", "root")
        if "virtio_mem" in drivers:
            yield Use("memory of the host may be on it (virtio-mem)")
        yield from (Use(f"memory of the host is on it ({name})") for name in below.memory)
        yield from (Use(f"another host uses the USB device {name} on it (USB/IP)") for name in below.exported)

    def _functions(self, device: Device, functions: t.Sequence[Device], below: Below) -> t.Iterator[Use]:
        nodes = [TreeNode(name) for function in functions for name in self._nodes_of_driver(function)]
        addresses = [function.address for function in functions]
        yield from (Use(clause) for clause in self._processes.using(nodes, addresses))
        yield from (Use(clause) for clause in self._containers.given(nodes))
        every = [*nodes, *below.nodes.values()]
        for interface, lower in self._network.of_programs.items() if self._processes.have_open(every, addresses) else ():
            for clause in self._processes.making(lower, every, addresses):
                yield Use(f"{interface} carries the default route, through {clause}", "route")
        if device.virtual_functions:
            yield Use(f"it has {counted(len(device.virtual_functions), 'virtual function')}, which would be lost")
        yield from (Use(clause) for clause in served_memory(self._host, addresses))
        yield from (Use(clause) for clause in kernel_users(self._host, self._inventory, functions, below))
        for function in functions:
            registered = self._inventory.drivers.get(function.driver or "")
            module = (registered and registered.module) or function.driver or ""
            yield from (Use(clause) for clause in shared_users(self._host, self._processes, function, module))
            if function.driver == "nvidia":
                yield from self._nvidia(function)

    def _lasting_of(self, functions: t.Sequence[Device], below: Below) -> t.Iterator[Use]:
        for function in functions:
            yield from self._of_hypervisors(function)
            if function.driver == "cxl_pci" and any(name.startswith("region") for name in self._host.names("/sys/bus/cxl/devices")):
                on_memory = (entry for entry in self._entries if self._storage.is_on_cxl(entry))
                yield from (Use(f"{entry.what}, and memory of it may be on this card (CXL)", entry.guard) for entry in on_memory)
                yield Use("memory of the host may be on it (CXL)")
        # A USB card is behind a controller whose class is another.
        if below.hidden_interfaces and any(function.driver is not None for function in functions):
            yield Use("it has a network interface in another network namespace")
            yield from self._through_namespaces()

    def _through_namespaces(self) -> t.Iterator[Use]:
        """What this host reaches through another network namespace, as through a container that is its router."""
        network = self._network
        for interface in filter(network.into_namespaces, network.default_interfaces):
            yield Use(f"{interface} carries the default route, perhaps through there", "route")
        for carrier in network.connection_interfaces():
            if carrier is not None and network.into_namespaces(carrier):
                yield Use(f"{carrier} carries this SSH connection, perhaps through there", "connection")

    def _of_hypervisors(self, function: Device) -> t.Iterator[Use]:
        """What a machine has through the device by which it talks to its hypervisor."""
        if function.driver == XEN_PLATFORM:
            yield Use("other devices of this host are reached by it (Xen)", "root")
        if function.driver == VBOX_GUEST:
            yield from (Use(entry.what, entry.guard) for entry in self._entries if entry.kind == VBOX_FOLDER)

    def _nodes_of_driver(self, function: Device) -> t.Iterator[str]:
        if function.driver is not None and function.iommu_group is not None:
            yield f"/dev/vfio/{function.iommu_group}"
            yield f"/dev/vfio/noiommu-{function.iommu_group}"
        if function.driver == "nvidia":
            yield from nvidia_nodes(self._host, function.address) or ()
        if function.driver == "nvidia-nvswitch":
            yield from (f"/dev/nvidia-nvswitch{number}" for number in range(MOST_SWITCHES))

    def _nvidia(self, function: Device) -> t.Iterator[Use]:
        if nvidia_nodes(self._host, function.address) is None:
            yield Use(f"which device node nvidia has made for {function.address}, and so whether it is in use, cannot be determined")
        instances = range(nvidia_instances(self._host, function.address))
        if instances:
            yield Use(f"it has {counted(len(instances), 'MIG instance')}, which would be lost")
        clause = nvidia_persistence(self._host, function.address, self._processes)
        if clause is not None:
            yield Use(clause)

    @functools.cached_property
    def _arguments(self) -> Arguments:
        return self._read_arguments()

    # A function without a driver is in none of these.

    @functools.cached_property
    def _containers(self) -> Containers:
        from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_containers import Containers

        return Containers(self._host)

    @functools.cached_property
    def _network(self) -> Network:
        from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_network import Network

        interfaces = (node[4:] for device in self._inventory.devices for node in device.nodes if node.startswith("net/"))
        return Network(self._host, frozenset(interfaces), lasting=self._lasting)

    # -- disks

    @functools.cached_property
    def _entries(self) -> tuple[MountUse, ...]:
        # Most functions that are claimed have neither a disk nor an interface that is up.
        from ansible_collections.vfio.variants.plugins.module_utils._core.pci import uses_mounts

        return uses_mounts.read_entries(self._host, self._arguments.roots, self._arguments.partitions)

    @functools.cached_property
    def _storage(self) -> Storage:
        from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_storage import Storage

        return Storage(self._host, self._entries)

    def _disks(self, below: Below) -> t.Iterator[Use]:
        known: set[str] = set()
        for entry in self._entries if below.disks or below.virtio or below.ports or below.flash else ():
            node = self._storage.holds(entry, below)
            if node is not None:
                sure = node.name in self._storage.backing(entry).names or node.number in self._storage.backing(entry).numbers
                known.add(node.name)
                yield Use(entry.what if sure else f"{entry.what}, and {node.name} may be a part of it", entry.guard)
            elif self._storage.backing(entry).tags and self._has_shared_folder(below, self._storage.backing(entry).tags):
                yield Use(entry.what, entry.guard)
            elif self._storage.backing(entry).may_be_over(below.ports):
                yield Use(f"{entry.what}, over Fibre Channel", entry.guard)
        for node in () if self._lasting else below.disks:
            # A disk with partitions is always held.
            holders = self._host.names(f"{node.folder}/holders")
            is_divided = any(other.folder.startswith(f"{node.folder}/") for other in below.disks)
            if holders:
                yield Use(f"{node.name} is a part of /dev/{holders[0]}", "data_mounts")
            elif node.name not in known and not is_divided and self._host.is_held(node.name, node.number, OPEN_TIMEOUT):
                yield self._held(node)

    def _volumes(self, below: Below) -> t.Iterator[Use]:
        if below.flash:
            from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_storage import UBI
        for node in below.flash:
            for name in self._host.names(UBI):
                if self._host.text_or_none(f"{UBI}/{name}/mtd_num") == node.name[len("/dev/mtd") :]:
                    yield Use(f"{node.name} is a part of {name}", "data_mounts")

    def _held(self, node: TreeNode) -> Use:
        """A disk that the kernel has opened exclusively: for a file system, a pool, an array or a target that no list names."""
        unknown = next(
            (
                entry
                for entry in self._entries
                # Of several disks of F2FS only the first is named anywhere.
                if self._storage.backing(entry).pools or self._storage.backing(entry).unknown or entry.kind == "f2fs"
            ),
            None,
        )
        if unknown is not None:
            return Use(f"the kernel has {node.name} in use, perhaps since {unknown.what}", unknown.guard)
        return Use(f"the kernel has {node.name} in use for a file system, a pool, an array or a target", "data_mounts")

    def _has_shared_folder(self, below: Below, tags: t.Collection[str]) -> bool:
        """Whether one of its virtio devices is a shared folder with one of these tags, or with one that is not known."""
        for folder in below.virtio:
            driver = self._host.link_name(f"{folder}/driver")
            if driver in ("virtiofs", "virtio_fs", "9pnet_virtio"):
                tag = self._host.text_or_none(f"{folder}/mount_tag") or self._host.text_or_none(f"{folder}/tag")
                if tag is None or tag.strip("\0") in tags:
                    return True
        return False

    def _keys(self, below: Below) -> t.Iterator[Use]:
        for entry in self._entries if may_have_key(below) else ():
            node = key_of(self._host, entry.source, below)
            if node is not None:
                yield Use(f"{entry.what}, and {node} may be it", entry.guard)

    # -- network

    def _interfaces(self, below: Below) -> t.Iterator[Use]:
        if not below.interfaces:
            return
        network = self._network
        own = network.above(below.interfaces)
        for interface in network.default_interfaces:
            if network.carries(own, interface):
                yield Use(f"{interface} carries the default route", "route")
        for carrier in network.connection_interfaces():
            if carrier is None and network.may_carry(own):
                yield Use("over which interface this SSH connection runs cannot be determined, and it may be this one", "connection")
            elif carrier is not None and network.carries(own, carrier):
                yield Use(f"{carrier} carries this SSH connection ({network.connection_address()})", "connection")
        for where, named in self._arguments.interfaces:
            if any(named in (name, self._network.hardware_address(name)) for name in own):
                yield Use(f"{named} is named by {where}, so that the initramfs may need it for the root file system", "root")
        yield from self._remote_disks(own)
        if not self._lasting:
            yield from self._plain_interfaces(below, own)

    def _remote_disks(self, own: tuple[str, ...]) -> t.Iterator[Use]:
        running = next((name for name in own if self._network.is_up(name)), None)
        # Without an address no server is reached, but one to which an interface alone leads (FCoE, ATA over Ethernet).
        up = running if self._network.may_carry(own) else None
        for server in self._arguments.servers:
            via = set(self._network.interfaces_to(server))
            if any(self._network.carries(own, name) for name in via):
                yield Use(f"the root file system is on {server}", "root")
            elif up is not None and not via:
                yield Use(f"the root file system is on {server}, over which interface cannot be determined, and {up} may be it", "root")
        for entry in self._entries if running is not None else ():
            backing = self._storage.backing(entry)
            via = {name for server in backing.servers for name in self._network.interfaces_to(server)} | backing.interfaces
            if up is not None and (backing.any_interface or (backing.servers and not via)):
                yield Use(f"{entry.what}, over which interface cannot be determined, and {up} may be it", entry.guard)
            elif any(self._network.carries(own, name) for name in via):
                yield Use(f"{entry.what}, over {', '.join(sorted(via))}", entry.guard)

    def _packets(self, interface: str) -> t.Iterator[Use]:
        # Few devices that are claimed have an interface.
        from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_packets import packet_users

        yield from (Use(clause) for clause in packet_users(self._host, self._processes, interface))

    def _plain_interfaces(self, below: Below, own: tuple[str, ...]) -> t.Iterator[Use]:
        for interface in own:
            address = self._network.has_address(interface)
            if address is not None:
                yield Use(f"{interface} has the address {address}")
        for interface in below.interfaces:
            upper = [name for name in self._network.above([interface]) if name != interface]
            if upper and self._network.is_up(interface):
                yield Use(f"{interface} is a part of {upper[0]}")
            yield from (Use(clause) for clause in self._containers.interfaces_on(interface))
            if self._network.has_program(interface):
                yield Use(f"a program gets the packets of {interface} (XDP)")
            yield from self._packets(interface)
        for value in self._arguments.netconsoles:
            named = NETCONSOLE.search(value)
            if named is not None and any(named[1].lower() in (name.lower(), self._network.hardware_address(name)) for name in own):
                yield Use(f"the kernel's messages are sent over {named[1]} (netconsole=)", "console")
        for name in self._host.names("/sys/kernel/config/netconsole"):
            target = self._host.text_or_none(f"/sys/kernel/config/netconsole/{name}/dev_name")
            if target in own and self._host.text_or_none(f"/sys/kernel/config/netconsole/{name}/enabled") != "0":
                yield Use(f"the kernel's messages are sent over {target} (netconsole)", "console")
