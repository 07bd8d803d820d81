# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that the guest runs on: always the same functions at the same addresses."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import topology
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import (
    BARE,
    device_word,
    emulation_words,
    intel_iommu,
    root_port,
)

MEMORY_MEBIBYTES = 512
#: Most virtual functions that a configuration can ask for.
VIRTUAL_FUNCTIONS = 2


@dataclass(frozen=True)
class Function:
    """A function of the machine.  ``model`` and ``options`` are QEMU's; ``port`` is the slot of its root port, if it has one."""

    address: str
    model: str
    modalias: str
    options: str = ""
    port: str = ""

    @property
    def id(self) -> str:
        """Vendor and device as ``8086:10d3``."""
        return f"{self.modalias[9:13]}:{self.modalias[18:22]}".lower()

    @property
    def placement(self) -> topology.Placement:
        """As the testbed describes functions and their places."""
        pairs = tuple(one.split("=", 1) for one in self.options.split(",") if one)
        name = f"at-{self.address[5:10].replace(':', '-')}"
        function = topology.Function(name, None, self.model, tuple((key, value) for key, value in pairs), bool(self.port), name)
        if self.port:
            return topology.Placement(function, f"port-{self.port}", self.port, "0", shares_slot=False)
        return topology.Placement(function, "pcie.0", "", self.address[8:10], shares_slot=False)


FUNCTIONS = (
    Function("0000:00:02.0", "e1000e", "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", "mac=52:54:00:00:00:02"),
    Function("0000:00:03.0", "e1000e", "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", "mac=52:54:00:00:00:03"),
    Function("0000:00:04.0", "bochs-display", "pci:v00001234d00001111sv00001AF4sd00001100bc03sc80i00"),
    Function("0000:00:05.0", "secondary-vga", "pci:v00001234d00001111sv00001AF4sd00001100bc03sc80i00"),
    Function("0000:00:06.0", "intel-hda", "pci:v00008086d00002668sv00001AF4sd00001100bc04sc03i00"),
    Function("0000:00:07.0", "qemu-xhci", "pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30", "p2=1,p3=1"),
    Function("0000:00:08.0", "virtio-rng-pci", "pci:v00001AF4d00001044sv00001AF4sd00001100bc00scFFi00", "disable-legacy=on"),
    Function("0000:00:09.0", "vmxnet3", "pci:v000015ADd000007B0sv000015ADsd000007B0bc02sc00i00", "mac=52:54:00:00:00:09"),
    Function("0000:00:0a.0", "pci-serial", "pci:v00001B36d00000002sv00001AF4sd00001100bc07sc00i02"),
    Function("0000:00:0b.0", "edu", "pci:v00001234d000011E8sv00001AF4sd00001100bc00scFFi00"),
    Function("0000:00:0c.0", "pci-testdev", "pci:v00001B36d00000005sv00001AF4sd00001100bc00scFFi00"),
    Function("0000:02:00.0", "nvme", "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02", "serial=one", port="10.0"),
    Function("0000:01:00.0", "igb", "pci:v00008086d000010C9sv00001AF4sd00001100bc02sc00i00", "mac=52:54:00:00:01:00", port="11.0"),
)
#: Those of the mainboard: host bridge, root ports, and a bridge to nothing that has a native driver.
BOARD = (
    ("0000:00:00.0", "pci:v00008086d000029C0sv00001AF4sd00001100bc06sc00i00"),
    ("0000:00:10.0", "pci:v00001B36d0000000Csv00001B36sd00000000bc06sc04i00"),
    ("0000:00:11.0", "pci:v00001B36d0000000Csv00001B36sd00000000bc06sc04i00"),
    ("0000:00:1f.0", "pci:v00008086d00002918sv00001AF4sd00001100bc06sc01i00"),
)
#: The one that makes virtual functions, and where they appear.
PHYSICAL_FUNCTION = "0000:01:00.0"
VIRTUAL_MODALIAS = "pci:v00008086d000010CAsv00001AF4sd00001100bc02sc00i00"
VIRTUAL_ADDRESSES = ("0000:01:10.0", "0000:01:10.2")
#: Whose drivers the guest has.  Not the mainboard's: its LPC bridge has a native driver whose probe fails.
MODALIASES = (*(function.modalias for function in FUNCTIONS), VIRTUAL_MODALIAS)

#: For all guests.  Nothing of it decides who owns a device.
CMDLINE = (
    "console=ttyS0",
    "quiet",
    "panic=-1",
    "mitigations=off",
    "nokaslr",
    "tsc=reliable",
    "no_timer_check",
    "cryptomgr.notests",
    "random.trust_cpu=on",
    "intel_iommu=on",
    # Self-tests and look-alikes that cost a guest without KVM a second.
    "rodata=off",
    "initcall_blacklist=jent_mod_init,init_encrypted,crypto_kdf108_init,trace_eval_init",
)


#: Parts of QEMU's mainboard that cost a guest time.
WITHOUT = ("sata", "smbus", "usb", "vmport", "hpet", "graphics")


def arguments(
    functions: t.Sequence[Function] = FUNCTIONS, memory: int = MEMORY_MEBIBYTES, more: t.Sequence[str] = (), absent: t.Collection[str] = ()
) -> tuple[str, ...]:
    """QEMU's, short of kernel, initramfs, command line and consoles; ``memory`` in MiB, ``more`` words before the functions.

    The ports of functions at the addresses ``absent`` are there and empty.
    """
    ports = [function.placement for function in functions if function.port]
    return (
        *emulation_words("single", 512, without=WITHOUT),
        *("-smp", "1", "-m", f"{memory}M"),
        *(*BARE, "-no-reboot", "-bios", "qboot.rom"),
        *intel_iommu(remapping=False),
        *more,
        *(word for number, one in enumerate(ports, start=1) for word in root_port(one.bus, str(number), one.port)),
        *(word for one in functions if one.address not in absent for word in ("-device", device_word(one.placement))),
    )
