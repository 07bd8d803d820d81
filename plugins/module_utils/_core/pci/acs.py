# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why functions share an IOMMU group: what on their way to memory does not keep them apart (access control services, ACS).

As pci_device_group() in drivers/iommu/iommu.c and pci_acs_enabled() in drivers/pci/pci.c; the numbers are in pci_regs.h.  The kernel
knows some devices that keep functions apart without ACS, which do not share a group then.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

CONFIG = "/sys/bus/pci/devices/{}/config"
FIRST, LARGEST, ID_OF_ACS = 0x100, 4096, 0x0D
CAPABILITY = 4
NEEDED = 0x1D
"""Source validation, request and completion redirection, upstream forwarding; of these the ones that the function has."""
MOST_CAPABILITIES = 64
PLAIN, STATUS, HEADER_TYPE, FIRST_PLAIN, ID_OF_EXPRESS = 0x40, 0x06, 0x0E, 0x34, 0x10
HAS_CAPABILITIES, IS_MULTIFUNCTION = 0x10, 0x80
ROOT_PORT, DOWNSTREAM_PORT = 4, 6
NEVER = (7, 8, 10)
"""Bridges between PCI Express and PCI, and event collectors."""


def isolates(address: str, config: bytes) -> bool | None:
    """Whether the kernel takes a function for one that keeps apart what is below it, or beside it in its slot, by its kind.

    None if its configuration space is not there to read.
    """
    if len(config) < FIRST:
        return None
    kind = _kind(config)
    if kind is None or kind in NEVER:
        return False
    is_alone = address.endswith(".0") and not config[HEADER_TYPE] & IS_MULTIFUNCTION
    # What has one function needs no services but as a port to other devices.
    return (is_alone and kind not in (ROOT_PORT, DOWNSTREAM_PORT)) or keeps_apart(config)


def _kind(config: bytes) -> int | None:
    """The type in the PCI Express capability; None of a device of conventional PCI, which has none."""
    place = config[FIRST_PLAIN] if config[STATUS] & HAS_CAPABILITIES else 0
    for _number in range(MOST_CAPABILITIES):
        if not PLAIN <= place < FIRST - CAPABILITY:
            return None
        if config[place] == ID_OF_EXPRESS:
            return config[place + 2] >> 4
        place = config[place + 1]
    return None


def keeps_apart(config: bytes) -> bool | None:
    """Whether a function's ACS is on; None if its configuration space is not there to read."""
    if len(config) < FIRST:
        return None
    place = FIRST
    for _number in range(MOST_CAPABILITIES):
        if not FIRST <= place <= len(config) - 8:
            return False
        (header,) = struct.unpack_from("<I", config, place)
        if header & 0xFFFF == ID_OF_ACS:
            capable, control = struct.unpack_from("<HH", config, place + CAPABILITY)
            return bool(control & NEEDED & capable == NEEDED & capable)
        place = header >> 20
    return False


def why_shared(host: Host, device: Device, group: t.Sequence[Device], words: t.Iterable[str] = ()) -> str | None:
    """A sentence that says who shares the device's group and what does not keep them apart; None if nobody else that counts is in it.

    ``words`` are those that `switched_off_words()` has found.
    """
    others = [other for other in group if other.address != device.address and not other.is_bridge]
    if not others:
        return None
    names = ", ".join(f"{other.address} ({other.id}, {other.driver or 'no driver'})" for other in others)
    slot = device.address.rpartition(".")[0]
    above = [other for other in others if other.address.rpartition(".")[0] != slot]
    old, off = _bridges_at_fault(host, (device, *above), {one.address for one in group})
    reasons = []
    if len(above) < len(others) and _mixes_functions(host, device, bool(old or off)):
        reasons.append(f"{slot} does not keep its functions apart")
    if old:
        reasons.append(f"{', '.join(old)} {'leads' if len(old) == 1 else 'lead'} to conventional PCI, where nothing keeps devices apart")
    if off:
        reasons.append(f"{', '.join(off)} {'has' if len(off) == 1 else 'have'} no access control services (ACS) switched on")
    reasons += [f"`pci={word}` tells the kernel to switch off access control services (ACS)" for word in words]
    because = f": {'; '.join(reasons)}" if reasons else ""
    advice = " Another slot may be in a group of its own." if above else ""
    return f"IOMMU group {device.iommu_group} also has {names}{because}. A guest gets all of them or none.{advice}"


def switched_off_words(values: t.Iterable[str]) -> t.Iterator[str]:
    """Of the kernel's words `pci=` what switches services off, of each kind the last one (pci_setup() in drivers/pci/pci.c)."""
    words = [word for value in values for word in value.split(",")]
    for option in ("disable_acs_redir=", "config_acs="):
        yield from [word for word in words if word.startswith(option)][-1:]


def _mixes_functions(host: Host, device: Device, is_explained: bool) -> bool:
    """Whether the device does not keep its functions apart; where that does not show, whether nothing else explains the group."""
    found = isolates(device.address, _config(host, device.address))
    return not is_explained if found is None else not found


def _bridges_at_fault(host: Host, devices: t.Iterable[Device], group: t.Container[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The bridges above the devices that are in their group and known not to isolate: those to conventional PCI, and those without ACS.

    A bridge that does not isolate is in the group of what is below it.
    """
    above = dict.fromkeys(part for one in devices for part in (one.path or "").split("/")[:-1] if part in group)
    configs = {bridge: _config(host, bridge) for bridge in above}
    faulty = [bridge for bridge, config in configs.items() if isolates(bridge, config) is False]
    old = tuple(bridge for bridge in faulty if _kind(configs[bridge]) in (None, *NEVER))
    return old, tuple(bridge for bridge in faulty if bridge not in old)


def _config(host: Host, address: str) -> bytes:
    try:
        return host.head(CONFIG.format(address), LARGEST) or b""
    except HostError:
        return b""
