# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI functions that an option describes, for a root without /sys or for cards that are not installed yet.

The fields are those that `device_info` returns for a device, so that its result on a host can be used with an image.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import ADDRESS, NOWHERE, Device

MODALIAS = re.compile(
    r"pci:v0000([0-9A-F]{4})d0000([0-9A-F]{4})sv0000([0-9A-F]{4})sd0000([0-9A-F]{4})bc([0-9A-F]{2})sc([0-9A-F]{2})i([0-9A-F]{2})"
)
SAMPLE = "pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00"
TEXTS = ("driver", "driver_override", "physical_function")
NUMBERS = ("iommu_group", "numa_node", "max_virtual_functions")
LISTS = ("virtual_functions", "nodes")
# Derived from the modalias; if given, they must agree with it.
DERIVED = ("id", "vendor", "device", "subsystem_vendor", "subsystem_device", "class")
# Properties of the host that device_info ran on, not of the card.
IGNORED = (
    *("bridge", "parent", "handed_out", "group_devices", "group_because", "variant", "contenders", "kernels", "next_boot"),
    *("warnings", "vfio_nodes"),
    *("name", "next_driver", "certainty", "because", "variant_driver"),
)
MOST = 8192
"""Entries: the addresses of a PCI domain, with one function each."""
KNOWN_FIELDS = frozenset(("address", "modalias", "revision", "boot_vga", *TEXTS, *NUMBERS, *LISTS, *DERIVED, *IGNORED))
HINT = f"Give what device_info returns for a device with detail: full, at least modalias, such as {SAMPLE}."


def parse(value: t.Sequence[object], option: str = "hardware") -> tuple[Device, ...]:
    """The devices that an option describes, sorted by address.  Raises HostError, naming the entry and field, if one is not valid."""
    given = [_entry(entry, f"{option}[{number}]") for number, entry in enumerate(value)]
    taken: set[str] = set()
    for entry, _place in given:
        if entry.get("address") in taken:
            raise HostError(f"{option}: {entry['address']} is described twice.", "Give each function its own address, or none.")
        taken |= {str(entry["address"])} if entry.get("address") is not None else set()
    if len(given) > MOST:
        raise HostError(f"{option}: {len(given)} entries are too many.", f"Allowed are {MOST}.")
    free = (address for address in _made_up() if address not in taken)
    found = [_device(entry, place, str(entry.get("address") or next(free))) for entry, place in given]
    return tuple(sorted(found, key=lambda device: device.address))


def _made_up() -> t.Iterator[str]:
    """Addresses in a PCI domain that no host has, twice as many as entries are allowed."""
    return (f"{NOWHERE}{bus:02x}:{slot:02x}.{function}" for function in range(2) for bus in range(256) for slot in range(32))


def _entry(entry: object, place: str) -> tuple[t.Mapping[str, t.Any], str]:
    if not isinstance(entry, t.Mapping):
        raise HostError(f"{place}: {shown(entry)} is not a description of a device.", HINT)
    unknown = sorted(str(field) for field in entry if field not in KNOWN_FIELDS)
    if unknown:
        raise HostError(f"{place}: a device has no field {cut(unknown[0])}.", HINT)
    address = entry.get("address")
    if address is not None and (not isinstance(address, str) or not ADDRESS.fullmatch(address)):
        raise HostError(
            f"{place}.address: {shown(address)} is not a PCI address.", "Write it in quotes, as in '0000:3b:00.0', or leave it out."
        )
    return entry, place


def _device(entry: t.Mapping[str, t.Any], place: str, address: str) -> Device:
    modalias = entry.get("modalias")
    match = MODALIAS.fullmatch(modalias) if isinstance(modalias, str) else None
    if match is None:
        what = "is missing" if modalias is None else f"{shown(modalias)} is not a valid PCI modalias"
        raise HostError(
            f"{place}.modalias{':' if modalias is not None else ''} {what}.",
            f"It looks like {SAMPLE}; device_info returns it with detail: full.",
        )
    vendor, device, subsystem_vendor, subsystem_device, base, sub, interface = (int(part, 16) for part in match.groups())
    found = Device(
        address=address,
        vendor=vendor,
        device=device,
        subsystem_vendor=subsystem_vendor,
        subsystem_device=subsystem_device,
        class_code=base << 16 | sub << 8 | interface,
        revision=_revision(entry, place),
        modalias=match[0],
        driver=_text(entry, "driver", place),
        driver_override=_text(entry, "driver_override", place),
        iommu_group=_number(entry, "iommu_group", place),
        numa_node=_number(entry, "numa_node", place),
        boot_vga=_flag(entry, "boot_vga", place),
        physical_function=_text(entry, "physical_function", place),
        virtual_functions=_texts(entry, "virtual_functions", place),
        max_virtual_functions=_number(entry, "max_virtual_functions", place) or 0,
        nodes=_texts(entry, "nodes", place),
    )
    _refuse_disagreement(entry, found, place)
    return found


def _refuse_disagreement(entry: t.Mapping[str, t.Any], device: Device, place: str) -> None:
    derived = {
        "id": device.id,
        "vendor": f"{device.vendor:04x}",
        "device": f"{device.device:04x}",
        "subsystem_vendor": f"{device.subsystem_vendor:04x}",
        "subsystem_device": f"{device.subsystem_device:04x}",
        "class": f"{device.class_code:06x}",
    }
    for field, value in derived.items():
        given = entry.get(field)
        if given is not None and str(given).lower() != value:
            raise HostError(
                f"{place}.{field}: {shown(given)} disagrees with the modalias, which says {value}.", "Leave it out, or correct one of them."
            )


def _text(entry: t.Mapping[str, t.Any], field: str, place: str) -> str | None:
    value = entry.get(field)
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise HostError(f"{place}.{field}: {shown(value)} is not a name.", "Write a string, or leave it out.")


def _texts(entry: t.Mapping[str, t.Any], field: str, place: str) -> tuple[str, ...]:
    value = entry.get(field)
    if value is None:
        return ()
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise HostError(f"{place}.{field}: {shown(value)} is not a list of strings.", "Write a list, or leave it out.")


def _number(entry: t.Mapping[str, t.Any], field: str, place: str) -> int | None:
    value = entry.get(field)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise HostError(f"{place}.{field}: {shown(value)} is not a number of 0 or more.", "Write an integer, or leave it out.")


def _flag(entry: t.Mapping[str, t.Any], field: str, place: str) -> bool:
    value = entry.get(field)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise HostError(f"{place}.{field}: {shown(value)} is neither true nor false.", "Write true or false, or leave it out.")


def _revision(entry: t.Mapping[str, t.Any], place: str) -> int:
    value = entry.get("revision")
    if value is None:
        return 0
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{2}", value):
        return int(value, 16)
    raise HostError(f"{place}.revision: {shown(value)} is not a revision.", "Write two hexadecimal digits in quotes: 'a1'.")
