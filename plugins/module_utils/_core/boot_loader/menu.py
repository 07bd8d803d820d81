# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a boot loader offers: its menu, as far as it can be told from files."""

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

    ``kernel`` and ``initrds`` are paths as the loader names them, ``arguments`` the text that the kernel gets.  ``kernel`` is
    None where the item boots no Linux.  ``source`` is the place that names the kernel.  ``certain`` is False where only
    the loader itself can tell whether the item is in the menu.
    """

    title: str
    id: str
    source: str
    kernel: str | None = None
    arguments: str = ""
    initrds: tuple[str, ...] = ()
    children: tuple[MenuItem, ...] = ()
    release: str | None = None
    """Where the item itself says which kernel it is."""
    certain: bool = True
    doubts: tuple[str, ...] = ()

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
    """What one loader would show, and what it boots if nobody touches a key.

    ``default`` is None where the menu is empty.  ``why`` says what made it the default; ``source`` is the loader's own file.
    """

    loader: str
    source: str
    items: tuple[MenuItem, ...]
    default: MenuItem | None
    why: str
    doubts: tuple[str, ...] = ()

    def kernels(self) -> t.Iterator[MenuItem]:
        """Each item that boots Linux, submenus unfolded, in the order of the menu."""
        yield from _kernels(self.items)


def _kernels(items: t.Iterable[MenuItem]) -> t.Iterator[MenuItem]:
    for item in items:
        if item.kernel is not None:
            yield item
        yield from _kernels(item.children)
