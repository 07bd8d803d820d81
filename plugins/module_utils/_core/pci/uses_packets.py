# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What uses an interface that has no address: programs that get its packets as they are, and protocols that are not of the Internet."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_processes import Processes

SOCKETS = "/proc/net/packet"
NETWORK = "/sys/class/net"
MANAGES_LINKS = frozenset(
    "lldpd lldpad ladvd systemd-network NetworkManager dhclient dhcpcd udhcpc wickedd wickedd-dhcp4 wpa_supplicant iwd connmand "
    "avahi-autoipd".split()
)
"""Programs, as the kernel cuts their names off, that listen on each link for its neighbours, addresses and keys, and use it for nothing."""
WITHOUT_ADDRESSES: t.Mapping[str, str] = {"280": "CAN", "804": "IEEE 802.15.4"}
"""Of interfaces that are used as soon as they are up: the kind by the number in sysfs (include/uapi/linux/if_arp.h)."""
UP = 0x1


def packet_users(host: Host, processes: Processes, interface: str) -> t.Iterator[str]:
    """A clause for each program that has a packet socket on the interface, and for a bus that has no addresses and is up."""
    yield from _sockets(host, processes, interface)
    kind = WITHOUT_ADDRESSES.get(host.text_or_none(f"{NETWORK}/{interface}/type") or "")
    if kind is not None and _is_up(host, interface):
        yield f"{interface} is up ({kind})"


def _sockets(host: Host, processes: Processes, interface: str) -> t.Iterator[str]:
    """As packet_seq_show() in net/packet/af_packet.c lists them."""
    number = host.text_or_none(f"{NETWORK}/{interface}/ifindex")
    sockets = [line.split() for line in (host.text_or_none(SOCKETS) or "").splitlines()[1:]] if number is not None else []
    for fields in sockets:
        # Of a socket on all interfaces (0) this one need not be meant.
        if len(fields) < 9 or fields[4] != number:
            continue
        owner = processes.with_socket(fields[8])
        if owner is None:
            yield f"a program gets the packets of {interface} (packet socket)"
        elif owner[1] not in MANAGES_LINKS:
            yield f"process {owner[0]} ({owner[1]}) gets the packets of {interface} (packet socket)"


def _is_up(host: Host, interface: str) -> bool:
    try:
        return bool(int(host.text_or_none(f"{NETWORK}/{interface}/flags") or "0", 16) & UP)
    except ValueError:
        return True
