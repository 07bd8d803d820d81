# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel serves to other hosts without a process or a disk that it holds: whole NVMe controllers, ports of Fibre Channel."""

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
        here = f"{SUBSYSTEMS}/{name}/passthru"
        controller = host.text_or_none(f"{here}/device_path")
        if controller in below.nodes and host.text_or_none(f"{here}/enable") == "1":
            yield f"{controller} is served to other hosts (NVMe target {name})"
    ports = {port[2:] for port in below.ports}
    for fabric in _names(host, TARGETS) if ports else ():
        for name in _names(host, f"{TARGETS}/{fabric}"):
            groups = _names(host, f"{TARGETS}/{fabric}/{name}") if name.replace(":", "").lower() in ports else ()
            if any(host.text_or_none(f"{TARGETS}/{fabric}/{name}/{group}/enable") == "1" for group in groups):
                yield f"disks are served to other hosts over its port {name} (target {fabric})"


def _names(host: Host, folder: str) -> tuple[str, ...]:
    try:
        return host.names(folder)
    except HostError:
        return ()
