# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build roots with further packages laid over them: unpacked once, never installed, and nothing built in them stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import deb_files
from build_root import BuildRoot
from kernel_offers import Deb

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.program import run

_MOUNT_SECONDS = 60
_KEPT = 14 * 24 * 3600
#: Set for this program once it has mounts of its own.
_OWN_MOUNTS = "VFIO_VARIANTS_OWN_MOUNTS"
#: What no build reads: documentation, link-time optimisation (60 MB), and the kernel (20 MB), from which BTF would be made.
_UNREAD = ("usr/share/doc", "usr/share/man", "usr/lib/gcc-cross/*/*/lto1", "usr/libexec/gcc-cross/*/*/lto1", "usr/src/*/vmlinux")


def own_mounts(cache: Cache) -> Path:
    """A folder in memory to mount things below. This program starts again in a name space of its own, with which its mounts end."""
    if os.environ.get(_OWN_MOUNTS) != str(os.getpid()):
        # exec keeps the number of the process, so that a variable inherited by another process says nothing there.
        environment = os.environ | {_OWN_MOUNTS: str(os.getpid())}
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv], environment)
    place = cache.root / "kernels" / "mounts"
    place.mkdir(parents=True, exist_ok=True)
    _mount("tmpfs", "tmpfs", place)
    return place


def layer(deb: Deb, cache: Cache, say: t.Callable[[str], None]) -> Path:
    """The package's files in a folder of the cache."""
    place = cache.root / "kernels" / "layers" / f"{deb.package}-{deb.sha256[:12]}"
    with cache.lock(place.name):
        if not place.is_dir():
            with cache.building(place) as folder:
                _unpack(deb, folder, say)
        # When it was used last.
        os.utime(place)
    return place


@contextlib.contextmanager
def laid_over(root: BuildRoot, debs: t.Sequence[Deb], cache: Cache, mounts: Path, say: t.Callable[[str], None]) -> t.Iterator[BuildRoot]:
    """The root as it would be with these packages, to be written to at will: it vanishes with the block."""
    lower = [layer(deb, cache, say) for deb in reversed(debs)] + [root.tree]
    with tempfile.TemporaryDirectory(dir=mounts) as name:
        place = Path(name)
        merged = BuildRoot(place)
        for folder in ("upper", "work", merged.tree.name):
            (place / folder).mkdir()
        # Unless it is told to, a tmpfs gives its root and an overlay its own the mode of a private folder.
        (place / "upper").chmod(0o755)
        options = f"lowerdir={':'.join(str(path) for path in lower)},upperdir={place / 'upper'},workdir={place / 'work'}"
        _mount("overlay", "overlay", merged.tree, "-o", options)
        try:
            yield merged
        finally:
            run(("umount", merged.tree), timeout=_MOUNT_SECONDS)


def forget_old(cache: Cache) -> None:
    """Remove the layers that nobody has used for long."""
    for path in (cache.root / "kernels" / "layers").glob("[!.]*"):
        if path.stat().st_mtime < time.time() - _KEPT:
            with cache.lock(path.name):
                shutil.rmtree(path)


def _mount(kind: str, source: str, target: Path, *options: str) -> None:
    run(("mount", "-t", kind, *options, source, target), timeout=_MOUNT_SECONDS)


def _unpack(deb: Deb, folder: Path, say: t.Callable[[str], None]) -> None:
    # A folder lib would hide the link of that name in the root below.
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "lib").symlink_to("usr/lib")
    deb_files.unpack(deb, folder, say)
    for pattern in _UNREAD:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
