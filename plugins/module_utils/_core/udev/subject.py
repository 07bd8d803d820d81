# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an event is about, and what its device has: properties, attributes, and the devices above it."""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.sysfs_files import EVERYWHERE, is_never_read

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

Devices = t.Mapping[str, "Device"]
NO_DEVICES: t.Mapping[str, t.Any] = types.MappingProxyType({})
ADD, BIND, CHANGE, UNBIND = "add", "bind", "change", "unbind"
"""Actions of uevents: udevadm trigger replays "add" for every device; "bind" and "unbind" say that a driver has come or gone."""


class Missing:
    """In place of an attribute's value: there is none, so that neither == nor != holds (udev_rule_apply_token_to_event())."""


MISSING: t.Final = Missing()
Attribute = t.Union[str, Missing, None]
"""None if it cannot be determined."""

_IDENTITY: t.Mapping[str, t.Callable[[Device], str]] = {
    "vendor": lambda device: f"0x{device.vendor:04x}",
    "device": lambda device: f"0x{device.device:04x}",
    "subsystem_vendor": lambda device: f"0x{device.subsystem_vendor:04x}",
    "subsystem_device": lambda device: f"0x{device.subsystem_device:04x}",
    "class": lambda device: f"0x{device.class_code:06x}",
    "revision": lambda device: f"0x{device.revision:02x}",
    "modalias": lambda device: device.modalias,
    "subsystem": lambda _device: "pci",
}
_PROPERTIES: t.Mapping[str, t.Callable[[Device], str]] = {
    "MODALIAS": lambda device: device.modalias,
    "PCI_ID": lambda device: f"{device.vendor:04X}:{device.device:04X}",
    "PCI_SUBSYS_ID": lambda device: f"{device.subsystem_vendor:04X}:{device.subsystem_device:04X}",
    "PCI_SLOT_NAME": lambda device: device.address,
    # Here the kernel prints the class with four digits at least (pci_uevent(): "%04X").
    "PCI_CLASS": lambda device: f"{device.class_code:04X}",
    "SUBSYSTEM": lambda _device: "pci",
}
OF_FUNCTIONS: t.Final = ("DEVPATH", *_PROPERTIES)
"""What the kernel gives the events of PCI functions, as far as it is known."""
# Properties of every event that are not known before it comes.
UNKNOWN_PROPERTIES = frozenset("SEQNUM SYNTH_UUID USEC_INITIALIZED DEVLINKS TAGS CURRENT_TAGS UDEV_DATABASE_VERSION DRIVER".split())
KERNEL_PROPERTIES = frozenset((*_PROPERTIES, *UNKNOWN_PROPERTIES, "ACTION", "DEVPATH", "DEVTYPE", "DEVNAME", "MAJOR", "MINOR"))
"""Those that the kernel gives its events."""
IDENTITY = frozenset(_IDENTITY)
"""Attributes that follow from a device's identity."""
VGA = 0x0300
PATH_PROPERTIES: t.Final = ("ID_PATH", "ID_PATH_TAG")
"""What IMPORT{builtin}="path_id" sets for a PCI function."""
_PLAIN_PATH = re.compile(r"/devices/pci[0-9a-f]{4,}:[0-9a-f]{2}(?:/[0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])+")


@dataclasses.dataclass(frozen=True)
class Subject:
    """The device of an event, or one above it.  ``device`` is its PCI function, if it is one."""

    name: str | None
    """None if it cannot be determined, as that of a network interface."""
    subsystem: str | None
    """None if it cannot be determined, empty if it has none."""
    devpath: str | None = None
    device: Device | None = None
    driver: str | None = None
    """The driver that it has for all of the boot; None if that is to be simulated or cannot be determined."""
    all_parents: bool = True
    """Whether all devices above it are known."""
    is_event_s: bool = False
    others: Devices = dataclasses.field(default_factory=dict, repr=False, compare=False, hash=False)

    @classmethod
    def of(cls, device: Device, others: Devices = NO_DEVICES) -> Subject:
        """A PCI function, with the bridges above it."""
        return cls(device.address, "pci", device.path, device, None, device.path is not None, True, others)

    @functools.cached_property
    def parents(self) -> tuple[Subject, ...]:
        """The devices above it, the nearest first."""
        if self.device is None:
            return ()
        if self.device.path is None:
            return _possible_bridges(self.device, self.others)
        return tuple(_above(self.device.path, self.others))

    def property(self, name: str) -> str | None:
        """What the kernel gives its events; empty if it gives none of this name, None if it cannot be determined."""
        if name == "DEVPATH":
            return self.devpath
        if name == "SUBSYSTEM":
            return self.subsystem
        if self.device is not None:
            get = _PROPERTIES.get(name)
            return get(self.device) if get is not None else ""
        return "" if self.is_event_s else None

    def attribute(self, name: str) -> Attribute:
        """A file of its folder in sysfs, as far as it follows from what is known, and stays the same."""
        device = self.device
        if device is None:
            # A root bus has nothing of a function.
            return MISSING if self.subsystem == "" and (name in IDENTITY or is_never_read(name)) else None
        get = _IDENTITY.get(name)
        if get is not None:
            return get(device)
        if is_never_read(name) or (name.startswith("physfn/") and not device.is_virtual):
            return MISSING
        if name.startswith("physfn/"):
            return None if self._physical is None else self._physical.attribute(name.partition("/")[2])
        if name == "boot_vga":
            return str(int(device.boot_vga)) if device.class_code >> 8 == VGA else MISSING
        if name == "numa_node":
            return None if device.numa_node is None else str(device.numa_node)
        if name in ("sriov_totalvfs", "sriov_numvfs") and not device.max_virtual_functions:
            return MISSING
        return str(device.max_virtual_functions) if name == "sriov_totalvfs" else None

    @functools.cached_property
    def _physical(self) -> Subject | None:
        """The physical function of a virtual one, where it is known."""
        found = None if self.device is None else self.others.get(self.device.physical_function or "")
        return None if found is None else Subject.of(found, self.others)

    @functools.cached_property
    def uevent(self) -> dict[str, str]:
        """The lines that the bus adds to the file of that name, in the kernel's order (pci_uevent() in drivers/pci/pci-driver.c)."""
        names = ("PCI_CLASS", "PCI_ID", "PCI_SUBSYS_ID", "PCI_SLOT_NAME", "MODALIAS")
        return {} if self.device is None else {name: _PROPERTIES[name](self.device) for name in names}

    def has(self, path: str) -> bool | None:
        """Whether something is at this path below its folder in sysfs."""
        device = self.device
        if device is None:
            return None
        first, _slash, rest = path.partition("/")
        if path in EVERYWHERE:
            return True
        if first == "physfn":
            physical = self._physical
            return device.is_virtual and (not rest or (None if physical is None else physical.has(rest)))
        if first.startswith("sriov_"):
            return bool(device.max_virtual_functions)
        if path == "boot_vga":
            return device.class_code >> 8 == VGA
        return None


def _above(path: str, others: Devices) -> t.Iterator[Subject]:
    """The bridges on the path, then the root bus, which has no subsystem; the driver of a bridge is built in and stays."""
    folder = path.rpartition("/")[0]
    while folder.count("/") > 1:
        name = folder.rpartition("/")[2]
        bridge = others.get(name)
        if bridge is not None:
            yield Subject(name, "pci", folder, bridge, bridge.driver)
        else:
            yield Subject(name, "" if name.startswith("pci") else None, folder, driver="" if name.startswith("pci") else None)
        folder = folder.rpartition("/")[0]


def _possible_bridges(device: Device, others: Devices) -> tuple[Subject, ...]:
    """Without its path, each bridge may be above a device."""
    return tuple(_alone(other) for other in others.values() if other.is_bridge and other.address != device.address)


@functools.lru_cache(maxsize=4096)
def _alone(bridge: Device) -> Subject:
    return Subject(bridge.address, "pci", bridge.path, bridge, bridge.driver)


def path_of(subject: Subject) -> str | None:
    """The ID_PATH of a PCI function all of whose parents are on one root bus of the kernel's; None elsewhere."""
    return f"pci-{subject.name}" if subject.device is not None and _PLAIN_PATH.fullmatch(subject.devpath or "") else None


def of_driver(name: str) -> Subject:
    """A PCI driver: its event comes when it registers, and udev replays it (udevadm trigger --type=subsystems)."""
    return Subject(name, "drivers", f"/bus/pci/drivers/{name}", is_event_s=True, driver="")


def of_bus() -> Subject:
    """The bus itself."""
    return Subject("pci", "subsystem", "/bus/pci", is_event_s=True, driver="")


def of_subsystem(subsystem: str | None) -> Subject:
    """Any device of another subsystem: a network interface, a disk."""
    return Subject(None, subsystem, is_event_s=True, all_parents=False)


def of_module(name: str) -> Subject:
    """A kernel module."""
    return Subject(name, "module", f"/module/{name}", is_event_s=True, driver="")
