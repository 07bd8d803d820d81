# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's environment block: a file of 1024 bytes that GRUB and grub-editenv both write."""

from __future__ import annotations

import re

SIGNATURE = "# GRUB Environment Block\n"
_LINE = re.compile(r"((?:[^\\\n]|\\[\s\S])*)\n")


def parse(text: str) -> dict[str, str]:
    """Variables by name; empty if this is not an environment block.

    A name is whatever stands before the next ``=``, line ends included; in a value a backslash escapes the next character; ``#`` pads the
    block.  (GRUB: grub-core/lib/envblk.c)
    """
    found: dict[str, str] = {}
    if not text.startswith(SIGNATURE):
        return found
    at = len(SIGNATURE)
    while at < len(text):
        if text[at] != "#":
            equals = text.find("=", at)
            value = _LINE.match(text, equals + 1)
            if equals < 0 or value is None:
                break
            found[text[at:equals]] = re.sub(r"(?s)\\(.)", r"\1", value[1])
            at = value.end()
        else:
            line = _LINE.match(text, at)
            at = len(text) if line is None else line.end()
    return found
