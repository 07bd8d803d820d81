# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs that are configured to create virtual functions: udevd, NetworkManager, netplan, the SR-IOV operator, sysfsutils.

Two that set different numbers would undo each other, as a number can only be changed by removing all functions first.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import link_files
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import parsed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitSetting

CONNECTIONS = (
    *("/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections"),
    "/usr/lib/NetworkManager/system-connections",
)
NETPLAN = ("/run/netplan", "/etc/netplan", "/lib/netplan")
OPERATOR = ("/etc/sriov-operator", "/etc/systemd/system/sriov-config.service", "/etc/sriov-network-operator")
SYSFS = ("/etc/sysfs.conf", "/etc/sysfs.d", "/etc/tmpfiles.d", "/etc/rc.local")
MOST_FILES = 500
_OF_NETPLAN = re.compile(r"^(\s*)virtual-function-count:\s*(\S*)")
_KEY = re.compile(r"^(\s*)([^\s:#][^:]*):")
_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclasses.dataclass(frozen=True)
class Maker:
    """A line that creates virtual functions; ``concerns``: whether those of the physical function, None if that does not show."""

    program: str
    source: str
    setting: str
    concerns: bool | None


def makers_of(host: Host, physical: Device) -> tuple[Maker, ...]:
    """Those that may create virtual functions of this physical one."""
    names = frozenset(node[4:] for node in physical.nodes if node.startswith("net/"))
    found = [
        *_of_links(host, physical, names),
        *_of_connections(host, names),
        *_of_netplan(host, names),
        *_of_sysfs(host, physical),
        *(Maker("the SR-IOV network operator", path, "its configuration", None) for path in OPERATOR if host.exists(path)),
    ]
    return tuple(maker for maker in found if maker.concerns is not False)


def _by_name(host: Host, folders: t.Iterable[str], ending: str) -> t.Iterator[tuple[str, list[str]]]:
    """Of the files of a name the one in the first folder."""
    for path in [*first_of_name(host, folders, ending).values()][:MOST_FILES]:
        yield path, (host.text_or_none(path) or "" if host.is_file(path) else "").split("\n")


def _texts(host: Host, folders: t.Iterable[str], ending: str) -> t.Iterator[tuple[str, list[str]]]:
    for folder in folders:
        names = [] if host.is_file(folder) else [name for name in host.names(folder) if name.endswith(ending)]
        paths = [f"{folder}/{name}" for name in names[:MOST_FILES]] or [folder]
        yield from ((path, (host.text_or_none(path) or "").split("\n")) for path in paths if host.is_file(path))


def _settings(path: str, lines: t.Iterable[str]) -> list[UnitSetting]:
    """The settings of an ini file; NetworkManager's have the form of units' files."""
    return list(parsed("\n".join(lines), path, posixpath.basename(path)))


def _of_links(host: Host, physical: Device, names: frozenset[str]) -> t.Iterator[Maker]:
    for paths in link_files.read(host, link_files.FOLDERS):
        settings = [one for path in paths for one in _settings(path, (host.text_or_none(path) or "").split("\n"))]
        for one in settings:
            if (one.section, one.key) == ("Link", "SR-IOVVirtualFunctions") and one.value:
                agrees = _agrees(settings, physical, names)
                yield Maker("systemd-udevd", one.source, f"SR-IOVVirtualFunctions={one.value}", agrees)


def _agrees(settings: t.Iterable[UnitSetting], physical: Device, names: frozenset[str]) -> bool | None:
    """Whether a [Match] section is for the function's interface (systemd.link(5)): all of its settings must agree."""
    known = {"OriginalName": names, "Driver": {physical.driver or ""}, "Path": {f"pci-{physical.address}"}}
    answer: bool | None = True
    for one in settings:
        if one.section != "Match":
            continue
        if one.key not in known:
            answer = None if answer else answer
        elif not any(fnmatch.fnmatchcase(name, pattern) for name in known[one.key] for pattern in one.value.split()):
            return False
    return answer


def _of_connections(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    for path, lines in _by_name(host, CONNECTIONS, ".nmconnection"):
        settings = _settings(path, lines)
        interface = next((one.value for one in settings if (one.section, one.key) == ("connection", "interface-name")), None)
        for one in settings:
            if (one.section, one.key) == ("sriov", "total-vfs") and one.value not in ("", "0"):
                yield Maker("NetworkManager", one.source, f"total-vfs={one.value}", None if interface is None else interface in names)


def _of_netplan(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    for path, lines in _by_name(host, NETPLAN, ".yaml"):
        for number, line in enumerate(lines, 1):
            found = _OF_NETPLAN.match(line)
            if found is None:
                continue
            above = (_KEY.match(other) for other in reversed(lines[: number - 1]))
            owner = next((key[2].strip("'\"") for key in above if key is not None and len(key[1]) < len(found[1])), "")
            yield Maker("netplan", f"{path}:{number}", f"virtual-function-count: {found[2]}", owner in names or None)


def _of_sysfs(host: Host, physical: Device) -> t.Iterator[Maker]:
    for path, lines in _texts(host, SYSFS, ".conf"):
        for number, line in enumerate(lines, 1):
            if "sriov_numvfs" in line and not line.lstrip().startswith("#"):
                # The last address of a path is the function's, those before are of bridges.
                address = next(iter(_ADDRESS.findall(line)[::-1]), None)
                concerns = None if address is None else address == physical.address
                yield Maker("a setting of sysfs", f"{path}:{number}", line.strip(), concerns)
