# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What corner cases have in common: their form, and what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from config_builder import Case
from configuration import INITRAMFS_TOOLS, Configuration
from targets import address_of

E1000E, SECOND = address_of("e1000e"), address_of("e1000e", 1)
IGB, SERIAL, SOUND = address_of("igb"), address_of("pci-serial"), address_of("intel-hda")
MODPROBE, RULES, LISTS = "/etc/modprobe.d/vfio.conf", "/etc/udev/rules.d/70-vfio.rules", "/etc/modules-load.d/vfio.conf"
IDS = "options vfio-pci ids=8086:10d3\n"
SOFTDEP = "softdep e1000e pre: vfio-pci\n"
LOADS = 'RUN{builtin}+="kmod load vfio-pci"'


def rule(address: str, driver: str, *more: str) -> str:
    return ", ".join(('ACTION=="add"', 'SUBSYSTEM=="pci"', f'KERNEL=="{address}"', f'ATTR{{driver_override}}="{driver}"', *more)) + "\n"


@dataclass(frozen=True)
class Corner:
    """A case that stands for itself.  The root and the image both have ``files``; ``root`` and ``image`` are for one of them."""

    name: str
    directives: str
    files: Mapping[str, str] = field(default_factory=dict)
    root: Mapping[str, str] = field(default_factory=dict)
    image: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    cmdline: str = ""
    flow: str = INITRAMFS_TOOLS
    virtual: int = 0
    missing: tuple[str, ...] = ("rival_pci",)

    def on(self, series: str) -> Case:
        configuration = Configuration(
            name=f"{self.name} on {series}",
            series=series,
            cmdline=tuple(self.cmdline.split()),
            root_files={**self.files, **self.root},
            image_files={**self.files, **self.image},
            image_modules=self.modules,
            flow=self.flow,
            virtual_functions=self.virtual,
            missing_modules=self.missing,
        )
        return Case(configuration, tuple(self.directives.split(", ")))


BOTH = ("e1000e", "vfio_pci")
