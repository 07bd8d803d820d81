# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the traffic of virtual interfaces goes that name no lower one: ends of tunnels, pairs of veth, other network namespaces."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import properties

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

NETWORK = "/sys/class/net"
ETHERNET = ("1", None)
"""ARPHRD_ETHER, in sysfs' `type`."""
WIREGUARD, WG_TIMEOUT = "wireguard", 10
ENDPOINT = re.compile(r"(\S+)\t\S+\t\[?([0-9a-fA-F.:]+?)(?:%\S+)?\]?:\d+")
"""A line of `wg show all endpoints` (wg(8))."""
REMOTE_ENDS, LOCAL_ENDS = ("remote", "remote6", "group", "group6"), ("local", "local6")
"""In what `ip -details` says of a tunnel."""


class Ends(t.NamedTuple):
    """What a tunnel says of its ends: interfaces below it, addresses of other hosts, addresses of this host."""

    interfaces: tuple[str, ...]
    remote: tuple[str, ...]
    local: tuple[str, ...]


class Tunnels:
    """The virtual interfaces of a host, each part read when it is first needed."""

    def __init__(self, host: Host, links: t.Callable[[], t.Iterable[t.Mapping[str, t.Any]]]) -> None:
        """``links`` asks for what `ip -details link show` says."""
        self._host = host
        self._ask = links

    @functools.cached_property
    def pairs(self) -> t.Mapping[str, str]:
        """Both ways, the pairs of veth of which both ends are in this network namespace."""
        numbers = {name: (self._number(name, "ifindex"), self._number(name, "iflink")) for name in self._host.names(NETWORK)}
        by_numbers = {pair: name for name, pair in numbers.items() if None not in pair and pair[0] != pair[1]}
        pairs = {name: by_numbers.get((link, index)) for name, (index, link) in numbers.items()}
        return {name: other for name, other in pairs.items() if other is not None and other != name}

    def ends(self, interface: str) -> Ends:
        """What a virtual interface says of where its traffic goes; nothing if it is not one of those."""
        of_link = next((link.get("linkinfo") for link in self._links if link.get("ifname") == interface), None)
        given = of_link.get("info_data") if isinstance(of_link, dict) else None
        data = given if isinstance(given, dict) else {}
        below = [name for name in (data.get("link"), self._bound_to(interface)) if isinstance(name, str)]
        remote = [data[key] for key in REMOTE_ENDS if isinstance(data.get(key), str)]
        kind = properties(self._host.text_or_none(f"{NETWORK}/{interface}/uevent")).get("DEVTYPE")
        remote += [address for name, address in self._endpoints if name == interface] if kind == WIREGUARD else []
        return Ends(tuple(below), tuple(remote), tuple(data[key] for key in LOCAL_ENDS if isinstance(data.get(key), str)))

    def leads_away(self, interface: str) -> bool:
        """Whether it is, or may be, one end of a pair whose other end is in another network namespace."""
        index, link = self._number(interface, "ifindex"), self._number(interface, "iflink")
        return self._is_ethernet(interface) and link not in (None, "0", index) and interface not in self.pairs

    def _bound_to(self, interface: str) -> str | None:
        """The interface that a tunnel is bound to (`iflink`); that of a pair is a number of perhaps another namespace."""
        index, link = self._number(interface, "ifindex"), self._number(interface, "iflink")
        if link in (None, "0", index) or self._is_ethernet(interface):
            return None
        return next((name for name in self._host.names(NETWORK) if self._number(name, "ifindex") == link), None)

    def _is_ethernet(self, interface: str) -> bool:
        here = f"{NETWORK}/{interface}"
        return self._host.text_or_none(f"{here}/type") in ETHERNET and "DEVTYPE" not in properties(
            self._host.text_or_none(f"{here}/uevent")
        )

    def _number(self, interface: str, attribute: str) -> str | None:
        return self._host.text_or_none(f"{NETWORK}/{interface}/{attribute}")

    @functools.cached_property
    def _links(self) -> tuple[t.Mapping[str, t.Any], ...]:
        return tuple(self._ask())

    @functools.cached_property
    def _endpoints(self) -> tuple[tuple[str, str], ...]:
        if self._host.which("wg") is None:
            return ()
        try:
            lines = self._host.run(["wg", "show", "all", "endpoints"], WG_TIMEOUT).stdout.splitlines()
        except HostError:
            return ()
        found = (ENDPOINT.match(line) for line in lines)
        return tuple((one[1], one[2]) for one in found if one is not None)
