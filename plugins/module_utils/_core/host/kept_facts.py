# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's files, links, directories and attributes have answered, in a form that can be asked again fast.

Where a file system keeps honest times, a file or directory whose identity (device, inode, size, mtime and ctime) is unchanged has the
content that it had; elsewhere, in /proc and /sys too, it is read.  Of a device's node its owner, mode and number count.
`first_difference()` takes whatever it is not sure of for a difference.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat as stat_bits
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import LARGEST_FILE, access, identity, read_regular
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import READ, read_attributes

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import Root

LONGEST_CHECK = 20.0
"""Seconds: what takes longer is left to the full run, which says what it waits for."""
ATTRIBUTES_TIMEOUT = 5.0
PAGE = 4096

Identity = list[int]
"""As `regular_file.identity()` makes it."""


@dataclasses.dataclass(frozen=True)
class KeptFacts:
    """Answers by path, representable in JSON.  ``known_as`` are identities that stand for a content or for the names in a directory."""

    identities: dict[str, Identity] = dataclasses.field(default_factory=dict)
    known_as: dict[str, Identity] = dataclasses.field(default_factory=dict)
    contents: dict[str, str | None] = dataclasses.field(default_factory=dict)
    names: dict[str, str | None] = dataclasses.field(default_factory=dict)
    access: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    types: dict[str, int] = dataclasses.field(default_factory=dict)
    links: dict[str, str | None] = dataclasses.field(default_factory=dict)
    attributes: dict[str, str | None] = dataclasses.field(default_factory=dict)
    slow_attributes: dict[str, str | None] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_kept(cls, kept: t.Mapping[str, t.Any]) -> KeptFacts:
        """Raises KeyError or TypeError for what `dataclasses.asdict()` has not made of facts."""
        return cls(**{field.name: dict(kept[field.name]) for field in dataclasses.fields(cls)})

    @property
    def count(self) -> int:
        return sum(len(getattr(self, field.name)) for field in dataclasses.fields(self) if field.name != "known_as")

    def first_difference(self, host: Root) -> str | None:
        """The path of the first fact that is not as it was, or about which that cannot be determined in time; None if all are."""
        deadline = time.monotonic() + LONGEST_CHECK
        for number, (path, differs) in enumerate(self._checks(host)):
            if differs or (number % 64 == 0 and time.monotonic() > deadline):
                return path
        return None

    def _checks(self, host: Root) -> t.Iterator[tuple[str, bool]]:
        yield from ((path, link_of(host, path) != target) for path, target in self.links.items())
        yield from ((path, attribute_of(host, path) != text) for path, text in self.attributes.items())
        yield from ((path, identity_of(host, path) != known) for path, known in self.identities.items())
        yield from ((path, access_of(host, path) != known) for path, known in self.access.items())
        yield from ((path, type_of(host, path) != kind) for path, kind in self.types.items())
        yield from ((path, self._is_new(host, path) and names_digest(host, path) != names) for path, names in self.names.items())
        yield from ((path, self._is_new(host, path) and content_digest(host, path) != text) for path, text in self.contents.items())
        found = read_attributes(list(self.slow_attributes), ATTRIBUTES_TIMEOUT, lambda path: attribute_of(host, path), host.path)
        yield from ((path, found.get(path) != text) for path, text in self.slow_attributes.items())

    def _is_new(self, host: Root, path: str) -> bool:
        known = self.known_as.get(path)
        return known is None or identity_of(host, path) != known


def status_of(host: Root, path: str) -> os.stat_result | None:
    try:
        return os.stat(host.whole(path))
    except (HostError, OSError):
        return None


def identity_of(host: Root, path: str) -> Identity | None:
    status = status_of(host, path)
    return None if status is None else identity(status)


def access_of(host: Root, path: str) -> list[int] | None:
    status = status_of(host, path)
    return None if status is None else access(status)


def type_of(host: Root, path: str) -> int:
    """As `Host.exists()` records it."""
    status = status_of(host, path)
    return 0 if status is None else stat_bits.S_IFMT(status.st_mode)


def link_of(host: Root, path: str) -> str | None:
    try:
        return os.readlink(host.path(path))
    except (HostError, OSError):
        return None


def attribute_of(host: Root, path: str) -> str | None:
    """As `DirectoryHandle.attribute()` reads it, which follows no link to the attribute itself."""
    try:
        place = host.path(path)
        if not stat_bits.S_ISREG(os.lstat(place).st_mode):
            return None
        handle = os.open(place, READ)
    except (HostError, OSError):
        return None
    try:
        return os.read(handle, PAGE).decode("utf-8", "surrogateescape").strip()
    except OSError:
        return None
    finally:
        os.close(handle)


def names_digest(host: Root, path: str) -> str | None:
    """Of the sorted names in a directory, none where there is no directory; None if it cannot be listed."""
    try:
        return digest_of_names(os.listdir(host.whole(path)))
    except (FileNotFoundError, NotADirectoryError):
        return digest_of_names([])
    except (HostError, OSError):
        return None


def digest_of_names(names: t.Iterable[str]) -> str:
    return hashlib.sha256("\0".join(sorted(names)).encode("utf-8", "surrogateescape")).hexdigest()


def content_digest(host: Root, path: str) -> str | None:
    """As `Host.text_or_none()` records it; None too for what is not a regular file, or too large to be read."""
    try:
        return hashlib.sha256(read_regular(host.whole(path), path, LARGEST_FILE)).hexdigest()
    except (HostError, OSError):
        return None
