# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel serves to other hosts without a process or a disk that it holds: by NVMe targets, and by ports of Fibre Channel."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import Below

SUBSYSTEMS = "/sys/kernel/config/nvmet/subsystems"
TARGETS = "/sys/kernel/config/target"


def served(host: Host, below: Below) -> t.Iterator[str]:
    """A clause for each target that is switched on."""
    for name in _names(host, SUBSYSTEMS):
        # The target opens a disk without holding it (nvmet_bdev_ns_enable() in drivers/nvme/target/io-cmd-bdev.c).
        spaces = (f"{SUBSYSTEMS}/{name}/namespaces/{space}" for space in _names(host, f"{SUBSYSTEMS}/{name}/namespaces"))
        for here in (f"{SUBSYSTEMS}/{name}/passthru", *spaces):
            served_node = _node(host, host.text_or_none(f"{here}/device_path"), below)
            if served_node is not None and host.text_or_none(f"{here}/enable") == "1":
                yield f"{served_node} is served to other hosts (NVMe target {name})"
    ports = {port[2:] for port in below.ports}
    for fabric in _names(host, TARGETS) if ports else ():
        for name in _names(host, f"{TARGETS}/{fabric}"):
            groups = _names(host, f"{TARGETS}/{fabric}/{name}") if name.replace(":", "").lower() in ports else ()
            if any(host.text_or_none(f"{TARGETS}/{fabric}/{name}/{group}/enable") == "1" for group in groups):
                yield f"disks are served to other hosts over its port {name} (target {fabric})"


def _node(host: Host, path: str | None, below: Below) -> str | None:
    """The node below the device that a path names, as it is or by a link such as one in /dev/disk/by-id."""
    if path is None or path in below.nodes:
        return path
    number = host.device_number(path)
    return next((node.name for node in below.nodes.values() if number is not None and node.number == number), None)


def _names(host: Host, folder: str) -> tuple[str, ...]:
    try:
        return host.names(folder)
    except HostError:
        return ()
