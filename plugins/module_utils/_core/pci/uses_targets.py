# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel serves to other hosts without a process or a disk that it holds: by targets of NVMe and SCSI, and by their ports."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import Below

SUBSYSTEMS, NVME_PORTS = "/sys/kernel/config/nvmet/subsystems", "/sys/kernel/config/nvmet/ports"
TARGETS = "/sys/kernel/config/target"
STORES = f"{TARGETS}/core"
"""Of each target of SCSI, what is behind it."""
BLOCK_SERVER = "/sys/class/rnbd-server/ctl/devices"
"""Disks that are served over RDMA (Documentation/ABI/testing/sysfs-class-rnbd-server); nothing there holds them."""
NAME_OF_FC = re.compile(r"pn-(0x[0-9a-f]+)", re.IGNORECASE)
LENGTH_OF_GUID = 16
_SEPARATORS = re.compile(r"^0x|:")


def served(host: Host, below: Below) -> t.Iterator[str]:
    """A clause for each target that is switched on."""
    for path, target in (*_disks_of_nvme(host), *_disks_of_scsi(host), *_disks_of_rdma(host)):
        served_node = _node(host, path, below)
        if served_node is not None:
            yield f"{served_node} is served to other hosts ({target})"
    names = {_digits(port) for port in below.ports} | {name for folder in below.rdma for name in _guids(host, folder)}
    if names - {""}:
        yield from _over_ports(host, names - {""})


def served_memory(host: Host, addresses: t.Container[str]) -> t.Iterator[str]:
    """A clause for each NVMe target that copies through the memory of one of these functions (nvmet_ns_p2pmem_show())."""
    for name, space in _namespaces(host):
        memory = host.text_or_none(f"{space}/p2pmem")
        if memory in addresses and _is_on(host, space):
            yield f"its memory is used to serve disks to other hosts (NVMe target {name})"


def _disks_of_nvme(host: Host) -> t.Iterator[tuple[str, str]]:
    """Paths with the target; it opens a disk without holding it (nvmet_bdev_ns_enable() in drivers/nvme/target/io-cmd-bdev.c)."""
    for name, space in _namespaces(host):
        path = host.text_or_none(f"{space}/device_path")
        if path is not None and _is_on(host, space):
            yield path, f"NVMe target {name}"


def _namespaces(host: Host) -> t.Iterator[tuple[str, str]]:
    for name in names_if_any(host, SUBSYSTEMS):
        yield name, f"{SUBSYSTEMS}/{name}/passthru"
        yield from ((name, f"{SUBSYSTEMS}/{name}/namespaces/{space}") for space in names_if_any(host, f"{SUBSYSTEMS}/{name}/namespaces"))


def _disks_of_scsi(host: Host) -> t.Iterator[tuple[str, str]]:
    """A disk is held (iblock_configure_device()), but a tape or a changer that is passed on is not (drivers/target/target_core_pscsi.c)."""
    for store in names_if_any(host, STORES):
        for name in names_if_any(host, f"{STORES}/{store}"):
            path = host.text_or_none(f"{STORES}/{store}/{name}/udev_path")
            if path and _is_on(host, f"{STORES}/{store}/{name}"):
                yield path, f"SCSI target {name}"


def _disks_of_rdma(host: Host) -> t.Iterator[tuple[str, str]]:
    for name in names_if_any(host, BLOCK_SERVER):
        disk = host.link_name(f"{BLOCK_SERVER}/{name}/block_dev")
        if disk is not None:
            yield f"/dev/{disk}", f"RNBD {name}"


def _over_ports(host: Host, names: t.Collection[str]) -> t.Iterator[str]:
    """By ports of Fibre Channel, and of InfiniBand, whose targets have the port's GUID or GID (srpt_refresh_port())."""
    for fabric in names_if_any(host, TARGETS):
        for name in names_if_any(host, f"{TARGETS}/{fabric}"):
            groups = names_if_any(host, f"{TARGETS}/{fabric}/{name}") if _is_one_of(_digits(name), names) else ()
            if any(_is_on(host, f"{TARGETS}/{fabric}/{name}/{group}") for group in groups):
                yield f"disks are served to other hosts over its port {name} (target {fabric})"
    for port in names_if_any(host, NVME_PORTS):
        found = NAME_OF_FC.search(host.text_or_none(f"{NVME_PORTS}/{port}/addr_traddr") or "")
        # A port without subsystems is off.
        if found is not None and _is_one_of(_digits(found[1]), names) and names_if_any(host, f"{NVME_PORTS}/{port}/subsystems"):
            yield f"disks are served to other hosts over its port {found[1]} (NVMe target)"


def _guids(host: Host, folder: str) -> t.Iterator[str]:
    """The interface's half of each port's GID, which is the port's GUID."""
    for port in names_if_any(host, f"{folder}/ports"):
        yield _digits(host.text_or_none(f"{folder}/ports/{port}/gids/0") or "")[-LENGTH_OF_GUID:]


def _is_one_of(name: str, names: t.Collection[str]) -> bool:
    return name in names or (len(name) == 2 * LENGTH_OF_GUID and name[LENGTH_OF_GUID:] in names)


def _digits(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())


def _is_on(host: Host, folder: str) -> bool:
    return host.text_or_none(f"{folder}/enable") == "1"


def _node(host: Host, path: str, below: Below) -> str | None:
    """The node below the device that a path names, as it is or by a link such as one in /dev/disk/by-id."""
    if path in below.nodes:
        return path
    number = host.device_number(path)
    return next((node.name for node in below.nodes.values() if number is not None and node.number == number), None)
