#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_claim
short_description: Bind PCI devices to VFIO drivers on the running kernel, or return them to their native drivers
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Binds each claimed device to its driver through C(driver_override), immediately, without a reboot.
  - A device that is already bound as claimed is not touched.
  - The whole IOMMU group is considered, because user space can only be given a group as a whole.
  - If the host needs a device or is using it, the module fails before it changes anything, and names the process, file system or
    network interface; see O(claims[].guards).
  - The module fails before it changes anything if the kernel has no IOMMU, because no VFIO driver can take a device then.
  - Each step has a time limit. If one fails, or a signal ends the run, every device is bound to its former driver again.
  - A driver that does not release a device cannot be stopped. The module leaves the process that waits for it behind, which does not
    hold up other runs, and says how each device is left and what to do.
  - While it runs, it says in the host's log which device is done, C(bound 0000:01:00.0 to vfio-pci, 3 of 64); C(journalctl -f) shows it.
  - Two runs at once wait for each other only while one of them writes. One whose check another run has overtaken checks again.
  - A VFIO driver of which another version is loaded than is installed is loaded again where nothing holds it, and its devices are bound
    to it again; see O(claims[].reload) and RV(reboot_required).
  - The bindings are lost at the next boot; M(vfio.variants.boot_policy) makes them permanent.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._claims
options:
  state:
    description:
      - V(present) binds the devices to the claimed driver.
      - V(absent) returns the devices that are bound to a VFIO driver, or to the driver of their claim, to their native driver. If the
        next boot will take them again, because the host's policy still assigns them, it warns and says which line does.
    type: str
    choices: [present, absent]
    default: present
  group:
    description:
      - What to do with unclaimed devices in the IOMMU group of a claimed device. Bridges are ignored.
      - V(claim) binds them too, each to its own best VFIO driver.
      - V(check) fails if one of them is bound to a native driver, because user space could not open the group.
      - V(ignore) leaves them as they are.
    type: str
    choices: [claim, check, ignore]
    default: claim
  timeout:
    description: Time limit of each step in seconds, from 1 to 86400.
    type: int
    default: 60
notes:
  - Requires root.
seealso:
  - module: vfio.variants.boot_policy
  - module: vfio.variants.device_info
"""

EXAMPLES = r"""
- name: Bind every V100 to the best variant driver of the running kernel
  vfio.variants.device_claim:
    devices: "10de:1db1"

- name: Bind one card to vfio-pci, but only if it is still the card at this address
  vfio.variants.device_claim:
    devices: "0000:5e:00.0"
    expect: "8086:1592"
    driver: vfio-pci

- name: Return it to its native driver
  vfio.variants.device_claim:
    devices: "0000:5e:00.0"
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
left:
  description: How each device is left that was touched before the module failed.
  returned: on failure, if a device was touched
  type: list
  elements: dict
  contains:
    address:
      description: The device's address.
      type: str
      sample: "0000:01:00.0"
    driver:
      description: The driver that it is bound to; V(null) if it is not bound.
      type: str
      sample: nouveau
    driver_override:
      description: Its C(driver_override); V(null) if it has none.
      type: str
      sample: nvlink2gpu_vfio_pci
    restored:
      description: Whether it is as before.
      type: bool
      sample: false
    hint:
      description: What to do about it if it is not; V(null) if there is nothing to do.
      type: str
waiting:
  description: The process that still waits for the kernel after a time limit, which nothing can end.
  returned: on failure, after a time limit
  type: dict
  contains:
    process:
      description: The process's ID.
      type: int
      sample: 4711
    stack:
      description: The kernel functions that it waits in, innermost first; empty if the kernel does not show them.
      type: list
      elements: str
      sample: [vfio_unregister_group_dev, vfio_pci_core_unregister_device]
reboot_required:
  description:
    - Whether a device is bound, or will be, to another version of its VFIO driver than is installed, which cannot be loaded again now. A
      warning says why. After a reboot it is V(false).
  returned: unless O(state=absent)
  type: bool
  sample: false
old_in_use:
  description: The modules for whose sake RV(reboot_required) is set.
  returned: if there are any
  type: list
  elements: str
  sample: [nvlink2gpu_vfio_pci]
reloaded:
  description: The modules that were loaded again, or would be in check mode.
  returned: if there are any
  type: list
  elements: dict
  contains:
    module:
      description: The module.
      type: str
      sample: nvlink2gpu_vfio_pci
    before:
      description: The checksum of the sources (C(srcversion)) of the module that had been loaded.
      type: str
      sample: 6A5B1F7C9D3E2B4A8C0D1E2
    after:
      description: That of the installed one; null in check mode if it is still to be built.
      type: str
      sample: 0F2C6D7A1B3E4958A7C6D5E
devices:
  description: The claimed devices, and the other devices in their IOMMU groups.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The device's address.
      type: str
      sample: "0000:01:00.0"
    id:
      description: Vendor and device ID.
      type: str
      sample: "10de:1db1"
    driver_before:
      description: The driver before; V(null) if the device was not bound.
      type: str
      sample: nouveau
    driver:
      description: The driver afterwards; in check mode, the predicted one. V(null) if the device is not bound.
      type: str
      sample: nvlink2gpu_vfio_pci
    kind:
      description:
        - The kind of that driver. V(variant) for a VFIO driver for certain devices, V(generic) for C(vfio-pci), V(native) for a driver that
          is not a VFIO driver, V(stub) for one such as C(pci-stub); V(null) if the device is not bound.
      type: str
      sample: variant
    driver_override:
      description: The C(driver_override) afterwards; in check mode, the predicted one. V(null) if there is none.
      type: str
      sample: nvlink2gpu_vfio_pci
    iommu_group:
      description: The number of the device's IOMMU group; V(null) if there is no IOMMU.
      type: int
      sample: 15
    vfio_node:
      description: The device node of the group for user space; V(null) if the device is not bound to a VFIO driver.
      type: str
      sample: /dev/vfio/15
    vfio_cdev:
      description: The device node of the function alone, for iommufd; V(null) in check mode before it exists, and on a kernel without it.
      type: str
      sample: /dev/vfio/devices/vfio0
    vfio_nodes:
      description:
        - The device nodes of VFIO for the device, each with C(path), C(owner), C(group) and C(mode); an account without a name is a number.
        - In check mode without the nodes of single devices that do not exist yet.
      type: list
      elements: dict
      sample: [{path: /dev/vfio/15, owner: root, group: kvm, mode: '0660'}]
    choice:
      description: What that driver adds to C(vfio-pci) on this machine, and what it costs.
      returned: if O(driver=auto) has chosen a variant
      type: str
      sample: >-
        nvlink2gpu_vfio_pci has the alias with the fewest wildcards for this device; it adds nothing to vfio-pci here: no NVLink2 link is
        described; it is not part of the kernel, which it taints, it is built again for each new one, and where modules must be signed, its
        key has to be trusted; `driver: vfio-pci` takes the kernel's driver for any device, `driver: variant` insists on a variant.
    reclaimed_by:
      description:
        - The line of the host's policy by which the next boot will bind the device to the claimed driver again, or may do so; V(null) if
          there is none.
        - Except in check mode it is a warning as well.
      returned: with O(state=absent)
      type: str
      sample: "/etc/udev/rules.d/70-vfio-variants.rules:4: driver_override=vfio-pci"
    viable:
      description: Whether user space can open the device's IOMMU group.
      type: bool
      sample: true
    changed:
      description: Whether this device was changed, or would be in check mode.
      type: bool
      sample: true
    steps:
      description: The steps that were done, or would be in check mode.
      type: list
      elements: str
      sample:
        - load nvlink2gpu_vfio_pci
        - set driver_override to nvlink2gpu_vfio_pci
        - unbind from nouveau
        - bind to nvlink2gpu_vfio_pci
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind import BindGroupMode, BindRequest, ensure
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import (
    CLAIM_ARGUMENTS,
    CLAIM_EXCLUSIVE,
    claims_of,
    pending_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import ClaimState
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import in_log, untold
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Tell
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **CLAIM_ARGUMENTS,
    "state": {"type": "str", "choices": [*t.get_args(ClaimState)], "default": "present"},
    "group": {"type": "str", "choices": [*t.get_args(BindGroupMode)], "default": "claim"},
    "timeout": {"type": "int", "default": 60},
}


def request(options: t.Mapping[str, t.Any]) -> BindRequest:
    return BindRequest(
        claims=claims_of(options),
        pending_modules=pending_of(options),
        state=options["state"],
        group=options["group"],
        timeout=options["timeout"],
    )


def bound(host: Host, wanted: BindRequest, check_mode: bool, tell: Tell = untold) -> Result:
    """Binds or returns the devices, or predicts it, and says of returned ones what takes them again."""
    result = ensure(host, wanted, check_mode, tell).result()
    if wanted.state == "present":
        return result
    # A prediction takes ten times as long to import as all else here, and most runs bind.
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.reclaimed import with_next_boot

    return with_next_boot(host, result, check_mode)


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(
            argument_spec=ARGUMENTS,
            mutually_exclusive=CLAIM_EXCLUSIVE,
            required_one_of=[("claims", "devices")],
            supports_check_mode=True,
        )
    run_module(module, lambda host: bound(host, request(module.params), module.check_mode, in_log(module)))


if __name__ == "__main__":
    main()
