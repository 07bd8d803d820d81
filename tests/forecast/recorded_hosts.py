# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection reads of the guests, kept beside the boots: so that these can be judged where no guest was ever built.

Modules are kept without their code and kernels without all but their head; of the indices depmod makes the rest.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
import tempfile
import typing as t
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from archive import _PROGRAMS
from configuration import Configuration
from kernel import Kernel, depmod, read_dependencies
from module_outline import outline
from root_files import INDICES
from tar_files import unpack

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require

NAME = "hosts.tar.xz"
_KEPT = ("initramfs-tools", "dracut", "root")
_TEXTS = ("release", "sysfs.json")
_SUITE = "suite"
_OLDEST = 0
_SETUP_SECTORS = 0x1F1


def beside(boots: Path) -> Path:
    """Where the hosts of a file of boots are."""
    return boots.with_name(NAME)


def write(path: Path, kernels: Iterable[Kernel]) -> None:
    """Raises HostError where something would be read otherwise from the record than from the guest."""
    with tempfile.TemporaryDirectory(prefix="forecast-hosts-") as name:
        folder = Path(name)
        for kernel in kernels:
            kept = _keep(kernel, folder / kernel.series)
            _compare(kernel, kept)
        partial = folder / NAME
        with lzma.open(partial, "w", preset=9 | lzma.PRESET_EXTREME) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
            for series in sorted(place.name for place in folder.iterdir() if place.is_dir()):
                archive.add(folder / series, series, filter=_plain)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside its target, so that the last step is one.
        beside_it = path.with_name(f".{path.name}.new")
        shutil.copyfile(partial, beside_it)
        beside_it.replace(path)


def read(path: Path, folder: Path) -> dict[str, Kernel]:
    """The hosts by series, unpacked into the new folder."""
    if not path.is_file():
        raise HostError(f"There is no {path}, which says what the hosts of the boots beside it consist of; --record writes both.")
    try:
        with tarfile.open(path) as archive:
            unpack(archive, folder)
        return {place.name: _read(place) for place in sorted(folder.iterdir())}
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise HostError(f"{path} is not a record of hosts: {error}.") from error


def require_all(path: Path, kernels: t.Mapping[str, Kernel], configurations: Collection[Configuration]) -> None:
    """Raises HostError unless there are the hosts and the programs that laying these configurations out takes."""
    wanted = Counter(configuration.series for configuration in configurations)
    for series in sorted(wanted.keys() - kernels.keys()):
        raise HostError(f"{path} has no host with kernel {series}, for which {wanted[series]} boots are recorded.")
    for program in sorted({one.compression for one in configurations} & _PROGRAMS.keys()):
        require(program, program)


def _read(place: Path) -> Kernel:
    texts = [(place / name).read_text(encoding="utf-8") for name in ("release", _SUITE)]
    kernel = Kernel(place.name, texts[0], texts[1], place)
    depmod(place / "root", kernel.release)
    return kernel


def _keep(kernel: Kernel, place: Path) -> Kernel:
    """The kernel's folder with what is recorded of it."""
    place.mkdir()
    kept = Kernel(kernel.series, kernel.release, kernel.suite, place)
    for name in _KEPT:
        shutil.copytree(kernel.folder / name, place / name, symlinks=True, ignore=shutil.ignore_patterns(*INDICES))
    for name in _TEXTS:
        shutil.copyfile(kernel.folder / name, place / name)
    (place / _SUITE).write_text(kernel.suite, encoding="utf-8")
    kept.image.write_bytes(_head(kernel.image.read_bytes()))
    for module in place.rglob("*.ko"):
        module.write_bytes(outline(module.read_bytes()))
    return kept


def _head(image: bytes) -> bytes:
    """The part of a kernel that tells its release, which is not compressed (Documentation/arch/x86/boot.rst: setup_sects)."""
    return image[: ((image[_SETUP_SECTORS] or 4) + 1) * 512]


def _compare(kernel: Kernel, kept: Kernel) -> None:
    """Whether depmod and the collection read the same from both."""
    with tempfile.TemporaryDirectory(prefix="forecast-hosts-") as name:
        copy = Kernel(kept.series, kept.release, kept.suite, Path(name) / "copy")
        shutil.copytree(kept.folder, copy.folder, symlinks=True)
        depmod(copy.folder / "root", copy.release)
        for index in INDICES:
            if _bytes(kernel.modules / index) != _bytes(copy.modules / index):
                raise HostError(f"Without the modules' code depmod makes another {index} for {kernel.release}.")
        for module in read_dependencies(kernel.modules):
            whole, outlined = (ModuleContent.parse((one.modules / module).read_bytes(), module) for one in (kernel, copy))
            if whole != outlined:
                raise HostError(f"Without its code {module} of {kernel.release} is read otherwise.")


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same archive whoever makes it, and whenever."""
    member.uid = member.gid = member.mtime = _OLDEST
    member.uname = member.gname = ""
    return member
