# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What make calls. It runs before there is any environment, and shares some of the collection's own code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_COLLECTION = "ansible_collections.vfio.variants"


def _name_as_collection(root: Path) -> None:
    """Let the checkout be imported under the name that Ansible gives it, where no collections path does so."""
    parts = _COLLECTION.split(".")
    names = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    try:
        if importlib.util.find_spec(_COLLECTION):
            return
    except ModuleNotFoundError:
        pass
    for name in names:
        module = sys.modules.setdefault(name, ModuleType(name))
        module.__path__ = [str(root)] if name == _COLLECTION else getattr(module, "__path__", [])


_name_as_collection(Path(__file__).resolve().parents[2])
