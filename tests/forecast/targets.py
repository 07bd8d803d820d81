# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's functions as those who write policies see them: their identity, and who wants them."""

from __future__ import annotations

from dataclasses import dataclass

from machine import FUNCTIONS, PHYSICAL_FUNCTION

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId

STUB = ("pci_stub", "pci-stub")
"""Module and driver; no VFIO driver, but it takes `ids=` as well."""
VARIANTS = (("forecast_vfio_pci", "forecast_vfio_pci"), ("nvlink2gpu_vfio_pci", "nvlink2gpu_vfio_pci"), STUB)
"""Modules and drivers; told to, they take any function."""
RIVAL = "rival_pci"
"""A second native for e1000e's devices, and the only one of edu."""
VIRTUAL_NATIVE = "igbvf"
# By QEMU's model: the loadable native modules, the drivers that they register, and how often the device is drawn: those
# with an identical card, and those whose driver really binds, more often.
_MODELS: dict[str, tuple[tuple[str, ...], tuple[str, ...], int]] = {
    "e1000e": (("e1000e", RIVAL), ("e1000e", RIVAL), 6),
    "bochs-display": (("bochs",), ("bochs-drm",), 4),
    "secondary-vga": (("bochs",), ("bochs-drm",), 3),
    "intel-hda": (("snd_hda_intel",), ("snd_hda_intel",), 5),
    "qemu-xhci": (("xhci_pci",), ("xhci_hcd",), 3),
    "virtio-rng-pci": ((), (), 2),
    "vmxnet3": (("vmxnet3",), ("vmxnet3",), 4),
    "pci-serial": ((), (), 2),
    "edu": ((RIVAL,), (RIVAL,), 3),
    "pci-testdev": ((), (), 1),
    "nvme": (("nvme",), ("nvme",), 6),
    "igb": (("igb",), ("igb",), 6),
}


@dataclass(frozen=True)
class Target:
    """A function that a configuration can be about.  ``natives`` are loadable modules, ``drivers`` what they register."""

    address: str
    modalias: str
    natives: tuple[str, ...]
    drivers: tuple[str, ...]
    weight: int
    variants: tuple[tuple[str, str], ...] = VARIANTS

    @property
    def identity(self) -> PciId:
        found = PciId.from_alias(self.modalias)
        if found is None:
            raise ValueError(self.modalias)
        return found

    @property
    def vendor(self) -> int:
        return self.identity.vendor

    @property
    def device(self) -> int:
        return self.identity.device

    @property
    def subsystem_vendor(self) -> int:
        return self.identity.subsystem_vendor

    @property
    def subsystem_device(self) -> int:
        return self.identity.subsystem_device

    @property
    def class_code(self) -> int:
        return self.identity.class_code

    @property
    def id(self) -> str:
        return f"{self.vendor:04x}:{self.device:04x}"

    @property
    def makes_virtual_functions(self) -> bool:
        return self.address == PHYSICAL_FUNCTION


TARGETS = tuple(Target(function.address, function.modalias, *_MODELS[function.model]) for function in FUNCTIONS)
NATIVES = (*sorted({native for target in TARGETS for native in target.natives}), VIRTUAL_NATIVE)


def neighbours(target: Target) -> list[Target]:
    """The machine's other devices."""
    return [other for other in TARGETS if other.address != target.address]


def address_of(model: str, number: int = 0) -> str:
    """The address of a model's first, second … function."""
    return [function.address for function in FUNCTIONS if function.model == model][number]
