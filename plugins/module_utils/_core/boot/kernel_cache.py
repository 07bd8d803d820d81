# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cache of a kernel's parsed lists of modules and aliases, valid until depmod rewrites them."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import AliasIndex, BusAliases
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, Kernel, installed_releases

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import ImageView

# Kernel.read() reads modules.dep and these.
OTHERS = ("modules.alias", "modules.alias.bin", "modules.builtin", "modules.builtin.modinfo", "build/Makefile")


def read_kernels(host: Host, cache: Cache) -> tuple[Kernel, ...]:
    """Each installed kernel, oldest first."""
    return tuple(read_kernel(host, release, cache) for release in installed_releases(host))


def read_kernel(host: Host, release: str, cache: Cache) -> Kernel:
    """As `Kernel.read()`, cached, and checked.  Raises what that does."""
    here = f"{MODULES}/{release}"
    found = cache.remembered(
        "kernel",
        f"{here}/modules.dep",
        lambda: Kernel.read(host, release),
        to_cache,
        lambda kept: from_cache(kept, release),
        [f"{here}/{name}" for name in OTHERS],
    )
    # A module's file can go without depmod's files being written.
    return found.checked(host)


def read_kernel_of_image(view: ImageView, cache: Cache | None) -> Kernel:
    """The kernel's modules in an initramfs, cached until that changes.  Raises what `Kernel.read()` does."""
    release, path = view.image.release, view.image.path
    if cache is None:
        return Kernel.read(view, release)
    return cache.remembered(
        f"image-kernel-{release.replace('/', '_')}",
        path,
        lambda: Kernel.read(view, release),
        to_cache,
        lambda kept: from_cache(kept, release),
    )


def to_cache(kernel: Kernel) -> dict[str, t.Any]:
    """A representation in JSON."""
    buses = {
        bus: [list(known.named), list(known.open), sorted(known.modules), known.built_ins] for bus, known in kernel.index.buses.items()
    }
    return {
        "modules": dict(kernel.modules),
        "builtins": sorted(kernel.builtins),
        "has_headers": kernel.has_headers,
        "needed": dict(kernel.needed),
        "aliases": buses,
        "names": list(kernel.index.names),
    }


def from_cache(kept: t.Any, release: str) -> Kernel:
    """Raises AttributeError, KeyError, TypeError or ValueError for a value that `to_cache()` did not write."""
    buses = {
        bus: BusAliases(bus, named, others, frozenset(modules), built_ins)
        for bus, (named, others, modules, built_ins) in kept["aliases"].items()
    }
    index = AliasIndex(buses, tuple(kept["names"]))
    return Kernel(release, kept["modules"], frozenset(kept["builtins"]), kept["has_headers"], index, kept["needed"])
