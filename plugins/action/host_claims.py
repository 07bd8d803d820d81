# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of host_claims: a digest stands for the request, for the drivers' sources and for the collection's code."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.plugin_utils.request_action import RequestAction


class ActionModule(RequestAction):
    module = "vfio.variants.host_claims"
