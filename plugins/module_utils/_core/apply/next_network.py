# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's network loses at the next boot with devices whose interfaces are down now, or that have another driver now."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_root import init_is_systemd
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import BY_NAME, REFUSE
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import GuardFinding, Loss
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.next_route import (
    UNKNOWN,
    NamesOfDevice,
    is_left,
    named_by,
    perhaps_by_unread,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_network import Network
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import read_below
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import may_have_interfaces
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import boot_units, next_networks

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

INTERFACES = "/sys/class/net"
SLOTS = "/sys/bus/pci/slots"
NAMES_OF_UDEV = ("ID_NET_NAME_PATH", "ID_NET_NAME_ONBOARD", "ID_NET_NAME_SLOT", "ID_NET_NAME_MAC")
WARN, REMEDY = "warn", ": remove that, so that nothing waits for it"


def findings(
    host: Host, inventory: Inventory, cmdline: Cmdline, leaving: t.Sequence[tuple[Device, Claim]], taken: t.Container[str] = ()
) -> tuple[GuardFinding, ...]:
    """For each device that is claimed for another driver and that the configuration of networks names; at most one each.

    Refused where it alone is to have the default route and no other interface has one now, else a warning.  ``taken`` are the addresses
    of those that have the claimed driver already: of them it is only said that nothing else is to have the default route.
    ``cmdline`` is that of the next boot.
    """
    devices = [(device, claim) for device, claim in leaving if may_have_interfaces(device)]
    settings = next_networks.read(host, boot_units.names(host, cmdline, init_is_systemd(host))) if devices else ()
    if not settings:
        return ()
    gone = {device.address for device, _claim in leaving} | {name for device, _claim in leaving for name in device.virtual_functions}
    left = (device for device in inventory.devices if may_have_interfaces(device) and device.address not in gone)
    others = [identity(host, device, names) for device in left for names in (_interfaces(host, device),) if names]
    identities = {device.address: identity(host, device, _interfaces(host, device)) for device, _claim in devices}
    route_is_left = is_left(settings, tuple(identities.values()), others)
    network = Network(host)
    read = [one for one in settings if one.is_read]
    is_open = len(read) < len(settings) and not is_left(read, tuple(identities.values()), others) and not network.default_interfaces
    found = []
    for device, claim in devices:
        own = identities[device.address]
        named = named_by(settings, own, route_is_left) or (perhaps_by_unread(settings, own) if is_open else None)
        if named is not None and (named.alone or device.address not in taken):
            # What commands say leaves no record of a run: they are asked only where it matters.
            action = REFUSE if named.alone and device.address not in taken and not network.default_interfaces else WARN
            found.append(GuardFinding(Loss(device, claim), BY_NAME["route"], named.what, action))
    return tuple(found)


def sentences(found: t.Iterable[GuardFinding]) -> tuple[str, ...]:
    """Those that only warn."""
    return tuple(
        f"{one.loss.subject} gets another driver, but {one.what}{'' if one.what.startswith(UNKNOWN) else REMEDY}."
        for one in found
        if one.action == WARN
    )


def identity(host: Host, device: Device, interfaces: t.Iterable[str]) -> NamesOfDevice:
    """By what files can name it: what its interfaces are called now, and what udev may call them."""
    interfaces = frozenset(interfaces)
    names: set[str] = set(_computed(host, device))
    addresses: set[str] = set()
    for name in interfaces:
        here = f"{INTERFACES}/{name}"
        names.add(name)
        for path in (f"{here}/address", f"{here}/bonding_slave/perm_hwaddr"):
            addresses.add((host.text_or_none(path) or "").lower())
        known = host.text_or_none(f"/run/udev/data/n{host.text_or_none(f'{here}/ifindex')}") or ""
        names |= {line.partition("=")[2] for line in known.split("\n") if line.startswith(tuple(f"E:{key}=" for key in NAMES_OF_UDEV))}
    return NamesOfDevice(
        frozenset(names - {""}),
        frozenset(addresses - {"", "00:00:00:00:00:00"}),
        f"pci-{device.address}",
        _predictable(device),
        interfaces,
    )


def _interfaces(host: Host, device: Device) -> tuple[str, ...]:
    folders = [f"{DEVICES}/{address}" for address in (device.address, *device.virtual_functions)]
    return tuple(read_below(host, folders).interfaces)


def _computed(host: Host, device: Device) -> t.Iterator[str]:
    """Names by the firmware's number of the card or of its slot (systemd.net-naming-scheme(7))."""
    number = host.text_or_none(f"{DEVICES}/{device.address}/acpi_index") or host.text_or_none(f"{DEVICES}/{device.address}/index")
    if number:
        yield f"eno{number}"
    place, _dot, function = device.address.rpartition(".")
    for slot in names_if_any(host, SLOTS):
        if slot.isdecimal() and host.text_or_none(f"{SLOTS}/{slot}/address") == place:
            yield from (f"ens{slot}", f"ens{slot}f{function}")


def _predictable(device: Device) -> re.Pattern[str]:
    domain, bus, rest = device.address.split(":")
    slot, function = rest.split(".")
    prefix = f"P{int(domain, 16)}" if int(domain, 16) else ""
    part = f"(?:f{function})?" if function == "0" else f"f{function}"
    return re.compile(rf"(?:en|wl|ww|ib){prefix}p{int(bus, 16)}s{int(slot, 16)}{part}(?:n\w+|d\d+)?")
