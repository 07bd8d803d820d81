#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: claim_info
short_description: Tell whether PCI devices are owned as claimed, and whether they will be after the next boot
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Takes the claims that M(vfio.variants.device_claim) and M(vfio.variants.boot_policy) take and compares them with the owners now
    and with the forecast of the next boot, as M(vfio.variants.device_info) makes it.
  - With O(expect=winner) it fails where a device will not certainly end up as claimed, which is the check to run before a reboot, in
    a playbook or in CI.
  - Nothing is changed and no module is loaded; what boot images and modules hold is remembered as by M(vfio.variants.device_info).
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.reads
  - vfio.variants._claims
options:
  expect:
    description:
      - V(none) only tells.
      - V(winner) fails with one sentence for each device that will not be owned as claimed after a boot of O(kernels), also where
        that is a race or cannot be told.
      - V(satisfied) fails with one sentence for each device that is not owned as claimed now.
      - To ask for the ID that a device must have, use O(claims[].expect).
    type: str
    choices: [none, winner, satisfied]
    default: none
  kernels:
    description:
      - The kernels whose boots are looked at. V(next) is the one that boots next if nobody intervenes, or all where that cannot be
        told; V(all) that are installed, V(running), or releases.
    type: list
    elements: str
    default: [next]
  group:
    description:
      - Whether the other devices of a claimed device's IOMMU group, which no claim names, are looked at as well, as
        O(vfio.variants.boot_policy#module:group) has them claimed. Bridges are never counted.
    type: str
    choices: [claim, ignore]
    default: claim
  root:
    description:
      - The root of the host to look at, such as a mounted image, for which O(hardware) says what devices it is for.
    type: path
    default: /
  hardware:
    description:
      - The devices to judge in place of those that C(/sys) shows; see O(vfio.variants.device_info#module:hardware).
    type: list
    elements: dict
notes:
  - A boot image, a boot loader's configuration, or a policy that only root may read is unknown to others.
  - In check mode it does the same. Files that an earlier task would have written in check mode are not there, and are not judged.
seealso:
  - module: vfio.variants.device_info
  - module: vfio.variants.device_claim
  - module: vfio.variants.boot_policy
"""

EXAMPLES = r"""
- name: Stop where the next boot would not give every V100 to its variant driver
  vfio.variants.claim_info:
    devices: "10de:1db1"
    expect: winner

- name: Check every installed kernel before an upgrade window
  vfio.variants.claim_info:
    claims:
      - devices: "0000:3b:00.0"
        expect: "10de:1db1"
        driver: vfio-pci
    kernels: [all]
    expect: winner

- name: Check an image in CI, for the card that it is built for
  vfio.variants.claim_info:
    root: /mnt/image
    hardware:
      - modalias: pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00
    devices: "10de:1db1"
    expect: winner

- name: See who owns the claimed devices now
  vfio.variants.claim_info:
    devices: "class:0302"
    expect: satisfied
"""

RETURN = r"""
devices:
  description: The claimed devices, by address.
  returned: success or unmet expectation
  type: list
  elements: dict
  contains:
    address:
      description: The function's address.
      type: str
      sample: "0000:3b:00.0"
    id:
      description: Vendor and device.
      type: str
      sample: "10de:1db1"
    claimed:
      description: The driver that the device is claimed for, on the first of O(kernels).
      type: str
      sample: vfio-pci
    driver:
      description: The owner now, none where nobody has the device.
      type: str
      sample: nouveau
    satisfied:
      description: Whether the device is owned as claimed now; none where no kernel runs, as in an image.
      type: bool
      sample: false
    will_be_satisfied:
      description: Whether the device will be owned as claimed after each of the boots, for certain.
      type: bool
      sample: true
    kernels:
      description:
        - What the boot of each kernel leads to, a dictionary by release.
        - C(claimed) is the driver that the claim means there, C(would_change) the smallest change that makes it win; the others are
          as in RV(vfio.variants.device_info#module:devices[].next_boot).
      type: dict
      sample:
        6.12.107+deb13-amd64:
          claimed: vfio-pci
          winner: vfio-pci
          certainty: certain
          stage: initramfs
          because: ["/etc/udev/rules.d/70-vfio-variants.rules:4: driver_override=vfio-pci"]
          outcomes: [vfio-pci]
          would_change: null
    warnings:
      description: What is contradictory or without effect in the policy about this device, each with its file and line.
      type: list
      elements: str
      sample: []
failures:
  description: One sentence for each device that is not, or will not be, as expected.
  returned: success or unmet expectation
  type: list
  elements: str
  sample: []
check_mode:
  description:
    - Whether the module ran in check mode, so that what earlier tasks of the play would have written is not there.
  returned: success or unmet expectation
  type: bool
  sample: false
next_boot:
  description: The kernel that boots next if nobody intervenes.
  returned: success or unmet expectation
  type: dict
  contains:
    release:
      description: Its release; none where that cannot be told.
      type: str
      sample: 6.12.107+deb13-amd64
    reason:
      description: Why this kernel boots next, or why that is not known.
      type: str
      sample: /boot/grub/grub.cfg default="0", 'Debian GNU/Linux'
policy_warnings:
  description: What is contradictory or without effect in the host's policy and concerns none of its devices, each with its file and line.
  returned: success or unmet expectation
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import CLAIM_ARGUMENTS
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import compare


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CLAIM_ARGUMENTS,
            "expect": {"type": "str", "choices": ["none", "winner", "satisfied"], "default": "none"},
            "kernels": {"type": "list", "elements": "str", "default": ["next"]},
            "group": {"type": "str", "choices": ["claim", "ignore"], "default": "claim"},
            "root": {"type": "path", "default": "/"},
            "hardware": {"type": "list", "elements": "dict"},
        },
        mutually_exclusive=[("claims", "devices"), ("claims", "driver"), ("claims", "allow_missing")],
        required_one_of=[("claims", "devices")],
        supports_check_mode=True,
    )
    run_module(module, lambda host: compare(host, module.params, module.check_mode), module.params["root"])


if __name__ == "__main__":
    main()
