# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the kernel whose effect on devices is noticed and not simulated: other addresses, and devices that Xen hides."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to, named
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig

# Of `pci=` (Documentation/admin-guide/kernel-parameters.txt): devices get other addresses with these, or are not found.
RENUMBERS = ("assign-busses", "hpbussize", "lastbus", "nodomains", "off", "pcie_scan_all")
# pcistub_init() in drivers/xen/xen-pciback/pci_stub.c: "(BUS:SLOT.FUNCTION)" with or without a domain; `*` for all.
HIDDEN = re.compile(r"\((?:([0-9a-fA-F]{1,4}):)?([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\.([0-7*])\)")
PCIBACK = "pciback"
FUNCTIONS = 8


def influences(cmdline: Cmdline, source: str, running: Cmdline, config: ModprobeConfig) -> tuple[Influence, ...]:
    """What these words may do, ``running`` being the words under which the devices have the addresses that they have now."""
    return (*_renumbering(cmdline, source, running), *_hiding(config))


def _renumbering(cmdline: Cmdline, source: str, running: Cmdline) -> t.Iterator[Influence]:
    before = set(_words_of_pci(running))
    for word in _words_of_pci(cmdline):
        if word not in before:
            yield Influence(source, f"has pci={word}, which the running kernel has not: devices may get other addresses, or be lost")


def _words_of_pci(cmdline: Cmdline) -> tuple[str, ...]:
    words = (word for value in cmdline.of_kernel.values("pci") for word in value.split(","))
    return tuple(word for word in words if word.partition("=")[0] in RENUMBERS)


def _hiding(config: ModprobeConfig) -> t.Iterator[Influence]:
    for given in named(given_to(config, "xen_pciback"), "hide")[-1:]:
        addresses = frozenset(address for found in HIDDEN.finditer(given.value or "") for address in _addresses(found))
        if addresses:
            fact = f"hides devices from the host under Xen ({given.written})"
            yield Influence(str(given.source), fact, frozenset(("bind",)), addresses=addresses, drivers=frozenset((PCIBACK,)))


def _addresses(found: re.Match[str]) -> t.Iterator[str]:
    domain, bus, slot = (int(part or "0", 16) for part in found.groups()[:3])
    functions: t.Iterable[int] = range(FUNCTIONS) if found[4] == "*" else (int(found[4]),)
    yield from (f"{domain:04x}:{bus:02x}:{slot:02x}.{function}" for function in functions)
