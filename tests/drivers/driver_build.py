# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put to work in the guest: the packages' drivers, the same with a leak counter, the tests' modules, and the client."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import typing as t
from pathlib import Path

import variants
from build_root import BuildRoot
from matrix import PACKAGE
from package import Package

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

_HERE = Path(__file__).resolve().parent
_MODULES, _CLIENT = _HERE / "modules", _HERE / "client"
_COUNTER = "leak_counter.h"
_ORIGIN = "nvlink2gpu_vfio_pci.c"
#: What another vendor's variant is made of; its module takes a device that no other driver here has in its table.
TEMPLATE = Package(PACKAGE.folder.parent / "template")
#: The same with migration. Its module has the name of the other one's.
MIGRATION = Package(PACKAGE.folder.parent / "migration-template")
_FOLDER = "/tmp/drivers"
_SECONDS = 600
#: A function of the guest that has a native driver: e1000e's 82574L.
WITH_NATIVE = ((0x8086, 0x10D3),)
#: The package's driver with that function in its table.
TABLED = "tabled_vfio_pci"


def digest() -> str:
    """Changes with every source that goes into the guest, and with how it is built."""
    text = hashlib.sha256(repr(WITH_NATIVE).encode())
    for program in (__file__, variants.__file__):
        text.update(Path(program).read_bytes())
    for folder in (PACKAGE.folder, TEMPLATE.folder, MIGRATION.folder, _MODULES, _CLIENT):
        for path in sorted(folder.iterdir()):
            text.update(path.name.encode() + b"\0" + path.read_bytes())
    return text.hexdigest()[:16]


def build(root: BuildRoot, kernel: str) -> dict[str, bytes]:
    """By name below the guest's folder, for a kernel whose headers the root has: all that the cases want."""
    template = _make(root, kernel, TEMPLATE.folder, lambda _place: None)
    template |= {f"migration/{name}": content for name, content in _make(root, kernel, MIGRATION.folder, lambda _place: None).items()}
    return {**client(root), **drivers(root, kernel, PACKAGE.folder), **drivers_with_counter(root, kernel, PACKAGE.folder), **template}


def drivers(root: BuildRoot, kernel: str, package: Path) -> dict[str, bytes]:
    """``*.ko``: the drivers of the package's sources, and the tests' modules."""
    return _make(root, kernel, package, _add_test_modules)


def drivers_with_counter(root: BuildRoot, kernel: str, package: Path) -> dict[str, bytes]:
    """``counted/*.ko``: each call of theirs can be made to fail, and what they hold is counted."""
    return {f"counted/{name}": content for name, content in _make(root, kernel, package, _add_counter).items()}


def on_top_of(root: BuildRoot, kernel: str, words: t.Sequence[str]) -> dict[str, bytes]:
    """``*.ko``: the drivers, with these words for make, such as those that name another VFIO."""
    return _make(root, kernel, PACKAGE.folder, lambda _place: None, words)


def _make(root: BuildRoot, kernel: str, package: Path, add: t.Callable[[Path], None], words: t.Sequence[str] = ()) -> dict[str, bytes]:
    with _copy_of(root, package) as place:
        add(place)
        done = root.run("make", f"KDIR=/lib/modules/{kernel}/build", *words, "modules", folder=_FOLDER, seconds=_SECONDS)
        if done.status:
            raise HostError(f"The modules for {kernel} cannot be built: {(done.output + done.errors)[-2000:]}")
        root.run("strip", "-g", *(path.name for path in place.glob("*.ko")), folder=_FOLDER)
        return {path.name: path.read_bytes() for path in sorted(place.glob("*.ko"))}


def client(root: BuildRoot, compiler: t.Sequence[str] = ("gcc",), strip: str = "strip") -> dict[str, bytes]:
    """``client``, static, so that the guest needs nothing for it."""
    with _copy_of(root, _CLIENT) as place:
        sources = [path.name for path in sorted(place.glob("*.c"))]
        done = root.run(
            *compiler,
            "-static",
            "-pthread",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
            "client",
            *sources,
            folder=_FOLDER,
            seconds=_SECONDS,
        )
        if done.status:
            raise HostError(f"The client cannot be built: {done.errors[-2000:]}")
        root.run(strip, "client", folder=_FOLDER)
        return {"client": (place / "client").read_bytes()}


def _add_test_modules(place: Path) -> None:
    for source in _MODULES.glob("*.c"):
        shutil.copy(source, place)
    _extend(place, (_MODULES / "Kbuild").read_text(encoding="utf-8"), f"obj-m += {TABLED}.o\n")
    origin = (place / _ORIGIN).read_text(encoding="utf-8")
    (place / f"{TABLED}.c").write_text(variants.variant_source(origin, WITH_NATIVE), encoding="utf-8")


def _add_counter(place: Path) -> None:
    shutil.copy(_MODULES / _COUNTER, place)
    _extend(place, *(f"CFLAGS_{name}.o += -include $(src)/{_COUNTER}\n" for name in PACKAGE.modules))


def _extend(place: Path, *texts: str) -> None:
    with (place / "Kbuild").open("a", encoding="utf-8") as kbuild:
        kbuild.writelines(texts)


@contextlib.contextmanager
def _copy_of(root: BuildRoot, folder: Path) -> t.Iterator[Path]:
    """The folder, copied to where builds are run in the root; links become what they lead to."""
    place = root.tree / _FOLDER.lstrip("/")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
    try:
        yield place
    finally:
        shutil.rmtree(place)
