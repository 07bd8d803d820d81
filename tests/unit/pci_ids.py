# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI ID database of Debian 13, whole and unchanged.

To take it again from Debian's archive, which takes a minute: `tools/run python tests/unit/pci_ids.py`.
"""

from __future__ import annotations

import functools
import lzma
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress

KEPT = Path(__file__).with_name("files") / "pci.ids.xz"
SUITE, PACKAGE, PATH = "trixie", "pci.ids", "usr/share/misc/pci.ids"
SECONDS = 600


@dataclass(frozen=True)
class PciIds:
    """Names by "10de", "10de:1db1" and "10de:1db1 10de:1212"; of classes by "03", "0302" and "010802"."""

    names: dict[str, str]
    classes: dict[str, str]


@functools.cache
def read() -> PciIds:
    found = PciIds({}, {})
    names, separators, keys = found.names, ("", ":", " "), ["", "", ""]
    for line in lzma.decompress(KEPT.read_bytes()).decode().splitlines():
        if not line or line.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip("\t"))
        key, _space, name = line.strip().partition("  ")
        if depth == 0 and key.startswith("C "):
            names, separators, key = found.classes, ("", "", ""), key.removeprefix("C ")
        keys[depth] = (keys[depth - 1] if depth else "") + separators[depth] + key.replace(" ", ":")
        names[keys[depth]] = name.strip()
    return found


def _keep() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        root_tree.extract(Suite.named(SUITE), apt_sources.of_this_machine(), (PACKAGE,), tree, Progress(PACKAGE, print), SECONDS)
        KEPT.write_bytes(lzma.compress((tree / PATH).read_bytes(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    _keep()
