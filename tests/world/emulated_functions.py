# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine of these guests: the functions of the fast guest at their addresses, and others beside them."""

from __future__ import annotations

import typing as t

import machine
from machine import Function

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import COUNTED_ALONE, clock_words

MEMORY_MEBIBYTES = 768
_BUS = "0000:00"

#: Models whose drivers load quickly, some of them twice so that there are identical cards.
MORE = (
    Function(f"{_BUS}:0d.0", "AC97", "pci:v00008086d00002415sv00001AF4sd00001100bc04sc01i00", "audiodev=none"),
    Function(f"{_BUS}:0e.0", "ES1370", "pci:v00001274d00005000sv00004942sd00004C4Cbc04sc01i00", "audiodev=none"),
    Function(f"{_BUS}:0f.0", "rtl8139", "pci:v000010ECd00008139sv00001AF4sd00001100bc02sc00i00", "mac=52:54:00:00:00:0f"),
    Function(f"{_BUS}:12.0", "rtl8139", "pci:v000010ECd00008139sv00001AF4sd00001100bc02sc00i00", "mac=52:54:00:00:00:12"),
    Function(f"{_BUS}:13.0", "pcnet", "pci:v00001022d00002000sv00000000sd00000000bc02sc00i00", "mac=52:54:00:00:00:13"),
    Function(f"{_BUS}:14.0", "i82551", "pci:v00008086d00001209sv00001AF4sd00001100bc02sc00i00", "mac=52:54:00:00:00:14"),
    Function(f"{_BUS}:15.0", "e1000", "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00", "mac=52:54:00:00:00:15"),
    Function(f"{_BUS}:16.0", "e1000", "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00", "mac=52:54:00:00:00:16"),
    Function(f"{_BUS}:17.0", "tulip", "pci:v00001011d00000019sv0000103Csd0000104Fbc02sc00i00", "mac=52:54:00:00:00:17"),
    Function(f"{_BUS}:18.0", "ich9-ahci", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"),
    Function(f"{_BUS}:19.0", "sdhci-pci", "pci:v00001B36d00000007sv00001AF4sd00001100bc08sc05i01"),
    Function(f"{_BUS}:1a.0", "ne2k_pci", "pci:v000010ECd00008029sv00001AF4sd00001100bc02sc00i00", "mac=52:54:00:00:00:1a"),
    Function(f"{_BUS}:1b.0", "ich9-usb-ehci1", "pci:v00008086d0000293Asv00001AF4sd00001100bc0Csc03i20"),
    Function(f"{_BUS}:1c.0", "i6300esb", "pci:v00008086d000025ABsv00001AF4sd00001100bc08sc80i00"),
    Function(f"{_BUS}:1d.0", "cirrus-vga", "pci:v00001013d000000B8sv00001AF4sd00001100bc03sc00i00"),
)
FUNCTIONS = (*machine.FUNCTIONS, *MORE)
MODALIASES = (*(function.modalias for function in FUNCTIONS), machine.VIRTUAL_MODALIAS)


def arguments(absent: t.Collection[str] = ()) -> tuple[str, ...]:
    """QEMU's, short of kernel, initramfs, command line and consoles; without the functions at the addresses ``absent``.

    Time is counted in instructions: a busy host slows no clock down, a guest that waits takes none, and a boot can be repeated.
    """
    sound = ("-audiodev", "none,id=none")
    return (*machine.arguments(FUNCTIONS, MEMORY_MEBIBYTES, sound, absent), *clock_words(COUNTED_ALONE))
