#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation and options of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: device_table
short_description: Show the devices of many hosts as a table on the terminal
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Shows what M(vfio.variants.device_info) returned on each of several hosts as one table with the columns host, device, now, next boot,
    certain and because.
  - Where the terminal has colors, what stays as it is is green, what changes or depends on timing is yellow, and what cannot be determined
    or has a warning is red.
  - The playbook C(vfio.variants.show) does both.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.controller
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: It changes nothing.
  idempotent:
    support: full
options:
  answers:
    description:
      - By host, what M(vfio.variants.device_info) returned there. A host with an empty dictionary gave no answer.
    type: dict
    required: true
  everything:
    description:
      - Whether devices are shown that have no driver for certain, now and after the next boot, and bridges with C(pcieport).
    type: bool
    default: false
seealso:
  - module: vfio.variants.device_info
"""

EXAMPLES = r"""
- name: Examine the hosts
  hosts: gpu_hosts
  tasks:
    - name: Get their display controllers
      vfio.variants.device_info:
        devices: "class:03"
      register: info

    - name: Show them
      vfio.variants.device_table:
        answers: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'info'))) }}"
      run_once: true
"""

RETURN = r"""
lines:
  description: The number of rows.
  returned: success
  type: int
  sample: 12
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "answers": {"type": "dict", "required": True},
    "everything": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.fail_json(msg="device_table runs on the controller. Use its full name, vfio.variants.device_table, in a task.")


if __name__ == "__main__":
    main()
