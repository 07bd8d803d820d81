# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a Python started by us finds this collection, wherever Ansible found it."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = "ansible_collections.vfio.variants.plugins.plugin_utils._testbed"
COLLECTION = Path(__file__).parents[4]


def link(folder: Path) -> Path:
    """Make `folder` importable: a tree with one link to this collection. Returns it, for PYTHONPATH."""
    place = folder / "ansible_collections/vfio/variants"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(COLLECTION)
    return folder


def command(module: str) -> tuple[str, ...]:
    """The words that run a module of the testbed, such as `machine.supervisor`."""
    return (sys.executable, "-m", f"{_PACKAGE}.{module}")


def sources() -> list[Path]:
    """The files of this collection that the testbed and what it calls of the core are made of."""
    tops = ("plugins/module_utils/_core", "plugins/plugin_utils/_testbed")
    return sorted(path for top in tops for path in (COLLECTION / top).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
