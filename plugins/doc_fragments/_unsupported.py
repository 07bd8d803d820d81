# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of all modules that write to a distribution."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  allow_unsupported:
    description:
      - Try it on a distribution whose layout this collection does not know to the end, such as Gentoo and Void, at one's own risk.
      - The same on a system that keeps no changes, such as a live system, an overlay in memory, or an image that is only read.
      - Where it would be lost or cannot work it is refused all the same, such as on images (ostree, bootc, MicroOS, Flatcar), NixOS,
        Talos, Alpine and Unraid; the message names the way that there is.
    type: bool
    default: false
"""
