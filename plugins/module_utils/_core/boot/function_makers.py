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

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_virtual_functions import LIMITING
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import agents, link_files, netplan_text, tmpfiles
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import parsed
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import rules

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
_DISPATCHER = tuple(f"{home}/NetworkManager/dispatcher.d{part}" for home in ("/etc", "/usr/lib") for part in ("", "/pre-up.d"))
_OF_NETWORKD = tuple(
    f"{home}/networkd-dispatcher/{state}.d" for home in ("/etc", "/usr/lib") for state in ("routable", "carrier", "configured", "degraded")
)
EARLY = "a setting of sysfs"
"""What may run before an interface has its name."""
WRITING: t.Mapping[str, tuple[tuple[str, ...], str]] = {
    EARLY: (("/etc/sysfs.conf", "/etc/sysfs.d", "/etc/rc.local"), ".conf"),
    "ifupdown": (("/etc/network/interfaces", "/etc/network/interfaces.d"), ""),
    "a script for networks": ((*_IFUPDOWN, *_DISPATCHER, *_OF_NETWORKD, "/sbin/ifup-local", "/sbin/ifup-pre-local"), ""),
    "openibd": (("/etc/infiniband",), ""),
    "cron": (("/etc/crontab", "/etc/cron.d", "/var/spool/cron/crontabs", "/var/spool/cron"), ""),
}
"""Files, or folders and the end of names in them, of programs that write the attribute because a line says so."""
REPLACED: t.Sequence[tuple[str, tuple[str, ...], str]] = (
    (EARLY, tuple(folder.format("tmpfiles.d") for folder in tmpfiles.FOLDERS), ".conf"),
    ("a rule of udev", rules.DIRECTORIES, ".rules"),
)
"""The same of programs that read of the files of a name the one in the first folder alone."""
MOST_FILES = 500
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
KERNEL_NAMES = tuple(f"eth{number}" for number in range(64))
"""By which udev knows an interface before it has renamed it."""
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
        *_of_conf(host, names),
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
        yield path, _lines(host, path) if host.is_file(path) else [""]


def _texts(host: Host, folders: t.Iterable[str], ending: str) -> t.Iterator[tuple[str, list[str]]]:
    for folder in folders:
        names = [] if host.is_file(folder) else [name for name in host.names(folder) if name.endswith(ending)]
        paths = [f"{folder}/{name}" for name in names[:MOST_FILES]] or [folder]
        yield from ((path, _lines(host, path)) for path in paths if host.is_file(path))


def _lines(host: Host, path: str) -> list[str]:
    return (host.text_or_none(path) or "").split("\n")


def _settings(path: str, lines: t.Iterable[str]) -> list[UnitSetting]:
    """The settings of an ini file; NetworkManager's have the form of units' files."""
    return list(parsed("\n".join(lines), path, posixpath.basename(path)))


def _of_links(host: Host, physical: Device, names: frozenset[str]) -> t.Iterator[Maker]:
    for paths in link_files.read(host, link_files.FOLDERS):
        settings = [one for path in paths for one in _settings(path, _lines(host, path))]
        numbers = [one for one in settings if (one.section, one.key) == ("Link", "SR-IOVVirtualFunctions") and one.value]
        # Without a number there are as many as it takes for the last that is described (sr_iov_set_num_vfs()).
        for one in numbers or [one for one in settings if (one.section, one.key) == ("SR-IOV", "VirtualFunction") and one.value]:
            yield Maker("systemd-udevd", one.source, f"{one.key}={one.value}", _agrees(settings, physical, names))


def _agrees(settings: t.Iterable[UnitSetting], physical: Device, names: frozenset[str]) -> bool | None:
    """Whether a [Match] section is for the function's interface (systemd.link(5)): all of its settings must agree."""
    known: dict[str, t.Collection[str]] = {
        "OriginalName": names,
        "Driver": {physical.driver} if physical.driver else (),
        "Path": {f"pci-{physical.address}"},
    }
    answer: bool | None = True
    for one in settings:
        if one.section != "Match":
            continue
        patterns = one.value.removeprefix("!").split()
        if _match(known.get(one.key, ()), patterns):
            agrees: bool | None = True
        else:
            is_open = not known.get(one.key) or (one.key == "OriginalName" and _match(KERNEL_NAMES, patterns))
            agrees = None if is_open else False
        if agrees is not None and one.value.startswith("!"):
            agrees = not agrees
        if agrees is False:
            return False
        answer = answer and agrees
    return answer


def _match(names: t.Iterable[str], patterns: t.Sequence[str]) -> bool:
    return any(matches(name, pattern) for name in names for pattern in patterns)


def _of_connections(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    for path, lines in _by_name(host, CONNECTIONS, ".nmconnection"):
        settings = _settings(path, lines)
        interface = next((one.value for one in settings if (one.section, one.key) == ("connection", "interface-name")), None)
        for one in settings:
            if (one.section, one.key) == ("sriov", "total-vfs") and one.value not in ("", "0"):
                yield Maker("NetworkManager", one.source, f"total-vfs={one.value}", None if interface is None else interface in names)


def _of_conf(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    """Of the sections for devices in NetworkManager.conf(5)."""
    for path in agents.conf_files(host):
        settings = _settings(path, _lines(host, path))
        for one in settings:
            if one.section.startswith("device") and one.key == "sriov-num-vfs":
                asked = next((other.value for other in settings if (other.section, other.key) == (one.section, "match-device")), "")
                found = [word.removeprefix("interface-name:").lstrip("=") for word in re.split(r"[,;\s]+", asked) if word]
                is_it = not asked or _match(names, found) or (None if not names or any(":" in word for word in found) else False)
                yield Maker("NetworkManager", one.source, f"sriov-num-vfs={one.value}", is_it)
    for path in agents.ifcfg_files(host):
        for number, line in enumerate(_lines(host, path), 1):
            if agents.NUMBER_OF_FUNCTIONS.match(line):
                is_it = path.rpartition("/ifcfg-")[2] in names or None
                yield Maker("NetworkManager", f"{path}:{number}", cut(line.strip()), is_it)


def _of_netplan(host: Host, names: frozenset[str]) -> t.Iterator[Maker]:
    for path, lines in _by_name(host, NETPLAN, ".yaml"):
        owners: set[str] = set()
        for one in netplan_text.virtual_functions("\n".join(lines), path):
            if one.key != "delay-virtual-functions-rebind" and one.owner not in owners:
                owners.add(one.owner)
                yield Maker("netplan", one.source, f"{one.key}: {one.value}", one.owner in names or None)


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
    found = [(program, one) for program, (folders, ending) in WRITING.items() for one in _texts(host, folders, ending)]
    found += ((program, one) for program, folders, ending in REPLACED for one in _by_name(host, folders, ending))
    for program, (path, lines) in found:
        known = names if program != EARLY else frozenset()
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
    for path, lines in _by_name(host, modprobe.DIRECTORIES, ".conf") if driver and driver not in LIMITING else ():
        for number, line in enumerate(lines, 1):
            words = line.split()
            found = _OPTION.search(line)
            if words[:1] == ["options"] and normalize_module_name("".join(words[1:2])) == driver and found is not None:
                yield Maker(f"the driver {physical.driver}", f"{path}:{number}", found[1], None)
