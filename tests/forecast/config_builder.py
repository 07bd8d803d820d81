# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration in the making: lines are added to files of the root, of the image or of both, and each is noted by its kind."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from configuration import INITRAMFS_TOOLS, NO_COLDPLUG, Configuration
from targets import NATIVES, TARGETS, VARIANTS

PACKABLE = frozenset((*NATIVES, "vfio_pci", *(module for module, _driver in VARIANTS)))
# Where a line goes.
BOTH = ("root", "image")
ROOT_ONLY = ("root",)
IMAGE_ONLY = ("image",)

MODPROBE_NAMES = (
    "vfio.conf",
    "10-gpu.conf",
    "zz-local.conf",
    "00-first.conf",
    "Blacklist.conf",
    "m.alias",
    "passthrough.conf",
    "5-early.conf",
)
MODPROBE_FOLDERS = (*["/etc/modprobe.d"] * 8, "/usr/lib/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d")
RULES_NAMES = ("70-vfio.rules", "10-passthrough.rules", "90-local.rules", "99-zz.rules", "80-drivers-local.rules", "05-pci.rules")
RULES_FOLDERS = (*["/etc/udev/rules.d"] * 4, "/usr/lib/udev/rules.d", "/run/udev/rules.d")


@dataclass(frozen=True)
class Case:
    """A configuration, and the kinds of directive in it that were meant to decide or to confuse."""

    configuration: Configuration
    directives: tuple[str, ...]


@dataclass
class ConfigBuilder:
    """``choice`` is the only source of chance, so that a seed stands for one configuration for ever."""

    choice: random.Random
    series: str
    flow: str = INITRAMFS_TOOLS
    compression: str = "none"
    virtual_functions: int = 0
    cmdline: list[str] = field(default_factory=list)
    image_modules: list[str] = field(default_factory=list)
    missing_modules: list[str] = field(default_factory=list)
    directives: list[str] = field(default_factory=list)
    _root: dict[str, list[str]] = field(default_factory=dict)
    _image: dict[str, list[str]] = field(default_factory=dict)

    def note(self, directive: str) -> None:
        """Count the configuration under a kind of directive."""
        if directive not in self.directives:
            self.directives.append(directive)

    def maybe(self, probability: float) -> bool:
        return self.choice.random() < probability

    def scope(self) -> tuple[str, ...]:
        """Mostly a fresh image; sometimes one that is older than the file, or that holds what the root no longer has."""
        return self.choice.choices((BOTH, ROOT_ONLY, IMAGE_ONLY), (70, 22, 8))[0]

    def line(self, path: str, line: str, where: Sequence[str] = BOTH) -> None:
        """Append a line to a file of the root, the image, or both."""
        if "root" in where:
            self._root.setdefault(path, []).append(line)
        # What is below /run when the image is made is not packed.
        if "image" in where and not path.startswith("/run/"):
            self._image.setdefault(path, []).append(line)

    def modprobe(self, *lines: str, where: Sequence[str] | None = None, path: str | None = None) -> None:
        """Lines of modprobe.d, together in one file."""
        self._lines(path or f"{self.choice.choice(MODPROBE_FOLDERS)}/{self.choice.choice(MODPROBE_NAMES)}", lines, where)

    def rules(self, *lines: str, where: Sequence[str] | None = None, path: str | None = None) -> None:
        """Lines of a udev rules file, together in one file."""
        self._lines(path or f"{self.choice.choice(RULES_FOLDERS)}/{self.choice.choice(RULES_NAMES)}", lines, where)

    def _lines(self, path: str, lines: Sequence[str], where: Sequence[str] | None) -> None:
        chosen = self.scope() if where is None else tuple(where)
        for line in lines:
            self.line(path, line, chosen)
        if chosen != BOTH and self.flow != NO_COLDPLUG:
            self.note("stale image" if chosen == ROOT_ONLY else "image holds more than the root")

    def pack(self, *modules: str) -> None:
        """Put modules into the image, those that there are."""
        self.image_modules.extend(name for name in modules if name in PACKABLE and name not in self.image_modules)

    def leave_out(self, devices: Mapping[str, str]) -> None:
        """Take modules away that nothing here names; ``devices`` are the device parts of their functions' IDs."""
        lines = [*self.cmdline, *(line for files in (self._root, self._image) for text in files.values() for line in text)]
        said = "\n".join(lines).lower().replace("-", "_")
        addresses = {target.address for target in TARGETS if target.address in said}
        for module, device in devices.items():
            own = {target.address for target in TARGETS if module in target.natives}
            if module not in said and device not in said and not own & addresses:
                self.missing_modules.append(module)
                self.image_modules = [name for name in self.image_modules if name != module]

    def finished(self, name: str) -> Case:
        # Seldom an image has a module that the root has no more.
        if not self.maybe(0.08):
            self.image_modules = [module for module in self.image_modules if module not in self.missing_modules]
        configuration = Configuration(
            name=name,
            series=self.series,
            cmdline=tuple(self.cmdline),
            root_files={path: _text(lines) for path, lines in sorted(self._root.items())},
            image_files={path: _text(lines) for path, lines in sorted(self._image.items())},
            image_modules=tuple(self.image_modules),
            flow=self.flow,
            compression=self.compression,
            virtual_functions=self.virtual_functions,
            missing_modules=tuple(sorted(set(self.missing_modules))),
        )
        return Case(configuration, tuple(sorted(self.directives)))


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
