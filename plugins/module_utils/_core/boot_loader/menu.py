# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu of a boot loader, as far as it can be determined from files."""

from __future__ import annotations

import dataclasses
import re
import typing as t

RECOVERY_NAME = re.compile(r"-recovery-|\(recovery mode\)|rescue", re.IGNORECASE)
RECOVERY_ARGUMENTS = frozenset(("single", "recovery", "rescue", "emergency", "S", "s", "1"))
RECOVERY_PREFIXES = ("systemd.unit=rescue", "systemd.unit=emergency")


@dataclasses.dataclass(frozen=True)
class MenuItem:
    """An entry of the menu, or a submenu with ``children``.

    ``kernel`` and ``initrds`` are the loader's paths, ``arguments`` is the kernel's command line.  ``kernel`` is None if the item
    does not boot Linux.  ``source`` is the file and line that name the kernel.  ``certain`` is False if it cannot be
    determined whether the item is in the menu.
    """

    title: str
    id: str
    source: str
    kernel: str | None = None
    arguments: str = ""
    initrds: tuple[str, ...] = ()
    children: tuple[MenuItem, ...] = ()
    release: str | None = None
    """The kernel's release, if the item itself states it."""
    certain: bool = True
    doubts: tuple[str, ...] = ()
    hypervisor: str | None = None
    """What starts the kernel as its guest, if anything."""
    own_default: str | None = None
    """What the submenu itself sets as its default, whatever path leads there; None if nothing."""

    @property
    def is_recovery(self) -> bool:
        words = self.arguments.split()
        return (
            RECOVERY_NAME.search(self.id) is not None
            or RECOVERY_NAME.search(self.title) is not None
            or not RECOVERY_ARGUMENTS.isdisjoint(words)
            or any(word.startswith(RECOVERY_PREFIXES) for word in words)
        )


@dataclasses.dataclass(frozen=True)
class Menu:
    """One loader's menu, and what it boots by default.

    ``default`` is None if it cannot be determined.  ``why`` says what makes it the default; ``source`` is the loader's configuration.
    """

    loader: str
    source: str
    items: tuple[MenuItem, ...]
    default: MenuItem | None
    why: str
    doubts: tuple[str, ...] = ()

    def kernels(self) -> t.Iterator[MenuItem]:
        """Each item that boots Linux, including those in submenus, in the order of the menu."""
        yield from _kernels(self.items)


def _kernels(items: t.Iterable[MenuItem]) -> t.Iterator[MenuItem]:
    for item in items:
        if item.kernel is not None:
            yield item
        yield from _kernels(item.children)
