#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_policy
short_description: Configure which driver PCI devices are bound to at boot
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Writes udev rules, modprobe configuration, and configuration of the initramfs generators, so that each claimed device is bound
    to its driver at boot, even if the initramfs contains its native driver.
  - Either all files are written, or none; whenever a run is killed, each device has its old or its new driver at the next boot, and the
    next run undoes what was begun. The first line of each says which policy it belongs to; other files are never touched.
  - Before anything is written, the next boot of each kernel is predicted from the host as it will be with the policy's files in
    place and the initramfs images rebuilt. If a claimed device will not be bound to its driver, or only by chance, the module fails
    and names the file and line that decide; what cannot be determined is a warning that says why.
  - Nothing is bound or unbound; that is what M(vfio.variants.device_claim) does. A VFIO driver that is not loaded may be
    loaded to determine its exact name; that does not bind any device.
  - The initramfs images are not rebuilt; pass the returned RV(policy) to M(vfio.variants.initramfs).
  - C(vfio_variants=off) on the kernel's command line switches all policies off for that boot, in the initramfs as well; see
    C(docs/recovery.md) of the collection. The module warns if the next boot or the running one has it, and judges the claims as
    they will hold without it.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._claims
  - vfio.variants._image
  - vfio.variants._unsupported
options:
  state:
    description:
      - V(present) writes the policy for the given claims and removes what an earlier run wrote for other claims.
      - V(absent) removes the files of the policy. Claims are ignored.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - The policy's name, which is part of its file names. Policies with different names are independent of each other.
    type: str
    default: vfio-variants
  strategy:
    description:
      - How the driver wins, for claims without their own O(claims[].strategy).
      - V(override) sets C(driver_override) in a udev rule for the device's own event, and loads the driver's module there.
        It works for single devices, and is the only strategy that can distinguish cards with the same ID. A rule for an address
        also matches on the vendor and device, so that no other card is bound after addresses have changed; a rule for an ID
        or a class also applies to cards that are added later.
      - V(ids) sets the driver's C(ids) parameter, and loads the driver before each native module (C(softdep)), or early
        if there is no native module. It applies to every card with the ID, so the module fails if one of them is not claimed,
        or if the driver has no such parameter.
      - V(blacklist) is V(override), and also blacklists the native modules, so that nothing else on the host can use
        them. The module fails if a device that is not claimed has such a driver; see O(allow_shared_native).
    type: str
    choices: [override, ids, blacklist]
    default: override
  kernels:
    description:
      - The kernels to decide for; V(all) installed ones, V(running), or releases.
      - The files apply to every kernel that boots. If the best driver differs between these kernels, the udev rules match on
        the release; a kernel that is installed later is treated like the newest of these.
    type: list
    elements: str
    default: [all]
  group:
    description:
      - What to do with unclaimed devices in the IOMMU group of a claimed device. Bridges are ignored.
      - V(claim) claims each for its own best VFIO driver, with the strategy V(override), because user space can only be given
        a group as a whole.
      - V(ignore) leaves them to their native drivers.
    type: str
    choices: [claim, ignore]
    default: claim
  natives:
    description:
      - The native modules for the strategies V(ids) and V(blacklist), in place of those whose aliases match the devices.
      - V(-) and V(_) are equivalent, as for modprobe. A module that none of the kernels has is an error, and so is one of VFIO.
      - With V(blacklist), so is one that drives no device, but is loaded for a file system, a bond or the like.
    type: list
    elements: str
  allow_shared_native:
    description:
      - With the strategy V(blacklist), accept that devices that are not claimed lose their native driver too.
    type: bool
    default: false
  require_certain:
    description:
      - Fail, before anything is written, where it cannot be determined that each claimed device will be bound to its driver.
      - Otherwise such a device is a warning. A device that will certainly be bound to another driver is always an error.
    type: bool
    default: false
  hardware:
    description:
      - With O(root), the devices of the machines that the image is for; see O(vfio.variants.device_info#module:hardware).
      - Whether these machines need a device is not known, so nothing is refused to keep it; C(claim_info) on such a machine says it.
    type: list
    elements: dict
  pending_arguments:
    description:
      - Kernel arguments that another task of the same play adds, as C(arguments) returned by M(vfio.variants.iommu).
      - In check mode each kernel is judged as if it had them. Without check mode it has no effect.
    type: list
    elements: str
    default: []
notes:
  - Requires root.
  - A native driver that is built into the kernel is bound before any file is read. The module warns about it.
  - A device that is hot-added while its native driver is loaded may be bound to the native driver.
  - The command line of each kernel is the one that the boot loader gives it, which need not be that of the running kernel.
seealso:
  - module: vfio.variants.device_claim
  - module: vfio.variants.initramfs
"""

EXAMPLES = r"""
- name: Bind every V100 to the best variant driver from the next boot on
  vfio.variants.boot_policy:
    devices: "10de:1db1"
  register: boot

- name: Rebuild the initramfs images that lack the policy
  vfio.variants.initramfs:
    policy: "{{ boot.policy }}"

- name: Claim one of two identical cards, and every port of a network card whose native driver nothing else needs
  vfio.variants.boot_policy:
    claims:
      - devices: "0000:3b:00.0"
        expect: "10de:1db1"
      - devices: "8086:10d3"
        driver: vfio-pci
        strategy: blacklist

- name: Remove the policy
  vfio.variants.boot_policy:
    state: absent
"""

RETURN = r"""
recovered:
  description:
    - What earlier runs that did not come to their end had left behind, and what this run did about it; in check mode, what it would do.
    - Each but V(removed) is a warning as well. See C(docs/reliability.md).
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: The module that had begun it, V(temporary files) or V(staged builds).
      type: str
      sample: boot_policy
    outcome:
      description:
        - V(undone) if everything is as before, V(finished) if it is complete, V(removed) for files that had no use any more.
        - V(left) if something is left to do, which C(what) says.
      type: str
      sample: undone
    what:
      description: Sentences, or the paths of what was removed.
      type: list
      elements: str
      sample: ["/etc/udev/rules.d/70-vfio-variants.rules was removed."]
policy:
  description: The policy's files and modules, as M(vfio.variants.initramfs) takes them. The same in check mode.
  returned: success
  type: dict
  contains:
    files:
      description: The SHA-256 of each file's content by path; V(null) for a file that must not exist.
      type: dict
      sample:
        /etc/udev/rules.d/70-vfio-variants.rules: 2b4e0c7c52e7f4c9c4c1a1c0b9cf5e2f6c8f3a3a0a0b1a9c1c6f1d2e3f405162
        /etc/modprobe.d/vfio-variants.conf:
    modules:
      description: The modules that the initramfs must contain.
      type: list
      elements: str
      sample: [nvlink2gpu_vfio_pci]
assignments:
  description: The driver of each claimed device. A device has several entries if the driver depends on the kernel.
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
      description: The claim's index in O(claims), starting at 0.
      type: int
      sample: 0
    module:
      description: The driver's module.
      type: str
      sample: nvlink2gpu_vfio_pci
    driver:
      description: The driver.
      type: str
      sample: nvlink2gpu_vfio_pci
    kind:
      description: The driver's kind, as in RV(vfio.variants.device_claim#module:devices[].kind).
      type: str
      sample: variant
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
  description: Problems that do not prevent the policy from being written.
  returned: when there are any
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
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.image_host import host_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import parse as parse_hardware
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **CLAIM_ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "name": {"type": "str", "default": "vfio-variants"},
    "strategy": {"type": "str", "choices": ["override", "ids", "blacklist"], "default": "override"},
    "kernels": {"type": "list", "elements": "str", "default": ["all"]},
    "group": {"type": "str", "choices": ["claim", "ignore"], "default": "claim"},
    "natives": {"type": "list", "elements": "str"},
    "allow_shared_native": {"type": "bool", "default": False},
    "require_certain": {"type": "bool", "default": False},
    "root": {"type": "path", "default": "/"},
    "hardware": {"type": "list", "elements": "dict"},
    "pending_arguments": {"type": "list", "elements": "str", "default": []},
    "allow_unsupported": {"type": "bool", "default": False},
}


def request(options: t.Mapping[str, t.Any]) -> PolicyRequest:
    """What the options ask for.  Raises HostError where they are not valid claims."""
    if options["state"] == "absent":
        return PolicyRequest(options["name"], wanted=False)
    claims = claims_of(options)
    # Ansible takes null as given, too: a variable that is empty would remove the policy.
    if not claims:
        raise HostError("devices: no device is named.", "Give devices, or a list of claims; state: absent removes the policy.")
    return PolicyRequest(
        name=options["name"],
        claims=claims,
        strategy=options["strategy"],
        kernels=tuple(options["kernels"]),
        whole_groups=options["group"] == "claim",
        natives=tuple(options["natives"] or ()),
        allow_shared_native=options["allow_shared_native"],
        require_certain=options["require_certain"],
        pending=pending_of(options),
        pending_arguments=tuple(options["pending_arguments"]),
        hardware=None if options.get("hardware") is None else parse_hardware(options["hardware"]),
        allow_unsupported=options["allow_unsupported"],
    )


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(
            argument_spec=ARGUMENTS,
            mutually_exclusive=CLAIM_EXCLUSIVE,
            required_if=[("state", "present", ("claims", "devices"), True)],
            supports_check_mode=True,
        )
    run_module(module, lambda host: apply(host, request(module.params), module.check_mode), module.params["root"], host_of)


if __name__ == "__main__":
    main()
