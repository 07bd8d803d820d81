# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an initramfs image is compared with a policy, and kept while the image is unchanged."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import image_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.fingerprint import Fingerprint

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image

# A generator may copy a file to another of the directories that are searched; initramfs-tools does so with udev's rules.
# A file in an earlier directory hides files of the same name in later ones.
PLACES: t.Mapping[str, tuple[str, ...]] = {
    "/etc/modprobe.d": ("etc/modprobe.d",),
    "/etc/udev/rules.d": ("etc/udev/rules.d", "run/udev/rules.d", "usr/local/lib/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"),
    "/etc/modules-load.d": ("etc/modules-load.d",),
}


@dataclasses.dataclass(frozen=True)
class ImageContents:
    """``held`` has, for each of `PLACES`, the place in the image and the content of each file, by name."""

    held: t.Mapping[str, t.Mapping[str, tuple[str, bytes]]]
    fingerprints: t.Mapping[str, Fingerprint]
    """Of the modules that were asked for, by normalized name; of those alone that the image has."""

    @classmethod
    def read(cls, host: Host, path: str, release: str, modules: t.Collection[str], cache: Cache | None = None) -> ImageContents:
        """Read an image, or recall what was read of it; then it is not opened.  Raises what `Image.read()` does."""

        def make() -> ImageContents:
            return cls._of(image_of(host, path, release, tuple(modules)))

        if cache is None:
            return make()
        # An image has the modules of one kernel, and only those are compared that were asked for.
        asked = hashlib.sha256("\n".join((release, *sorted(modules))).encode()).hexdigest()[:16]
        return cache.remembered(f"image-contents-{asked}", path, make, cls._to_cache, cls._from_cache)

    @classmethod
    def _of(cls, image: Image) -> ImageContents:
        return cls({folder: _files(image, places) for folder, places in PLACES.items()}, image.fingerprints)

    def _to_cache(self) -> dict[str, t.Any]:
        """A representation in JSON."""
        held = {
            folder: {name: (place, content.decode("utf-8", "surrogateescape")) for name, (place, content) in files.items()}
            for folder, files in self.held.items()
        }
        return {"held": held, "fingerprints": {name: dataclasses.astuple(one) for name, one in self.fingerprints.items()}}

    @classmethod
    def _from_cache(cls, kept: t.Any) -> ImageContents:
        """Raises AttributeError, KeyError, TypeError or ValueError for a value that `_to_cache()` did not write."""
        held = {
            folder: {name: (place, text.encode("utf-8", "surrogateescape")) for name, (place, text) in kept["held"][folder].items()}
            for folder in PLACES
        }
        return cls(held, {name: Fingerprint(*one) for name, one in kept["fingerprints"].items()})


def _files(image: Image, places: tuple[str, ...]) -> dict[str, tuple[str, bytes]]:
    held: dict[str, tuple[str, bytes]] = {}
    for place in places:
        for name, content in image.files(place):
            held.setdefault(name, (f"{place}/{name}", content))
    return held
