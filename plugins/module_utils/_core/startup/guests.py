# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines that start with the host and take PCI devices: Proxmox, Xen, Incus and LXD, and libvirt's hooks."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import database
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text, names_in
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import tokens
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import is_executable

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import IsStarted

_LARGEST = 256 << 10
_PROXMOX = ("/etc/pve/qemu-server", "/etc/pve/local/qemu-server")
_PROXMOX_DATABASE = "/var/lib/pve-cluster/config.db"
_PROXMOX_MAPPINGS = "/etc/pve/mapping/pci.cfg"
_HOST_DEVICE = re.compile(r"^hostpci\d+:\s*(.+)$", re.MULTILINE)
_SLOT = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])(?:\.([0-7]))?(?![\w:])")
_BINDING: t.Final[frozenset[Act]] = frozenset(("override", "new_id", "unbind", "bind"))
_MOST = 4096
AUTOSTART = "/etc/libvirt/qemu/autostart"
HOOKS = ("/etc/libvirt/hooks/qemu", "/etc/libvirt/hooks/qemu.d")
_LIBVIRT = ("libvirtd.service", "virtqemud.service", "libvirtd.socket", "virtqemud.socket")


def read(host: Host, inventory: Inventory, judge: ProgramAnalysis, is_started: IsStarted) -> t.Iterator[Influence]:
    """What guests that start with the host may take."""
    if is_started("pve-guests.service") or host.is_file("/lib/systemd/system/pve-guests.service"):
        yield from _proxmox(host, inventory, judge)
    for name in names_in(host, "/etc/xen/auto"):
        path = f"/etc/xen/auto/{name}"
        listed = re.search(r"^[ \t]*pci[ \t]*=[ \t]*\[([^][]*)\]", head_text(host, path, _LARGEST), re.MULTILINE)
        if listed is not None:
            yield Influence(path, "makes Xen take devices for a guest", UNBOUNDED, _slots(listed[1], inventory) or None)
    for folder, units in (
        ("/var/lib/incus/virtual-machines", ("incus.service", "incus.socket", "incus-startup.service")),
        ("/var/lib/lxd/virtual-machines", ("lxd.service", "lxd.socket")),
        ("/var/snap/lxd/common/lxd/virtual-machines", ("snap.lxd.daemon.service", "snap.lxd.daemon.unix.socket")),
    ):
        if names_in(host, folder) and any(map(is_started, units)):
            yield Influence(folder, "has virtual machines, which may start with the host and take devices", UNBOUNDED)
    if names_in(host, AUTOSTART) and any(map(is_started, _LIBVIRT)):
        paths = [HOOKS[0], *(f"{HOOKS[1]}/{name}" for name in names_in(host, HOOKS[1]))]
        for path in paths:
            if is_executable(host, path):
                yield from judge.of(path, path, None)


class _Guest(t.NamedTuple):
    source: str
    text: str


def _proxmox(host: Host, inventory: Inventory, judge: ProgramAnalysis) -> t.Iterator[Influence]:
    """Guests with `onboot: 1`; their devices are given to vfio-pci by new_id (SysFSTools.pm), so that all of their IDs count."""
    guests = list(_proxmox_guests(host))
    mappings = _plain_mappings(head_text(host, _PROXMOX_MAPPINGS, _LARGEST))
    if not guests and host.is_file(_PROXMOX_DATABASE):
        rows = database.rows(host, _PROXMOX_DATABASE, "SELECT inode, parent, name, data FROM tree", _MOST)
        if rows is None:
            fact = "has Proxmox's guests and cannot be read: which of them start with the host, and what they take, is not known"
            yield Influence(_PROXMOX_DATABASE, fact, _BINDING, None, None, frozenset(("vfio-pci",)))
            return
        guests, mappings = _from_rows(rows)
    for guest in guests:
        # Only the part before the first snapshot counts.
        text = re.split(r"^\[", guest.text, maxsplit=1, flags=re.MULTILINE)[0]
        if not re.search(r"^onboot:\s*1", text, re.MULTILINE):
            continue
        for match in _HOST_DEVICE.finditer(text):
            yield _proxmox_device(guest.source, match[1], mappings, inventory)
        script = re.search(r"^hookscript:\s*(\S+)", text, re.MULTILINE)
        if script is not None:
            path = f"/var/lib/vz/snippets/{script[1].rpartition('/')[2]}"
            yield from judge.of(path, f"{guest.source} ({path})", None)


def _proxmox_device(source: str, value: str, mappings: str, inventory: Inventory) -> Influence:
    mapped = re.search(r"(?:^|,)mapping=([^,\s]+)", value)
    places = value
    if mapped is not None:
        section = re.search(rf"^{re.escape(mapped[1])}\n((?:[ \t]+[^\n]*\n?)*)", mappings, re.MULTILINE)
        places = " ".join(re.findall(r"path=([^,\s]+)", section[1])) if section is not None else ""
    named = _slots(places.replace(";", " "), inventory)
    ids = {device.id for device in inventory.devices if device.address in named}
    reached = named | {device.address for device in inventory.devices if device.id in ids}
    driver = re.search(r"(?:^|,)driver=([^,\s]+)", value)
    drivers = None if driver else frozenset(("vfio-pci",))
    return Influence(source, "makes Proxmox take devices for a guest that starts with the host", _BINDING, reached or None, None, drivers)


def _proxmox_guests(host: Host) -> t.Iterator[_Guest]:
    for folder in _PROXMOX:
        for name in names_in(host, folder):
            if name.endswith(".conf"):
                yield _Guest(f"{folder}/{name}", head_text(host, f"{folder}/{name}", _LARGEST))
        if names_in(host, folder):
            return


def _from_rows(rows: t.Sequence[tuple[t.Any, ...]]) -> tuple[list[_Guest], str]:
    """pmxcfs keeps its files in one table, each with the number of its folder (memdb.c)."""
    names = {inode: (parent, str(name)) for inode, parent, name, _data in rows}
    guests: list[_Guest] = []
    mappings = ""
    for _inode, parent, name, data in rows:
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data or "")
        folder = names.get(parent, (0, ""))[1]
        if folder == "qemu-server" and str(name).endswith(".conf"):
            guests.append(_Guest(f"{_PROXMOX_DATABASE}: {name}", text))
        elif folder == "mapping" and name == "pci.cfg":
            mappings = _plain_mappings(text)
    return guests, mappings


def _plain_mappings(text: str) -> str:
    """Each mapping's line is its name alone."""
    return "\n".join(re.sub(r"^[\w-]+:\s*", "", line) if re.match(r"\S", line) else line for line in text.split("\n"))


def _slots(text: str, inventory: Inventory) -> frozenset[str]:
    """The addresses in a text; one without a function stands for all functions of its slot."""
    found: set[str] = set()
    for match in _SLOT.finditer(text):
        slot = f"{match[1] or '0000'}:{match[2]}:{match[3]}".lower()
        found |= (
            {f"{slot}.{match[4]}"} if match[4] else {one.address for one in inventory.devices if one.address.rpartition(".")[0] == slot}
        )
    return frozenset(found) | tokens.addresses(text)
