# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's environment block: a file of 1024 bytes that GRUB and grub-editenv both write."""

from __future__ import annotations

SIGNATURE = "# GRUB Environment Block\n"


def parse(text: str) -> dict[str, str]:
    """Variables by name; empty if this is not an environment block.

    A backslash escapes the next character; ``#`` pads the block.  (GRUB: grub-core/lib/envblk.c)
    """
    found: dict[str, str] = {}
    if not text.startswith(SIGNATURE):
        return found
    line, escaped = "", False
    for char in text[len(SIGNATURE) :]:
        if escaped:
            line, escaped = line + char, False
        elif char == "\\":
            escaped = True
        elif char == "\n":
            _take(line, found)
            line = ""
        else:
            line += char
    return found


def _take(line: str, found: dict[str, str]) -> None:
    name, equals, value = line.partition("=")
    if equals and not line.startswith("#"):
        found[name] = value
