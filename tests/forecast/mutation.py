# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule of the forecast that is broken on purpose, and the ways to break one."""

from __future__ import annotations

import contextlib
import importlib
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CORE = "ansible_collections.vfio.variants.plugins.module_utils._core"
Broken = Callable[[t.Any], t.Any]
"""Makes the broken function or class out of the right one."""


@dataclass(frozen=True)
class Mutation:
    """A rule that is broken on purpose.  ``place`` is a module of the core, and what it holds: `forecast.matching:can_probe`."""

    breaks: str
    place: str
    broken: Broken
    reads: bool = False
    """Whether facts have to be read again to see it: the rule belongs to the reading of the host."""

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        module, _colon, path = self.place.partition(":")
        owner: t.Any = importlib.import_module(f"{_CORE}.{module}")
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        right = vars(owner)[name]
        unwrapped = right.__func__ if isinstance(right, (staticmethod, classmethod)) else right
        broken = self.broken(unwrapped)
        setattr(owner, name, type(right)(broken) if isinstance(right, (staticmethod, classmethod)) else broken)
        try:
            yield
        finally:
            setattr(owner, name, right)


def always(value: object) -> Broken:
    """Whatever is asked, the same answer."""
    return lambda _right: lambda *_arguments, **_named: value


def changed(change: Callable[[t.Any], t.Any]) -> Broken:
    """The right answer, changed."""
    return lambda right: lambda *arguments, **named: change(right(*arguments, **named))


def generated(change: Callable[[list[t.Any]], t.Any]) -> Broken:
    """What the right generator yields, changed as a list."""
    return lambda right: lambda *arguments, **named: iter(change(list(right(*arguments, **named))))
