# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which one and the same line of modprobe.d can be written, and lines that only look like one."""

from __future__ import annotations

import random
from collections.abc import Sequence

GAPS = (" ", " ", " ", "\t", "  ", " \t ", "\t\t")


def module(choice: random.Random, name: str) -> str:
    """A module's name with dashes for some or all of its underscores: kmod takes them for the same."""
    style = choice.random()
    if style < 0.5:
        return name
    if style < 0.85:
        return name.replace("_", "-")
    return "".join(choice.choice("-_") if letter == "_" else letter for letter in name)


def words(choice: random.Random, *parts: str) -> str:
    """Words with blanks or tabs between them; at times indented, or continued on the next line."""
    text = parts[0]
    for part in parts[1:]:
        gap = choice.choice(GAPS)
        text += f"{gap}\\\n{gap}{part}" if choice.random() < 0.06 else f"{gap}{part}"
    if choice.random() < 0.1:
        text = f"{choice.choice((' ', chr(9)))}{text}"
    return text


def identifier(choice: random.Random, vendor: int, device: int, subsystem: tuple[int, int] | None = None) -> str:
    """An entry of ids=, which the kernel reads with %x: either case, with or without leading zeroes."""
    text = f"{vendor:04x}:{device:04x}"
    if subsystem is not None:
        text += f":{subsystem[0]:04x}:{subsystem[1]:04x}"
    style = choice.random()
    if style < 0.25:
        return text.upper()
    if style < 0.4:
        return "".join(choice.choice((letter, letter.upper())) for letter in text)
    if style < 0.45:
        return f"{vendor:x}:{device:x}" if subsystem is None else text
    return text


def decoys(choice: random.Random, modules: Sequence[str]) -> list[str]:
    """Lines that kmod ignores, though they look as if they decided something."""
    name = choice.choice(list(modules))
    return choice.sample(
        [
            f"# blacklist {name}",
            f"#softdep {name} pre: vfio_pci",
            "",
            "   ",
            f"Blacklist {name}",
            f"blacklist{name}",
            "blacklist",
            f"softdep {name}",
            f"options {name}",
            f"remove {name} /bin/true",
            f"config blacklist {name}",
            f"# a comment that goes on \\\nblacklist {name}",
            f"alias {name}",
            f"blacklist [{name}",
        ],
        choice.choice((1, 1, 2, 3)),
    )
