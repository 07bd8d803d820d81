# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drivers that do not come with the kernel: the package's, a variant for the guest's devices, and a rival native."""

from __future__ import annotations

import hashlib
import re
import shutil
import typing as t
from pathlib import Path

from build_root import BuildRoot
from matrix import PACKAGE

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

_SOURCES = Path(__file__).resolve().parent / "modules"
_ORIGIN = "nvlink2gpu_vfio_pci.c"
_VARIANT = "forecast_vfio_pci.c"
#: What the variant for tests has in its table: devices of the guest, by vendor and device.
_IDS = ((0x8086, 0x10D3), (0x8086, 0x10CA), (0x1B36, 0x0010), (0x1234, 0x1111))
_FOLDER = "/tmp/forecast"
_SECONDS = 600


def digest() -> str:
    """Changes with every source that goes into a module."""
    text = hashlib.sha256(repr(_IDS).encode())
    for path in (*sorted(PACKAGE.folder.iterdir()), *sorted(_SOURCES.iterdir())):
        text.update(path.name.encode() + path.read_bytes())
    return text.hexdigest()[:16]


def build(root: BuildRoot, kernel: str) -> dict[str, bytes]:
    """The modules' files by name, built for a kernel whose headers the root has."""
    place = root.tree / _FOLDER.lstrip("/")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(PACKAGE.folder, place)
    try:
        _add_sources(place)
        done = root.run("make", f"KDIR=/lib/modules/{kernel}/build", "modules", folder=_FOLDER, seconds=_SECONDS)
        if done.status:
            raise HostError(f"The modules for {kernel} cannot be built: {(done.output + done.errors)[-2000:]}")
        # As DKMS does.
        root.run("strip", "-g", *(path.name for path in place.glob("*.ko")), folder=_FOLDER)
        return {path.name: path.read_bytes() for path in sorted(place.glob("*.ko"))}
    finally:
        shutil.rmtree(place)


def _add_sources(place: Path) -> None:
    with (place / "Kbuild").open("a", encoding="utf-8") as kbuild:
        kbuild.write((_SOURCES / "Kbuild").read_text(encoding="utf-8"))
    for source in _SOURCES.glob("*.c"):
        shutil.copy(source, place)
    (place / _VARIANT).write_text(variant_source((PACKAGE.folder / _ORIGIN).read_text(encoding="utf-8"), _IDS), encoding="utf-8")


def variant_source(origin: str, ids: t.Sequence[tuple[int, int]]) -> str:
    """The package's driver with another table."""
    entries = "".join(f"\t{{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO({vendor:#06x}, {device:#06x}) }},\n" for vendor, device in ids)
    source, count = re.subn(r"(pci_device_id \w+_table\[\] = \{\n).*?(\t\{\}\n\};)", rf"\g<1>{entries}\g<2>", origin, flags=re.DOTALL)
    if count != 1:
        raise HostError(f"{_ORIGIN} has no table of IDs where one is expected.")
    return source
