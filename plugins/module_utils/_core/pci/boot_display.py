# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The framebuffer that the firmware leaves in a card's memory: which driver of a kernel is for it, and what makes a kernel let it go.

Which device there is for it decides drivers/firmware/sysfb.c (sysfb_init(), always built in; before Linux 5.15 in arch/x86/kernel, for
every PC and without an option).  One for simpledrm or simplefb reserves the memory by itself, as BOOTFB; efifb and vesafb reserve it under
their own names.  Devices of a device tree, or of coreboot, are made without it: then the name of the driver alone is there.  Since Linux
6.0 VFIO removes such a device when it is bound to a VGA card, and to no other (vfio_pci_vga_init() in vfio_pci_core.c).
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

DRIVERS = {
    "DRM_SIMPLEDRM": "simpledrm",
    "DRM_EFIDRM": "efidrm",
    "DRM_VESADRM": "vesadrm",
    "FB_SIMPLE": "simplefb",
    "FB_EFI": "efifb",
    "FB_VESA": "vesafb",
    "DRM_OFDRM": "ofdrm",
    "FB_OF": "offb",
}
OWN_WORD = {"efifb": "video=efifb:off", "offb": "video=offb:off"}
"""Drivers that a word of the kernel's command line keeps from it (efifb_probe(), offb_init()); vesafb_probe() ignores that `off`."""
OTHER_DRIVER = {"efifb": "DRM_EFIDRM", "offb": "DRM_OFDRM"}
"""By such a driver, the option of another one that takes the same device then."""
OF_SYSFB = frozenset(("BOOTFB", "efifb", "vesafb", "efidrm", "vesadrm"))
"""As what the memory is reserved whose device sysfb_init() has made."""
IN_FIRMWARE_SINCE = (5, 15)
VGA = 0x0300
VFIO_REMOVES_IT_SINCE = (6, 0)
_OPTION = re.compile(r"^CONFIG_(\w+)=([ym])$", re.MULTILINE)
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclasses.dataclass(frozen=True)
class BootDisplay:
    """What a kernel does about that framebuffer; ``options`` are those of its configuration that are on, none if it is not known."""

    release: str
    options: t.Mapping[str, str]

    @classmethod
    def of(cls, release: str, config: str | None) -> BootDisplay:
        return cls(release, dict(_OPTION.findall(config or "")))

    def says(self, holder: str, class_code: int) -> str:
        """A clause about who holds it, by its name in /proc/iomem, and what helps for a card of that class."""
        found = [
            f"{name} ({'built in' if self.options[option] == 'y' else 'a module'})"
            for option, name in DRIVERS.items()
            if option in self.options
        ]
        there = f"; kernel {self.release} has {', '.join(found)}" if found else ""
        return f"reserved as {holder}{there}; {self._helps(holder, class_code)}"

    def _helps(self, holder: str, class_code: int) -> str:
        version = _VERSION.match(self.release)
        number = (0, 0) if version is None else (int(version[1]), int(version[2]))
        if class_code >> 8 == VGA and number >= VFIO_REMOVES_IT_SINCE:
            return "with `console: ignore` VFIO removes it when it gets the card, and the screen stays as it is then"
        if holder in OWN_WORD and OTHER_DRIVER[holder] not in self.options:
            return f"`{OWN_WORD[holder]}` on the kernel's command line keeps it away"
        has_function = "SYSFB" in self.options or ("X86" in self.options and number < IN_FIRMWARE_SINCE)
        if holder not in OF_SYSFB or (self.options and not (has_function and "KALLSYMS" in self.options)):
            return "`initcall_blacklist=sysfb_init` has no effect on this kernel: have the firmware show another card"
        return "`initcall_blacklist=sysfb_init` on the kernel's command line keeps it away, and a blacklist of its driver does not"
