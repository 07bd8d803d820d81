# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interfaces and servers a kernel's command line names for the initramfs, which reaches or unlocks the root over them."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

# nfsroot.rst of the kernel, dracut.cmdline(7), initramfs-tools(7).
_WORDS = ("ip", "bootdev", "ifname", "vlan", "bond", "team", "bridge", "fcoe", "rd.route")
_OF_FIRMWARE = "BOOTIF"
"""The hardware type and the address of the interface from which the firmware has booted, as PXELINUX writes them."""
# dracut.cmdline(7), dracut.nbd(7), nfsroot.rst and cifsroot of the kernel; addresses of IPv6 are in brackets.
_ROOTS = ("root", "netroot", "nfsroot", "cifsroot", "rd.nvmf.discover")
_PLAIN = ("nbdroot", "iscsi_target_ip")
"""Of the initramfs of Debian's nbd-client and open-iscsi: a server, and behind a colon or a comma what it has."""
_HOST = r"(\[[^\]]+\]|[^:/@,\s\[\]]+)"
_SERVERS = (
    re.compile(rf"(?:[\w+.-]+:)*//(?:[^@/]*@)?{_HOST}"),
    re.compile(rf"(?:iscsi|nbd|nfs4?):(?:[^@/]*@)?{_HOST}:"),
    re.compile(rf"(?:tcp|rdma),{_HOST},"),
    re.compile(rf"{_HOST}:/(?!/)"),
)
_FIRST = re.compile(r"\[([^\]]+)\]|([^:/@,\s\[\]]+)")
_ADDRESS = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


def named_interfaces(cmdline: Cmdline) -> t.Iterator[tuple[str, str]]:
    """Each word with each name or hardware address (in small letters) in it; what else a value has is among them."""
    for word in _WORDS:
        for value in cmdline.values(word):
            found = _ADDRESS.findall(value.lower())
            yield from ((word, one) for one in (*found, *re.split(r"[:,]", re.sub(r"\[[^\]]*\]", "", value))) if one)
    for value in cmdline.values(_OF_FIRMWARE):
        yield _OF_FIRMWARE, value.lower().replace("-", ":").partition(":")[2]


def named_servers(cmdline: Cmdline) -> t.Iterator[str]:
    """The servers that the root is on, as names or addresses."""
    for word in _ROOTS:
        for value in cmdline.values(word):
            found = next((match for pattern in _SERVERS for match in (pattern.match(value),) if match is not None), None)
            if found is not None:
                yield found[1].strip("[]")
    for word in _PLAIN:
        first = (_FIRST.match(value) for value in cmdline.values(word))
        yield from (one[1] or one[2] for one in first if one is not None)
