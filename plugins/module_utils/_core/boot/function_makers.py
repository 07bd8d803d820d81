# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else is configured to create virtual functions: udevd, NetworkManager, netplan, nmstate, the SR-IOV operator, scripts, drivers.

Two that set different numbers would undo each other, as a number can only be changed by removing all functions first.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
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
NMSTATE = ("/etc/nmstate",)
_IFUPDOWN = ("/etc/network/if-pre-up.d", "/etc/network/if-up.d")
_DISPATCHER = ("/etc/NetworkManager/dispatcher.d", "/etc/NetworkManager/dispatcher.d/pre-up.d")
EARLY = "a setting of sysfs"
"""What may run before an interface has its name."""
WRITING: t.Mapping[str, tuple[tuple[str, ...], str]] = {
    EARLY: (("/etc/sysfs.conf", "/etc/sysfs.d", "/etc/tmpfiles.d", "/etc/rc.local"), ".conf"),
    "a rule of udev": (("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d"), ".rules"),
    "ifupdown": (("/etc/network/interfaces", "/etc/network/interfaces.d"), ""),
    "a script for networks": ((*_IFUPDOWN, *_DISPATCHER), ""),
    "openibd": (("/etc/infiniband",), ""),
    "cron": (("/etc/crontab", "/etc/cron.d", "/var/spool/cron/crontabs", "/var/spool/cron"), ""),
}
"""Files, or folders and the end of names in them, of programs that write the attribute because a line says so."""
MOST_FILES = 500
_OF_NETPLAN = re.compile(r"^(\s*)virtual-function-count:\s*(\S*)")
_OF_NMSTATE = re.compile(r"^(\s*)total-vfs:\s*[\"']?(\d+)")
_NAME = re.compile(r"^(\s*(?:-\s+)?)name:\s*[\"']?([^\s\"'#]+)")
_INTERFACE = re.compile(r"/net/([^/\s\"'*$]+)/device")
_WRITES = re.compile(r"sriov_numvfs\}?\s*[:+]?=(?!=)|(?:>|\btee\b)[^|;]*(?:sriov_numvfs|mlx\d_num_vfs)|^\s*w\S*\s.*sriov_numvfs")
"""A rule, a line of sysfsutils, of a shell, of tmpfiles.d; not what only reads it."""
TABLE = "/etc/sriovtab"
"""Lines with an interface or an address, and a number; which program brings it was not found."""
NEUTRON = ("/etc/default/neutron-openvswitch-networking-sriov", "/etc/default/networking-sriov")
"""Of the init script networking-sriov that charms for OpenStack bring."""
SHIM = "/etc/sriov-netplan-shim/interfaces.yaml"
"""Of the service sriov-netplan-shim, which charms for OVN bring: interfaces, each with `num_vfs`."""
TRIPLEO = "/var/lib/os-net-config/sriov_config.yaml"
"""What os-net-config's sriov_config.service applies at boot."""
_OF_TABLE = re.compile(r"[ \t]*([^#\s]\S*)[ \t]+(\d+)")
_OF_NEUTRON = re.compile(r"[ \t]*(VFS_BLANKET|VFS_LIST)=[\"']?([^\"'#]+)")
_IS_ENABLED = re.compile(r"[ \t]*ENABLE=[\"']?[1-9]")
_OF_SHIM = re.compile(r"([ \t]*)num_vfs:[ \t]*[\"']?(\d+)")
_OF_TRIPLEO = re.compile(r"([ \t]*(?:-[ \t]+)?)numvfs:[ \t]*[\"']?(\d+)")
_OPTION = re.compile(r"((?:max_vfs|num_vfs|\w*nr_virtfn)=[\d,]*[1-9][\d,]*)")
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
        *_of_nmstate(host, names),
        *_of_lines(host, physical, names),
        *_of_table(host, physical, names),
        *_of_neutron(host, names),
        *_of_shim(host, names),
        *_of_tripleo(host, names),
        *_of_options(host, physical),
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
        elif not any(matches(name, pattern) for name in known[one.key] for pattern in one.value.split()):
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


def _of_nmstate(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    """Of the files that nmstate.service applies at boot."""
    for path, lines in [*_texts(host, NMSTATE, ".yml"), *_texts(host, NMSTATE, ".yaml")]:
        for number, line in enumerate(lines, 1):
            found = _OF_NMSTATE.match(line)
            if found is None or not found[2].strip("0"):
                continue
            above = (_NAME.match(other) for other in reversed(lines[: number - 1]))
            owner = next((name[2] for name in above if name is not None and len(name[1]) < len(found[1])), "")
            yield Maker("nmstate", f"{path}:{number}", f"total-vfs: {found[2]}", owner in names or None)


def _of_table(host: Host, physical: Device, names: frozenset[str]) -> t.Iterator[Maker]:
    for path, lines in _texts(host, (TABLE,), ""):
        for number, line in enumerate(lines, 1):
            found = _OF_TABLE.match(line)
            if found is not None and found[2].strip("0"):
                is_it = found[1] in names or found[1] == physical.address
                yield Maker(TABLE.rpartition("/")[2], f"{path}:{number}", cut(line.strip()), is_it or (False if names else None))


def _of_neutron(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    for path, lines in _texts(host, NEUTRON, ""):
        enabled = next((number for number, line in enumerate(lines, 1) if _IS_ENABLED.match(line)), None)
        if enabled is not None and not any(map(_OF_NEUTRON.match, lines)):
            # Its script takes VFS_BLANKET=auto then: as many as each interface can have.
            yield Maker("networking-sriov", f"{path}:{enabled}", cut(lines[enabled - 1].strip()), None)
        for number, line in enumerate(lines if enabled is not None else (), 1):
            found = _OF_NEUTRON.match(line)
            if found is None or found[2].strip() == "0":
                continue
            given = dict(one.split(":", 1) for one in found[2].split() if ":" in one)
            is_it = None if found[1] == "VFS_BLANKET" or not names else any(given.get(name, "0") != "0" for name in names)
            yield Maker("networking-sriov", f"{path}:{number}", cut(line.strip()), is_it)


def _of_shim(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    for path, lines in _texts(host, (SHIM,), ""):
        owner = ""
        for number, line in enumerate(lines, 1):
            found, key = _OF_SHIM.match(line), _KEY.match(line)
            if found is not None and found[2].strip("0"):
                yield Maker("sriov-netplan-shim", f"{path}:{number}", f"num_vfs: {found[2]}", owner in names if names else None)
            elif key is not None and key[1]:
                owner = key[2].strip("\"' ")


def _of_tripleo(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    for path, lines in _texts(host, (TRIPLEO,), ""):
        owner = ""
        for number, line in enumerate(lines, 1):
            owner = "" if line.lstrip().startswith("- ") else owner
            named = _NAME.match(line)
            owner = named[2] if named is not None else owner
            found = _OF_TRIPLEO.match(line)
            if found is not None and found[2].strip("0"):
                yield Maker("os-net-config", f"{path}:{number}", f"numvfs: {found[2]}", owner in names or None)


def _of_lines(host: Host, physical: Device, names: frozenset[str]) -> t.Iterator[Maker]:
    for program, (folders, ending) in WRITING.items():
        known = names if program != EARLY else frozenset()
        for path, lines in _texts(host, folders, ending):
            for number, line in enumerate(lines, 1):
                if _WRITES.search(line) and not line.lstrip().startswith("#"):
                    yield Maker(program, f"{path}:{number}", cut(line.strip()), _is_for(line, physical, known))


def _is_for(line: str, physical: Device, names: frozenset[str]) -> bool | None:
    """The last address of a path is the function's, those before are of bridges."""
    address: str | None = next(iter(_ADDRESS.findall(line)[::-1]), None)
    if address is not None:
        return address == physical.address
    interface = _INTERFACE.search(line)
    return None if interface is None or not names else interface[1] in names


def _of_options(host: Host, physical: Device) -> t.Iterator[Maker]:
    """Those of its driver, which creates functions for every device that it has."""
    driver = normalize_module_name(physical.driver or "")
    for path, lines in _by_name(host, modprobe.DIRECTORIES, ".conf") if driver else ():
        for number, line in enumerate(lines, 1):
            words = line.split()
            found = _OPTION.search(line)
            if words[:1] == ["options"] and normalize_module_name("".join(words[1:2])) == driver and found is not None:
                yield Maker(f"the driver {physical.driver}", f"{path}:{number}", found[1], None)
