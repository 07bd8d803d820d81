# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of which a program joins a command line, in its order: /etc/kernel/cmdline is one of several for mkinitcpio and sdbootutil.

(mkinitcpio: build_uki() and process_preset(); sdbootutil: create_boot_options())
"""

from __future__ import annotations

import functools
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.editable import PARTS
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import KERNEL_INSTALL as LINE
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import MKINITCPIO, SDBOOTUTIL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.sort_order import sort_compare

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles

OF_THE_SYSTEM = "/usr/"
"""Files below are not the host's to change: one in /etc comes in their place."""
VENDOR_LINE = "/usr/lib/kernel/cmdline"
FOLDERS_OF_SDBOOTUTIL = ("/usr/kernel/cmdline.d", "/etc/kernel/cmdline.d")
PRESETS = "/etc/mkinitcpio.d"
UNIFIED = ("_uki", "_efi_image")
DEEPEST = 4


class UnifiedPreset(t.NamedTuple):
    """A unified image that a preset names, and the files of its command line; with none it gets the running kernel's."""

    image: str
    sources: tuple[str, ...]


def sources(files: BootFiles, method: str) -> tuple[tuple[str, ...], ...]:
    """The files of each different command line; of one that is made of none an empty tuple."""
    if method == MKINITCPIO:
        return tuple(dict.fromkeys(one.sources for one in unified_presets(files))) or ((),)
    return (_of_sdbootutil(files) if method == SDBOOTUTIL else _line(files),)


def unified_presets(files: BootFiles) -> tuple[UnifiedPreset, ...]:
    """Of mkinitcpio's presets, those that make a unified image."""
    return tuple(
        one
        for name in files.names(PRESETS)
        if name.endswith(".preset")
        for one in _of_preset(files, Assignments.parse(files.text(f"{PRESETS}/{name}") or ""))
    )


def _of_preset(files: BootFiles, known: Assignments) -> t.Iterator[UnifiedPreset]:
    for key in known.values:
        suffix = next((suffix for suffix in UNIFIED if key.endswith(suffix)), None)
        image = known.get(key)
        if suffix is None or not image:
            continue
        name = key[: -len(suffix)]
        own = _option(known, f"{name}_options") or known.get(f"{name}_cmdline") or known.get("ALL_cmdline")
        yield UnifiedPreset(image, _of_mkinitcpio(files, own))


def _option(known: Assignments, name: str) -> str | None:
    """The last file that these options name for the command line."""
    words = [word for index in known.indices(name) for word in (known.get(name, index) or "").split()]
    joined = (word.partition("=")[2] for word in words if word.startswith("--cmdline="))
    apart = (after for word, after in zip(words, words[1:]) if word == "--cmdline")
    return next(iter([*apart, *joined][::-1]), None)


def _of_mkinitcpio(files: BootFiles, own: str | None) -> tuple[str, ...]:
    if own and not files.host.is_dir(own):
        return (own,)
    first, folder = ((), own) if own else (_line(files), PARTS)
    found = [place for place in _below(files, folder) if place.endswith(".conf")]
    return (*first, *sorted(found, key=functools.cmp_to_key(sort_compare)))


def _below(files: BootFiles, folder: str, depth: int = 0) -> t.Iterator[str]:
    for name in files.names(folder):
        place = posixpath.join(folder, name)
        if files.host.is_file(place):
            yield place
        elif depth < DEEPEST and files.host.link(place) is None:
            yield from _below(files, place, depth + 1)


def _of_sdbootutil(files: BootFiles) -> tuple[str, ...]:
    program = files.host.which(SDBOOTUTIL)
    vendor, own = FOLDERS_OF_SDBOOTUTIL if program and "cmdline.d" in (files.text(program) or "") else ("", "")
    replaced = set(files.names(own)) if own else set()
    found = [f"{vendor}/{name}" for name in (files.names(vendor) if vendor else ()) if name not in replaced]
    found += [f"{own}/{name}" for name in sorted(replaced)]
    return (*_line(files), *(place for place in found if files.host.is_file(place)))


def _line(files: BootFiles) -> tuple[str, ...]:
    return next(((place,) for place in (LINE, VENDOR_LINE) if files.host.is_file(place)), ())
