# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes of all modules: check mode, diff mode, idempotence, platform and the action group."""

from __future__ import annotations


class ModuleDocFragment:
    # Each module adds its level of support, and details where needed.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
  idempotent:
    description: A second run with the same options, on a host that was not changed in between, changes nothing.
  platform:
    description: Systems that the module works on.
  action_group:
    description: Use C(group/vfio.variants.vfio) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - vfio.variants.vfio
"""

    # A module that changes the managed host.
    CHANGES = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: linux
    support: full
"""

    # A module that only reads.
    READS = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: It changes nothing.
  idempotent:
    support: full
  platform:
    platforms: linux
    support: full
"""

    # A module whose work is done on the controller, by the action plugin of the same name.
    CONTROLLER = r"""
options: {}
attributes:
  action:
    description: There is an action plugin of the same name.
    support: full
    details: The work is done on the controller.
  platform:
    platforms: posix
    support: full
"""
