# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NetworkManager's profiles (nm-settings-keyfile(5)), and which interfaces it leaves alone (NetworkManager.conf(5))."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.agents import CONF, CONF_FOLDERS
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.network_setting import (
    ANY,
    EVERYTHING,
    MOST_FILES,
    MOST_NAMES,
    NetworkSetting,
    texts_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import parsed, truth

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitSetting

FOLDERS = ("/etc/NetworkManager/system-connections", "/usr/lib/NetworkManager/system-connections")
ETHERNET = ("ethernet", "802-3-ethernet", "infiniband", "wifi", "802-11-wireless")


def read(host: Host, others: t.Iterable[NetworkSetting] = ()) -> t.Iterator[NetworkSetting]:
    """What is to come up by itself; ``others`` are profiles in files of another format."""
    conf = _Conf(tuple(_of_conf(host)))
    found = [_connection(path, parsed(text, path, "connection")) for path, text in texts_of(host, _connections(host))]
    # A part names what it is a part of by its interface or by its ID.
    interfaces = {
        known["connection", "uuid"]: known["connection", "interface-name"] for known, _setting in found if known["connection", "uuid"]
    }
    for _known, setting in found:
        yield conf.left_of(dataclasses.replace(setting, upper=tuple(interfaces.get(name, name) for name in setting.upper)))
    yield from map(conf.left_of, others)
    # Without a profile each card of Ethernet asks for an address.
    if not conf.asks_for_none:
        yield conf.left_of(NetworkSetting("NetworkManager", ANY, is_vague=True, has_route=True, has_address=True))


def _connections(host: Host) -> tuple[str, ...]:
    return tuple(first_of_name(host, FOLDERS, ".nmconnection").values())[:MOST_FILES]


class _Known(dict[tuple[str, str], str]):
    def __missing__(self, _key: tuple[str, str]) -> str:
        return ""


def _connection(path: str, settings: t.Iterable[UnitSetting]) -> tuple[_Known, NetworkSetting]:
    known = _Known({(one.section, one.key): one.value for one in settings})
    name = known["connection", "interface-name"] or known["match", "interface-name"].rstrip(";")
    addresses = tuple(known[kind, "mac-address"].lower() for kind in ETHERNET if known[kind, "mac-address"])
    paths = tuple(word for word in known["match", "path"].split(";") if word)
    methods = (known["ipv4", "method"], known["ipv6", "method"])
    static = any(_is_default(key, value) for (section, key), value in known.items() if section in ("ipv4", "ipv6"))
    never = truth(known["ipv4", "never-default"]) is True and (
        known["ipv6", "never-default"] == "" or truth(known["ipv6", "never-default"])
    )
    upper = known["connection", "controller"] or known["connection", "master"]
    lower = tuple(known[kind, "parent"] for kind in ("vlan", "macvlan", "ip-tunnel") if known[kind, "parent"])
    is_any = not (name or addresses or paths or lower)
    # A static address with that of IPv6 by itself asks nobody for a route of IPv4.
    dynamic = not upper and any(method in ("auto", "dhcp") for method in methods[: 1 if methods[0] == "manual" else 2])
    return known, NetworkSetting(
        path,
        tuple(word.lstrip("|&") for word in name.split(";")) if name else ANY if is_any else (),
        addresses,
        paths,
        lower,
        (upper,) if upper else (),
        is_vague=any(section == "match" and key not in ("interface-name", "path") for section, key in known),
        comes_up=truth(known["connection", "autoconnect"]) is not False,
        has_route=not never and (dynamic or static),
        has_address=dynamic or bool(known["ipv4", "address1"] or known["ipv6", "address1"]),
    )


def _is_default(key: str, value: str) -> bool:
    """Whether a setting of [ipv4] or [ipv6] gives a default route: `gateway`, or one behind an address, or a route to everything."""
    if key.startswith("route") and key[len("route") :].isdecimal():
        return value.startswith(EVERYTHING)
    return bool(value) and (key == "gateway" or (key.startswith("address") and "," in value.partition("/")[2]))


# -- which it leaves alone


def _of_conf(host: Host) -> t.Iterator[tuple[tuple[str, str], str]]:
    chosen = first_of_name(host, CONF_FOLDERS, ".conf")
    ordered = sorted((name, path) for name, path in chosen.items())[:MOST_FILES]
    # Those of the distribution, NetworkManager.conf, those of the administrator.
    paths = [path for _name, path in ordered if path.startswith(CONF_FOLDERS[1])]
    paths += [CONF, *(path for _name, path in ordered if path.startswith(CONF_FOLDERS[0]))]
    for path, text in texts_of(host, paths):
        yield from (((one.section, one.key), one.value) for one in parsed(text, path, ""))


class _Conf:
    def __init__(self, settings: t.Sequence[tuple[tuple[str, str], str]]) -> None:
        specs = self._specs(settings, ("keyfile", "unmanaged-devices"))
        self._kept = tuple(spec[len("except:") :] for spec in specs if spec.startswith("except:"))[:MOST_NAMES]
        self._left_alone = tuple(spec for spec in specs if not spec.startswith("except:"))[:MOST_NAMES]
        self.asks_for_none = bool({"*", "type:ethernet"}.intersection(self._specs(settings, ("main", "no-auto-default"))))

    @staticmethod
    def _specs(settings: t.Sequence[tuple[tuple[str, str], str]], wanted: tuple[str, str]) -> tuple[str, ...]:
        """The devices of a list, which one file can set and another add to."""
        found: list[str] = []
        section, name = wanted
        for key, value in settings:
            if key in (wanted, (section, f"{name}+")):
                found = found if key[1].endswith("+") else []
                found += (word for word in re.split(r"[,;\s]+", value) if word)
        return tuple(found)

    def left_of(self, setting: NetworkSetting) -> NetworkSetting:
        """A setting for those that NetworkManager cares for, by their names and hardware addresses."""
        patterns = tuple(pattern for spec in self._left_alone for pattern in _patterns(spec))
        kept = tuple(pattern for spec in self._kept for pattern in _patterns(spec))
        if not patterns or not setting.names:
            addresses = {f"mac:{one}" for one in setting.addresses}
            alone = bool(addresses) and addresses <= set(map(str.lower, self._left_alone))
            return dataclasses.replace(setting, comes_up=setting.comes_up and not alone)
        names = tuple(name for name in setting.names if name == "*" or not _is_among(name, patterns) or _is_among(name, kept))
        if "*" in names:
            names = kept if "*" in patterns else (*names, *(f"!{pattern}" for pattern in patterns))
        return dataclasses.replace(setting, names=names or setting.names, comes_up=setting.comes_up and bool(names))


def _is_among(name: str, patterns: t.Iterable[str]) -> bool:
    return any(matches(name, pattern) for pattern in patterns)


def _patterns(spec: str) -> tuple[str, ...]:
    """Of names, as far as a specification of devices has one."""
    if spec in ("*", "type:ethernet"):
        return ANY
    kind, _colon, value = spec.partition(":")
    return (value.lstrip("=~"),) if kind == "interface-name" and value else () if _colon else (spec,)
