# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes, addresses and interfaces of a host: over which interface it reaches what."""

from __future__ import annotations

import functools
import ipaddress
import json
import re
import sys
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import read_once
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_connection import ConnectionEnds, behind_tunnel, ssh_connection

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tunnels import Tunnels

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
MAIN = "main"
IP_TIMEOUT = 10
NETWORK = "/sys/class/net"
RTF_REJECT = 0x200
MOST_GROUPS = 2
"""A group has no groups (nh_check_attr_group() in net/ipv4/nexthop.c)."""
OPEN_VSWITCH = "ovs-system"
SMALLEST_PART = 8
ENOUGH: t.Mapping[int, float] = {4: 1 / 2, 6: 1 / 8}
"""By version of IP, the part of all addresses that makes routes a default one: of IPv6 an eighth is in use (2000::/3)."""
V4, V6 = ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")


class Route(t.NamedTuple):
    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    interface: str
    has_gateway: bool
    table: str


class Network:
    """The network of a host, each part read when it is first needed."""

    def __init__(self, host: Host, physical: t.Collection[str] = (), *, lasting: bool = False) -> None:
        """``physical`` are the interfaces of PCI functions.

        ``lasting`` leaves out what is otherwise each time: no command is run, so of routes those of the main table alone are known, and
        this connection is none.
        """
        self._host = host
        self._physical = physical
        self._lasting = lasting
        self._unknown_carriers: dict[str, bool] = {}

    # -- interfaces

    def above(self, interfaces: t.Iterable[str]) -> tuple[str, ...]:
        """The interfaces, and the bridges, bonds, VLANs and the like that use them."""
        found: dict[str, None] = {}
        pending = list(interfaces)
        while pending:
            interface = pending.pop()
            if interface not in found:
                found[interface] = None
                names = self._host.names(f"{NETWORK}/{interface}")
                pending += [name[len("upper_") :] for name in names if name.startswith("upper_")]
                master = self._host.link_name(f"{NETWORK}/{interface}/master")
                pending += [master] if master is not None else []
                # A pair of veth leads on from one bridge or switch to another.
                ports = [name[len("lower_") :] for name in names if name.startswith("lower_")]
                pending += [self._tunnels.pairs[port] for port in ports if port in self._tunnels.pairs]
        return tuple(found)

    def is_up(self, interface: str) -> bool:
        """Whether it may carry traffic: it is not known to be down."""
        return self._host.text_or_none(f"{NETWORK}/{interface}/operstate") not in ("down", "notpresent", "lowerlayerdown")

    def hardware_address(self, interface: str) -> str | None:
        return self._host.text_or_none(f"{NETWORK}/{interface}/address")

    def may_carry(self, own: t.Collection[str]) -> bool:
        """Whether an interface of ``own`` has an address, or that cannot be determined: without one no connection of the host uses it."""
        return not self.addresses or any(self.addresses.get(name) for name in own)

    def carries(self, own: t.Collection[str], interface: str) -> bool:
        """Whether traffic of ``interface`` may go through one of ``own``, a device's interfaces with those above them."""
        if self._leads_to(interface, own, set()):
            return True
        if not self._has_unknown_carrier(interface):
            return False
        if OPEN_VSWITCH in self._switched and not self._is_tunnel(interface):
            # The port of a bridge of Open vSwitch does not say through which other ports its traffic goes.
            return OPEN_VSWITCH in own
        known = [route for route in self.routes if not self._has_unknown_carrier(route.interface)]
        led = {route.interface for route in known if route.has_gateway or not route.network.prefixlen}
        if not led:
            return any(self.is_up(name) for name in own)
        # Without another default route the other end of a tunnel may as well be in a network of the host.
        is_elsewhere = any(not route.network.prefixlen for route in known)
        return bool(set(own) & (led if is_elsewhere else {route.interface for route in known}))

    def _leads_to(self, interface: str, own: t.Collection[str], seen: set[str]) -> bool:
        """Whether it is one of ``own``, or says that it is on top of one: by a lower interface, or by a tunnel's ends."""
        if interface in own or interface in seen:
            return interface in own
        seen.add(interface)
        lower = [name for name in self._lower(interface) if name != interface]
        if not lower and self._has_unknown_carrier(interface):
            ends = self._tunnels.ends(interface)
            local = {_address(address) for address in ends.local}
            lower = [*ends.interfaces, *(name for address in ends.remote for name in self.interfaces_to(address))]
            lower += [name for name, found in self.addresses.items() if local and not local.isdisjoint(map(_address, found))]
        return any(self._leads_to(name, own, seen) for name in lower)

    def into_namespaces(self, interface: str) -> bool:
        """Whether no device carries an interface, and it, or what it uses, leads into another network namespace."""
        lower = self._lower(interface)
        has_device = any(one in self._physical or self._host.exists(f"{NETWORK}/{one}/device") for one in lower)
        return not has_device and any(map(self._tunnels.leads_away, lower))

    @functools.cached_property
    def _tunnels(self) -> Tunnels:
        # Few hosts have any.
        from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tunnels import Tunnels

        return Tunnels(self._host, lambda: self._ask_ip(["-details", "link", "show"]))

    @functools.cached_property
    def of_programs(self) -> t.Mapping[str, tuple[str, ...]]:
        """The interfaces with a default route that no device carries but programs may, with all below each."""
        below = {name: self._lower(name) for name in self.default_interfaces}
        return {
            name: lower
            for name, lower in below.items()
            if not any(one in self._physical or self._host.exists(f"{NETWORK}/{one}/device") for one in lower)
            and any(self._is_tunnel(one) for one in lower)
        }

    def _lower(self, interface: str) -> tuple[str, ...]:
        """The interface, and those that it uses."""
        found: dict[str, None] = {}
        pending = [interface]
        while pending:
            one = pending.pop()
            if one not in found:
                found[one] = None
                names = self._host.names(f"{NETWORK}/{one}")
                pending += [name[len("lower_") :] for name in names if name.startswith("lower_")]
        return tuple(found)

    def _has_unknown_carrier(self, interface: str) -> bool:
        """Whether it is virtual and does not say which interface it uses: tunnels, and ports of Open vSwitch."""
        # A router asks for the interface of each of a million routes.
        if interface not in self._unknown_carriers:
            self._unknown_carriers[interface] = self._says_no_carrier(interface)
        return self._unknown_carriers[interface]

    def _says_no_carrier(self, interface: str) -> bool:
        here = f"{NETWORK}/{interface}"
        if interface == "lo" or interface in self._physical or self._host.exists(f"{here}/device"):
            return False
        path = self._host.link(here)
        if (path is not None and "/virtual/" not in path) or (OPEN_VSWITCH not in self._switched and not self._host.is_dir(here)):
            return False
        return not any(name.startswith("lower_") for name in self._host.names(here))

    def _is_tunnel(self, interface: str) -> bool:
        here = f"{NETWORK}/{interface}"
        return self._host.exists(f"{here}/tun_flags") or "DEVTYPE=" in (self._host.text_or_none(f"{here}/uevent") or "")

    @functools.cached_property
    def _switched(self) -> frozenset[str]:
        """The masters and upper interfaces of all interfaces."""
        interfaces = self._host.names(NETWORK)
        return frozenset(self.above(interfaces)) - frozenset(interfaces) | (frozenset(interfaces) & {OPEN_VSWITCH})

    # -- routes

    @functools.cached_property
    def routes(self) -> tuple[Route, ...]:
        """All unicast routes: those of all tables if there is the command `ip`, else those of the main table."""
        found = (*self._routes_of_ip("-4"), *self._routes_of_ip("-6"))
        return found or (*self._routes_v4(), *self._routes_v6())

    @functools.cached_property
    def default_interfaces(self) -> tuple[str, ...]:
        """The interfaces with a default route; halves and other parts of nearly everything, as VPNs set them, count too."""
        parts: dict[str, dict[int, set[ipaddress.IPv4Network | ipaddress.IPv6Network]]] = {}
        for route in self.routes:
            if route.interface != "lo" and route.network.prefixlen <= SMALLEST_PART:
                parts.setdefault(route.interface, {}).setdefault(route.network.version, set()).add(route.network)
        return tuple(
            interface for interface, found in parts.items() if any(_share(some) >= ENOUGH[version] for version, some in found.items())
        )

    def interfaces_to(self, address: str) -> tuple[str, ...]:
        """The interfaces over which an address is reached: of each table those of the most specific routes; empty if there is none.

        Which table counts is decided by rules that look at more than the address.
        """
        target = _address(address)
        if target is None:
            return ()
        matching = [route for route in self.routes if route.network.version == target.version and target in route.network]
        longest: dict[str, int] = {}
        for route in matching:
            longest[route.table] = max(route.network.prefixlen, longest.get(route.table, 0))
        return tuple(dict.fromkeys(route.interface for route in matching if route.network.prefixlen == longest[route.table]))

    def _routes_of_ip(self, family: str) -> t.Iterator[Route]:
        for route in self._ask_ip([family, "route", "show", "table", "all"]):
            network = _network(str(route.get("dst", "")), V4 if family == "-4" else V6)
            hops = [hop for hop in route.get("nexthops") or () if isinstance(hop, dict)] or [route]
            if not any("dev" in hop for hop in hops):
                # The kernel may show the number of an object alone (net.ipv4.nexthop_compat_mode).
                hops = list(self._objects(route.get("nhid"), 0))
            for hop in hops:
                if network is not None and isinstance(hop.get("dev"), str) and route.get("type", "unicast") == "unicast":
                    yield Route(network, hop["dev"], "gateway" in hop or "via" in hop, str(route.get("table", MAIN)))

    def _objects(self, number: object, layer: int) -> t.Iterator[dict[str, t.Any]]:
        """The hops of an object of routes, or of a group of them (ip-nexthop(8))."""
        for found in self._nexthops if number is not None and layer < MOST_GROUPS else ():
            if found.get("id") == number:
                group = found.get("group")
                yield from (
                    (hop for one in group if isinstance(one, dict) for hop in self._objects(one.get("id"), layer + 1))
                    if isinstance(group, list)
                    else (found,)
                )

    @functools.cached_property
    def _nexthops(self) -> tuple[dict[str, t.Any], ...]:
        return self._ask_ip(["nexthop", "show"])

    def _routes_v4(self) -> t.Iterator[Route]:
        for line in (self._host.text_or_none("/proc/net/route") or "").splitlines()[1:]:
            fields = line.split()
            try:
                mask = str(ipaddress.IPv4Address(_native_v4(fields[7])))
                network = ipaddress.IPv4Network((_native_v4(fields[1]), mask), strict=False)
                yield Route(network, fields[0], int(fields[2], 16) != 0, MAIN)
            except (IndexError, ValueError, OverflowError):
                continue

    def _routes_v6(self) -> t.Iterator[Route]:
        for line in (self._host.text_or_none("/proc/net/ipv6_route") or "").splitlines():
            fields = line.split()
            try:
                network = ipaddress.IPv6Network((int(fields[0], 16), int(fields[1], 16)), strict=False)
                if not int(fields[8], 16) & RTF_REJECT:
                    yield Route(network, fields[9], int(fields[4], 16) != 0, MAIN)
            except (IndexError, ValueError, OverflowError):
                continue

    # -- addresses

    @functools.cached_property
    def addresses(self) -> t.Mapping[str, tuple[str, ...]]:
        """The addresses of each interface, link-local ones too."""
        found: dict[str, list[str]] = {}
        for link in self._links:
            entries = link.get("addr_info")
            local = [entry.get("local") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
            found.setdefault(str(link.get("ifname")), []).extend(address for address in local if isinstance(address, str))
        return {name: tuple(local) for name, local in found.items()} if found else self._addresses_of_proc()

    def _addresses_of_proc(self) -> t.Mapping[str, tuple[str, ...]]:
        """Without `ip`: those of IPv6, and those of IPv4 by the route of their network."""
        found: dict[str, list[str]] = {}
        for line in (self._host.text_or_none("/proc/net/if_inet6") or "").splitlines():
            fields = line.split()
            if len(fields) == 6 and re.fullmatch("[0-9a-f]{32}", fields[0]):
                found.setdefault(fields[5], []).append(str(ipaddress.IPv6Address(int(fields[0], 16))))
        for local in _local_v4(self._host.text_or_none("/proc/net/fib_trie") or ""):
            connected = [route for route in self.routes if not route.has_gateway and _address(local) in route.network]
            for route in connected[:1]:
                found.setdefault(route.interface, []).append(local)
        return {name: tuple(local) for name, local in found.items()}

    @functools.cached_property
    def _links(self) -> tuple[dict[str, t.Any], ...]:
        return self._ask_ip(["address", "show"])

    def has_program(self, interface: str) -> bool:
        """Whether a program of XDP is attached, as AF_XDP and switches in user space do it on interfaces without an address."""
        return any(link.get("ifname") == interface and isinstance(link.get("xdp"), dict) for link in self._links)

    def has_address(self, interface: str) -> str | None:
        """An address of the interface that others can reach, if it has one."""
        reachable = (address for address in self.addresses.get(interface, ()) if not address.lower().startswith("fe80:"))
        return next(reachable, None)

    # -- this connection

    @functools.cached_property
    def _connection(self) -> ConnectionEnds | None:
        return None if self._lasting else ssh_connection(self._host)

    def connection_interfaces(self) -> tuple[str | None, ...]:
        """The interfaces of the SSH connection that this process descends from; None in it if one cannot be determined."""
        if self._connection is None:
            return ()
        address = _address(self._connection.local)
        if address is None or not address.is_loopback:
            return self._interfaces_of(self._connection)
        through = behind_tunnel(self._host, self._connection)
        return (None,) if through is None else tuple(dict.fromkeys(name for ends in through for name in self._interfaces_of(ends)))

    def _interfaces_of(self, ends: ConnectionEnds) -> tuple[str | None, ...]:
        _host_part, _percent, scope = ends.local.partition("%")
        scope = scope or ends.client.partition("%")[2]
        if scope:
            return (scope,)
        wanted = _address(ends.local)
        owning = [name for name, found in self.addresses.items() if wanted is not None and wanted in map(_address, found)]
        reaching = (*self.interfaces_to(ends.client), *(() if owning else self.interfaces_to(ends.local)))
        return tuple(dict.fromkeys((*owning, *reaching))) or (() if wanted is None else (None,))

    @property
    def may_be_no_network(self) -> bool:
        """Whether this process descends from an SSH connection without IP addresses: sshd calls both ends UNKNOWN."""
        return self._connection is not None and _address(self._connection.local) is None

    def connection_address(self) -> str:
        """This host's address in that connection."""
        return "" if self._connection is None else self._connection.local

    def _ask_ip(self, words: t.Sequence[str]) -> tuple[dict[str, t.Any], ...]:
        return read_once(self._host, ("ip", *words), lambda: self._answer_of_ip(words))

    def _answer_of_ip(self, words: t.Sequence[str]) -> tuple[dict[str, t.Any], ...]:
        if self._lasting or self._host.which("ip") is None:
            return ()
        try:
            found = json.loads(self._host.run(["ip", "-json", *words], IP_TIMEOUT).stdout or "[]")
        except (HostError, ValueError, RecursionError):
            return ()
        return tuple(entry for entry in found if isinstance(entry, dict)) if isinstance(found, list) else ()


def _share(networks: t.Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> float:
    """Which part of all addresses is in these."""
    alike: t.Any = list(networks)
    return float(sum(2.0**-network.prefixlen for network in ipaddress.collapse_addresses(alike)))


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _network(text: str, everything: ipaddress.IPv4Network | ipaddress.IPv6Network) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if text == "default":
        return everything
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _native_v4(text: str) -> int:
    """An address of /proc/net/route, which the kernel writes as a number in its own byte order."""
    return int.from_bytes(int(text, 16).to_bytes(4, sys.byteorder), "big")


def _local_v4(trie: str) -> tuple[str, ...]:
    """The host's own addresses in /proc/net/fib_trie: the leaf before a line `/32 host LOCAL`."""
    found = re.findall(r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL", trie)
    return tuple(dict.fromkeys(address for address in found if not address.startswith("127.")))
