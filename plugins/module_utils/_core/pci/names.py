# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of devices, from the host's copy of the PCI ID database."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

# Where hwdata has it, where Debian's and other distributions' pci.ids have it, where pciutils installs its own.
DATABASES = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids", "/usr/share/pci.ids")
LONGEST = 160
"""Characters of a name: the longest line of the database that names a device has less."""


def read_names(host: Host, devices: t.Iterable[Device]) -> dict[str, str]:
    """Vendor and device in words, by ID, as `lspci` shows them; nothing for what the host's database does not have."""
    wanted: dict[int, dict[int, str]] = {}
    for device in devices:
        wanted.setdefault(device.vendor, {})[device.device] = device.id
    text = _database(host) if wanted else None
    return {} if text is None else {known: name for vendor, ids in wanted.items() for known, name in _of_vendor(text, vendor, ids)}


def _database(host: Host) -> str | None:
    for path in filter(host.is_file, DATABASES):
        with contextlib.suppress(HostError, OSError):
            return host.read_bytes(path).decode("utf-8", "replace")
    return None


def _of_vendor(text: str, vendor: int, ids: t.Mapping[int, str]) -> t.Iterator[tuple[str, str]]:
    # Lines of subsystems have two tabs; the vendor's section ends with the first line that is neither indented nor a comment.
    section = re.search(rf"^{vendor:04x}  (.*)\n((?:[\t#].*(?:\n|\Z)|\n)*)", text, re.MULTILINE)
    if section is None:
        return
    known = dict(re.findall(r"^\t([0-9a-f]{4})  (.*)", section[2], re.MULTILINE))
    for number, written in ids.items():
        yield written, _clean(f"{section[1]} {known.get(f'{number:04x}', f'Device {number:04x}')}")


def _clean(name: str) -> str:
    """One short line, whatever the file has."""
    return "".join(sign for sign in " ".join(name.split()) if sign.isprintable())[:LONGEST]
