# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection reads of the guests' roots, kept beside the boots: programs are kept without their code, as modules are."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import recorded_hosts
from kernel import Kernel
from module_outline import outline
from root_files import INDICES
from tar_files import unpack

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

NAME = "hosts.tar.xz"
_ELF = b"\x7fELF"
_ELF_HEADER = 64


def write(path: Path, kernels: Iterable[Kernel]) -> None:
    """The hosts of these kernels."""
    with tempfile.TemporaryDirectory(prefix="world-hosts-") as name:
        folder = Path(name)
        for kernel in kernels:
            _keep(kernel, folder / kernel.series)
        partial = path.with_name(f".{path.name}.new")
        path.parent.mkdir(parents=True, exist_ok=True)
        with lzma.open(partial, "w", preset=9 | lzma.PRESET_EXTREME) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
            for place in sorted(folder.iterdir()):
                archive.add(place, place.name, filter=recorded_hosts._plain)
        partial.replace(path)


def read(path: Path, folder: Path) -> dict[str, Kernel]:
    """By series, unpacked into the new folder."""
    if not path.is_file():
        raise HostError(f"There is no {path}, which says what the hosts of the boots beside it consist of; --boot writes it.")
    with tarfile.open(path) as archive:
        # Units are masked by links to /dev/null, which the filter "data" refuses.
        unpack(archive, folder, "tar")
    return {place.name: recorded_hosts._read(place) for place in sorted(folder.iterdir())}


def _keep(kernel: Kernel, place: Path) -> None:
    place.mkdir()
    for name in recorded_hosts._KEPT:
        shutil.copytree(kernel.folder / name, place / name, symlinks=True, ignore=shutil.ignore_patterns(*INDICES))
    for name in recorded_hosts._TEXTS:
        shutil.copyfile(kernel.folder / name, place / name)
    (place / recorded_hosts._SUITE).write_text(kernel.suite, encoding="utf-8")
    (place / "vmlinuz").write_bytes(recorded_hosts._head(kernel.image.read_bytes()))
    for path in place.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".ko":
            path.write_bytes(outline(content))
        elif content.startswith(_ELF):
            path.write_bytes(content[:_ELF_HEADER])
