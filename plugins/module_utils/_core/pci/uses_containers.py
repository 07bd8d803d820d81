# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers have of devices: nodes, which what runs there may open at any moment, and interfaces on top of the host's."""

from __future__ import annotations

import functools
import json
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text, names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import mounted
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import properties

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import TreeNode

FIRST = "/proc/1/ns/mnt"
EVERY_DEVICE = "/dev/mem"
"""What a container with all devices has, too, which says nothing about one of them."""
FIRST_PROCESS = "1"
FIRST_NETWORK, NETWORK = "/proc/1/ns/net", "/sys/class/net"
FOLDERS_OF_NETWORK = (NETWORK, "/sys/devices/virtual/net")
NAMED_NETWORKS = "/run/netns"
LARGEST_ATTRIBUTE = 4096
IP_TIMEOUT = 10
ON_ANOTHER = frozenset(("macvlan", "ipvlan", "vlan"))
"""Kinds of interfaces on top of one that may be in another network namespace, by DEVTYPE; macvtap's is macvlan."""


class Containers:
    """The containers of a host, read when they are first needed."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def given(self, nodes: t.Iterable[TreeNode]) -> t.Iterator[str]:
        """A clause for each container and node."""
        wanted = list(nodes)
        for process, command in self._with_own_devices if wanted else ():
            for node in wanted:
                path = f"/proc/{process}/root{node.name}"
                number = self._host.device_number(path) if self._host.exists(path) else ""
                if number in (None, node.number):
                    yield f"a container has been given {node.name} (process {process}, {command})"

    def interfaces_on(self, interface: str) -> t.Iterator[str]:
        """A clause for each interface of another network namespace that is on top of one of the host's, which shows nothing of it."""
        number = self._host.text_or_none(f"{NETWORK}/{interface}/ifindex")
        yield from (f"{name} is on top of {interface}" for lower, name in self._elsewhere if number is not None and lower == number)

    @functools.cached_property
    def _elsewhere(self) -> tuple[tuple[str, str], ...]:
        """The numbers of the interfaces of the host that others are on top of, each with what that is."""
        seen = {self._host.link(FIRST_NETWORK), None}
        return (*self._of_processes(seen), *self._of_named_networks(seen))

    def _of_processes(self, seen: set[str | None]) -> t.Iterator[tuple[str, str]]:
        """Those of network namespaces in which processes run, as far as these see sysfs (`iflink` is the lower one's number).

        The namespaces are added to ``seen``, as their links name them.
        """
        for process in self._host.names("/proc"):
            space = self._host.link(f"/proc/{process}/ns/net") if process.isdecimal() else None
            # What has the host's own mount of sysfs sees the host's interfaces there.
            if space in seen or self._sysfs_of(process) in (None, self._sysfs_of(FIRST_PROCESS)):
                continue
            seen.add(space)
            here = f"/proc/{process}/root{NETWORK}"
            for name in names_if_any(self._host, here):
                kind = properties(self._attribute(f"{here}/{name}/uevent")).get("DEVTYPE")
                lower = self._attribute(f"{here}/{name}/iflink")
                if kind in ON_ANOTHER and lower:
                    command = self._host.text_or_none(f"/proc/{process}/comm") or "?"
                    yield lower, f"{name} of a container (process {process}, {command})"

    def _of_named_networks(self, seen: t.Container[str | None]) -> t.Iterator[tuple[str, str]]:
        """Those of namespaces that `ip netns` has made, in which no process needs to run."""
        for space in names_if_any(self._host, NAMED_NETWORKS) if self._host.which("ip") is not None else ():
            status = self._host.stat(f"{NAMED_NETWORKS}/{space}")
            if status is None or f"net:[{status.st_ino}]" in seen:
                continue
            try:
                found = json.loads(self._host.run(["ip", "-netns", space, "-details", "-json", "link", "show"], IP_TIMEOUT).stdout or "[]")
            except (HostError, ValueError, RecursionError):
                continue
            for link in found if isinstance(found, list) else ():
                of_link = link.get("linkinfo") if isinstance(link, dict) else None
                kind = of_link.get("info_kind") if isinstance(of_link, dict) else None
                # Only an interface of another namespace is shown by its number.
                if kind in (*ON_ANOTHER, "macvtap") and "link_index" in link:
                    yield str(link["link_index"]), f"{link.get('ifname')} of the network namespace {space}"

    def _attribute(self, path: str) -> str:
        """What a container has in its place, whatever that is."""
        return head_text(self._host, path, LARGEST_ATTRIBUTE).strip()

    @functools.cached_property
    def _with_own_devices(self) -> tuple[tuple[str, str], ...]:
        """The first process of each container that has a /dev of its own, and its name."""
        seen = {self._host.link(FIRST), None}
        found: list[tuple[str, str]] = []
        for process in self._host.names("/proc"):
            space = self._host.link(f"/proc/{process}/ns/mnt") if process.isdecimal() else None
            if space in seen:
                continue
            seen.add(space)
            if self._has_own_devices(process) and not self._host.exists(f"/proc/{process}/root{EVERY_DEVICE}"):
                found.append((process, self._host.text_or_none(f"/proc/{process}/comm") or "?"))
        return tuple(found)

    def _has_own_devices(self, process: str) -> bool:
        """Whether its /dev is not the host's (devtmpfs), as that of most services is."""
        return [kind for _number, kind in self._mounted(process, "/dev")][-1:] == ["tmpfs"]

    def _sysfs_of(self, process: str) -> str | None:
        """The number of its mount of sysfs: there is one for each network namespace (sysfs_init_fs_context() in fs/sysfs/mount.c).

        None without one, and where it cannot be read safely: where another file system is in its place, or the root is a program's.
        """
        if any(kind.startswith("fuse") for _number, kind in self._mounted(process, "/")) or any(
            f"{place}/".startswith(f"{folder}/") or folder.startswith(f"{place}/")
            for place in self._places_in_sysfs(process)
            for folder in FOLDERS_OF_NETWORK
        ):
            return None
        found = list(self._mounted(process, "/sys"))
        return found[-1][0] if found and found[-1][1] == "sysfs" else None

    def _places_in_sysfs(self, process: str) -> t.Iterator[str]:
        return (one.place for one in mounted(self._host, process) if one.place.startswith("/sys/"))

    def _mounted(self, process: str, place: str) -> t.Iterator[tuple[str, str]]:
        """The number and kind of each file system that is mounted there for a process."""
        return ((one.number, one.kind) for one in mounted(self._host, process) if one.place == place)
