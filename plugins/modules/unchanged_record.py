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
  request:
    description: What the role was asked for; the options are those of the role, without its prefix.
    type: dict
    required: true
    suboptions:
      claims:
        description: As in O(vfio.variants.device_claim#module:claims).
        type: list
        elements: dict
        required: true
        suboptions:
          devices:
            description: A selector or a list of them.
            type: raw
            required: true
          driver:
            description: V(auto), V(variant) or the name of a driver.
            type: str
            default: auto
          expect:
            description: The ID that the device must have.
            type: str
          strategy:
            description: How the driver wins at boot.
            type: str
            choices: [override, ids, blacklist]
          allow_missing:
            description: Do not fail if nothing matches.
            type: bool
          guards:
            description: Guards that are ignored.
            type: dict
            suboptions:
              console:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
              data_mounts:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
              in_use:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
              companions:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
              identical:
                description: See M(vfio.variants.device_claim).
                type: str
                choices: [ignore]
          vfs:
            description: How many virtual functions each of the devices is to have, which are claimed then.
            type: int
          node:
            description: To whom the device nodes are handed; see M(vfio.variants.device_claim).
            type: dict
            suboptions:
              owner: {description: The user., type: str}
              group: {description: The group., type: str}
              mode: {description: The mode., type: raw}
              memlock: {description: How much memory may be locked., type: str}
      state:
        description: Whether the claims are applied, or everything is undone.
        type: str
        choices: [present, absent]
        default: present
      strategy:
        description: How the claimed drivers win at boot.
        type: str
        choices: [override, ids, blacklist]
        default: override
      kernels:
        description: The kernels to prepare.
        type: list
        elements: str
        default: [all]
      group:
        description: What to do with the other devices of an IOMMU group.
        type: str
        choices: [claim, ignore]
        default: claim
      live:
        description: Whether the devices are bound immediately.
        type: bool
        default: true
      check_winner:
        description: Whether each device has to be certain to be bound as claimed at boot.
        type: bool
        default: true
      timeout:
        description: Time limit of each step of binding a device in seconds.
        type: int
        default: 60
      iommu:
        description: Whether to see to it that the next boot has an IOMMU.
        type: bool
        default: true
      iommu_passthrough:
        description: Whether the host's own devices go without translation.
        type: bool
        default: false
      drivers:
        description: Whether the driver packages are installed.
        type: bool
        default: true
      drivers_sources:
        description: The driver packages, on the controller.
        type: list
        elements: str
        default: [vfio-variants]
      drivers_variants:
        description: The kernel's own variants that are built from its source.
        type: list
        elements: str
        default: []
      drivers_kernel_sources:
        description: Folders and archives on the host with the source of kernels; by default those of C(/usr/src).
        type: list
        elements: path
        default: []
      drivers_kernels:
        description: The kernels that the drivers are built for; by default O(request.kernels).
        type: list
        elements: str
      drivers_timeout:
        description: Time limit of a build in seconds.
        type: int
        default: 900
      drivers_dependencies:
        description: Whether DKMS and the kernels' headers have to be installed.
        type: bool
        default: true
  root:
    description: The root of the host's file system, V(/) or a directory where it is mounted.
    type: path
    default: /
  _run:
    description: Set by the action plugin, which replaces what is given here.
    type: dict
    suboptions:
      key:
        description: What stands for O(request), the drivers' sources and the collection's code.
        type: str
      packages:
        description: The drivers' sources.
        type: list
        elements: dict
        suboptions:
          source:
            description: The directory on the controller.
            type: str
            required: true
          digest:
            description: A digest of its files.
            type: str
          conf:
            description: The text of its file C(dkms.conf).
            type: str
          manifest:
            description: The digests of its files.
            type: str
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.reads
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

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import CLAIM_FIELDS
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, SentSources
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_host import WholeRequest, record

REQUEST: dict[str, dict[str, t.Any]] = {
    "claims": {"type": "list", "elements": "dict", "required": True, "options": CLAIM_FIELDS},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "strategy": {"type": "str", "choices": ["override", "ids", "blacklist"], "default": "override"},
    "kernels": {"type": "list", "elements": "str", "default": ["all"]},
    "group": {"type": "str", "choices": ["claim", "ignore"], "default": "claim"},
    "live": {"type": "bool", "default": True},
    "check_winner": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 60},
    "iommu": {"type": "bool", "default": True},
    "iommu_passthrough": {"type": "bool", "default": False},
    "drivers": {"type": "bool", "default": True},
    "drivers_sources": {"type": "list", "elements": "str", "default": ["vfio-variants"]},
    "drivers_variants": {"type": "list", "elements": "str", "default": []},
    "drivers_kernel_sources": {"type": "list", "elements": "path", "default": []},
    "drivers_kernels": {"type": "list", "elements": "str"},
    "drivers_timeout": {"type": "int", "default": 900},
    "drivers_dependencies": {"type": "bool", "default": True},
}
PACKAGE: dict[str, dict[str, t.Any]] = {
    "source": {"type": "str", "required": True},
    "digest": {"type": "str"},
    "conf": {"type": "str"},
    "manifest": {"type": "str"},
}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "request": {"type": "dict", "required": True, "options": REQUEST},
    "root": {"type": "path", "default": "/"},
    "_run": {
        "type": "dict",
        "options": {"key": {"type": "str", "no_log": False}, "packages": {"type": "list", "elements": "dict", "options": PACKAGE}},
    },
}


def request(options: t.Mapping[str, t.Any]) -> tuple[WholeRequest, str]:
    """What the role was asked for, and what stands for that.  Raises HostError without the action plugin, which alone knows both."""
    wanted, run = options["request"], options["_run"] or {}
    if not run.get("key"):
        raise HostError(
            "request: only the module's action plugin knows the collection's code and the drivers' sources.",
            "Call the module by its full name vfio.variants.unchanged_record.",
        )
    packages = run.get("packages") or () if wanted["drivers"] else ()
    variants = wanted["drivers_variants"] if wanted["drivers"] else ()
    return (
        WholeRequest(
            claims=tuple(wanted["claims"]),
            state=wanted["state"],
            strategy=wanted["strategy"],
            kernels=tuple(wanted["kernels"]),
            group=wanted["group"],
            live=wanted["live"],
            check_winner=wanted["check_winner"],
            timeout=wanted["timeout"],
            iommu=wanted["iommu"],
            iommu_passthrough=wanted["iommu_passthrough"],
            packages=(
                *(SentSources(one["source"], one["digest"], one["conf"], one["manifest"]) for one in packages),
                *(KernelVariant(name) for name in variants),
            ),
            packages_kernels=tuple(wanted["drivers_kernels"] or wanted["kernels"]),
            packages_sources=tuple(wanted["drivers_kernel_sources"]),
            packages_timeout=wanted["drivers_timeout"],
            needs_dependencies=wanted["drivers_dependencies"],
        ),
        run["key"],
    )


def main() -> None:
    with readable_options():
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: record(host, *request(module.params), module.check_mode), module.params["root"])


if __name__ == "__main__":
    main()
