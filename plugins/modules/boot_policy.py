#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_policy
short_description: Decide which driver owns PCI devices from the next boot on
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Writes the udev rules, the modprobe configuration, and what the initramfs generators need, so that each claimed device goes
    to its driver at boot, also where its native driver is already loaded by the initramfs.
  - All files are written, or none. Each says in its first line which policy it belongs to; a file of somebody else is never touched.
  - Before anything is written, the next boot of each kernel is predicted from the host as it will be with the policy's files in
    place and the initramfs images rebuilt. A claimed device that will not get its driver, or only by chance, is an error that names
    the file and line which decide; what cannot be determined is a warning that says why.
  - Nothing is bound or unbound now; that is what M(vfio.variants.device_claim) does. A VFIO driver that is not loaded is
    loaded to learn its exact name, which binds nothing.
  - The initramfs images are not rebuilt; hand the returned RV(policy) to M(vfio.variants.initramfs).
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._claims
options:
  state:
    description:
      - V(present) makes the policy what the claims ask for; what an earlier run wrote for other claims goes.
      - V(absent) removes exactly the files of the policy. Claims are not looked at.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - The policy's name, which its file names carry. Policies of several names are independent of each other.
    type: str
    default: vfio-variants
  strategy:
    description:
      - How claims win that do not say it themselves.
      - V(override) sets C(driver_override) by a udev rule in the device's own event, and loads the driver's module there.
        It is for single devices, and the only one that can part two cards of the same ID. A rule for an address also asks
        for the vendor and device found there, so that no other card is taken after addresses have changed; a rule for an ID
        or a class also holds for such cards that are added later.
      - V(ids) gives the IDs to the driver as its C(ids) parameter, loads it before each native module (C(softdep)), and early
        where there is no native module. It takes every card of the ID, and is refused where a card of the ID is not claimed
        or the module has no such parameter.
      - V(blacklist) does what V(override) does and blacklists the native modules, so that nothing else on the host can use
        them. It is refused where a device that is not claimed has such a driver; see O(allow_shared_native).
    type: str
    choices: [override, ids, blacklist]
    default: override
  kernels:
    description:
      - The kernels to decide for; V(all) that are installed, V(running), or releases.
      - The files hold for every kernel that boots. Where these kernels differ in the best driver, the udev rules tell them
        apart, and one that is installed later gets what the newest of these gets.
    type: list
    elements: str
    default: [all]
  group:
    description:
      - What happens to the other devices of a claimed device's IOMMU group that no claim names. Bridges are never counted.
      - V(claim) gives each to its own best VFIO driver, with the strategy V(override), since user space gets a group as a whole.
      - V(ignore) leaves them to their native drivers.
    type: str
    choices: [claim, ignore]
    default: claim
  natives:
    description:
      - The native modules for the strategies V(ids) and V(blacklist), in place of those whose aliases match the devices.
      - V(-) and V(_) are the same, as for modprobe. A module that none of the kernels has is an error.
    type: list
    elements: str
  allow_shared_native:
    description:
      - With the strategy V(blacklist), take the native driver also from devices that no claim names.
    type: bool
    default: false
notes:
  - Requires root.
  - A native driver that is built into the kernel has its devices before any file is read. The module warns about it.
  - The command line of each kernel is the one that the boot loader gives it, which need not be that of the running kernel.
  - A device that is added to a running host while its native driver is loaded goes to the native driver.
seealso:
  - module: vfio.variants.device_claim
  - module: vfio.variants.initramfs
"""

EXAMPLES = r"""
- name: Let every V100 have the best variant driver from the next boot on
  vfio.variants.boot_policy:
    devices: "10de:1db1"
  register: boot

- name: Rebuild the initramfs images that lack the policy
  vfio.variants.initramfs:
    policy: "{{ boot.policy }}"

- name: One of two equal cards, and every port of a network card whose native driver nothing else needs
  vfio.variants.boot_policy:
    claims:
      - devices: "0000:3b:00.0"
        expect: "10de:1db1"
      - devices: "8086:10d3"
        driver: vfio-pci
        strategy: blacklist

- name: Leave nothing behind
  vfio.variants.boot_policy:
    state: absent
"""

RETURN = r"""
policy:
  description: The policy's files and modules, as M(vfio.variants.initramfs) takes them. The same in check mode.
  returned: success
  type: dict
  contains:
    files:
      description: The SHA-256 of each file's content by path; none for a path where no file may be.
      type: dict
      sample:
        /etc/udev/rules.d/70-vfio-variants.rules: 2b4e0c7c52e7f4c9c4c1a1c0b9cf5e2f6c8f3a3a0a0b1a9c1c6f1d2e3f405162
        /etc/modprobe.d/vfio-variants.conf:
    modules:
      description: The modules that the initramfs must hold.
      type: list
      elements: str
      sample: [nvlink2gpu_vfio_pci]
assignments:
  description: Which driver each claimed device gets. More than one entry for a device where kernels differ.
  returned: success
  type: list
  elements: dict
  contains:
    device:
      description: The device's address.
      type: str
      sample: "0000:01:00.0"
    id:
      description: Vendor and device ID.
      type: str
      sample: "10de:1db1"
    claim:
      description: The claim's place in O(claims), counted from 0.
      type: int
      sample: 0
    module:
      description: The module that brings the driver.
      type: str
      sample: nvlink2gpu_vfio_pci
    driver:
      description: The driver.
      type: str
      sample: nvlink2gpu_vfio_pci
    strategy:
      description: How the driver wins.
      type: str
      sample: override
    kernels:
      description: The kernels for which this was decided.
      type: list
      elements: str
      sample: [6.12.107+deb13-amd64]
warnings:
  description: What does not stop the policy but should be known.
  returned: when there is something
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.boot_policy import apply
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import (
    CLAIM_ARGUMENTS,
    CLAIM_EXCLUSIVE,
    claims_of,
    pending_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest


def request_of(params: t.Mapping[str, t.Any]) -> PolicyRequest:
    """What the options ask for.  Raises HostError where the claims are no claims."""
    if params["state"] == "absent":
        return PolicyRequest(params["name"], wanted=False)
    return PolicyRequest(
        name=params["name"],
        claims=claims_of(params),
        strategy=params["strategy"],
        kernels=tuple(params["kernels"]),
        whole_groups=params["group"] == "claim",
        natives=tuple(params["natives"] or ()),
        allow_shared_native=params["allow_shared_native"],
        pending=pending_of(params),
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CLAIM_ARGUMENTS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str", "default": "vfio-variants"},
            "strategy": {"type": "str", "choices": ["override", "ids", "blacklist"], "default": "override"},
            "kernels": {"type": "list", "elements": "str", "default": ["all"]},
            "group": {"type": "str", "choices": ["claim", "ignore"], "default": "claim"},
            "natives": {"type": "list", "elements": "str"},
            "allow_shared_native": {"type": "bool", "default": False},
        },
        mutually_exclusive=CLAIM_EXCLUSIVE,
        required_if=[("state", "present", ("claims", "devices"), True)],
        supports_check_mode=True,
    )
    run_module(module, lambda host: apply(host, request_of(module.params), module.check_mode))


if __name__ == "__main__":
    main()
