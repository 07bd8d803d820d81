#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation and options of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Write a page about a fleet, with one row for each host
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Writes three files on the controller from what M(vfio.variants.host_report) has returned for each host, a page (HTML), the same data as
    JSON, and metrics for Prometheus.
  - The page needs nothing besides itself. Its table can be searched, filtered and sorted; hosts that need a person are first.
  - No host is contacted.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.controller
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  folder:
    description:
      - The directory on the controller that the hosts' pages are in. The files are C(index.html), C(index.json) and C(index.prom).
    type: path
    required: true
  hosts:
    description: What M(vfio.variants.host_report) has returned for each host as RV(vfio.variants.host_report#module:summary).
    type: list
    elements: dict
    default: []
  names:
    description: The names of all hosts. One without an element of O(hosts) is shown as not examined.
    type: list
    elements: str
    default: []
  title:
    description: The page's title.
    type: str
    default: Drivers of PCI devices, now and after the next boot
seealso:
  - module: vfio.variants.host_report
"""

EXAMPLES = r"""
- name: Write a page about each host
  vfio.variants.host_report:
    folder: /var/www/vfio
  register: written

- name: Write the page about all of them
  vfio.variants.fleet_report:
    folder: /var/www/vfio
    names: "{{ ansible_play_hosts_all }}"
    hosts: "{{ ansible_play_hosts | map('extract', hostvars, ['written', 'summary']) }}"
  run_once: true
"""

RETURN = r"""
page:
  description: The page's path on the controller.
  returned: success
  type: str
  sample: /var/www/vfio/index.html
data:
  description: The path of the same data as JSON.
  returned: success
  type: str
  sample: /var/www/vfio/index.json
metrics:
  description: The path of the metrics in Prometheus' text format.
  returned: success
  type: str
  sample: /var/www/vfio/index.prom
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule


def argument_spec() -> dict[str, t.Any]:
    return {
        "folder": {"type": "path", "required": True},
        "hosts": {"type": "list", "elements": "dict", "default": []},
        "names": {"type": "list", "elements": "str", "default": []},
        "title": {"type": "str", "default": "Drivers of PCI devices, now and after the next boot"},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    module.fail_json(msg="fleet_report runs on the controller. Use its full name, vfio.variants.fleet_report, in a task.")


if __name__ == "__main__":
    main()
