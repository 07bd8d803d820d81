#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_claim
short_description: Hand PCI devices to VFIO drivers on the running kernel, or give them back
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Binds each claimed device to its driver through C(driver_override), now, without a reboot.
  - A device that is already owned as claimed is not touched.
  - The whole IOMMU group is considered, since user space gets a group as a whole.
  - A device that is in use is refused before anything is changed, with the process, file system or network interface that uses it.
  - Each step has a time limit. When one fails, every device goes back to the driver that had it.
  - What is bound here is lost at the next boot; M(vfio.variants.boot_policy) makes it last.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._claims
options:
  state:
    description:
      - V(present) gives the devices to the claimed driver.
      - V(absent) returns the devices that a VFIO driver, or the driver of their claim, holds to their native driver.
    type: str
    choices: [present, absent]
    default: present
  group:
    description:
      - What happens to the other devices of a claimed device's IOMMU group that no claim names. Bridges are never counted.
      - V(claim) binds them as well, each to its own best VFIO driver.
      - V(check) refuses where one of them belongs to a native driver, since user space could not open the group.
      - V(ignore) leaves them alone.
    type: str
    choices: [claim, check, ignore]
    default: claim
  force:
    description:
      - Take devices that are in use all the same.
      - A device that keeps the host itself running, such as the disk of the root file system or the interface of the default
        route, is never taken.
    type: bool
    default: false
  timeout:
    description: How long each single step may take, in seconds.
    type: int
    default: 60
notes:
  - Requires root.
seealso:
  - module: vfio.variants.boot_policy
  - module: vfio.variants.device_info
"""

EXAMPLES = r"""
- name: Give every V100 to the best variant driver of the running kernel
  vfio.variants.device_claim:
    devices: "10de:1db1"

- name: Give one card to plain vfio-pci, and only while that card sits there
  vfio.variants.device_claim:
    devices: "0000:5e:00.0"
    expect: "8086:1592"
    driver: vfio-pci

- name: Give it back to the host
  vfio.variants.device_claim:
    devices: "0000:5e:00.0"
    state: absent
"""

RETURN = r"""
devices:
  description: Each device concerned, companions of the IOMMU group included.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The device's address.
      type: str
      sample: "0000:01:00.0"
    id:
      description: Vendor and device ID.
      type: str
      sample: "10de:1db1"
    driver_before:
      description: The owner before, if any.
      type: str
      sample: nouveau
    driver:
      description: The owner now; in check mode, the owner to be. Empty where no driver has the device.
      type: str
      sample: nvlink2gpu_vfio_pci
    driver_override:
      description: The driver_override now; in check mode, the one to be.
      type: str
      sample: nvlink2gpu_vfio_pci
    iommu_group:
      description: The number of the device's IOMMU group; none where there is no IOMMU.
      type: int
      sample: 15
    vfio_node:
      description: The device node through which user space opens the group, where a VFIO driver has the device.
      type: str
      sample: /dev/vfio/15
    viable:
      description: Whether user space can open the device's IOMMU group.
      type: bool
      sample: true
    changed:
      description: Whether this device was, or would be, touched.
      type: bool
      sample: true
    steps:
      description: What was, or would be, done.
      type: list
      elements: str
      sample:
        - load nvlink2gpu_vfio_pci
        - set driver_override to nvlink2gpu_vfio_pci
        - unbind from nouveau
        - bind to nvlink2gpu_vfio_pci
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind import ensure
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import CLAIM_ARGUMENTS, CLAIM_EXCLUSIVE
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CLAIM_ARGUMENTS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "group": {"type": "str", "choices": ["claim", "check", "ignore"], "default": "claim"},
            "force": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 60},
        },
        mutually_exclusive=CLAIM_EXCLUSIVE,
        required_one_of=[("claims", "devices")],
        supports_check_mode=True,
    )
    run_module(module, lambda host: ensure(host, module.params, module.check_mode))


if __name__ == "__main__":
    main()
