# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one program for networks is told about an interface."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

LARGEST, MOST_FILES, MOST_TEXT = 1 << 18, 500, 1 << 22
MOST_NAMES, MOST_SETTINGS = 256, 5000
"""Of one setting, and in all: a host has fewer."""
ANY = ("*",)
EVERYTHING = ("0.0.0.0/0", "::/0")


@dataclasses.dataclass(frozen=True)
class NetworkSetting:
    """An interface as a program has it configured.

    ``names`` and ``paths`` (udev's ID_PATH) are patterns, of which one agrees, and none that begins with `!`; so must one of ``addresses``
    (in small letters), if there are any.  ``lower`` are interfaces that it is on, ``upper`` those that it is a part of.  ``is_vague``: more
    must agree than that, and that is not known here.  ``is_optional``: the boot does not wait for it.  ``has_route``: it gets a default
    route, or asks a server for one.  ``is_read``: without it, what the program at ``source`` configures is not known.

    Of those that have a ``rank``, an interface gets the first one alone that agrees (systemd.network(5)).
    """

    source: str
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()
    is_vague: bool = False
    is_optional: bool = False
    comes_up: bool = True
    has_route: bool = False
    has_address: bool = False
    is_read: bool = True
    rank: str | None = None


def bounded(setting: NetworkSetting) -> NetworkSetting:
    """With no more names than are looked at."""
    if max(map(len, (setting.names, setting.addresses, setting.paths, setting.lower, setting.upper))) <= MOST_NAMES:
        return setting
    kept = {name: getattr(setting, name)[:MOST_NAMES] for name in ("names", "addresses", "paths", "lower", "upper")}
    return dataclasses.replace(setting, is_vague=True, **kept)


def texts_of(host: Host, paths: t.Iterable[str]) -> t.Iterator[tuple[str, str]]:
    """Files with their texts, as long as these are not too long together."""
    left = MOST_TEXT
    for path in paths:
        text = text_of(host, path)
        left -= len(text)
        if left < 0:
            return
        yield path, text


def text_of(host: Host, path: str) -> str:
    """The beginning of a file, as far as it is read; empty if there is none."""
    return head_text(host, path, LARGEST)
