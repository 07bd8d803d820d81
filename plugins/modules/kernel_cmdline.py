#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_cmdline
short_description: Add arguments to the kernel's command line, or remove them
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Makes arguments present or absent on the command line of each installed kernel, by the way that the boot loader which this host
    really boots with has for it. Nothing changes for the running kernel before a reboot.
  - Which loader that is, and which program makes its entries, is determined from the EFI variables, from what the running kernel was
    given, and from the entries themselves. If several can be meant, or none, the module fails and says what was seen.
  - With GRUB, a file in C(/etc/default/grub.d) where C(grub-mkconfig) reads it, else C(/etc/default/grub); then C(update-grub) or
    C(grub2-mkconfig). Where GRUB reads entries of the Boot Loader Specification, C(grubby), which changes all of them, also that of a
    rescue system.
  - C(/etc/kernel/cmdline) for C(kernel-install), C(sdbootutil) and C(mkinitcpio), or what these read behind it or a preset names in its
    place, and for C(proxmox-boot-tool) where it uses systemd-boot; C(/etc/default/u-boot) for C(u-boot-update); else the entries of
    systemd-boot or extlinux themselves, if no program makes them.
  - Arguments are compared as the kernel reads them. In names, V(-) and V(_) are equal; quotes around a value do not matter; words
    behind C(--) are not the kernel's. Of an argument with several values the last one counts, so an argument is added behind one that
    sets it otherwise; of some, such as C(console), each counts.
  - All other arguments are kept, byte for byte and in their order. When the last argument that was added is removed, the settings get
    the content that they had before, unless they were changed in between.
  - Afterwards the entry of each kernel is read. If one is not as it should be, or a command fails, everything is put back.
  - A line that would be longer than kernels of this machine read, 2047 bytes on most, is refused before anything is written.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._image
  - vfio.variants._unsupported
options:
  arguments:
    description:
      - The arguments, each as the kernel reads it, such as V(iommu=pt). One with blanks has them inside double quotes.
      - With O(state=absent), a name without C(=) means the argument with any value.
      - What the host boots by (C(root), C(initrd), C(BOOT_IMAGE)) is refused, and so is what shells and boot loaders would change.
    type: list
    elements: str
    required: true
  state:
    description: Whether the arguments should be there.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description:
      - Time limit for each command in seconds, from 1 to 86400.
      - As long does it wait for other programs that build modules or images, such as a package's hooks, before it begins.
    type: int
    default: 600
notes:
  - Requires root, also in check mode.
  - Refused, with the native way named, are distributions on which a change would be lost or is made elsewhere, such as those that are
    images (ostree, bootc, MicroOS, Flatcar), NixOS, Talos, Alpine and Unraid.
  - Recovery entries are not changed where they have settings of their own.
  - Kernels that C(proxmox-boot-tool) copies to partitions which are not mounted cannot be looked at afterwards; the module warns.
seealso:
  - module: vfio.variants.claim_info
  - module: vfio.variants.boot_policy
"""

EXAMPLES = r"""
- name: Have an IOMMU from the next boot on
  vfio.variants.kernel_cmdline:
    arguments:
      - intel_iommu=on
      - iommu=pt
  become: true
  register: arguments

- name: Reboot if the running kernel does not have them
  ansible.builtin.reboot:
  become: true
  when: arguments.reboot_required

- name: Take them away again
  vfio.variants.kernel_cmdline:
    arguments:
      - intel_iommu=on
      - iommu=pt
    state: absent
  become: true
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
loader:
  description: The boot loader in charge.
  returned: success
  type: str
  sample: GRUB
method:
  description:
    - How its arguments are changed. V(grub-mkconfig), V(grubby), V(kernel-install), V(sdbootutil), V(mkinitcpio), V(proxmox-boot-tool),
      V(u-boot-update), or V(entries) where the entries themselves are edited.
  returned: success
  type: str
  sample: grub-mkconfig
files:
  description: The files that were changed, or would be in check mode. Kernel images are not among them.
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
  description:
    - The arguments of each kernel, by release, or by the entry's name if its release cannot be determined.
    - Empty if the entries are on partitions that are not mounted.
  returned: success
  type: dict
  contains:
    source:
      description: The file, and where it has lines the line, of the entry.
      type: str
    before:
      description: The arguments when the module began.
      type: list
      elements: str
    after:
      description: The arguments now; in check mode, as they would be.
      type: list
      elements: str
  sample:
    6.12.107+deb13-amd64:
      after: [root=UUID=0f22fa61, ro, quiet, intel_iommu=on]
      before: [root=UUID=0f22fa61, ro, quiet]
      source: /boot/grub/grub.cfg:132
running:
  description: The arguments of the running kernel; null where none runs, as in an image.
  returned: success
  type: list
  elements: str
  sample: [BOOT_IMAGE=/boot/vmlinuz-6.12.107+deb13-amd64, root=UUID=0f22fa61, ro, quiet]
reboot_required:
  description: Whether the running kernel was given something else than what is asked for.
  returned: success
  type: bool
stdout:
  description: The output of the command that failed.
  returned: when a command failed
  type: str
stderr:
  description: The error output of the command that failed.
  returned: when a command failed
  type: str
hint:
  description: What to do about the failure.
  returned: on failure, if there is a hint
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.kernel_cmdline import CmdlineRequest, apply
from ansible_collections.vfio.variants.plugins.module_utils._core.host.image_host import host_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "arguments": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "timeout": {"type": "int", "default": 600},
    "root": {"type": "path", "default": "/"},
    "allow_unsupported": {"type": "bool", "default": False},
}


def request(options: t.Mapping[str, t.Any]) -> CmdlineRequest:
    change = ArgumentChange.parse(options["arguments"], options["state"] == "present")
    return CmdlineRequest(change, options["timeout"], options["allow_unsupported"])


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: apply(host, request(module.params), module.check_mode), module.params["root"], host_of)


if __name__ == "__main__":
    main()
