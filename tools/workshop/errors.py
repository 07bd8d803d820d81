# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in the workshop, said in one sentence."""

from __future__ import annotations


class WorkshopError(Exception):
    """A sentence for whoever ran make: what is wrong, and what to do."""
