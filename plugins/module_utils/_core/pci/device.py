# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI functions of a host and the drivers registered for them, as sysfs shows them."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import read_once

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import DirectoryHandle

CDEV = "vfio/devices/"
"""Below /dev, the nodes of single functions of VFIO (drivers/vfio/device_cdev.c)."""
DEVICES = "/sys/bus/pci/devices"
# driver_override_show() in drivers/pci/pci-sysfs.c waits for the device's lock, which a driver holds that does not let the device go.
OVERRIDE_TIMEOUT = 5.0
DRIVERS = "/sys/bus/pci/drivers"
ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]")
NOWHERE = "ffff:"
"""A PCI domain that no host has, for devices that are described without an address."""
# Host, PCI-to-PCI, CardBus and semi-transparent bridges.  An ISA bridge or an NVSwitch (class 0680) has a type 0 header:
# it can be bound to VFIO, and bound to a native driver it makes its group unviable, as any function does.
BRIDGES = (0x0600, 0x0604, 0x0607, 0x0609)
OLD_BRIDGES = (0x0601, 0x0602)
UEVENT = re.compile(
    r"^PCI_CLASS=([0-9A-F]+)\nPCI_ID=([0-9A-F]{4}):([0-9A-F]{4})\nPCI_SUBSYS_ID=([0-9A-F]{4}):([0-9A-F]{4})\n(?:[^\n]*\n)*?MODALIAS=(\S+)",
    re.MULTILINE,
)
NVME_DISK = re.compile(r"nvme\d+n\d+")


LAST_BUS = 0xFF


class VirtualLayout(t.NamedTuple):
    """Where a physical function's virtual ones are: routing IDs from its own, and the device ID that they have.

    ``last_bus`` is the last one that the bridge before it passes on.
    """

    offset: int
    stride: int
    device: int
    last_bus: int = LAST_BUS


@dataclasses.dataclass(frozen=True)
class Device:
    """A PCI function.  Numbers are as in configuration space; ``class_code`` has 24 bits (base class, subclass, interface)."""

    address: str
    vendor: int
    device: int
    subsystem_vendor: int
    subsystem_device: int
    class_code: int
    revision: int
    modalias: str
    driver: str | None = None
    driver_override: str | None = None
    iommu_group: int | None = None
    numa_node: int | None = None
    boot_vga: bool = False
    physical_function: str | None = None
    virtual_functions: tuple[str, ...] = ()
    max_virtual_functions: int = 0
    drivers_autoprobe: bool = True
    """For a physical function: whether its virtual functions are offered to drivers."""
    virtual_layout: VirtualLayout | None = None
    """For a physical function; None where sysfs does not show it (before Linux 4.14)."""
    nodes: tuple[str, ...] = ()
    """The interfaces and device nodes of the function: ``net/enp1s0``, ``block/nvme0n1``, ``drm/card0``, ``vfio/15``."""
    handed_out: bool = False
    """Whether VFIO offers the function to guests now; a virtual function of NVIDIA's vGPU is bound to `nvidia` all the while."""
    path: str | None = None
    """Its place in sysfs below /sys, with the bridges above it: ``/devices/pci0000:00/0000:00:01.0/0000:01:00.0``; None if unknown."""

    @property
    def id(self) -> str:
        """Vendor and device as ``10de:1db1``."""
        return f"{self.vendor:04x}:{self.device:04x}"

    @property
    def identity(self) -> tuple[int, int, int, int, int]:
        """Everything that a driver's ID table matches on."""
        return self.vendor, self.device, self.subsystem_vendor, self.subsystem_device, self.class_code

    @property
    def is_bridge(self) -> bool:
        """Whether this is a bridge: the viability of the IOMMU group does not depend on its driver."""
        return self.class_code >> 8 in BRIDGES

    @property
    def leads_to_old_buses(self) -> bool:
        """Whether it is a bridge to ISA, LPC or EISA, behind which serial ports, keyboards and the machine's chips may be."""
        return self.class_code >> 8 in OLD_BRIDGES

    @property
    def parent(self) -> str | None:
        """The bridge that the function is directly below; None on a root bus, or if that is unknown."""
        above = (self.path or "").rpartition("/")[0].rpartition("/")[2]
        return above if ADDRESS.fullmatch(above) else None

    @property
    def is_virtual(self) -> bool:
        return self.physical_function is not None


NVIDIA = 0x10DE
VGPU = "nvidia"
"""The driver of NVIDIA's cards, which offers their virtual functions itself."""


@dataclasses.dataclass(frozen=True)
class Driver:
    """A registered PCI driver.  ``module`` is None for a built-in one without parameters."""

    name: str
    module: str | None


@dataclasses.dataclass(frozen=True)
class Inventory:
    """All PCI functions, by address, and all registered PCI drivers, by name."""

    devices: tuple[Device, ...]
    drivers: t.Mapping[str, Driver]

    @classmethod
    def read(cls, host: Host) -> Inventory:
        return read_once(host, "inventory", lambda: cls._read(host))

    @classmethod
    def _read(cls, host: Host) -> Inventory:
        addresses = [address for address in host.names(DEVICES) if ADDRESS.fullmatch(address)]
        overrides = host.attributes([f"{DEVICES}/{address}/driver_override" for address in addresses], OVERRIDE_TIMEOUT)
        found = (_read_device(host, address, overrides.get(f"{DEVICES}/{address}/driver_override")) for address in addresses)
        return cls(tuple(device for device in found if device is not None), dict(_read_drivers(host)))

    def with_drivers_of(self, host: Host) -> Inventory:
        """The same functions, with the drivers that are registered now."""
        return Inventory(self.devices, dict(_read_drivers(host)))

    def get(self, address: str) -> Device | None:
        return self._by_address.get(address)

    def group_of(self, device: Device) -> tuple[Device, ...]:
        """All functions of the device's IOMMU group, including itself; only itself if there is no IOMMU."""
        return (device,) if device.iommu_group is None else tuple(self._by_group[device.iommu_group])

    @functools.cached_property
    def _by_address(self) -> t.Mapping[str, Device]:
        return {device.address: device for device in self.devices}

    @functools.cached_property
    def _by_group(self) -> t.Mapping[int, t.Sequence[Device]]:
        groups: dict[int, list[Device]] = {}
        for device in self.devices:
            if device.iommu_group is not None:
                groups.setdefault(device.iommu_group, []).append(device)
        return groups

    def drivers_of_module(self, module: str) -> tuple[str, ...]:
        """The names of the PCI drivers that a loaded module has registered."""
        return tuple(sorted(driver.name for driver in self.drivers.values() if driver.module == module))


def _read_drivers(host: Host) -> t.Iterator[tuple[str, Driver]]:
    for name in host.names(DRIVERS):
        yield name, Driver(name, host.link_name(f"{DRIVERS}/{name}/module"))


def _read_device(host: Host, address: str, override: str | None) -> Device | None:
    try:
        with host.open_directory(f"{DEVICES}/{address}") as directory:
            return _device(directory, address, _path(host, address), override)
    except (HostError, FileNotFoundError):
        # The function was removed meanwhile.
        return None


def _path(host: Host, address: str) -> str | None:
    """From the link of the bus to the device: ``../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0``."""
    _above, found, below = (host.link(f"{DEVICES}/{address}") or "").partition("/devices/")
    return f"/devices/{below}" if found else None


def _device(directory: DirectoryHandle, address: str, path: str | None, override: str | None) -> Device:
    entries = frozenset(directory.entries())
    ids = _Identity.read(directory)
    group = directory.link_name("iommu_group") if "iommu_group" in entries else None
    # A kernel without NUMA has no such attribute.
    numa = _number(directory.attribute("numa_node"), -1) if "numa_node" in entries else -1
    virtual = (
        sorted((name for name in entries if name.startswith("virtfn")), key=lambda name: int(name[6:])) if "virtfn0" in entries else ()
    )
    return Device(
        address=address,
        vendor=ids.vendor,
        device=ids.device,
        subsystem_vendor=ids.subsystem_vendor,
        subsystem_device=ids.subsystem_device,
        class_code=ids.class_code,
        revision=_number(directory.attribute("revision")),
        modalias=ids.modalias,
        driver=directory.link_name("driver") if "driver" in entries else None,
        # The kernel shows an unset override as "(null)".
        driver_override=None if override in (None, "", "(null)") else override,
        iommu_group=int(group) if group and group.isdecimal() else None,
        numa_node=None if numa < 0 else numa,
        boot_vga="boot_vga" in entries and directory.attribute("boot_vga") == "1",
        physical_function=directory.link_name("physfn") if "physfn" in entries else None,
        virtual_functions=tuple(function for function in map(directory.link_name, virtual) if function),
        max_virtual_functions=_number(directory.attribute("sriov_totalvfs")) if "sriov_totalvfs" in entries else 0,
        drivers_autoprobe="sriov_drivers_autoprobe" not in entries or directory.attribute("sriov_drivers_autoprobe") != "0",
        virtual_layout=_layout(directory) if "sriov_vf_device" in entries else None,
        nodes=_nodes(directory, entries, group),
        handed_out=_is_handed_out(directory, entries),
        path=path,
    )


def _layout(directory: DirectoryHandle) -> VirtualLayout | None:
    """sriov_vf_device has no 0x before its digits (drivers/pci/iov.c)."""
    try:
        device = int(directory.attribute("sriov_vf_device") or "", 16)
    except ValueError:
        return None
    offset, stride = (_number(directory.attribute(name)) for name in ("sriov_offset", "sriov_stride"))
    # The directory above is the bridge's; a root bus has no such attribute.
    last = directory.attribute("../subordinate_bus_number") or ""
    return VirtualLayout(offset, stride, device, int(last) if last.isdecimal() else LAST_BUS) if offset > 0 and stride > 0 else None


class _Identity(t.NamedTuple):
    """The IDs of a function, all from the single attribute `uevent` (pci_uevent() in drivers/pci/pci-driver.c)."""

    vendor: int
    device: int
    subsystem_vendor: int
    subsystem_device: int
    class_code: int
    modalias: str

    @classmethod
    def read(cls, directory: DirectoryHandle) -> _Identity:
        found = UEVENT.search(directory.attribute("uevent") or "")
        if found is not None:
            class_code, *ids, modalias = found.groups()
            vendor, device, subsystem_vendor, subsystem_device = (int(number, 16) for number in ids)
            return cls(vendor, device, subsystem_vendor, subsystem_device, int(class_code, 16), modalias)
        return cls(
            vendor=_number(directory.attribute("vendor")),
            device=_number(directory.attribute("device")),
            subsystem_vendor=_number(directory.attribute("subsystem_vendor")),
            subsystem_device=_number(directory.attribute("subsystem_device")),
            class_code=_number(directory.attribute("class")),
            modalias=directory.attribute("modalias") or "",
        )


def _number(text: str | None, missing: int = 0) -> int:
    try:
        return missing if text is None else int(text, 0)
    except ValueError:
        return missing


def _is_handed_out(directory: DirectoryHandle, entries: frozenset[str]) -> bool:
    """Since Linux 6.1 a function that VFIO offers has a directory `vfio-dev` (vfio_main.c).

    On kernels from 6.8 on, NVIDIA's vGPU offers virtual functions that stay bound to `nvidia`, with settings below `nvidia`; there is a
    `vfio-dev` once a type is chosen.
    """
    if "vfio-dev" in entries:
        return True
    driver = directory.link_name("driver") if "driver" in entries else None
    return driver == "vfio-pci" or (driver == VGPU and "physfn" in entries and "nvidia" in entries)


def _nodes(directory: DirectoryHandle, entries: frozenset[str], group: str | None) -> tuple[str, ...]:
    nodes = [f"{kind}/{name}" for kind in ("net", "block") if kind in entries for name in directory.names(kind)]
    # A virtio function's interfaces are below its virtio device, an NVMe function's disks below its controller.
    for parent in sorted(name for name in entries if name.startswith("virtio")):
        nodes += [f"{kind}/{name}" for kind in ("net", "block") for name in directory.names(f"{parent}/{kind}")]
    if "drm" in entries:
        nodes += [f"drm/{name}" for name in directory.names("drm") if name.startswith("card")]
    for controller in directory.names("nvme") if "nvme" in entries else ():
        nodes += [f"block/{name}" for name in directory.names(f"nvme/{controller}") if NVME_DISK.fullmatch(name)]
    if group is not None and "vfio-dev" in entries:
        nodes.append(f"vfio/{group}")
    # With CONFIG_VFIO_DEVICE_CDEV (6.6 and newer) the function has a node of its own, too.
    for name in directory.names("vfio-dev") if "vfio-dev" in entries else ():
        nodes += [f"{CDEV}{name}"] if "dev" in directory.names(f"vfio-dev/{name}") else []
    return tuple(nodes)


def inventory_of(host: Host, hardware: tuple[Device, ...] | None) -> Inventory:
    """What the host has, or the described devices in place of it."""
    if hardware is None:
        return Inventory.read(host)
    return Inventory(hardware, Inventory.read(host).drivers if host.is_dir(DEVICES) else {})
