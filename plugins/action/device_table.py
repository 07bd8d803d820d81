# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of device_table."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display

from ansible_collections.vfio.variants.plugins.modules.device_table import ARGUMENTS
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.action.controller_action import ControllerAction
from ansible_collections.vfio.variants.plugins.plugin_utils.device_table import table


class ActionModule(ControllerAction):
    def argument_spec(self) -> dict[str, t.Any]:
        return ARGUMENTS

    def work(self, options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:  # noqa: ARG002 - nothing is changed in any mode
        lines = table(options["answers"], options["everything"])
        display = Display()
        for line, color in lines:
            display.display(line, color=color)
        return {"changed": False, "lines": len(lines) - 1}
