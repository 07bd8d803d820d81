# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option by which an image that is being baked is changed in place of the running host."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  root:
    description:
      - The root of the system, V(/) or a directory on which an image is mounted that is being baked.
      - In an image its own programs are run, with C(/proc), C(/sys) read-only and C(/dev) mounted while they run, which nobody else sees.
        Where they cannot be run, as those of another architecture, the module fails and says what to run in the image's own system.
    type: path
    default: /
"""
