#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies claims to a host, or undoes them: IOMMU, boot policy, initramfs images and live binding in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_claims
short_description: Apply claims to a host now and for every boot, or undo them, in one call
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Does what M(vfio.variants.iommu), M(vfio.variants.boot_policy), M(vfio.variants.initramfs), M(vfio.variants.device_claim) and
    M(vfio.variants.claim_info) do one after the other, and leaves the record of M(vfio.variants.unchanged_record). It reads the host once
    where it cannot have changed, and Python starts once. The role P(vfio.variants.vfio_host#role) is made of it.
  - Judges the whole request before anything is written, with the messages of those modules. A run that is refused has changed nothing.
    The lock against other runs is held from the check to the last change.
  - While it runs, it says in the host's log which of these modules it begins with, and what M(vfio.variants.device_claim) says there;
    C(journalctl -f) shows it.
  - Afterwards, unless O(request.check_winner=false), the module fails if a claimed device is not certain to be bound as claimed at boot.
  - Driver packages are built by M(vfio.variants.dkms_package). Here they are predicted; see O(waits_for_drivers).
options:
  waits_for_drivers:
    description:
      - If a driver package has to be built, or DKMS or a kernel's headers installed, judge the request as if that were done, and change
        nothing. RV(waits_for_drivers) says so; once the drivers are there, call the module again.
    type: bool
    default: false
  skip:
    description:
      - Parts of O(request) that this run leaves out.
      - V(drivers) takes the modules as they are, V(winner) does not check the next boot.
    type: list
    elements: str
    choices: [drivers, winner]
    default: []
  record:
    description: Whether to leave the record of what this run rested on, if there is nothing left to do.
    type: bool
    default: true
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._request
notes:
  - Requires root.
seealso:
  - module: vfio.variants.boot_policy
  - module: vfio.variants.device_claim
  - module: vfio.variants.unchanged_info
"""

EXAMPLES = r"""
- name: Bind every V100 to the best VFIO driver that there is, now and at each boot
  vfio.variants.host_claims:
    request:
      drivers: false
      claims:
        - devices: "10de:1db1"
  register: applied

- name: Reboot if the kernel has no IOMMU yet, or a device waits for it
  ansible.builtin.reboot:
  when: applied.reboot_required

- name: Give them back to their native drivers
  vfio.variants.host_claims:
    request:
      drivers: false
      state: absent
      claims:
        - devices: "10de:1db1"
"""

RETURN = r"""
waits_for_drivers:
  description: Whether nothing was done because a driver package has to be built first.
  returned: success
  type: bool
  sample: false
drivers:
  description: The driver packages that O(request) names.
  returned: success
  type: dict
  contains:
    changed:
      description: Whether one of them has to be built, installed or removed.
      type: bool
      sample: false
    modules:
      description: Their modules, as the option O(vfio.variants.boot_policy#module:pending_modules) takes them.
      type: list
      elements: dict
iommu:
  description: RV(vfio.variants.iommu#module:enabled), RV(vfio.variants.iommu#module:will_be_enabled),
    RV(vfio.variants.iommu#module:because) and RV(vfio.variants.iommu#module:arguments); null with O(request.iommu=false).
  returned: success
  type: dict
policy:
  description: The policy's files and modules, as RV(vfio.variants.boot_policy#module:policy).
  returned: success
  type: dict
kernels:
  description: The initramfs of each kernel, as RV(vfio.variants.initramfs#module:kernels).
  returned: success
  type: dict
devices:
  description: The devices, as RV(vfio.variants.device_claim#module:devices), or, where they are not bound now, as
    RV(vfio.variants.claim_info#module:devices).
  returned: success
  type: list
  elements: dict
winners:
  description: For each claimed device whether the next boots bind it as claimed; empty where that is not checked.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The device.
      type: str
      sample: "0000:01:00.0"
    claimed:
      description: The driver that it is claimed for.
      type: str
      sample: vfio-pci
    will_be_satisfied:
      description: Whether it is certain to have that driver after the boots of the kernels.
      type: bool
      sample: true
reboot_required:
  description:
    - Whether something takes effect at the next boot only, the installed version of a driver among it; see
      RV(vfio.variants.device_claim#module:reboot_required).
  returned: success
  type: bool
  sample: false
recovered:
  description: What earlier runs that did not come to their end had left behind, as RV(vfio.variants.boot_policy#module:recovered).
  returned: success
  type: list
  elements: dict
recorded:
  description: Whether there is a record of what this run rested on.
  returned: success
  type: bool
  sample: true
because:
  description: Why a record was sought and could not be left; one sentence, or empty.
  returned: success
  type: str
  sample: ""
warnings:
  description: Those of all parts.
  returned: when there are any
  type: list
  elements: str
step:
  description: The module whose part of the work failed or was refused.
  returned: failure
  type: str
  sample: initramfs
done:
  description: The parts that had been done before, and stay.
  returned: failure
  type: list
  elements: str
  sample: [boot_policy]
"""

import dataclasses
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import in_log
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.report.role_options import REQUEST_ARGUMENTS, request_of
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_run import Manner, carry_out

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **REQUEST_ARGUMENTS,
    "waits_for_drivers": {"type": "bool", "default": False},
    "skip": {"type": "list", "elements": "str", "choices": ["drivers", "winner"], "default": []},
    "record": {"type": "bool", "default": True},
}


def request(options: t.Mapping[str, t.Any], check_mode: bool) -> tuple[WholeRequest, Manner]:
    """What is asked for, and how it is carried out."""
    wanted, key = request_of(options, "host_claims")
    manner = Manner(check_mode, key if options["record"] else "", frozenset(options["skip"]), options["waits_for_drivers"])
    return wanted, manner


def _carried_out(module: AnsibleModule, host: Host) -> Result:
    wanted, manner = request(module.params, module.check_mode)
    return carry_out(host, wanted, dataclasses.replace(manner, tell=in_log(module)))


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: _carried_out(module, host))


if __name__ == "__main__":
    main()
