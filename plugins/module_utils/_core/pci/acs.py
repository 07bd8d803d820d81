# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why functions share an IOMMU group: what on their way to memory does not keep them apart (access control services, ACS).

As pci_device_group() in drivers/iommu/iommu.c and pci_acs_flags_enabled() in drivers/pci/pci.c; the numbers are in pci_regs.h.  The
kernel knows some devices that keep functions apart without ACS, which do not share a group then.
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


def keeps_apart(config: bytes) -> bool | None:
    """Whether a function's ACS is on; None if its extended configuration space is not there to read."""
    if len(config) < FIRST + 4:
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
    reasons = []
    if any(other.address.rpartition(".")[0] == slot for other in others):
        reasons.append(f"{slot} does not keep its functions apart")
    above = [other for other in others if other.address.rpartition(".")[0] != slot]
    bridges = _bridges_without(host, device, above) if above else ()
    if bridges:
        reasons.append(f"{', '.join(bridges)} {'has' if len(bridges) == 1 else 'have'} no access control services (ACS) switched on")
    reasons += [f"`pci={word}` tells the kernel to switch off access control services (ACS)" for word in words]
    because = f": {'; '.join(reasons)}" if reasons else ""
    advice = " Another slot may be in a group of its own." if above else ""
    return f"IOMMU group {device.iommu_group} also has {names}{because}. A guest gets all of them or none.{advice}"


def switched_off_words(values: t.Iterable[str]) -> t.Iterator[str]:
    """Of the kernel's words `pci=` what switches services off, of each kind the last one (pci_setup() in drivers/pci/pci.c)."""
    words = [word for value in values for word in value.split(",")]
    for option in ("disable_acs_redir=", "config_acs="):
        yield from [word for word in words if word.startswith(option)][-1:]


def _bridges_without(host: Host, device: Device, others: t.Iterable[Device]) -> tuple[str, ...]:
    """The bridges above the devices whose ACS is known to be off."""
    found: dict[str, None] = {}
    for one in (device, *others):
        found.update(dict.fromkeys(part for part in (one.path or "").split("/")[:-1] if part.count(":") == 2))
    return tuple(bridge for bridge in found if keeps_apart(_config(host, bridge)) is False)


def _config(host: Host, address: str) -> bytes:
    try:
        return host.head(CONFIG.format(address), LARGEST) or b""
    except HostError:
        return b""
