# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of device_info."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.plugin_utils.one_line_action import OneLineAction


class ActionModule(OneLineAction):
    module = "vfio.variants.device_info"
