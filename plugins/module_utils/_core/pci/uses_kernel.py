# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel itself does with a function, without any open file: it copies with its channels, gives it work, encrypts with it."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import Below

ENCRYPTION, COPROCESSOR, ACCELERATORS = 0x10, 0x0B40, (0x11, 0x12)
"""Classes of cards that encrypt or compress: the base class, class and subclass, base classes (PCI Code and ID Assignment)."""
ALGORITHMS, MODULES = "/proc/crypto", "/proc/modules"
FIELD = re.compile(r"^(driver|module|refcnt)\s*:\s*(\S+)", re.MULTILINE)
REGISTERED = ("", "1")
"""References to an algorithm that nobody uses (crypto/proc.c)."""


def kernel_users(host: Host, inventory: Inventory, functions: t.Iterable[Device], below: Below) -> t.Iterator[str]:
    """A clause for each channel, work queue and algorithm that is in use."""
    for folder in below.channels:
        if (host.text_or_none(f"{folder}/in_use") or "0") != "0":
            yield f"the kernel copies with its channel {folder.rpartition('/')[2]} (DMA engine)"
    for folder in below.work_queues:
        clients = host.text_or_none(f"{folder}/clients") or "0"
        if clients != "0":
            yield f"its work queue {folder.rpartition('/')[2]} has clients ({clients})"
    for function in functions:
        if _may_encrypt(function) and function.driver is not None:
            registered = inventory.drivers.get(function.driver)
            module = (registered and registered.module) or function.driver
            for algorithm in _used_algorithms(host, _related(host, module.replace("-", "_"))):
                yield f"the kernel uses the algorithm {algorithm} of its driver, and may do so on this card"


def _may_encrypt(function: Device) -> bool:
    base, both = function.class_code >> 16, function.class_code >> 8
    return base == ENCRYPTION or both == COPROCESSOR or base in ACCELERATORS


def _related(host: Host, module: str) -> frozenset[str]:
    """The module, those whose symbols it uses, and those that use its: the algorithms of several drivers are often in one module."""
    found = {module}
    for line in (host.text_or_none(MODULES) or "").splitlines():
        fields = line.split()
        users = fields[3].split(",") if len(fields) > 3 else []
        if module in users:
            found.add(fields[0])
        elif fields and fields[0] == module:
            found |= {name for name in users if name not in ("", "-")}
    return frozenset(found)


def _used_algorithms(host: Host, modules: t.Container[str]) -> t.Iterator[str]:
    for block in (host.text_or_none(ALGORITHMS) or "").split("\n\n"):
        fields = dict(FIELD.findall(block))
        if fields.get("module") in modules and fields.get("refcnt", "0").lstrip("0") not in REGISTERED:
            yield fields.get("driver", "?")
