# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the binary indexes that kmod reads of a kernel's modules say what depmod's texts say, which nobody but people reads.

(kmod: index_files and kmod_module_new_from_lookup() in libkmod; a tree without any such index is not of this kmod.)
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import index_file
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

_INDEXES = {"modules.dep": "no module by its name", "modules.alias": "no module by an alias"}
"""What kmod finds without the index of a text."""
_ANY = ("modules.dep.bin", "modules.alias.bin", "modules.symbols.bin", "modules.builtin.bin", "modules.builtin.alias.bin")
_SECONDS = 60
"""depmod writes all its files within a few seconds."""


def doubts(host: Host, release: str) -> t.Iterator[str]:
    """A sentence for each index that is missing beside others, or damaged, or says something else than its text."""
    here = f"{MODULES}/{release}"
    if not any(host.is_file(f"{here}/{name}") for name in _ANY):
        return
    for text, lost in _INDEXES.items():
        place = f"{here}/{text}.bin"
        if not host.is_file(place):
            yield f"{here} has no {text}.bin, although it has other indexes of depmod: kmod finds {lost} there."
        elif not _is_whole(host, place):
            yield f"{place} is not an index that kmod can read: it finds {lost} there."
        elif _is_newer(host, f"{here}/{text}", place) and not _is_alike(host, f"{here}/{text}", place, text):
            yield f"{place} does not say what {text} beside it says, and kmod reads only that: run `depmod {release}`."


def _is_whole(host: Host, place: str) -> bool:
    status = host.stat(place)
    return status is not None and index_file.is_whole(host.head(place, index_file.HEADER) or b"", status.st_size)


def _is_newer(host: Host, one: str, other: str) -> bool:
    first, second = host.stat(one), host.stat(other)
    return first is not None and second is not None and first.st_mtime - second.st_mtime > _SECONDS


def _is_alike(host: Host, text: str, place: str, name: str) -> bool:
    try:
        indexed = index_file.text_of(f"{name}.bin", host.read_bytes(place, index_file.LARGEST))
        written = host.read_text(text)
    except HostError:
        return False
    return indexed is not None and _lines(indexed) == _lines(written)


def _lines(text: str) -> set[str]:
    return {" ".join(line.replace("-", "_").split()) for line in text.split("\n") if line.strip() and not line.startswith("#")}
