# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot Loader Specification entries, type 1: one file for each kernel.

(uapi-group.org/specifications/specs/boot_loader_specification)
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.versions import package_compare

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles

FOLDERS_OF_GRUB = ("/boot/loader/entries",)


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
    initrds: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse(text: str, place: str) -> BlsEntry:
    """The entry in a file's text.  Of a key that is given twice the first counts; `initrd` and `options` are lists."""
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {"initrd": [], "options": []}
    source = place
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(None, 1)
        if len(words) < 2 or words[0].startswith("#"):
            continue
        key, value = words[0], words[1].strip()
        if key in several:
            several[key].append(value)
        elif key not in single:
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
        efi=single.get("efi") or single.get("uki"),
        initrds=tuple(several["initrd"]),
        options=tuple(several["options"]),
    )


def read(files: BootFiles, folder: str) -> t.Iterator[BlsEntry]:
    """The entries in a directory, unsorted."""
    for name in files.names(folder):
        if name.endswith(".conf") and not name.startswith("."):
            text = files.text(f"{folder}/{name}")
            if text is not None:
                yield parse(text, f"{folder}/{name}")


def read_all(files: BootFiles, folders: t.Iterable[str]) -> tuple[BlsEntry, ...]:
    """The entries in the order of GRUB's blscfg: newest first by file name."""
    found = [entry for folder in folders for entry in read(files, folder)]
    return tuple(sorted(found, key=functools.cmp_to_key(_compare), reverse=True))


def _compare(left: BlsEntry, right: BlsEntry) -> int:
    return package_compare(left.id.removesuffix(".conf"), right.id.removesuffix(".conf"))
