#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks whether everything that the last run of the role vfio_host rested on is as it was."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unchanged_info
short_description: Ask whether a host is as the last run of the role vfio_host left it
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - A run of the role P(vfio.variants.vfio_host#role) that ends with nothing left to do leaves a record of every fact that it rested on
    (M(vfio.variants.unchanged_record)), files, links, owners of devices and kernels among them. This module asks whether each of them
    still holds. If so, the role has nothing to do, and this is its only task on the host.
  - Whatever is different, or cannot be determined, makes the answer V(false), and so do another request, another state of the
    collection's code, a boot since then, a clock that was put back, and a record that another user could have written.
  - The record is below C(/var/cache/vfio-variants). Deleting it costs the next run time and nothing else.
options:
  request:
    description:
      - What the role was asked for, as for O(vfio.variants.unchanged_record#module:request). Only an equal request has the same answer.
      - Not sent to the host. The action plugin of the same name sends a digest of it, of the drivers' sources and of the collection's
        code.
    type: dict
    required: true
  root:
    description: The root of the host's file system, V(/) or a directory where it is mounted.
    type: path
    default: /
  _key:
    description: Set by the action plugin, which replaces what is given here; what stands for O(request) and the collection's code.
    type: str
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.reads
seealso:
  - module: vfio.variants.unchanged_record
"""

EXAMPLES = r"""
- name: Ask whether anything has changed since the last run
  vfio.variants.unchanged_info:
    request:
      claims:
        - devices: "10de:1db1"
  register: last_run

- name: Apply the claims if something has
  ansible.builtin.include_role:
    name: vfio.variants.vfio_host
  vars:
    vfio_host_claims:
      - devices: "10de:1db1"
  when: not last_run.unchanged
"""

RETURN = r"""
unchanged:
  description: Whether everything is certain to be as the last run left it.
  returned: success
  type: bool
  sample: true
because:
  description: What is different, or might be; one sentence.
  returned: success
  type: str
  sample: /etc/modprobe.d/site.conf is not as it was.
outcome:
  description: What the last run returned.
  returned: when RV(unchanged=true)
  type: dict
  contains:
    reboot_required:
      description: The fact C(vfio_host_reboot_required) of the role.
      type: bool
      sample: false
    report:
      description: The fact C(vfio_host_report) of the role.
      type: dict
    modules:
      description: The modules of the driver packages, as the role P(vfio.variants.vfio_drivers#role) sets them in C(vfio_drivers_modules).
      type: list
      elements: dict
warnings:
  description: The warnings of the last run.
  returned: when there are any
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import conclude, readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import Root
from ansible_collections.vfio.variants.plugins.module_utils._core.host.unchanged import recall

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "request": {"type": "dict", "required": True},
    "root": {"type": "path", "default": "/"},
    "_key": {"type": "str", "no_log": False},
}


def request(options: t.Mapping[str, t.Any]) -> str:
    """What stands for the request.  Raises HostError without the action plugin, which alone knows it."""
    key: str | None = options["_key"]
    if not key:
        raise HostError(
            "request: only the module's action plugin knows the collection's code.",
            "Call the module by its full name vfio.variants.unchanged_info.",
        )
    return key


def ask(host: Root, key: str) -> dict[str, t.Any]:
    answer = recall(host, key)
    found: dict[str, t.Any] = {"changed": False, "unchanged": answer.outcome is not None, "because": answer.because}
    if answer.outcome is None:
        return found
    return {**found, "warnings": answer.outcome.pop("warnings", []), "outcome": answer.outcome}


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    conclude(module, lambda: ask(Root(module.params["root"]), request(module.params)))


if __name__ == "__main__":
    main()
