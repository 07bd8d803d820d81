#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records every fact that a run of the role vfio_host rested on, if another run would have nothing to do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unchanged_record
short_description: Record what a run of the role vfio_host rested on, so that the next one need only ask whether it still holds
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Predicts in one go what a run of the role P(vfio.variants.vfio_host#role) would do. If that is nothing, it leaves a record of every fact
    that the prediction rested on, which M(vfio.variants.unchanged_info) asks for again.
  - There is no record of what cannot be noticed if it changes, such as the output of a command. The role then takes the full way each time.
  - The role's last task. Its record is a cache, so it never reports a change.
options:
  root:
    description: The root of the host's file system, V(/) or a directory where it is mounted.
    type: path
    default: /
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.reads
  - vfio.variants._request
seealso:
  - module: vfio.variants.unchanged_info
"""

EXAMPLES = r"""
- name: Record what the run rested on
  vfio.variants.unchanged_record:
    request:
      claims:
        - devices: "10de:1db1"
"""

RETURN = r"""
recorded:
  description: Whether there is a record now. Not in check mode.
  returned: success
  type: bool
  sample: true
because:
  description: Why there is none; one sentence.
  returned: success
  type: str
  sample: boot_policy has something to do.
facts:
  description: The number of facts in the record.
  returned: success
  type: int
  sample: 4711
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.report.role_options import REQUEST_ARGUMENTS, request_of
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_host import record

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest

ARGUMENTS: dict[str, dict[str, t.Any]] = {**REQUEST_ARGUMENTS, "root": {"type": "path", "default": "/"}}


def request(options: t.Mapping[str, t.Any]) -> tuple[WholeRequest, str]:
    return request_of(options, "unchanged_record")


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: record(host, *request(module.params), module.check_mode), module.params["root"])


if __name__ == "__main__":
    main()
