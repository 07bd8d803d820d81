# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of systemd-networkd for interfaces (systemd.network(5))."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name, leads_to_nothing
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.link_files import LASTING
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.network_setting import (
    EVERYTHING,
    MOST_FILES,
    NetworkSetting,
    texts_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Unit, parsed, truth

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitSetting

FOLDERS = (*LASTING, "/lib/systemd/network")
_ASKS = ("ipv4", "ipv6", "both", "v4", "v6")
_UPPER = ("Bridge", "Bond", "VRF", "VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "VXLAN", "Tunnel", "MACsec", "BatmanAdvanced")
_MATCHED = frozenset(("Name", "OriginalName", "MACAddress", "PermanentMACAddress", "Path"))
_SECTION = re.compile(r"^\[(Route|Address)\]", re.MULTILINE)
_NO_ROUTES = ("unreachable", "prohibit", "blackhole", "throw", "local", "broadcast", "multicast", "anycast")


def read(host: Host) -> t.Iterator[NetworkSetting]:
    """In the order in which networkd looks for the first one that agrees with an interface."""
    chosen = first_of_name(host, FOLDERS, ".network")
    for path, text in texts_of(host, (chosen[name] for name in sorted(chosen)[:MOST_FILES])):
        # An empty file masks, as a link to /dev/null does.
        if text and not leads_to_nothing(host, path):
            name = posixpath.basename(path)
            drop_ins = first_of_name(host, [f"{folder}/{name}.d" for folder in FOLDERS], ".conf")
            texts = [(path, text), *texts_of(host, (drop_ins[one] for one in sorted(drop_ins)[:MOST_FILES]))]
            settings = [one for file, content in texts for one in parsed(_numbered(content, file), file, name)]
            yield _setting(path, Unit(name, (name,), path, tuple(settings)))


def _numbered(text: str, path: str) -> str:
    """With a name of its own for each section that a file can have several times."""
    return _SECTION.sub(lambda found: f"[{found[1]} {path}:{found.start()}]", text)


def _setting(path: str, file: Unit) -> NetworkSetting:
    asked = (file.last("Network", "DHCP") or "").lower()
    dynamic = asked in _ASKS or truth(asked) is True or file.is_true("IPv6AcceptRA", "Network")
    refuses = any(file.is_false(key, "DHCPv4") for key in ("UseRoutes", "UseGateway"))
    routes = _sections(file.settings, "Route")
    # An empty assignment takes back what was before it.
    others = {one.key: one.value for one in file.settings if one.section == "Match" and one.key not in _MATCHED}
    policy = (file.last("Link", "ActivationPolicy") or "").lower()
    return NetworkSetting(
        path,
        file.words("Match", "Name", "OriginalName"),
        tuple(map(_address, file.words("Match", "MACAddress", "PermanentMACAddress"))),
        file.words("Match", "Path"),
        upper=file.words("Network", *_UPPER),
        is_vague=any(others.values()),
        is_optional=file.is_false("RequiredForOnline", "Link"),
        comes_up=policy not in ("manual", "down", "always-down") and not file.is_true("Unmanaged", "Link"),
        has_route=(dynamic and not refuses)
        or bool(file.words("Network", "Gateway"))
        or file.is_true("DefaultRouteOnDevice", "Network")
        or any(map(_is_default, routes)),
        has_address=dynamic
        or bool(file.words("Network", "Address"))
        or any("Address" in one for one in _sections(file.settings, "Address")),
        rank=file.name,
    )


def _sections(settings: t.Iterable[UnitSetting], kind: str) -> t.Iterable[t.Mapping[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for one in settings:
        if one.section.startswith(f"{kind} "):
            found.setdefault(one.section, {})[one.key] = one.value
    return found.values()


def _is_default(route: t.Mapping[str, str]) -> bool:
    """A gateway is one for everything unless a destination stands beside it."""
    to_all = route.get("Destination", "") in EVERYTHING
    return route.get("Type", "").lower() not in _NO_ROUTES and (to_all or (bool(route.get("Gateway")) and not route.get("Destination")))


def _address(text: str) -> str:
    """A hardware address as the kernel shows it, of the forms with hyphens and with dots too."""
    digits = re.sub("[-.:]", "", text.lower())
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)) if re.fullmatch("(?:[0-9a-f]{2})+", digits) else text.lower()
