# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kernels are given on their command lines about what a host needs, now and at the next boot."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import early_network, firmware
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.disk_words import named_disks
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.network_words import named_interfaces, named_servers
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import Arguments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import NextBoot
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

CONSOLE_WORDS = ("console", "earlycon", "earlyprintk", "kgdboc")
NETCONSOLE = "/sys/module/netconsole"


def arguments_of(host: Host, loader: NextBoot) -> Arguments:
    """What the kernels' arguments, now and at the next boot, say about consoles, disks and interfaces."""
    lines = [(Cmdline.read(host), CMDLINE)]
    lines += [(entry.cmdline, entry.cmdline_source) for release, entry in loader.entries.items() if loader.release in (None, release)]
    early = early_network.read(host, [cmdline for cmdline, _where in lines])
    lines += early.lines
    consoles = [value for cmdline, _where in lines for word in CONSOLE_WORDS for value in cmdline.values(word)]
    netconsoles = [value for cmdline, _where in lines for value in cmdline.values("netconsole")]
    netconsoles += _netconsole_options(host)
    roots = [(f"{found.word}= in {where}", found.disk, found.place) for cmdline, where in lines for found in named_disks(cmdline)]
    interfaces = [(f"{word}= in {where}", name) for cmdline, where in lines for word, name in named_interfaces(cmdline)]
    interfaces += early.interfaces
    servers = [*(server for cmdline, _where in lines for server in named_servers(cmdline)), *early.servers]
    started = firmware.current(host)
    partitions = () if started is None or not started.partition else ((str(started), f"PARTUUID={started.partition}"),)
    return Arguments(
        tuple(dict.fromkeys(consoles)),
        tuple(dict.fromkeys(netconsoles)),
        tuple(dict.fromkeys(roots)),
        tuple(dict.fromkeys(servers)),
        partitions,
        tuple(dict.fromkeys(interfaces)),
    )


def _netconsole_options(host: Host) -> list[str]:
    """What modprobe.d gives to the module, if it is loaded: the kernel does not show it."""
    if not host.is_dir(NETCONSOLE):
        return []
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to

    return [one.value for one in given_to(ModprobeConfig.read(host), "netconsole") if one.name == "netconsole" and one.value is not None]
