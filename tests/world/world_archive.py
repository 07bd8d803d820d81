# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of entries: like those of the fast guest, with links and modes, and with one member for each path."""

from __future__ import annotations

from archive import Archive, _entry
from world_configuration import Entries


class EntryArchive(Archive):
    """The last of several members with the same path is the one that is written."""

    def __init__(self) -> None:
        super().__init__()
        self._members: dict[str, tuple[int, bytes]] = {}

    def entries(self, entries: Entries, below: str = "") -> None:
        for path, entry in entries.items():
            if entry.link:
                self.link(f"{below}{path}", entry.link)
            else:
                self.file(f"{below}{path}", entry.text.encode("utf-8", "surrogateescape"), entry.permissions)

    def content(self) -> bytes:
        parts = [_entry(number, name, mode, content) for number, (name, (mode, content)) in enumerate(self._members.items(), 1)]
        return b"".join((*parts, _entry(len(parts) + 1, "TRAILER!!!", 0, b"")))

    def _add(self, name: str, mode: int, content: bytes) -> None:
        self._known.add(name)
        self._members[name] = (mode, content)
