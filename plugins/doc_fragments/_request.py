# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option that has all options of the role vfio_host."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  request:
    description: What the role was asked for; the options are those of the role, without its prefix.
    type: dict
    required: true
    suboptions:
      claims:
        description: As in O(vfio.variants.device_claim#module:claims).
        type: list
        elements: dict
        required: true
        suboptions:
          devices:
            description: A selector or a list of them.
            type: raw
            required: true
          driver:
            description: V(auto), V(variant) or the name of a driver.
            type: str
            default: auto
          expect:
            description: The ID that the device must have.
            type: str
          strategy:
            description: How the driver wins at boot.
            type: str
            choices: [override, ids, blacklist]
          allow_missing:
            description: Do not fail if nothing matches.
            type: bool
          guards:
            description: Guards that are ignored.
            type: dict
            suboptions:
              console:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
              data_mounts:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
              in_use:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
              companions:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
              identical:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
          vfs:
            description: How many virtual functions each of the devices is to have, which are claimed then.
            type: int
          node:
            description: To whom the device nodes are handed; see M(vfio.variants.device_claim).
            type: dict
            suboptions:
              owner: {description: The user., type: str}
              group: {description: The group., type: str}
              mode: {description: The mode., type: raw}
              memlock: {description: How much memory may be locked., type: str}
          reload:
            description: Whether their VFIO driver may be loaded again where another version of it is loaded than is installed.
            type: bool
      state:
        description: Whether the claims are applied, or everything is undone.
        type: str
        choices: [present, absent]
        default: present
      strategy:
        description: How the claimed drivers win at boot.
        type: str
        choices: [override, ids, blacklist]
        default: override
      kernels:
        description: The kernels to prepare.
        type: list
        elements: str
        default: [all]
      group:
        description: What to do with the other devices of an IOMMU group.
        type: str
        choices: [claim, ignore]
        default: claim
      live:
        description: Whether the devices are bound immediately.
        type: bool
        default: true
      check_winner:
        description: Whether each device has to be certain to be bound as claimed at boot.
        type: bool
        default: true
      timeout:
        description: Time limit of each step of binding a device in seconds.
        type: int
        default: 60
      iommu:
        description: Whether to see to it that the next boot has an IOMMU.
        type: bool
        default: true
      iommu_passthrough:
        description: Whether the host's own devices go without translation.
        type: bool
        default: false
      drivers:
        description: Whether the driver packages are installed.
        type: bool
        default: true
      drivers_sources:
        description: The driver packages, on the controller.
        type: list
        elements: str
        default: [vfio-variants]
      drivers_variants:
        description: The kernel's own variants that are built from its source.
        type: list
        elements: str
        default: []
      drivers_kernel_sources:
        description: Folders, archives and C(.src.rpm) packages on the host with the source of kernels; by default those of C(/usr/src).
        type: list
        elements: path
        default: []
      drivers_kernels:
        description: The kernels that the drivers are built for; by default O(request.kernels).
        type: list
        elements: str
      drivers_timeout:
        description: Time limit of a build in seconds.
        type: int
        default: 900
      drivers_dependencies:
        description: Whether DKMS and the kernels' headers have to be installed.
        type: bool
        default: true
  _run:
    description: Set by the action plugin, which replaces what is given here.
    type: dict
    suboptions:
      key:
        description: What stands for O(request), the drivers' sources and the collection's code.
        type: str
      packages:
        description: The drivers' sources.
        type: list
        elements: dict
        suboptions:
          source:
            description: The directory on the controller.
            type: str
            required: true
          digest:
            description: A digest of its files.
            type: str
          conf:
            description: The text of its file C(dkms.conf).
            type: str
          manifest:
            description: The digests of its files.
            type: str
"""
