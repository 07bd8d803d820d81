# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The former place of `pci/influence.py`."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ACTS, ANOTHER, TAKES_AWAY, Act, Influence

__all__ = ["ACTS", "ANOTHER", "TAKES_AWAY", "Act", "Influence"]
