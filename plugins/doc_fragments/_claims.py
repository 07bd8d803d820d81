# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options through which a user says which device shall have which driver."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  claims:
    description:
      - Which devices shall have which driver.
      - A device that several claims match must get the same driver from all of them.
      - Mutually exclusive with O(devices), O(driver), O(allow_missing), and an O(expect) that is an ID, which make a single claim.
    type: list
    elements: dict
    suboptions:
      devices:
        description:
          - The devices, in any of the forms that O(devices) takes.
        type: raw
        required: true
      driver:
        description:
          - V(auto) takes the best variant driver that the kernel has for the device, the one with the most specific C(vfio_pci:)
            alias, as libvirt chooses it; where there is none, C(vfio-pci).
          - Anything else is the name of a driver or of its module; V(-) and V(_) are the same.
        type: str
        default: auto
      expect:
        description:
          - The vendor and device ID that each device must have, such as V(8086:1592).
          - Keeps a claim by address from taking another card after the addresses have changed.
        type: str
      strategy:
        description:
          - How the driver wins at boot, for M(vfio.variants.boot_policy); O(vfio.variants.boot_policy#module:strategy) is the default.
        type: str
        choices: [override, ids, blacklist]
      allow_missing:
        description:
          - Whether the devices may be absent from this host.
        type: bool
        default: false
  devices:
    description:
      - The devices, as an ID (V(10de:1db1), V(10de:*), with subsystem V(10de:1db1:10de:1212)), an address (V(0000:3b:00.0), or
        V(3b:00.0) in domain 0000; globs such as V(0000:3b:00.*)), a class (V(class:0302), V(class:03)), a dictionary of the fields
        C(address), C(vendor), C(device), C(subsystem_vendor), C(subsystem_device), and C(class), all of which must agree, or a
        list of any of these. A string may name several, separated by commas.
      - B(Write addresses in quotes.) YAML reads an unquoted V(0000:03:00.1) as the number 180.1.
      - PCI bridges are never selected by a wildcard or a class; naming one is an error.
    type: raw
  driver:
    description:
      - The driver for O(devices); see O(claims[].driver). Without it, V(auto).
    type: str
  expect:
    description:
      - The vendor and device ID that each of O(devices) must have.
    type: str
  allow_missing:
    description:
      - Whether O(devices) may be absent from this host. Without it, what matches no device is an error.
    type: bool
  pending_modules:
    description:
      - Kernel modules that another task of the same play installs, as M(vfio.variants.dkms_package) returns them.
      - They are taken as installed, so that check mode predicts what happens once they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The module's name.
        type: str
        required: true
      aliases:
        description: The module's aliases, such as V(vfio_pci:v000010DEd00001DB1sv*sd*bc*sc*i*).
        type: list
        elements: str
        default: []
"""
