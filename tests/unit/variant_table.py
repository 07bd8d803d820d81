# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write which of the kernel's own variants serves which device, and the first kernel that has it, from the sources of kernels.

`tools/run python tests/unit/variant_table.py SOURCE…`, with folders or archives such as those of Debian's packages linux-source-*, writes
`kernel/known_variants.py` of the core.  What "first" means is limited by the sources that are read: the file names them.
"""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import read_tree
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.variant_source import variants_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import version_key

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import LinuxTree

DATA = Path(__file__).resolve().parents[2] / "plugins/module_utils/_core/kernel/known_variants.py"
_HEAD = '''\
# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of the kernel's own variants.  Written by tests/unit/variant_table.py from ID tables and Kconfig of kernels' sources."""

from __future__ import annotations

READ = ({read})
"""The versions of Linux that were read: a driver of the first of them may be older than that."""
DEVICES = (
{rows})
"""Vendor, device, module, and the first series of those versions whose driver has the ID."""
NEEDS = (
{needs})
"""Module, series, and one of the expressions that its Kconfig depends on from that series of those versions on; all of a series count."""
'''


def table(trees: t.Sequence[LinuxTree]) -> str:
    """The text of the file."""
    ordered = sorted(trees, key=lambda tree: version_key(tree.version or ""))
    first: dict[tuple[int, int, str], str] = {}
    needs: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for tree in ordered:
        series = ".".join((tree.version or "").split(".")[:2])
        for variant in variants_of(tree).values():
            if variant.ids is None:
                raise SystemExit(f"{tree.where}: the IDs of {variant.module} cannot be read")
            module = variant.module.replace("-", "_")
            for vendor, device in variant.ids:
                first.setdefault((vendor, device, module), series)
            if needs.get(module, [("", ())])[-1][1] != variant.depends:
                needs.setdefault(module, []).append((series, variant.depends))
    rows = (
        f'    (0x{vendor:04X}, 0x{device:04X}, "{module}", "{series}"),\n' for (vendor, device, module), series in sorted(first.items())
    )
    wanted = (
        f'    ("{module}", "{series}", {json.dumps(expression)}),\n'
        for module, changes in sorted(needs.items())
        for series, depends in changes
        for expression in depends or ("",)
    )
    return _HEAD.format(read=", ".join(f'"{tree.version}"' for tree in ordered), rows="".join(rows), needs="".join(wanted))


if __name__ == "__main__":
    DATA.write_text(table([read_tree(Host(), place) for place in sys.argv[1:]]), encoding="utf-8")
