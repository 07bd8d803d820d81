# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device nodes containers have been given: what runs there may open them at any moment, without having them open now."""

from __future__ import annotations

import functools
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import TreeNode

FIRST = "/proc/1/ns/mnt"
EVERY_DEVICE = "/dev/mem"
"""What a container with all devices has, too, which says nothing about one of them."""
LARGEST = 4 << 20


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
        text = (self._host.head(f"/proc/{process}/mountinfo", LARGEST) or b"").decode("utf-8", "surrogateescape")
        lines = (line.partition(" - ") for line in text.splitlines())
        kinds = [tail.partition(" ")[0] for head, _dash, tail in lines if head.split()[4:5] == ["/dev"]]
        return kinds[-1:] == ["tmpfs"]
