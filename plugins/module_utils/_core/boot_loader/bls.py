# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot Loader Specification entries, type 1: one file for each kernel.

(uapi-group.org/specifications/specs/boot_loader_specification)
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import UNIFIED_IMAGES, BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.versions import package_compare

FOLDERS_OF_GRUB = ("/boot/loader/entries",)
AS_GRUB_CALLS_IT = "(hd0,gpt1)"
"""GRUB sorts unified images by their whole paths; only the digits depend on the machine."""


@dataclasses.dataclass(frozen=True)
class BlsEntry:
    """One entry.  ``id`` is the file's name, ``place`` its path, ``source`` the file and line that name the kernel."""

    id: str
    place: str
    source: str
    title: str = ""
    version: str = ""
    machine_id: str = ""
    sort_key: str = ""
    kernel: str | None = None
    efi: str | None = None
    uki: str | None = None
    initrds: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    architecture: str = ""
    url: str | None = None
    """Where the program is fetched from, if it is not a file."""
    newer: tuple[str, ...] = ()
    """The keys, known to the newest loaders only, that change what a unified image boots with."""
    is_of_two_kinds: bool = False
    """Whether it names programs of several kinds."""


def parse(text: str, place: str, is_systemds: bool = False) -> BlsEntry:
    """The entry in a file's text.  `initrd` and `options` are lists; of another key that is given twice the first counts for GRUB.

    For systemd-boot the last one counts, and quotes around a value are taken away (line_get_key_value() in src/boot/util.c).
    GRUB reads no further than to a line without a value, an empty one included (grub-core/commands/blsuki.c, Fedora's blscfg.c).
    """
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {"initrd": [], "options": []}
    source = place
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(None, 1)
        if len(words) < 2 and not is_systemds and not line.lstrip().startswith("#"):
            break
        if len(words) < 2 or words[0].startswith("#"):
            continue
        key, value = words[0], unquoted(words[1].strip()) if is_systemds else words[1].strip()
        if key in several:
            several[key].append(value)
        elif is_systemds or key not in single:
            single[key] = value
            source = f"{place}:{number}" if key in ("linux", "efi", "uki") else source
    return BlsEntry(
        id=place.rpartition("/")[2],
        place=place,
        source=source,
        title=single.get("title", ""),
        version=single.get("version", ""),
        machine_id=single.get("machine-id", ""),
        sort_key=single.get("sort-key", ""),
        kernel=single.get("linux"),
        efi=single.get("efi"),
        uki=single.get("uki"),
        initrds=tuple(several["initrd"]),
        options=tuple(several["options"]),
        architecture=single.get("architecture", ""),
        url=single.get("uki-url"),
        newer=tuple(key for key in ("profile", "extra") if key in single),
        is_of_two_kinds=sum(key in single for key in ("linux", "efi", "uki", "uki-url")) > 1,
    )


def unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def read(files: BootFiles, folder: str, is_systemds: bool = False) -> t.Iterator[BlsEntry]:
    """The entries in a directory, unsorted."""
    for name in files.names(folder):
        if name.startswith(".") or (is_systemds and name.lower().startswith("auto-")):
            continue
        if (name.lower() if is_systemds else name).endswith(".conf"):
            text = files.text(f"{folder}/{name}")
            if text is not None:
                yield parse(text, f"{folder}/{name}", is_systemds)


def read_all(files: BootFiles, folders: t.Iterable[str]) -> tuple[BlsEntry, ...]:
    """The entries in the order of GRUB's blscfg: newest first by file name; among them unified images, which newer versions find."""
    found = [entry for folder in folders for entry in read(files, folder)]
    found += [dataclasses.replace(entry, id=f"{AS_GRUB_CALLS_IT}/{UNIFIED_IMAGES}/{entry.id}") for entry in _unified(files)]
    return tuple(sorted(found, key=functools.cmp_to_key(_compare), reverse=True))


def read_unified(files: BootFiles) -> tuple[BlsEntry, ...]:
    """The unified images in the order of the command uki of GRUB 2.14, which is that of `sort -V`, the newest first."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.sort_order import sort_compare

    key = functools.cmp_to_key(sort_compare)
    return tuple(sorted(_unified(files), key=lambda entry: key(entry.id), reverse=True))


def _unified(files: BootFiles) -> t.Iterator[BlsEntry]:
    for folder in (f"{partition}/{UNIFIED_IMAGES}" for partition in files.partitions):
        for name in files.names(folder):
            if name.endswith(".efi") and name[0] != ".":
                place = f"{folder}/{name}"
                yield BlsEntry(name, place, place, efi=place)


def _compare(left: BlsEntry, right: BlsEntry) -> int:
    return package_compare(left.id.removesuffix(".conf"), right.id.removesuffix(".conf"))
