# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firmware and loaders did, as it is kept in the tree: `tests/uefi/run --record` writes it, the unit tests read it."""

from __future__ import annotations

import base64
import dataclasses
import json
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image

PLACE = Path(__file__).resolve().parent / "observed/boots.json"
#: By these a program says what it is, and a unified kernel image what it boots with.
_SECTIONS = (".cmdline", ".osrel", ".sbat", ".sdmagic", ".uname")
#: What is too large to be kept; that it is there, is.
_LARGE = (".initrd", ".linux", "mods")
PARAMETERS = slice(0xC0, 0x228)


@dataclasses.dataclass(frozen=True)
class SeenBoot:
    """One boot, and the variables that it left for the next: files of efivarfs by name.

    ``loaded`` are marks of the images that were unpacked, ``parameters`` the kernel's boot_params, from `ext_ramdisk_image` on.
    """

    cmdline: str
    loaded: tuple[str, ...]
    parameters: bytes
    variables: t.Mapping[str, bytes]

    @property
    def entry(self) -> str:
        """The name that each entry gives to the kernel."""
        return next(word.removeprefix("entry=") for word in self.cmdline.split() if word.startswith("entry="))

    def variable(self, name: str) -> bytes | None:
        """The value of the only variable of that name, whatever its vendor is."""
        found = [content for key, content in self.variables.items() if key.partition("-")[0] == name]
        return found[0][4:] if len(found) == 1 else None


@dataclasses.dataclass(frozen=True)
class Observed:
    """``texts`` and ``programs`` are on the EFI system partition, by path; a program is its sections, large ones empty."""

    release: str
    texts: t.Mapping[str, str]
    programs: t.Mapping[str, t.Mapping[str, bytes]]
    boots: tuple[SeenBoot, ...]


def read(place: Path = PLACE) -> Observed:
    kept = json.loads(place.read_text(encoding="utf-8"))
    boots = tuple(
        SeenBoot(one["cmdline"], tuple(one["loaded"]), base64.b64decode(one["parameters"]), _decoded(one["variables"]))
        for one in kept["boots"]
    )
    programs = {path: _decoded(sections) for path, sections in kept["programs"].items()}
    return Observed(kept["release"], kept["texts"], programs, boots)


def write(observed: Observed, place: Path = PLACE) -> None:
    boots = [
        {
            "cmdline": one.cmdline,
            "loaded": list(one.loaded),
            "parameters": base64.b64encode(one.parameters[PARAMETERS]).decode(),
            "variables": _encoded(one.variables),
        }
        for one in observed.boots
    ]
    programs = {path: _encoded(sections) for path, sections in observed.programs.items()}
    kept = {"release": observed.release, "texts": dict(observed.texts), "programs": programs, "boots": boots}
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def sections_of(program: Path) -> dict[str, bytes]:
    """The sections that are kept of a program."""
    with program.open("rb") as file:
        places = {name: (offset, size) for name, offset, size in kernel_image.sections(file)}
        found = dict.fromkeys((name for name in _LARGE if name in places), b"")
        for name in _SECTIONS:
            if name in places:
                offset, size = places[name]
                file.seek(offset)
                found[name] = file.read(size)
    return found


def _decoded(values: t.Mapping[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in values.items()}


def _encoded(values: t.Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in values.items()}
