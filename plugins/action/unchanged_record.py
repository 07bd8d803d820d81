# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of unchanged_record: a digest stands for the request, for the drivers' sources and for the collection's code."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.plugin_utils.source_archive import described
from ansible_collections.vfio.variants.plugins.plugin_utils.unchanged_action import UnchangedAction

if t.TYPE_CHECKING:
    from pathlib import Path


class ActionModule(UnchangedAction):
    module = "vfio.variants.unchanged_record"

    def arguments(self, given: dict[str, t.Any], key: str, folders: dict[str, Path]) -> dict[str, t.Any]:
        packages = [described(source, folder) for source, folder in folders.items()]
        return {**given, "_run": {"key": key, "packages": packages}}
