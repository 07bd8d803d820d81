# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible packs with a module: every file that an import statement names, for types only too, and what those name."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from ansible_collections.vfio.variants.tests.unit.rooms import PACKAGE, ROOT, imported, own_imports, read_core

MODULES = ROOT / "plugins/modules"
CORE = ROOT / "plugins/module_utils/_core"


@functools.cache
def packed_with(module: str) -> frozenset[str]:
    """The core's files that go with a module, by their names below the core, such as ``host/host.py``."""
    core = read_core()
    tree = ast.parse((MODULES / f"{module}.py").read_text(encoding="utf-8"))
    pending = {name.removeprefix(f"{PACKAGE}.") for name in imported(tree)} & core.keys()
    found: set[str] = set()
    while pending:
        name = pending.pop()
        found.add(name)
        pending |= own_imports(core[name], core) - found
    return frozenset(f"{name.replace('.', '/')}.py" for name in found)


def size(files: frozenset[str]) -> int:
    """Bytes of source: about a quarter of it is sent, and all of it is compiled."""
    return sum(Path(CORE, name).stat().st_size for name in files)
