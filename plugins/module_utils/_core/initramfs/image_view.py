# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An initramfs image as a tree of files, so that code which reads a host can read an image."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import OfFiles, of_files, version_of
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import KEPT, Image, joined, resolved

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


NO_NAMES: frozenset[str] = frozenset()


class ImageView:
    """A `FileTree` of an image.  It has all names; only the files that `Image` keeps can be read."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._folders: dict[str, set[str]] = {}
        for name in image.names:
            self._add(name)
        for name in image.folders:
            self._folders.setdefault(name, set())

    def _add(self, name: str) -> None:
        # An archive need not have entries for the directories of its files.
        while name:
            folder, _slash, last = name.rpartition("/")
            known = self._folders.setdefault(folder, set())
            if last in known:
                return
            known.add(last)
            name = folder

    def shown(self, path: str) -> str:
        return f"{self.image.path}:{path}"

    def names(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(self._folders.get(self._place(path), NO_NAMES)))

    def exists(self, path: str) -> bool:
        place = self._place(path)
        return place in self._folders or place in self.image.names

    def is_dir(self, path: str) -> bool:
        return self._place(path) in self._folders

    def is_file(self, path: str) -> bool:
        place = self._place(path)
        if place in self.image.texts:
            return True
        # Below /dev are device nodes: a link to /dev/null is not a regular file.  A name that matches KEPT and was not kept is too
        # large for a configuration file.
        nothing = place in self._folders or place in self.image.links or place.startswith("dev/") or KEPT.fullmatch(place)
        return place in self.image.names and not nothing

    def link(self, path: str) -> str | None:
        return self.image.links.get(resolved(path.strip("/"), self.image.links, follow_last=False))

    def link_name(self, path: str) -> str | None:
        target = self.link(path)
        return None if target is None else posixpath.basename(target)

    def read_bytes(self, path: str) -> bytes:
        content = self.image.texts.get(self._place(path))
        if content is None:
            raise HostError(
                f"{self.shown(path)} cannot be read: the initramfs does not have this file, or it is too large for a configuration file."
            )
        return content

    def read_text(self, path: str) -> str:
        return self.read_bytes(path).decode("utf-8", "surrogateescape")

    def leave_out(self, path: str, why: str) -> None:
        raise HostError(f"{self.shown(path)} cannot be read: {why}.")

    def head(self, path: str, most: int) -> bytes | None:
        content = self.image.texts.get(self._place(path))
        return None if content is None else content[:most]

    def text_or_none(self, path: str) -> str | None:
        return self.read_text(path).strip() if self._place(path) in self.image.texts else None

    def _place(self, path: str) -> str:
        return resolved(path.strip("/"), self.image.links)


# Thousands of names that are not needed: firmware, keyboard maps, locales.
UNASKED = re.compile(r"(?:usr/)?lib/firmware/|usr/share/|(?:usr/)?lib/(?:kbd|locale)/")


def read_image(host: Host, path: str, release: str, cache: Cache | None, more: t.Sequence[str] = ()) -> Image:
    """An image as a forecast needs it, which needs no fingerprints; ``more`` are unpacked over it.  Raises what `Image.read()` does."""
    if cache is None:
        return image_of(host, path, release, (), more)
    # An image has the modules of one kernel, but does not say which kernel it is for.
    kind = "-with-".join(("image-" + release.replace("/", "_"), *(one.replace("/", "_") for one in more)))
    name = joined(path, more)
    found = cache.remembered(
        kind, path, lambda: image_of(host, path, release, (), more), to_cache, lambda kept: from_cache(kept, name, release), more
    )
    return found if found.path == name else dataclasses.replace(found, path=name)


def image_of(host: Host, path: str, release: str, fingerprint: t.Collection[str] = (), more: t.Sequence[str] = ()) -> Image:
    """As `Image.read()`, which raises the same; in a run of several steps an image is opened once.

    It is opened again for a fingerprint that nobody has asked for before of a module that it has.
    """
    files = of_files()
    version = None if files is None else version_of(host, (path, *more))
    if files is None or version is None:
        return Image.read(host, path, release, fingerprint, more)
    key = ("image", release, version)
    known = files.get(key)
    image: Image | None = None
    asked: frozenset[str] = frozenset()
    if known is not None:
        image, asked = known.value
    if image is None or any(name in image.modules for name in frozenset(fingerprint) - asked):
        asked |= frozenset(fingerprint)
        image = Image.read(host, path, release, asked, more)
    files[key] = OfFiles((image, asked))
    fingerprints = {name: one for name, one in image.fingerprints.items() if name in fingerprint}
    return dataclasses.replace(image, path=joined(path, more), fingerprints=fingerprints)


def to_cache(image: Image) -> dict[str, t.Any]:
    """A representation in JSON."""
    return {
        "names": sorted(name for name in image.names if not UNASKED.match(name)),
        "links": {name: target for name, target in image.links.items() if not UNASKED.match(name)},
        "texts": {name: content.decode("utf-8", "surrogateescape") for name, content in image.texts.items()},
        "modules": dict(image.modules),
        "boot_config": image.boot_config,
        "digests": dict(image.digests),
        "folders": sorted(name for name in image.folders if not UNASKED.match(name)),
    }


def from_cache(kept: t.Any, path: str, release: str) -> Image:
    """Raises AttributeError, KeyError or TypeError for a value that `to_cache()` did not write."""
    texts = {name: content.encode("utf-8", "surrogateescape") for name, content in kept["texts"].items()}
    names, links, modules, digests = frozenset(kept["names"]), dict(kept["links"]), dict(kept["modules"]), dict(kept["digests"])
    folders = frozenset(kept["folders"])
    return Image(path, release, names, links, texts, modules, {}, kept["boot_config"], digests, folders)
