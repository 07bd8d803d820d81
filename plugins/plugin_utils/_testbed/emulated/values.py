# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values in the description of an emulated function: how a playbook may write them, and what is wrong with others."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import cut, shown

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class FunctionError(ValueError):
    """A description of a function that cannot be: one sentence naming the field, the value and what is allowed."""


def size_text(size: int) -> str:
    """A number of bytes as a user would write it: 16M, 16G, 256."""
    for unit, letter in ((GIB, "G"), (MIB, "M"), (KIB, "K")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)


def number(name: str, value: t.Any) -> int:
    try:
        if isinstance(value, str):
            return int(value, 0)
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise FunctionError(f'{name} is {shown(value)}; allowed is a number such as 4318 or "0x10de".')


def size(name: str, value: t.Any) -> int:
    units = {"K": KIB, "M": MIB, "G": GIB}
    try:
        if isinstance(value, str) and value[-1:].upper() in units:
            return int(value[:-1], 0) * units[value[-1].upper()]
        return number(name, value)
    except ValueError:
        raise FunctionError(
            f'{name} is {shown(value)}; allowed is a number of bytes such as 4096, "0x1000", "64K", "16M" or "16G".'
        ) from None


def boolean(name: str, value: t.Any) -> bool:
    words = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise FunctionError(f"{name} is {shown(value)}; allowed are true and false.")


def text(name: str, value: t.Any) -> str | None:
    if value is None or (isinstance(value, str) and value.lower() in ("", "none")):
        return None
    if isinstance(value, str):
        return str(value)
    raise FunctionError(f"{name} is {shown(value)}; allowed is a text.")


def mapping(name: str, value: t.Any, of: str) -> Mapping[t.Any, t.Any]:
    if isinstance(value, Mapping):
        return value
    raise FunctionError(f"{name} is {shown(value)}; allowed is a dictionary of {of}.")


def refuse_unknown(name: str, options: Mapping[t.Any, t.Any], allowed: t.Iterable[str]) -> None:
    known = sorted(allowed)
    for key in options:
        if key not in known:
            raise FunctionError(f"The {name} has an unknown field {shown(key)}; allowed are {', '.join(known)}.")


def in_range(name: str, value: t.Any, top: int) -> None:
    """Refuses what is not a whole number from 0 to ``top``, whatever its type."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value <= top:
        raise FunctionError(f"{name} is {cut(f'{value:#x}') if whole else shown(value)}; allowed is 0 to {top:#x}.")
