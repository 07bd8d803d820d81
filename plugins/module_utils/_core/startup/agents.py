# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of packages that act on drivers as their configuration says: tuned, VPP, NetworkManager, netplan."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name, head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import bounds, link_files, tokens

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import IsStarted

_LARGEST = 256 << 10
_MOST_FILES = 500
_CREATES: t.Final[frozenset[Act]] = frozenset(("create",))
_BINDS_AGAIN: t.Final[frozenset[Act]] = frozenset(("unbind", "bind", "create"))
CONF, CONF_FOLDERS = "/etc/NetworkManager/NetworkManager.conf", ("/etc/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d")
"""NetworkManager's own configuration (NetworkManager.conf(5))."""
IFCFG = "/etc/sysconfig/network-scripts"
NUMBER_OF_FUNCTIONS = re.compile(r"^[ \t]*(?:sriov-num-vfs[ \t]*=[ \t]*|(?:export[ \t]+)?SRIOV_TOTAL_VFS=[\"']?)(\d+)", re.MULTILINE)
"""Of a physical function, there and in the files of nm-settings-ifcfg-rh(5)."""
_BY_MANAGER = "makes NetworkManager create virtual functions"
_SRIOV_KEYS = re.compile(r"^[ \t]*(?:total-vfs|autoprobe-drivers)[ \t]*=", re.MULTILINE)


def read(host: Host, inventory: Inventory, judge: ProgramAnalysis, is_started: IsStarted) -> t.Iterator[Influence]:
    """What these services may do where they are started."""
    if is_started("tuned.service"):
        yield from _tuned(host, judge)
    if is_started("vpp.service"):
        yield from _vpp(host, inventory)
    if is_started("NetworkManager.service"):
        yield from _network_manager(host)
    yield from _netplan(host)
    yield from _links(host)


def _tuned(host: Host, judge: ProgramAnalysis) -> t.Iterator[Influence]:
    """The active profile and those that it includes: modules, scripts, and values for sysfs."""
    active = head_text(host, "/etc/tuned/active_profile", _LARGEST).split()
    seen: set[str] = set()
    while active and len(seen) < 16:
        name = active.pop(0)
        if name in seen or "/" in name:
            continue
        seen.add(name)
        places = (
            f"{home}/{name}/tuned.conf" for home in ("/etc/tuned/profiles", "/etc/tuned", "/usr/lib/tuned/profiles", "/usr/lib/tuned")
        )
        path = next((place for place in places if host.is_file(place)), None)
        if path is None:
            continue
        section = ""
        for number, line in enumerate(map(str.strip, head_text(host, path, _LARGEST).split("\n")), 1):
            if line.startswith("["):
                section = line.strip("[]")
                continue
            key, equals, value = (part.strip() for part in line.partition("="))
            if not equals or key.startswith("#"):
                continue
            if key == "include":
                active += re.split(r"[\s,;]+", value)
            else:
                yield from _tuned_setting(section, key, value, f"{path}:{number}", path.rpartition("/")[0], judge)


def _tuned_setting(section: str, key: str, value: str, source: str, home: str, judge: ProgramAnalysis) -> t.Iterator[Influence]:
    if key == "script":
        yield from judge.of(value.replace("${i:PROFILE_DIR}", home), source, None)
    elif section == "modules" and key not in ("type", "enabled", "devices", "replace", "priority"):
        again = value.startswith("+r")
        words = value.removeprefix("+r").lstrip(", ")
        names = judge.loadable.acting(key)
        if names and again:
            modules = frozenset(map(normalize_module_name, names))
            yield Influence(source, f"loads {key} again", frozenset(("load", "refuse")), modules=modules)
        yield from judge.of(f"modprobe {key} {words}", source, {})
    elif section == "sysfs" and key.startswith("/"):
        yield from judge.of(f"echo {value} > {key}", source, {})


def _vpp(host: Host, inventory: Inventory) -> t.Iterator[Influence]:
    """VPP takes the devices of `dpdk { dev … }`; without such a line, every network controller that is not in use."""
    path = "/etc/vpp/startup.conf"
    text = re.sub(r"#[^\n]*", "", head_text(host, path, _LARGEST))
    start = re.search(r"\bdpdk\s*\{", text)
    if start is None and re.search(r"plugin\s+dpdk_plugin\.so\s*\{\s*disable", text):
        return
    section = "" if start is None else text[start.end() :]
    if re.search(r"\bno-pci\b", section):
        return
    named = tokens.addresses(" ".join(re.findall(r"\bdev\s+(\S+)", section)))
    driver = re.search(r"\buio-driver\s+(\S+)", section)
    drivers = frozenset((driver[1],)) if driver and driver[1] != "auto" else None
    reached = named or bounds.of_class(inventory, None, (0x02,))
    yield Influence(
        path, "makes vpp.service bind network controllers", frozenset(("unbind", "bind", "override", "new_id")), reached, None, drivers
    )


def _network_manager(host: Host) -> t.Iterator[Influence]:
    folders = ("/etc/NetworkManager/system-connections", "/usr/lib/NetworkManager/system-connections")
    for path in first_of_name(host, folders, "").values():
        section = head_text(host, path, _LARGEST).partition("[sriov]")[2].partition("\n[")[0]
        if _SRIOV_KEYS.search(section):
            yield Influence(path, _BY_MANAGER, _CREATES)
    for path in (*conf_files(host), *ifcfg_files(host)):
        if NUMBER_OF_FUNCTIONS.search(head_text(host, path, _LARGEST)):
            yield Influence(path, _BY_MANAGER, _CREATES)


def conf_files(host: Host) -> tuple[str, ...]:
    """NetworkManager's configuration, in no order."""
    return tuple(path for path in (CONF, *first_of_name(host, CONF_FOLDERS, ".conf").values()) if host.is_file(path))[:_MOST_FILES]


def ifcfg_files(host: Host) -> tuple[str, ...]:
    names = [name for name in host.names(IFCFG) if name.startswith("ifcfg-")] if host.is_dir(IFCFG) else []
    return tuple(f"{IFCFG}/{name}" for name in names[:_MOST_FILES] if host.is_file(f"{IFCFG}/{name}"))


def _netplan(host: Host) -> t.Iterator[Influence]:
    for path in first_of_name(host, ("/etc/netplan", "/usr/lib/netplan", "/lib/netplan"), ".yaml").values():
        from ansible_collections.vfio.variants.plugins.module_utils._core.startup import netplan_text

        for one in netplan_text.virtual_functions(head_text(host, path, _LARGEST), path):
            if one.key == "delay-virtual-functions-rebind":
                doing, acts = "makes netplan unbind virtual functions and bind them again", _BINDS_AGAIN
            else:
                doing, acts = "makes netplan create virtual functions", _CREATES
            yield Influence(one.source, doing, acts)


def _links(host: Host) -> t.Iterator[Influence]:
    for path in (path for paths in link_files.read(host) for path in paths):
        if link_files.sets_functions(head_text(host, path, _LARGEST)):
            yield Influence(path, "makes systemd-udevd set the number of virtual functions", _CREATES)
