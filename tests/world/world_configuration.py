# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host: its files with links and modes, its kernel's words, its initramfs, and which mechanisms were planted on what."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from configuration import INITRAMFS_TOOLS, Configuration


@dataclass(frozen=True)
class Entry:
    """A file with a text, or a link where ``link`` says to what.  Without a mode, a text that names its interpreter can be run."""

    text: str = ""
    link: str = ""
    mode: int = 0

    @property
    def permissions(self) -> int:
        return self.mode or (0o755 if self.text.startswith("#!") else 0o644)


Entries = t.Mapping[str, Entry]


@dataclass(frozen=True)
class Planted:
    """A mechanism, and the function that it is about; empty where it is about all."""

    mechanism: str
    address: str = ""


@dataclass(frozen=True)
class World:
    """Entries are by absolute path.

    ``second`` is what a second initrd holds; ``virtual_functions`` are there before the boot; the functions at the addresses
    ``absent`` are not plugged in. A ``unified`` host boots by UEFI, and its kernel, initramfs and arguments are one program.
    """

    name: str
    series: str
    cmdline: tuple[str, ...] = ()
    root: Entries = field(default_factory=dict)
    image: Entries = field(default_factory=dict)
    second: Entries = field(default_factory=dict)
    image_modules: tuple[str, ...] = ()
    missing_modules: tuple[str, ...] = ()
    flow: str = INITRAMFS_TOOLS
    compression: str = "none"
    virtual_functions: int = 0
    absent: tuple[str, ...] = ()
    planted: tuple[Planted, ...] = ()
    unified: bool = False

    def configuration(self) -> Configuration:
        """The same without files: as those parts of the fast guest know it that these guests share."""
        return Configuration(
            name=self.name,
            series=self.series,
            cmdline=self.cmdline,
            image_modules=self.image_modules,
            flow=self.flow,
            compression=self.compression,
            virtual_functions=self.virtual_functions,
            missing_modules=self.missing_modules,
        )

    def as_json(self) -> dict[str, t.Any]:
        """Without what is as it usually is."""
        found = {name: value for name, value in asdict(self).items() if value != getattr(World("", ""), name)}
        for place in ("root", "image", "second"):
            if place in found:
                found[place] = {path: {key: one for key, one in entry.items() if one} for path, entry in found[place].items()}
        return found

    @classmethod
    def parse(cls, given: t.Mapping[str, t.Any]) -> World:
        """Raises TypeError or KeyError on what ``as_json`` did not make."""
        fields: dict[str, t.Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        for place in ("root", "image", "second"):
            fields[place] = {path: Entry(**entry) for path, entry in given.get(place, {}).items()}
        fields["planted"] = tuple(Planted(**one) for one in given.get("planted", ()))
        return cls(**fields)
