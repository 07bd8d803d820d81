# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in the devtool, said in one sentence."""

from __future__ import annotations


class DevtoolError(Exception):
    """A sentence for whoever ran make: what is wrong, and what to do."""
