# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels of other distributions than Debian: what a public configuration of each says of the options that matter to VFIO.

`other_kernels.json` has of each configuration those of these options that are on, and the address, with the commit, that it was read from.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from kernel_options import Configured, read_config
from own_variants import option_of

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import write_atomic

KNOWN = Path(__file__).with_name("other_kernels.json")
#: Of an architecture alone, whatever a configuration asks for that is the same for several: drivers/vfio/pci/ism/Kconfig wants S390, and
#: the drivers that qat wants want X86 (drivers/crypto/intel/qat/Kconfig).
_OF_ONE = {option_of("ism"): "s390x", option_of("qat"): "x86_64"}
HEAD = ("distribution", "kernel", "architectures", "nodes of devices", "variants in the kernel", "read from")


@dataclass(frozen=True)
class Known:
    """`options`: those that are on. `address`: of the file, with the commit in it."""

    distribution: str
    kernel: str
    architecture: str
    options: tuple[str, ...]
    address: str

    @property
    def configured(self) -> Configured:
        return Configured(self.distribution, self.kernel, self.architecture, "", frozenset(self.options))


def known(place: Path = KNOWN) -> list[Known]:
    rows = json.loads(place.read_text(encoding="utf-8")) if place.exists() else []
    return [Known(**{**row, "options": tuple(row["options"])}) for row in rows]


def add(words: t.Sequence[str], place: Path = KNOWN) -> None:
    """Distribution, kernel, architecture and address of a configuration, and the file with its text: in the place of what is known."""
    distribution, kernel, architecture, address, file = words
    found = read_config(Path(file).read_text(encoding="utf-8"))
    options = tuple(sorted(option for option in found if _OF_ONE.get(option, architecture) == architecture))
    new = Known(distribution, kernel, architecture, options, address)
    others = [one for one in known(place) if (one.distribution, one.kernel, one.architecture) != (distribution, kernel, architecture)]
    ordered = sorted([*others, new], key=lambda one: (one.distribution, one.kernel, one.architecture))
    write_atomic(place, json.dumps([asdict(one) for one in ordered], indent=1) + "\n")


def rows(kernels: t.Iterable[Known]) -> list[str]:
    """Of the table; architectures of a kernel with the same answers are one row."""
    groups: dict[tuple[str, ...], list[Known]] = {}
    for one in kernels:
        key = (one.distribution, one.kernel, one.configured.nodes, one.configured.variants)
        groups.setdefault(key, []).append(one)
    return [
        f"| {distribution} | {kernel} | {', '.join(one.architecture for one in ones)} | {nodes} | {variants} | {_links(ones)} |"
        for (distribution, kernel, nodes, variants), ones in groups.items()
    ]


def _links(ones: t.Iterable[Known]) -> str:
    return ", ".join(f"[{one.address.rpartition('/')[2]}]({one.address})" for one in ones)
