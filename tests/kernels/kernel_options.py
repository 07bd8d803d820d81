# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of Debian's kernels that decide what a user of VFIO finds: iommufd, device nodes, and variants of the kernel's own."""

from __future__ import annotations

import lzma
import re
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

import deb_files
import kernel_offers
from kernel_offers import Archive, Deb
from matrix import say
from own_variants import VARIANTS, option_of

_CORE = "CONFIG_VFIO_PCI_CORE"
_NODES = ("CONFIG_IOMMUFD", "CONFIG_VFIO_DEVICE_CDEV")
_SET = re.compile(r"^(CONFIG_\w+)=[ym]$", re.MULTILINE)
#: config.amd64_none_cloud-amd64.xz: architecture, set of features, flavour.
_NAME = re.compile(r"config\.(?P<architecture>[^_]+)_(?P<features>[^_]+)_(?P<flavour>.+)\.xz")


@dataclass(frozen=True)
class Configured:
    """A kernel of a suite, and those of the options above that are on in it."""

    suite: str
    version: str
    architecture: str
    flavour: str
    options: frozenset[str]

    @property
    def nodes(self) -> str:
        lacking = [option.removeprefix("CONFIG_") for option in _NODES if option not in self.options]
        return f"no: without {' and '.join(lacking)}" if lacking else "yes"

    @property
    def variants(self) -> str:
        return ", ".join(f"`{variant}`" for variant in VARIANTS if option_of(variant) in self.options) or "none"


def read_config(text: str) -> frozenset[str]:
    """Those options that matter here and are on, as a part of the kernel or as a module."""
    wanted = {_CORE, *_NODES, *map(option_of, VARIANTS)}
    return frozenset(name for name in _SET.findall(text) if name in wanted)


def newest(archive: Archive) -> list[Deb]:
    """The packages of configurations, of each series that a suite has for an architecture: the suites in their own order."""
    found: dict[tuple[str, str, str], Deb] = {}
    for deb in archive.debs:
        key = (deb.suite, deb.package, deb.architecture)
        older = found.get(key)
        if deb.package.startswith("linux-config-") and (
            older is None or kernel_offers.order(older.version) < kernel_offers.order(deb.version)
        ):
            found[key] = deb
    suites = (*kernel_offers.SUITES, *kernel_offers.SECURITY)
    return sorted(found.values(), key=lambda deb: (suites.index(deb.suite), kernel_offers.order(deb.version), deb.architecture))


def configured(deb: Deb) -> t.Iterator[Configured]:
    """The kernels whose configurations are in the package, without those that are too old for vfio-pci-core."""
    with tempfile.TemporaryDirectory() as place:
        deb_files.unpack(deb, Path(place), say)
        for path in sorted(Path(place).glob("usr/src/linux-config-*/config.*.xz")):
            name = _NAME.fullmatch(path.name)
            options = read_config(lzma.decompress(path.read_bytes()).decode("utf-8", "replace"))
            if name and _CORE in options:
                rt = "rt-" if name["features"] != "none" else ""
                yield Configured(deb.suite, deb.version, name["architecture"], rt + name["flavour"], options)


def rows(kernels: t.Iterable[Configured]) -> list[str]:
    """Of the table; kernels of a package with the same answers are one row."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for kernel in kernels:
        key = (kernel.suite, kernel.version, kernel.architecture, kernel.nodes, kernel.variants)
        groups.setdefault(key, []).append(kernel.flavour)
    return [
        f"| {suite} | {version} | {architecture} | {', '.join(flavours)} | {nodes} | {variants} |"
        for (suite, version, architecture, nodes, variants), flavours in groups.items()
    ]
