# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's functions as those who configure hosts see them: who wants them, and which are alike."""

from __future__ import annotations

import re
from dataclasses import dataclass

import targets
from emulated_functions import FUNCTIONS
from machine import Function

#: Modules and drivers that take any function that is overridden to them, or whose ID they are given.
TAKERS = (
    *[("vfio_pci", "vfio-pci")] * 4,
    ("pci_stub", "pci-stub"),
    ("forecast_vfio_pci", "forecast_vfio_pci"),
    ("nvlink2gpu_vfio_pci", "nvlink2gpu_vfio_pci"),
)
#: By model: the loadable native modules and the drivers that they register.
_MORE_MODELS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "AC97": (("snd_intel8x0",), ("snd_intel8x0",)),
    "ES1370": (("snd_ens1370",), ("snd_ens1370",)),
    "rtl8139": (("8139cp", "8139too"), ("8139cp", "8139too")),
    "pcnet": (("pcnet32",), ("pcnet32",)),
    "i82551": (("e100",), ("e100",)),
    "e1000": (("e1000",), ("e1000",)),
    "tulip": (("tulip",), ("tulip",)),
    "ich9-ahci": (("ahci",), ("ahci",)),
    "sdhci-pci": (("sdhci_pci",), ("sdhci-pci",)),
    "ne2k_pci": (("ne2k_pci",), ("ne2k-pci",)),
    "ich9-usb-ehci1": (("ehci_pci",), ("ehci-pci",)),
    "i6300esb": (("i6300esb",), ("i6300ESB timer",)),
    "cirrus-vga": (("cirrus",), ("cirrus",)),
}
#: Models whose modules take a guest the longest to load: seldom there unless something is about them.
COSTLY = frozenset({"AC97", "ES1370", "bochs-display", "cirrus-vga", "ich9-usb-ehci1", "intel-hda", "qemu-xhci", "secondary-vga"})
IGB = "0000:01:00.0"


@dataclass(frozen=True)
class Card:
    """A function of the machine.  ``natives`` are loadable modules, ``drivers`` what they register."""

    address: str
    model: str
    modalias: str
    natives: tuple[str, ...]
    drivers: tuple[str, ...]

    @property
    def vendor(self) -> str:
        return self.modalias[9:13].lower()

    @property
    def device(self) -> str:
        return self.modalias[18:22].lower()

    @property
    def id(self) -> str:
        return f"{self.vendor}:{self.device}"

    @property
    def class_code(self) -> str:
        return "".join(re.findall(r"bc(..)sc(..)i(..)", self.modalias)[0]).lower()

    @property
    def bus(self) -> str:
        """As sysfs nests it: the folder that the function's own is in."""
        ports = {"0000:02:00.0": "0000:00:10.0", "0000:01:00.0": "0000:00:11.0"}
        return f"pci0000:00/{ports[self.address]}" if self.address in ports else "pci0000:00"


def _card(function: Function) -> Card:
    if function.model in _MORE_MODELS:
        natives, drivers = _MORE_MODELS[function.model]
    else:
        natives, drivers, _weight = targets._MODELS[function.model]
        natives = tuple(name for name in natives if name != targets.RIVAL or function.model == "edu")
    return Card(function.address, function.model, function.modalias, natives, drivers)


CARDS = tuple(_card(function) for function in FUNCTIONS)
BY_ADDRESS = {card.address: card for card in CARDS}
NATIVES = tuple(sorted({native for card in CARDS for native in card.natives}))


def like(card: Card) -> list[Card]:
    """The others with the same IDs."""
    return [other for other in CARDS if other.modalias == card.modalias and other is not card]
