#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation and options of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_report
short_description: Write a page about a host's PCI devices and their drivers, now and after the next boot
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Asks the host with M(vfio.variants.device_info), and with O(claims) also with M(vfio.variants.claim_info), and writes three files on the
    controller, a page (HTML), the same data as JSON, and metrics for Prometheus.
  - The page needs nothing besides itself and makes no request. It shows what needs attention, the PCI tree with the IOMMU groups, now and
    after a boot of each kernel, when each device gets its driver, and why.
  - The host is not changed, and no device is accessed.
  - The role P(vfio.variants.report#role) calls it for each host, and then M(vfio.variants.fleet_report).
extends_documentation_fragment:
  - vfio.variants._attributes
attributes:
  action:
    description: There is an action plugin of the same name.
    support: full
    details: The pages are written on the controller.
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
    details: The files are written each time, with the time of the examination; RV(ignore:changed) says whether anything else is different.
  platform:
    platforms: linux
    support: full
options:
  folder:
    description:
      - The directory on the controller, made if it is missing. The files are in its directory C(hosts), named after the host.
    type: path
    required: true
  claims:
    description:
      - The claims to check, as in O(vfio.variants.claim_info#module:claims). Without them, the claims are those of the host's own policy.
    type: list
    elements: dict
  root:
    description:
      - The root of the host to examine, such as a mounted image.
    type: path
    default: /
  hardware:
    description:
      - The devices to report in place of those in C(/sys); see O(vfio.variants.device_info#module:hardware).
    type: list
    elements: dict
notes:
  - Without root privileges an initramfs, a boot loader's configuration, or a policy that only root can read is unknown.
seealso:
  - module: vfio.variants.fleet_report
  - module: vfio.variants.device_info
  - module: vfio.variants.claim_info
"""

EXAMPLES = r"""
- name: Write a page about each host
  vfio.variants.host_report:
    folder: /var/www/vfio

- name: Write a page that also says whether the claims are met
  vfio.variants.host_report:
    folder: /var/www/vfio
    claims:
      - devices: "10de:1db1"
"""

RETURN = r"""
page:
  description: The page's path on the controller.
  returned: success
  type: str
  sample: /var/www/vfio/hosts/gpu-1.html
data:
  description: The path of the same data as JSON.
  returned: success
  type: str
  sample: /var/www/vfio/hosts/gpu-1.json
metrics:
  description: The path of the metrics in Prometheus' text format.
  returned: success
  type: str
  sample: /var/www/vfio/hosts/gpu-1.prom
summary:
  description: The host in a few words, for O(vfio.variants.fleet_report#module:hosts).
  returned: always
  type: dict
  contains:
    name:
      description: The host's name in the inventory.
      type: str
      sample: gpu-1
    state:
      description: The worst that is true, of V(not examined), V(not as claimed), V(drift), V(uncertain), V(warnings), V(steady).
      type: str
      sample: drift
    examined_at:
      description: When the host was examined, in seconds since 1970.
      type: int
      sample: 1795867564
    running:
      description: The running kernel's release; V(null) if it is not known.
      type: str
      sample: 6.12.107+deb13-amd64
    next_release:
      description: The release of the kernel that boots next; V(null) if that cannot be determined.
      type: str
      sample: 6.12.107+deb13-amd64
    devices:
      description: The number of PCI functions but for bridges.
      type: int
      sample: 14
    changing:
      description: The number of devices that are certain to have another driver after the next boot than now.
      type: int
      sample: 1
    uncertain:
      description: The number of devices whose driver after the next boot is a race or cannot be determined.
      type: int
      sample: 0
    warnings:
      description: The number of contradictions and lines without effect in the policy.
      type: int
      sample: 0
    sentences:
      description: How many sentences there are, of which C(changes) and C(remarks) have the first few.
      type: int
      sample: 1
    claims:
      description: The claimed devices, with C(address), C(id), C(claimed), C(driver), C(satisfied) and C(will_be_satisfied).
      type: list
      elements: dict
      sample: []
    changes:
      description: Devices with another or an uncertain driver after the next boot, one sentence each.
      type: list
      elements: str
      sample: ["0000:3b:00.0, 10de:1db1: nouveau → nvlink2gpu_vfio_pci"]
    remarks:
      description: Unmet claims and warnings, one sentence each.
      type: list
      elements: str
      sample: []
    page:
      description: The page's path below O(folder); V(null) if there is none.
      type: str
      sample: hosts/gpu-1.html
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule


def argument_spec() -> dict[str, t.Any]:
    return {
        "folder": {"type": "path", "required": True},
        "claims": {"type": "list", "elements": "dict"},
        "root": {"type": "path", "default": "/"},
        "hardware": {"type": "list", "elements": "dict"},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    module.fail_json(msg="host_report writes on the controller. Use its full name, vfio.variants.host_report, in a task.")


if __name__ == "__main__":
    main()
