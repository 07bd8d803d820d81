# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interfaces are configured to come up at the next boot, and with what: ifupdown, systemd-networkd, netplan, NetworkManager, ifcfg.

What cloud-init writes is in the files of one of them; wicked reads ifcfg.
"""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name, names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import (
    generators,
    netplan_text,
    network_profiles,
    networkd_files,
    unread_networks,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.network_setting import (
    MOST_FILES,
    MOST_NAMES,
    MOST_SETTINGS,
    NetworkSetting,
    bounded,
    text_of,
    texts_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import FOLDERS, mask_of, truth

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

INTERFACES = "/etc/network/interfaces"
NETPLAN, NETPLAN_GENERATOR = ("/etc/netplan", "/lib/netplan"), "netplan"
IFCFG = ("/etc/sysconfig/network-scripts", "/etc/sysconfig/network")
LEFT_OVER = re.compile(r"ifcfg-.*(?:~|\.(?:bak|orig|old|rpm\w+|scpm\w*))")
NETWORKD = "systemd-networkd.service"
MOST_INCLUDES = 64
IFUPDOWN = frozenset(("networking.service", "networking", "ifupdown-ng.service"))
MANAGERS = frozenset(("NetworkManager.service", "NetworkManager", "network-manager"))
SCRIPTS = frozenset(("wicked.service", "network"))
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


def read(host: Host, started: t.Collection[str]) -> tuple[NetworkSetting, ...]:
    """Of each program that starts with the host; ``started`` are the names of what does."""
    found: list[NetworkSetting] = []
    has_manager = bool(MANAGERS.intersection(started))
    planned = tuple(_of_netplan(host, has_manager)) if generators.can_run(host, NETPLAN_GENERATOR) else ()
    is_masked = mask_of(host, NETWORKD, FOLDERS) is not None
    if IFUPDOWN.intersection(started):
        found += _of_ifupdown(host)
    # netplan's generator has networkd started for what is its.
    if not is_masked and (NETWORKD in started or any(one.rank is not None for one in planned)):
        found += networkd_files.read(host)
    if has_manager:
        found += network_profiles.read(host, _of_ifcfg(host, IFCFG[:1], of_manager=True))
    # The latter is another name of NetworkManager's, where it has one.
    if SCRIPTS.intersection(started) or ("network.service" in started and not has_manager):
        found += _of_ifcfg(host, IFCFG)
    found += (one for one in planned if one.rank is None or not is_masked)
    found += unread_networks.read(host, started)
    return tuple(dict.fromkeys(map(bounded, found[:MOST_SETTINGS])))


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
        for number, line in _joined(text_of(host, path)):
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
    named = set(automatic)
    patterns = [pattern.lstrip("/") for pattern in named if pattern.startswith("/") or set("*?[") & set(pattern)][:MOST_NAMES]
    for one in stanzas[:MOST_SETTINGS]:
        comes_up = one.name in named or any(matches(one.name, pattern) for pattern in patterns)
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
        for line in text_of(host, path).split("\n"):
            words = line.split()
            if len(words) == 2 and words[0] in ("source", "source-directory"):
                whole = posixpath.normpath(posixpath.join(posixpath.dirname(path), words[1]))
                folder, pattern = (whole, "*") if words[0] == "source-directory" else posixpath.split(whole)
                pending += [f"{folder}/{name}" for name in names_if_any(host, folder) if matches(name, pattern)]
    return tuple(found)


# -- ifcfg (network-scripts of Red Hat, ifcfg(5) of wicked)


def _of_ifcfg(host: Host, folders: t.Iterable[str], of_manager: bool = False) -> t.Iterator[NetworkSetting]:
    for folder in folders:
        # The route of what says none itself (ifroute(5), GATEWAY= of network).
        common = text_of(host, f"{folder}/routes") if folder == IFCFG[1] else ""
        has_common = any(line.split()[:1] in (["default"], ["0/0"], ["0.0.0.0/0"]) for line in common.split("\n"))
        for name in [one for one in names_if_any(host, folder) if one.startswith("ifcfg-") and one != "ifcfg-lo"][:MOST_FILES]:
            if LEFT_OVER.fullmatch(name) is None:
                known = Assignments.parse(text_of(host, f"{folder}/{name}"))
                if not of_manager or truth(known.get("NM_CONTROLLED") or "") is not False:
                    yield _ifcfg(host, folder, name, known, has_common)


def _ifcfg(host: Host, folder: str, file: str, known: Assignments, has_common: bool) -> NetworkSetting:
    path, name = f"{folder}/{file}", file[len("ifcfg-") :]

    def get(key: str) -> str:
        return known.get(key) or ""

    own = get("DEVICE") or ("" if get("HWADDR") else name)
    start = (get("ONBOOT") or get("STARTMODE")).lower()
    dynamic = get("BOOTPROTO").lower().startswith(("dhcp", "auto", "bootp")) or truth(get("DHCPV6C")) is True
    ports = [
        get("ETHERDEVICE"),
        *get("BRIDGE_PORTS").split(),
        *(get(f"BONDING_SLAVE{'_' * lines}{number}") for lines in (0, 1) for number in range(8)),
    ]
    vlan = [own.rpartition(".")[0]] if re.fullmatch(r".+\.\d+", own) else []
    lower = (get("PHYSDEV"), *ports, *(vlan if not get("PHYSDEV") and not get("ETHERDEVICE") else ()))
    routes = "".join(text_of(host, f"{folder}/{kind}-{name}") for kind in ("route", "ifroute"))
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
        comes_up=truth(start) is True or start in ("auto", "hotplug", "nfsroot", "onboot") or (not start and folder == IFCFG[0]),
        has_route=not any(truth(get(key)) is False for key in ("DEFROUTE", "DHCLIENT_SET_DEFAULT_ROUTE"))
        and (dynamic or bool(static) or (has_common and has_address)),
        has_address=has_address,
    )


# -- netplan, as it is before its generator has run


def _of_netplan(host: Host, has_manager: bool) -> t.Iterator[NetworkSetting]:
    chosen = first_of_name(host, NETPLAN, ".yaml")
    texts = texts_of(host, (chosen[file] for file in sorted(chosen)[:MOST_FILES]))
    for of_manager, found in netplan_text.interfaces(texts):
        if has_manager or not of_manager:
            yield NetworkSetting(**found)
