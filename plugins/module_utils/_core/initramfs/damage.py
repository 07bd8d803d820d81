# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that a caller may want to mend: a file whose content is broken, told apart from a file that cannot be judged."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError


class DamagedError(HostError):
    """A file's content is broken, whoever reads it."""
