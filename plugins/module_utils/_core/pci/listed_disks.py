# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks that the kernel and udev list, each list read once: what asks after them may be a table of a hundred thousand lines."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

DISKS, DATABASE = "/sys/class/block", "/run/udev/data"
TAGS = {
    "UUID": ("by-uuid", ("ID_FS_UUID",)),
    "LABEL": ("by-label", ("ID_FS_LABEL", "ID_FS_LABEL_ENC")),
    "PARTUUID": ("by-partuuid", ("ID_PART_ENTRY_UUID",)),
    "PARTLABEL": ("by-partlabel", ("ID_PART_ENTRY_NAME",)),
    "ID": ("by-id", ("ID_SERIAL",)),
}
"""By kind of tag the folder of udev's links and the keys of its database."""


class ListedDisks:
    """The block devices of a host, by their names in sysfs, their numbers and their tags."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._links: dict[str, frozenset[str]] = {}

    @functools.cached_property
    def disks(self) -> frozenset[str]:
        return frozenset(names_if_any(self._host, DISKS))

    def has_link(self, folder: str, name: str) -> bool:
        """Whether udev has made a link of this name to a disk, such as in `by-uuid`."""
        if folder not in self._links:
            self._links[folder] = frozenset(names_if_any(self._host, f"/dev/disk/{folder}"))
        return name in self._links[folder]

    def numbers(self, key: str, value: str) -> t.Sequence[str]:
        """The disks of which udev knows this value for a key of a tag, in whichever letters."""
        return self._numbers_by_value.get((key, value.lower()), ())

    def udev(self, number: str) -> t.Mapping[str, str] | None:
        """What udev knows about a disk; None if it knows nothing at all."""
        text = self._host.text_or_none(f"{DATABASE}/b{number}")
        if text is None:
            return None
        return dict(line[2:].split("=", 1) for line in text.splitlines() if line.startswith("E:") and "=" in line)

    @functools.cached_property
    def udev_database(self) -> tuple[tuple[str, t.Mapping[str, str]], ...]:
        names = [name for name in names_if_any(self._host, DATABASE) if name.startswith("b")]
        found = ((name[1:], self.udev(name[1:])) for name in names)
        return tuple((number, known) for number, known in found if known is not None)

    @functools.cached_property
    def _numbers_by_value(self) -> t.Mapping[tuple[str, str], t.Sequence[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        keys = {key for _folder, several in TAGS.values() for key in several}
        for number, known in self.udev_database:
            for key in keys.intersection(known):
                found.setdefault((key, known[key].lower()), []).append(number)
        return found
