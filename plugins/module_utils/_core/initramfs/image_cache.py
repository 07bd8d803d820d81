# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot image's content, unpacked once and kept until the image changes."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host

# Thousands of names that no reader asks for: firmware, keyboard maps, locales.
UNASKED = re.compile(r"(?:usr/)?lib/firmware/|usr/share/|(?:usr/)?lib/(?:kbd|locale)/")


def read_image(host: Host, path: str, release: str, cache: Cache | None) -> Image:
    """An image as a forecast needs it, without fingerprints.  Raises what `Image.read()` does."""
    if cache is None:
        return Image.read(host, path, release)
    # One image holds the modules of one kernel, but which kernel it is for is not written in it.
    kind = f"image-{release.replace('/', '_')}"
    return cache.remembered(kind, path, lambda: Image.read(host, path, release), to_cache, lambda kept: from_cache(kept, path, release))


def to_cache(image: Image) -> dict[str, t.Any]:
    """As JSON can say it."""
    return {
        "names": sorted(name for name in image.names if not UNASKED.match(name)),
        "links": {name: target for name, target in image.links.items() if not UNASKED.match(name)},
        "texts": {name: content.decode("utf-8", "surrogateescape") for name, content in image.texts.items()},
        "modules": dict(image.modules),
    }


def from_cache(kept: t.Any, path: str, release: str) -> Image:
    """Raises AttributeError, KeyError or TypeError on what `to_cache()` did not write."""
    texts = {name: content.encode("utf-8", "surrogateescape") for name, content in kept["texts"].items()}
    return Image(path, release, frozenset(kept["names"]), dict(kept["links"]), texts, dict(kept["modules"]), {})
