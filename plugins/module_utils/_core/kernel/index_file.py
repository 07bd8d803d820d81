# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The binary indexes that depmod makes for kmod (libkmod-index.c), which mkinitcpio's images have in place of the texts.

A file is a tree of characters: each node has a prefix, its children by their first character, and values with priorities.
"""

from __future__ import annotations

import struct

MAGIC = b"\xb0\x07\xf4\x57"
HEADER = 12
"""Bytes before the first node: the magic number, the version, and where the root is."""
MOST_NODES = 1_000_000
MOST_VALUES = 1_000_000
LONGEST_KEY = 4096
LARGEST = 96 << 20
"""Bytes of memory for all keys, on the way too: several parents can have one child, whose keys are then as many."""
COST = 150
"""Bytes that a key costs besides its own."""
_VERSION = 2
_PREFIX, _VALUES, _CHILDREN, _OFFSET = 0x80000000, 0x40000000, 0x20000000, 0x0FFFFFFF
IndexEntry = tuple[int, str, str]


def entries(content: bytes) -> tuple[IndexEntry, ...] | None:
    """Each value with its priority and key, in depmod's order; None if this is not such an index."""
    if not is_whole(content[:HEADER], len(content)):
        return None
    found: list[IndexEntry] = []
    pending, left = [(struct.unpack_from(">I", content, 8)[0], "")], LARGEST
    try:
        for _node in range(MOST_NODES):
            if not pending:
                return tuple(sorted(found))
            known, (offset, key) = len(found), pending.pop()
            children = _visited(content, offset, key, found)
            left -= sum(COST + 3 * (len(key) + len(value)) for _priority, key, value in found[known:])
            left -= sum(COST + len(key) for _offset, key in children)
            if left < 0:
                return None
            pending += children
    except (struct.error, ValueError):
        return None
    return None


def is_whole(header: bytes, size: int) -> bool:
    """Whether a file of this size, which begins like that, has its root, which depmod writes as the last node."""
    if len(header) < HEADER or header[:4] != MAGIC or struct.unpack_from(">H", header, 4)[0] != _VERSION:
        return False
    return bool((struct.unpack_from(">I", header, 8)[0] & _OFFSET) <= size)


def _visited(content: bytes, offset: int, key: str, found: list[IndexEntry]) -> list[tuple[int, str]]:
    """Adds a node's values; its children."""
    place = offset & _OFFSET
    if offset & _PREFIX:
        prefix, place = _text(content, place)
        key += prefix
    if len(key) > LONGEST_KEY or len(found) > MOST_VALUES:
        raise ValueError(key)
    children: list[tuple[int, str]] = []
    if offset & _CHILDREN:
        first, last = struct.unpack_from(">BB", content, place)
        count = max(last - first + 1, 0)
        offsets = struct.unpack_from(f">{count}I", content, place + 2)
        place += 2 + 4 * count
        children = [(one, key + chr(first + index)) for index, one in enumerate(offsets) if one & _OFFSET]
    if offset & _VALUES:
        (count,) = struct.unpack_from(">I", content, place)
        place += 4
        for _value in range(min(count, MOST_VALUES)):
            (priority,) = struct.unpack_from(">I", content, place)
            value, place = _text(content, place + 4)
            found.append((priority, key, value))
    return children


def _text(content: bytes, place: int) -> tuple[str, int]:
    end = content.index(b"\0", place)
    return content[place:end].decode("utf-8", "surrogateescape"), end + 1


def text_of(name: str, content: bytes) -> str | None:
    """The text of which `modules.alias.bin`, `modules.dep.bin` or `modules.builtin.bin` is the index; None if it cannot be read."""
    found = entries(content)
    if found is None:
        return None
    if name == "modules.dep.bin":
        return "".join(f"{value}\n" for _priority, _key, value in found)
    if name == "modules.builtin.bin":
        return "".join(f"kernel/{key}.ko\n" for _priority, key, _value in found)
    return "".join(f"alias {key} {value}\n" for _priority, key, value in found)
