#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: iommu
short_description: See to it that the next boot has an IOMMU
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Determines whether this host has an IOMMU, and whether each installed kernel will have one when it boots, from the processor, the
    firmware's tables, the kernel's configuration and the arguments that the boot loader gives it.
  - Where an Intel IOMMU is off by default (C(CONFIG_INTEL_IOMMU_DEFAULT_ON)), adds C(intel_iommu=on), as
    M(vfio.variants.kernel_cmdline) does. Linux switches those of AMD and Arm, and virtio-iommu, on by itself, so nothing is added there.
  - Nothing is changed where no argument helps, for example if the firmware's setup has it switched off, or against an argument that
    switches it off, which is somebody's decision; RV(because) says so. The modules that carry out claims for VFIO drivers refuse them then.
  - What was added is remembered. O(state=absent) takes that back, byte for byte, and leaves what others have set.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._unsupported
options:
  state:
    description: Whether there should be an IOMMU, or what this module added should be taken back.
    type: str
    choices: [present, absent]
    default: present
  passthrough:
    description:
      - Whether the host's own devices go without translation (C(iommu=pt), on Arm and for virtio-iommu C(iommu.passthrough=1)). That is
        faster for some of them, and lets each read and write all memory of the host.
      - Devices that a VFIO driver has are translated in any case.
    type: bool
    default: false
  timeout:
    description: Time limit for each command in seconds, from 1 to 86400.
    type: int
    default: 600
notes:
  - Requires root where something is changed, also in check mode.
  - Nothing changes for the running kernel before a reboot.
seealso:
  - module: vfio.variants.kernel_cmdline
  - module: vfio.variants.boot_policy
  - module: vfio.variants.device_info
"""

EXAMPLES = r"""
- name: Have an IOMMU from the next boot on
  vfio.variants.iommu:
  become: true
  register: iommu

- name: Reboot if the running kernel has none
  ansible.builtin.reboot:
  become: true
  when: iommu.reboot_required

- name: Take back what was added for it
  vfio.variants.iommu:
    state: absent
  become: true
"""

RETURN = r"""
recovered:
  description: What earlier runs that did not come to their end had left behind, as M(vfio.variants.kernel_cmdline) returns it.
  returned: success
  type: list
  elements: dict
enabled:
  description: Whether the running kernel has an IOMMU.
  returned: success
  type: bool
  sample: false
will_be_enabled:
  description: Whether each kernel will have one when it boots, with RV(arguments).
  returned: success
  type: bool
  sample: true
because:
  description: Why a kernel will have none, a clause; empty if each will.
  returned: success
  type: str
  sample: the firmware describes none
arguments:
  description: The arguments that this module sees to; none if none is needed.
  returned: success
  type: list
  elements: str
  sample: [intel_iommu=on]
files:
  description: The files that were changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/boot/grub/grub.cfg, /etc/default/grub.d/zz-vfio-variants.cfg]
commands:
  description: The commands that were run, or would be in check mode.
  returned: success
  type: list
  elements: list
  sample: [[update-grub]]
entries:
  description: The arguments of each kernel before and after, as M(vfio.variants.kernel_cmdline) returns them. Empty if nothing was changed.
  returned: success
  type: dict
reboot_required:
  description: Whether the running kernel has no IOMMU although the next boot will, or was not given the arguments.
  returned: success
  type: bool
hint:
  description: What to do about the failure.
  returned: on failure, if there is a hint
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.iommu import IommuRequest, apply
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "passthrough": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 600},
    "allow_unsupported": {"type": "bool", "default": False},
}


def request(options: t.Mapping[str, t.Any]) -> IommuRequest:
    return IommuRequest(options["state"] == "present", options["passthrough"], options["timeout"], options["allow_unsupported"])


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: apply(host, request(module.params), module.check_mode))


if __name__ == "__main__":
    main()
