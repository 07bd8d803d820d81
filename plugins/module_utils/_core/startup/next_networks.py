# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interfaces are configured to come up at the next boot, and with what: ifupdown, systemd-networkd, netplan, NetworkManager, ifcfg.

What cloud-init writes is in the files of one of them; wicked reads ifcfg.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import (
    first_of_name,
    head_text,
    leads_to_nothing,
    names_if_any,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_mounts import UNITS
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import netplan_text
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import NO, UnitSetting, mask_of, parsed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

SYSVINIT = re.compile(r"S\d\d(network(?:ing)?|dhcpcd|NetworkManager|network-manager)")
RUNLEVELS = ("/etc/rcS.d", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc.d/rc3.d", "/etc/runlevels/boot", "/etc/runlevels/default")
INTERFACES = "/etc/network/interfaces"
NETWORKD = ("/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network", "/usr/lib/systemd/network")
CONNECTIONS = (
    "/etc/NetworkManager/system-connections",
    "/run/NetworkManager/system-connections",
    "/usr/lib/NetworkManager/system-connections",
)
NETPLAN = ("/run/netplan", "/etc/netplan", "/lib/netplan")
GENERATORS = ("/usr/lib/systemd/system-generators/netplan", "/lib/systemd/system-generators/netplan")
IFCFG = ("/etc/sysconfig/network-scripts", "/etc/sysconfig/network")
LEFT_OVER = re.compile(r"ifcfg-.*(?:~|\.(?:bak|orig|old|rpm\w+|scpm\w*))")
MOST_FILES = 500
LARGEST = 1 << 18
MOST_INCLUDES = 64
ANY = ("*",)
EVERYTHING = ("0.0.0.0/0", "::/0")
DYNAMIC = ("dhcp", "auto", "dhcp4", "dhcp6", "yes", "true", "ipv4", "ipv6")
_PORTS = (
    "bridge-ports",
    "bridge_ports",
    "bond-slaves",
    "bond_slaves",
    "slaves",
    "vlan-raw-device",
    "vlan_raw_device",
    "ovs_ports",
    "ovs_bonds",
)
_MASTERS = ("bond-master", "bond_master", "ovs_bridge")
_ROUTE = re.compile(r"\b(?:ip|route)\b.*\b(?:default|0\.0\.0\.0/0|::/0)(?:\s|$)")


@dataclasses.dataclass(frozen=True)
class NetworkSetting:
    """An interface as a program has it configured.

    ``names`` and ``paths`` (udev's ID_PATH) are patterns, of which one agrees; so must one of ``addresses`` (in small letters), if there
    are any.  ``lower`` are interfaces that it is on, ``upper`` those that it is a part of.  ``is_vague``: more must agree than that, and
    that is not known here.  ``has_route``: it gets a default route, or asks a server for one.
    """

    source: str
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()
    is_vague: bool = False
    comes_up: bool = True
    has_route: bool = False
    has_address: bool = False


def read(host: Host) -> tuple[NetworkSetting, ...]:
    """Of each program that starts with the host."""
    started = _started(host)
    found: list[NetworkSetting] = []
    if started & {"networking.service", "networking", "ifupdown-ng.service"}:
        found += _of_ifupdown(host)
    if "systemd-networkd.service" in started:
        found += _of_networkd(host)
    if started & {"NetworkManager.service", "NetworkManager", "network-manager"}:
        found += [*_of_connections(host), *_of_ifcfg(host, IFCFG[:1])]
    if started & {"wicked.service", "network.service", "network"}:
        found += _of_ifcfg(host, IFCFG)
    if any(host.exists(path) for path in GENERATORS):
        found += _of_netplan(host)
    if started & {"dhcpcd.service", "dhcpcd"}:
        found.append(NetworkSetting("/etc/dhcpcd.conf", ANY, is_vague=True, has_route=True, has_address=True))
    return tuple(dict.fromkeys(found))


def _started(host: Host) -> frozenset[str]:
    """The services that start at boot, with systemd or without."""
    names = {
        unit
        for folder in UNITS
        for target in names_if_any(host, folder)
        if target.endswith((".wants", ".requires"))
        for unit in names_if_any(host, f"{folder}/{target}")
    }
    aliases = (
        {posixpath.basename(host.link(f"{UNITS[0]}/network.service") or ""), "network.service"} if "network.service" in names else set()
    )
    masked = {unit for unit in names if mask_of(host, unit, UNITS[:2]) is not None}
    scripts = (SYSVINIT.fullmatch(name) for folder in RUNLEVELS for name in names_if_any(host, folder) if "runlevels" not in folder)
    openrc = {name for folder in RUNLEVELS if "runlevels" in folder for name in names_if_any(host, folder)}
    return frozenset((names | aliases | openrc | {found[1] for found in scripts if found is not None}) - masked - {""})


# -- ifupdown (interfaces(5))


class _Stanza:
    def __init__(self, source: str, name: str) -> None:
        self.source, self.name = source, name
        self.lower = [name.rpartition(".")[0]] if re.fullmatch(r".+\.\d+", name) else []
        self.upper: list[str] = []
        self.has_route = self.has_address = False

    def add(self, key: str, value: str) -> None:
        self.has_route |= (
            key == "gateway" or (key in ("up", "post-up") and _ROUTE.search(value) is not None) or (key, value) == ("use", "dhcp")
        )
        self.has_address |= key in ("address", "gateway") or (key, value) == ("use", "dhcp")
        if key in _MASTERS:
            self.upper += value.split()[:1]
        if key in _PORTS:
            self.lower += [word for word in value.split() if word not in ("none", "glob", "regex")]

    def method(self, words: t.Sequence[str]) -> None:
        if words[-1:] and words[-1] in ("dhcp", "auto"):
            self.has_route = self.has_address = True


def _of_ifupdown(host: Host) -> t.Iterator[NetworkSetting]:
    automatic: list[str] = []
    stanzas: list[_Stanza] = []
    for path in _interfaces_files(host):
        current: _Stanza | None = None
        for number, line in _joined(head_text(host, path, LARGEST)):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "auto" or words[0].startswith("allow-"):
                automatic += words[1:]
                current = None
            elif words[0] == "iface" and len(words) > 1:
                current = _Stanza(f"{path}:{number}", words[1].partition("=")[0])
                current.method(words[2:])
                stanzas.append(current)
            elif words[0] in ("mapping", "source", "source-directory", "rename", "template", "no-auto-down", "no-scripts"):
                current = None
            elif current is not None:
                current.add(words[0], " ".join(words[1:]))
    for one in stanzas:
        comes_up = any(fnmatch.fnmatchcase(one.name, pattern.lstrip("/")) for pattern in automatic)
        if one.name != "lo":
            yield NetworkSetting(
                one.source,
                (one.name.lstrip("/"),),
                lower=tuple(one.lower),
                upper=tuple(one.upper),
                comes_up=comes_up,
                has_route=one.has_route,
                has_address=one.has_address,
            )


def _joined(text: str) -> t.Iterator[tuple[int, str]]:
    """Lines with those that continue them, and the first one's number."""
    first, parts = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        first = first or number
        if line.endswith("\\"):
            parts.append(line[:-1])
        else:
            yield first, " ".join((*parts, line))
            first, parts = 0, []


def _interfaces_files(host: Host) -> tuple[str, ...]:
    found: dict[str, None] = {}
    pending = [INTERFACES]
    while pending and len(found) < MOST_INCLUDES:
        path = pending.pop(0)
        if path in found:
            continue
        found[path] = None
        for line in head_text(host, path, LARGEST).split("\n"):
            words = line.split()
            if len(words) == 2 and words[0] in ("source", "source-directory"):
                whole = posixpath.normpath(posixpath.join(posixpath.dirname(path), words[1]))
                folder, pattern = (whole, "*") if words[0] == "source-directory" else posixpath.split(whole)
                pending += [f"{folder}/{name}" for name in names_if_any(host, folder) if fnmatch.fnmatchcase(name, pattern)]
    return tuple(found)


# -- systemd-networkd (systemd.network(5), systemd.netdev(5))


def _of_networkd(host: Host) -> t.Iterator[NetworkSetting]:
    chosen = first_of_name(host, NETWORKD, ".network")
    for name in sorted(chosen)[:MOST_FILES]:
        drop_ins = first_of_name(host, [f"{folder}/{name}.d" for folder in NETWORKD], ".conf")
        paths = (chosen[name], *(drop_ins[one] for one in sorted(drop_ins)))
        settings = [one for path in paths for one in parsed(head_text(host, path, LARGEST), path, name)]
        if settings and not leads_to_nothing(host, chosen[name]):
            yield _network_file(chosen[name], settings)


def _network_file(path: str, settings: t.Sequence[UnitSetting]) -> NetworkSetting:
    def words(section: str, *keys: str) -> tuple[str, ...]:
        return tuple(word for one in settings if one.section == section and one.key in keys for word in one.value.split())

    dynamic = any(word.lower() in DYNAMIC for word in words("Network", "DHCP")) or "yes" in words("Network", "IPv6AcceptRA")
    asks = dynamic and not any(word.lower() in NO for word in words("DHCPv4", "UseRoutes", "UseGateway"))
    # A gateway is one for everything unless a destination stands in its section, of which there may be several.
    whole = len(words("Route", "Gateway")) > len([one for one in words("Route", "Destination") if one not in EVERYTHING])
    gateways = bool(words("Network", "Gateway")) or whole
    optional = "no" in words("Link", "RequiredForOnline")
    manual = {"manual", "down", "always-down"}.intersection(words("Link", "ActivationPolicy")) or "yes" in words("Link", "Unmanaged")
    matches = {one.key for one in settings if one.section == "Match" and one.value}
    return NetworkSetting(
        path,
        words("Match", "Name", "OriginalName"),
        tuple(word.lower() for word in words("Match", "MACAddress", "PermanentMACAddress")),
        words("Match", "Path"),
        upper=words("Network", "Bridge", "Bond", "VRF", "VLAN", "MACVLAN", "IPVLAN"),
        is_vague=bool(matches - {"Name", "OriginalName", "MACAddress", "PermanentMACAddress", "Path"}) or optional,
        comes_up=not manual,
        has_route=asks or gateways,
        has_address=bool(dynamic or words("Network", "Address") or words("Address", "Address")),
    )


# -- NetworkManager (nm-settings-keyfile(5))


def _of_connections(host: Host) -> t.Iterator[NetworkSetting]:
    found = [_connection(path, parsed(head_text(host, path, LARGEST), path, "connection")) for path in _connections(host)]
    # A part names what it is a part of by its interface or by its ID.
    interfaces = {
        known["connection", "uuid"]: known["connection", "interface-name"] for known, _setting in found if known["connection", "uuid"]
    }
    for _known, setting in found:
        yield dataclasses.replace(setting, upper=tuple(interfaces.get(name, name) for name in setting.upper))
    # Without a profile each card of Ethernet asks for an address (no-auto-default in NetworkManager.conf(5)).
    yield NetworkSetting("NetworkManager", ANY, is_vague=True, has_route=True, has_address=True)


def _connections(host: Host) -> tuple[str, ...]:
    return tuple(first_of_name(host, CONNECTIONS, ".nmconnection").values())[:MOST_FILES]


class _Known(dict[tuple[str, str], str]):
    def __missing__(self, _key: tuple[str, str]) -> str:
        return ""


def _connection(path: str, settings: t.Iterable[UnitSetting]) -> tuple[_Known, NetworkSetting]:
    known = _Known({(one.section, one.key): one.value for one in settings})
    name = known["connection", "interface-name"] or known["match", "interface-name"].rstrip(";")
    kinds = ("ethernet", "802-3-ethernet", "infiniband", "wifi", "802-11-wireless")
    addresses = tuple(known[kind, "mac-address"].lower() for kind in kinds if known[kind, "mac-address"])
    paths = tuple(word for word in known["match", "path"].split(";") if word)
    methods = (known["ipv4", "method"], known["ipv6", "method"])
    static = any(_is_default(key, value) for (section, key), value in known.items() if section in ("ipv4", "ipv6"))
    never = known["ipv4", "never-default"] == "true" and known["ipv6", "never-default"] in ("true", "")
    upper = known["connection", "controller"] or known["connection", "master"]
    lower = tuple(known[kind, "parent"] for kind in ("vlan", "macvlan", "ip-tunnel") if known[kind, "parent"])
    is_any = not (name or addresses or paths or lower)
    # A static address with that of IPv6 by itself asks nobody for a route of IPv4.
    dynamic = not upper and any(method in ("auto", "dhcp") for method in methods[: 1 if methods[0] == "manual" else 2])
    return known, NetworkSetting(
        path,
        tuple(name.split(";")) if name else ANY if is_any else (),
        addresses,
        paths,
        lower,
        (upper,) if upper else (),
        is_vague=any(section == "match" and key not in ("interface-name", "path") for section, key in known),
        comes_up=known["connection", "autoconnect"] not in ("false", "no", "0"),
        has_route=not never and (dynamic or static),
        has_address=dynamic or bool(known["ipv4", "address1"] or known["ipv6", "address1"]),
    )


def _is_default(key: str, value: str) -> bool:
    """Whether a setting of [ipv4] or [ipv6] gives a default route: `gateway`, or one behind an address, or a route to everything."""
    if key.startswith("route") and key[len("route") :].isdecimal():
        return value.startswith(EVERYTHING)
    return bool(value) and (key == "gateway" or (key.startswith("address") and "," in value.partition("/")[2]))


# -- ifcfg (network-scripts of Red Hat, ifcfg(5) of wicked)


def _of_ifcfg(host: Host, folders: t.Iterable[str]) -> t.Iterator[NetworkSetting]:
    for folder in folders:
        # The route of what says none itself (ifroute(5), GATEWAY= of network).
        common = head_text(host, f"{folder}/routes", LARGEST) if folder == IFCFG[1] else ""
        has_common = any(line.split()[:1] in (["default"], ["0/0"], ["0.0.0.0/0"]) for line in common.split("\n"))
        for name in [one for one in names_if_any(host, folder) if one.startswith("ifcfg-") and one != "ifcfg-lo"][:MOST_FILES]:
            if LEFT_OVER.fullmatch(name) is None:
                yield _ifcfg(host, folder, name, has_common)


def _ifcfg(host: Host, folder: str, file: str, has_common: bool) -> NetworkSetting:
    path, name = f"{folder}/{file}", file[len("ifcfg-") :]
    known = Assignments.parse(head_text(host, path, LARGEST))

    def get(key: str) -> str:
        return known.get(key) or ""

    own = get("DEVICE") or ("" if get("HWADDR") else name)
    start = (get("ONBOOT") or get("STARTMODE")).lower()
    dynamic = get("BOOTPROTO").lower().startswith(("dhcp", "auto", "bootp")) or get("DHCPV6C") == "yes"
    ports = [
        get("ETHERDEVICE"),
        *get("BRIDGE_PORTS").split(),
        *(get(f"BONDING_SLAVE{'_' * lines}{number}") for lines in (0, 1) for number in range(8)),
    ]
    vlan = [own.rpartition(".")[0]] if re.fullmatch(r".+\.\d+", own) else []
    lower = (get("PHYSDEV"), *ports, *(vlan if not get("PHYSDEV") and not get("ETHERDEVICE") else ()))
    routes = "".join(head_text(host, f"{folder}/{kind}-{name}", LARGEST) for kind in ("route", "ifroute"))
    static = bool(get("GATEWAY") or get("IPV6_DEFAULTGW")) or re.search(
        r"(?:^|\s)(?:default|0\.0\.0\.0/0|ADDRESS0=0\.0\.0\.0)(?:\s|$)", routes
    )
    has_address = dynamic or bool(get("IPADDR") or get("IPADDR0") or get("IPADDR_0") or get("IPV6ADDR"))
    return NetworkSetting(
        path,
        (own,) if own else (),
        (get("HWADDR").lower(),) if get("HWADDR") else (),
        lower=tuple(one for one in lower if one),
        upper=tuple(one for one in (get("MASTER"), get("BRIDGE"), get("TEAM_MASTER"), get("OVS_BRIDGE")) if one),
        comes_up=start in ("yes", "auto", "hotplug", "nfsroot", "onboot", "true", "1") or (not start and folder == IFCFG[0]),
        has_route="no" not in (get("DEFROUTE"), get("DHCLIENT_SET_DEFAULT_ROUTE"))
        and (dynamic or bool(static) or (has_common and has_address)),
        has_address=has_address,
    )


# -- netplan, as it is before its generator has run


def _of_netplan(host: Host) -> t.Iterator[NetworkSetting]:
    chosen = first_of_name(host, NETPLAN, ".yaml")
    for file in sorted(chosen)[:MOST_FILES]:
        yield from (NetworkSetting(**found) for found in netplan_text.interfaces(head_text(host, chosen[file], LARGEST), chosen[file]))
