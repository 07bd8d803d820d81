# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's functions as those who write policies see them: their identity, and who wants them."""

from __future__ import annotations

from dataclasses import dataclass

from machine import FUNCTIONS, PHYSICAL_FUNCTION, VIRTUAL_NATIVE

VARIANT = ("nvlink2gpu_vfio_pci", "nvlink2gpu_vfio_pci")
"""Module and driver; told to, it takes any function."""


@dataclass(frozen=True)
class Target:
    """A function that a configuration can be about.  ``natives`` are loadable modules, ``drivers`` what they register."""

    address: str
    id: str
    subsystem_vendor: int
    subsystem_device: int
    class_code: int
    natives: tuple[str, ...]
    drivers: tuple[str, ...]
    weight: int
    """How often it is drawn: those with a twin, and those whose driver really binds, more often."""
    variants: tuple[tuple[str, str], ...] = (VARIANT,)

    @property
    def vendor(self) -> int:
        return int(self.id[:4], 16)

    @property
    def device(self) -> int:
        return int(self.id[5:], 16)

    @property
    def virtual_functions(self) -> bool:
        return self.address == PHYSICAL_FUNCTION

    @property
    def modalias(self) -> str:
        base, sub, interface = self.class_code >> 16, self.class_code >> 8 & 0xFF, self.class_code & 0xFF
        return (
            f"pci:v{self.vendor:08X}d{self.device:08X}sv{self.subsystem_vendor:08X}sd{self.subsystem_device:08X}"
            f"bc{base:02X}sc{sub:02X}i{interface:02X}"
        )


# By QEMU's model: subsystem, class, the drivers of its native module where that is loadable, and the weight.
_QEMU = (0x1AF4, 0x1100)
_MODELS: dict[str, tuple[tuple[int, int], int, tuple[str, ...], int]] = {
    "e1000e": ((0x8086, 0x0000), 0x020000, ("e1000e",), 5),
    "bochs-display": (_QEMU, 0x038000, ("bochs-drm",), 4),
    "secondary-vga": (_QEMU, 0x038000, ("bochs-drm",), 3),
    "intel-hda": (_QEMU, 0x040300, ("snd_hda_intel",), 5),
    "qemu-xhci": (_QEMU, 0x0C0330, ("xhci_hcd",), 3),
    "virtio-rng-pci": (_QEMU, 0x00FF00, ("virtio-pci",), 3),
    "vmxnet3": ((0x15AD, 0x07B0), 0x020000, ("vmxnet3",), 4),
    "pci-serial": (_QEMU, 0x070002, (), 2),
    "edu": (_QEMU, 0x00FF00, (), 2),
    "pci-testdev": (_QEMU, 0x00FF00, (), 1),
    "nvme": (_QEMU, 0x010802, ("nvme",), 6),
    "igb": ((0x8086, 0xA03C), 0x020000, ("igb",), 6),
}


def _targets() -> tuple[Target, ...]:
    found = []
    for function in FUNCTIONS:
        (vendor, device), class_code, drivers, weight = _MODELS[function.model]
        natives = (function.native,) if function.native and drivers else ()
        found.append(Target(function.address, function.id, vendor, device, class_code, natives, drivers, weight))
    return tuple(found)


TARGETS = _targets()
NATIVES = (*sorted({native for target in TARGETS for native in target.natives}), VIRTUAL_NATIVE)


def neighbours(target: Target) -> list[Target]:
    """The machine's other devices."""
    return [other for other in TARGETS if other.address != target.address]
