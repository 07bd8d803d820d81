# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins of modules that carry a whole request out, or predict it, add to it: what is known of the drivers' sources."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.plugin_utils.source_archive import described
from ansible_collections.vfio.variants.plugins.plugin_utils.unchanged_action import UnchangedAction

if t.TYPE_CHECKING:
    from pathlib import Path


class RequestAction(UnchangedAction):
    """Sends the request with the digests of the driver packages."""

    def arguments(self, given: dict[str, t.Any], key: str, folders: dict[str, Path]) -> dict[str, t.Any]:
        packages = [described(source, folder) for source, folder in folders.items()]
        return {**given, "_run": {"key": key, "packages": packages}}
