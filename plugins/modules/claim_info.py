#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: claim_info
short_description: Check whether PCI devices are bound as claimed, and whether they will be after the next boot
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Compares claims, as for M(vfio.variants.device_claim) and M(vfio.variants.boot_policy), with the drivers that the devices are
    bound to now and with the forecast of the next boot by M(vfio.variants.device_info).
  - With O(require=winner) it fails unless every device is certain to be bound as claimed, which is the check to run before a reboot,
    in a playbook or in CI.
  - Without O(claims) and O(devices), the devices are checked that the host's installed policy assigns to a driver, by C(driverctl), udev
    rules that set C(driver_override), or an C(ids=) parameter, whoever wrote it.
  - Nothing is changed and no module is loaded. What is read is cached as by M(vfio.variants.device_info).
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.reads
  - vfio.variants._claims
options:
  require:
    description:
      - V(none) only reports.
      - V(winner) fails with one sentence for each device that will not be bound as claimed after a boot of O(kernels), or for which
        that is a race or cannot be determined.
      - V(satisfied) fails with one sentence for each device that is not bound as claimed now. No kernel needs to be installed for this.
      - Each sentence is followed by what to do, as far as that is known.
      - With V(none) devices that match nothing are left out; otherwise they are an error, unless O(claims[].allow_missing) is V(true).
    type: str
    choices: [none, winner, satisfied]
    default: none
  kernels:
    description:
      - The kernels whose boots are checked. V(next) is the one that boots by default, or all if that cannot be
        determined; V(all) installed ones, V(running), or releases.
    type: list
    elements: str
    default: [next]
  group:
    description:
      - Whether unclaimed devices in the IOMMU group of a claimed device are checked too, as
        O(vfio.variants.boot_policy#module:group) claims them. Bridges are ignored.
    type: str
    choices: [claim, ignore]
    default: claim
  root:
    description:
      - The root of the host to check, such as a mounted image; O(hardware) then describes its devices.
    type: path
    default: /
  hardware:
    description:
      - The devices to check in place of those in C(/sys); see O(vfio.variants.device_info#module:hardware).
    type: list
    elements: dict
  detail:
    description:
      - V(full) returns all that is known.
      - V(line) returns RV(summary) alone, so that an ad-hoc command prints one line for each host. It is the default where
        C(ansible) has its option C(--one-line).
    type: str
    choices: [line, full]
    default: full
  assumes:
    description:
      - Whether to say, for each forecast, what it takes for granted, in C(assumes) beside C(because).
    type: bool
    default: false
  predicted:
    description:
      - What this module has returned on this host before its last boot. RV(wrong_predictions) says what the boot has disproved.
      - With O(require=satisfied) it fails for these sentences, too. The running kernel is one of O(kernels) then.
    type: dict
notes:
  - Without root privileges, an initramfs, a boot loader's configuration, or a policy that only root can read is unknown.
  - It does the same in check mode. Files that an earlier task only predicted in check mode do not exist and are not considered.
seealso:
  - module: vfio.variants.device_info
  - module: vfio.variants.device_claim
  - module: vfio.variants.boot_policy
"""

EXAMPLES = r"""
- name: Stop unless every V100 will be bound to its variant driver at the next boot
  vfio.variants.claim_info:
    devices: "10de:1db1"
    require: winner

- name: Check every installed kernel before an upgrade window
  vfio.variants.claim_info:
    claims:
      - devices: "0000:3b:00.0"
        expect: "10de:1db1"
        driver: vfio-pci
    kernels: [all]
    require: winner

- name: Check a disk image in CI for the card that it is built for
  vfio.variants.claim_info:
    root: /mnt/image
    hardware:
      - modalias: pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00
    devices: "10de:1db1"
    require: winner

- name: Stop unless the host's installed policy will win at the next boot
  vfio.variants.claim_info:
    require: winner

- name: Check that the devices are bound as claimed now
  vfio.variants.claim_info:
    devices: "class:0302"
    require: satisfied

- name: Predict the next boot
  vfio.variants.claim_info:
    devices: "class:0302"
    kernels: [all]
  register: before

- name: Boot
  ansible.builtin.reboot:

- name: Stop if the owners are others than predicted, and say which sentence was wrong
  vfio.variants.claim_info:
    devices: "class:0302"
    require: satisfied
    predicted: "{{ before }}"
"""

RETURN = r"""
summary:
  description:
    - How many devices are claimed, which of them are not bound as claimed or not certain to be after the next boot, and how many are.
    - Identical cards with the same answer stand together; of many only the first two addresses are named.
  returned: with O(detail=line)
  type: str
  sample: "1 claimed device, next boot 6.12.107+deb13-amd64: 10de:1db1 at 0000:3b:00.0 nouveau -> nouveau, claimed for vfio-pci"
devices:
  description: The claimed devices, by address.
  returned: success or unmet requirement, unless O(detail=line)
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
      description: The driver that the device is claimed for, on the first of O(kernels); V(null) if that cannot be determined.
      type: str
      sample: vfio-pci
    driver:
      description: The driver that the device is bound to now; V(null) if it is not bound.
      type: str
      sample: nouveau
    satisfied:
      description:
        - Whether the device is bound as claimed now; V(null) if no kernel runs, as in an image.
        - If the running kernel's modules are not installed, its best VFIO driver is not known, and V(auto) is met by any VFIO driver.
        - Where the claim names no driver, a virtual function that VFIO hands out already is claimed for the driver that does so, such as
          C(nvidia) with NVIDIA's vGPU.
      type: bool
      sample: false
    will_be_satisfied:
      description: Whether the device is certain to be bound as claimed after each of the boots; V(null) if no kernel is installed.
      type: bool
      sample: true
    kernels:
      description:
        - The result of each kernel's boot, by release.
        - C(claimed) is the driver of the claim on that kernel, C(kind) its kind as in
          RV(vfio.variants.device_claim#module:devices[].kind), C(would_change) the smallest change that makes it win; the other
          fields are as in RV(vfio.variants.device_info#module:devices[].next_boot).
      type: dict
      sample:
        6.12.107+deb13-amd64:
          claimed: vfio-pci
          kind: generic
          winner: vfio-pci
          certainty: certain
          stage: initramfs
          because: ["/etc/udev/rules.d/70-vfio-variants.rules:4: driver_override=vfio-pci"]
          outcomes: [vfio-pci]
          would_change: null
    warnings:
      description: Contradictions and lines without effect in the policy about this device, each with file and line.
      type: list
      elements: str
      sample: []
    vfio_nodes:
      description:
        - The device nodes of VFIO for the device, each with C(path), C(owner), C(group) and C(mode); an account without a name is a number.
      type: list
      elements: dict
      sample: [{path: /dev/vfio/15, owner: root, group: kvm, mode: '0660'}]
    guards:
      description:
        - What keeps the device with its driver while it is not bound as claimed; M(vfio.variants.device_claim) and
          M(vfio.variants.boot_policy) refuse the claim because of it.
        - What the strategy V(blacklist) takes from other devices is not included.
        - V(null) if it is not known, because the device is only described by O(hardware).
      type: list
      elements: dict
      contains:
        guard:
          description: The guard's name, such as V(root), V(route) or V(in_use).
          type: str
          sample: data_mounts
        what:
          description: The reason, as a clause.
          type: str
          sample: /dev/nvme0n1p1 is mounted at /home
        action:
          description:
            - V(refuse), or V(ignore) if the claim says so.
            - V(warn) where the device is configured to come up at the next boot, and the host does not need it for its default route.
          type: str
          sample: refuse
        can_be_ignored:
          description: Whether O(claims[].guards) can ignore it.
          type: bool
          sample: true
failures:
  description: For each device that is not, or will not be, as O(require) says, one sentence, and what to do.
  returned: success or unmet requirement, unless O(detail=line)
  type: list
  elements: str
  sample: []
unfinished:
  description:
    - What runs that did not come to their end have left behind. The next run of a module that changes the host undoes or finishes it.
    - Without root privileges only temporary files can be seen.
  returned: success or unmet requirement, unless O(detail=line)
  type: list
  elements: dict
  contains:
    operation:
      description: The module that had begun it, or V(temporary files).
      type: str
      sample: device_claim
    what:
      description: Sentences on the state that it has left.
      type: list
      elements: str
      sample:
        - "0000:01:00.0 has driver none and driver_override vfio-pci; run device_claim with `state: present` or `state: absent`."
check_mode:
  description:
    - Whether the module ran in check mode, so that files which earlier tasks of the play would have written do not exist.
  returned: success or unmet requirement, unless O(detail=line)
  type: bool
  sample: false
next_boot:
  description: The kernel that boots by default.
  returned: success or unmet requirement, unless O(detail=line)
  type: dict
  contains:
    release:
      description: Its release; V(null) if it cannot be determined.
      type: str
      sample: 6.12.107+deb13-amd64
    reason:
      description: Why this kernel boots next, or why that cannot be determined.
      type: str
      sample: /boot/grub/grub.cfg default="0", 'Debian GNU/Linux'
old_in_use:
  description: VFIO drivers of which the running kernel has loaded another version than is installed. A claimed device can be bound to one.
  returned: if there are any, unless O(detail=line)
  type: list
  elements: str
  sample: [nvlink2gpu_vfio_pci]
wrong_predictions:
  description:
    - For each device whose driver is not one of those predicted, its driver, the prediction with its reasons, and which of these do not
      hold any more; and a sentence if another kernel was booted than predicted.
    - A device about which the prediction was V(unknown) is left out.
  returned: with O(predicted), unless O(detail=line)
  type: list
  elements: str
  sample: []
policy_warnings:
  description: Contradictions and lines without effect in the host's policy that are not about one of its devices, each with file and line.
  returned: success or unmet requirement, unless O(detail=line)
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import (
    CLAIM_ARGUMENTS,
    CLAIM_EXCLUSIVE,
    claims_of,
    pending_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import GroupMode
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import parse as parse_hardware
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import ClaimCheckRequest, ClaimDetail, Required
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_line import answered
from ansible_collections.vfio.variants.plugins.module_utils._core.report.prediction_check import Prediction

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **CLAIM_ARGUMENTS,
    "require": {"type": "str", "choices": [*t.get_args(Required)], "default": "none"},
    "kernels": {"type": "list", "elements": "str", "default": ["next"]},
    "group": {"type": "str", "choices": [*t.get_args(GroupMode)], "default": "claim"},
    "root": {"type": "path", "default": "/"},
    "hardware": {"type": "list", "elements": "dict"},
    "detail": {"type": "str", "choices": [*t.get_args(ClaimDetail)], "default": "full"},
    "assumes": {"type": "bool", "default": False},
    "predicted": {"type": "dict"},
}


def request(options: t.Mapping[str, t.Any]) -> ClaimCheckRequest:
    claims = claims_of(options, missing_by_default=options["require"] == "none")
    return ClaimCheckRequest(
        claims=None if options["claims"] is None and not claims else claims,
        pending_modules=pending_of(options),
        require=options["require"],
        kernels=tuple(options["kernels"]),
        group=options["group"],
        hardware=None if options["hardware"] is None else parse_hardware(options["hardware"]),
        assumes=options["assumes"],
        predicted=None if options["predicted"] is None else Prediction.parse(options["predicted"]),
        detail=options["detail"],
    )


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(
            argument_spec=ARGUMENTS,
            mutually_exclusive=CLAIM_EXCLUSIVE,
            supports_check_mode=True,
        )
    run_module(module, lambda host: answered(host, request(module.params), module.check_mode), module.params["root"])


if __name__ == "__main__":
    main()
