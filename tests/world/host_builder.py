# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in the making: files are added to its root, its initramfs or both, and each mechanism is noted with what it is about."""

from __future__ import annotations

import random
import typing as t
from dataclasses import dataclass, field

from cards import NATIVES, Card
from configuration import INITRAMFS_TOOLS
from world_configuration import Entry, Planted, World

_PACKABLE = frozenset((*NATIVES, "vfio_pci", "pci_stub", "forecast_vfio_pci", "nvlink2gpu_vfio_pci"))
RULES = ("/etc/udev/rules.d", "/etc/udev/rules.d", "/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/run/udev/rules.d")
MODPROBE = ("/etc/modprobe.d", "/etc/modprobe.d", "/etc/modprobe.d", "/usr/lib/modprobe.d", "/usr/local/lib/modprobe.d")
UNITS = "/etc/systemd/system"


@dataclass
class HostBuilder:
    """``choice`` is the only source of chance, so that a seed stands for one host for ever."""

    choice: random.Random
    series: str
    name: str
    flow: str = INITRAMFS_TOOLS
    compression: str = "none"
    virtual_functions: int = 0
    unified: bool = False
    cmdline: list[str] = field(default_factory=list)
    image_modules: list[str] = field(default_factory=list)
    missing_modules: list[str] = field(default_factory=list)
    root: dict[str, Entry] = field(default_factory=dict)
    image: dict[str, Entry] = field(default_factory=dict)
    second: dict[str, Entry] = field(default_factory=dict)
    planted: list[Planted] = field(default_factory=list)
    _number: int = 0

    @property
    def is_old(self) -> bool:
        """Whether the root is bookworm's, whose systemd (252) and kmod (30) know less."""
        return self.series == "6.1"

    def maybe(self, probability: float) -> bool:
        return self.choice.random() < probability

    def one(self, *options: str) -> str:
        return self.choice.choice(options)

    def number(self) -> int:
        self._number += 1
        return self._number

    def note(self, mechanism: str, card: Card | None = None) -> None:
        planted = Planted(mechanism, card.address if card else "")
        if planted not in self.planted:
            self.planted.append(planted)

    def file(self, path: str, text: str, mode: int = 0) -> str:
        self.root[path] = Entry(text, mode=mode)
        return path

    def link(self, path: str, target: str) -> None:
        self.root[path] = Entry(link=target)

    def append(self, path: str, text: str, in_image: bool = False) -> None:
        """A file's further lines; where another thing is there already, instead of it."""
        for entries in (self.root, self.image) if in_image else (self.root,):
            old = entries.get(path, Entry())
            entries[path] = Entry("" if old.link else old.text + text, mode=old.mode) if not old.link else Entry(text)

    def in_both(self, path: str, text: str) -> None:
        self.file(path, text)
        self.image[path] = Entry(text)

    def rules(self, lines: t.Sequence[str], name: str = "", in_image: float = 0.7) -> str:
        """A rules file, at times as a link to where its text is, and mostly in the initramfs as well."""
        path = f"{self.choice.choice(RULES)}/{name or self._rules_name()}"
        text = "".join(f"{line}\n" for line in lines)
        if self.maybe(0.1) and not path.startswith("/run"):
            target = f"/usr/share/local/{path.rpartition('/')[2]}"
            self.file(target, text)
            self.link(path, target)
            if self.maybe(in_image):
                self.image[path] = Entry(text)
            self.note("a link to a file")
        else:
            self.file(path, text)
            if not path.startswith("/run") and self.maybe(in_image):
                self.image[path] = Entry(text)
        return path

    def modprobe(self, lines: t.Sequence[str], in_image: float = 0.75) -> None:
        path = f"{self.choice.choice(MODPROBE)}/{self.one('10-gpu', 'vfio', 'zz-local', 'm', 'host')}{self.number()}.conf"
        text = "".join(f"{line}\n" for line in lines)
        if self.maybe(0.1):
            target = f"/usr/share/local/{path.rpartition('/')[2]}"
            self.file(target, text)
            self.link(path, target)
            self.note("a link to a file")
        else:
            self.file(path, text)
        if self.maybe(in_image):
            self.image[path] = Entry(text)

    def program(self, text: str, place: str = "") -> str:
        """A script that can be run, and where it is."""
        return self.file(place or f"{self.one('/usr/local/bin', '/usr/local/sbin', '/opt/gpu')}/act{self.number()}", text)

    def unit(self, name: str, text: str, wanted_by: str = "", folder: str = UNITS) -> str:
        self.file(f"{folder}/{name}", text)
        if wanted_by:
            self.enable(name, wanted_by, f"{folder}/{name}")
        return name

    def enable(self, name: str, target: str, file: str, kind: str = "wants") -> None:
        self.link(f"{UNITS}/{target}.{kind}/{name}", file)

    def pack(self, *modules: str) -> None:
        self.image_modules += [name for name in modules if name in _PACKABLE and name not in self.image_modules]

    def finished(self, absent: t.Iterable[str]) -> World:
        missing = sorted(set(self.missing_modules))
        return World(
            name=self.name,
            series=self.series,
            cmdline=tuple(self.cmdline),
            root=dict(sorted(self.root.items())),
            image=dict(sorted(self.image.items())),
            second=dict(sorted(self.second.items())),
            image_modules=tuple(name for name in self.image_modules if name not in missing),
            missing_modules=tuple(missing),
            flow=self.flow,
            compression=self.compression,
            virtual_functions=self.virtual_functions,
            absent=tuple(sorted(absent)),
            planted=tuple(self.planted),
            unified=self.unified,
        )

    def _rules_name(self) -> str:
        return f"{self.one('10', '40', '60', '70', '79', '81', '90', '99')}-{self.one('vfio', 'gpu', 'nic', 'local')}{self.number()}.rules"
