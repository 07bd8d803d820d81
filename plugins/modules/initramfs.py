#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: initramfs
short_description: Rebuild initramfs images that do not contain the current boot policy
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Reads each kernel's initramfs and rebuilds only those whose content does not match what M(vfio.variants.boot_policy) has
    written.
  - An image does not match if one of the policy's modprobe or udev files or modules is missing in it or differs, if it still
    contains a file that the host no longer has, if it is corrupt, or if it does not exist.
  - A new image is built next to the old one and read back. Only if it matches the policy does it replace the old one, atomically;
    until then, and after any failure, the old image is untouched.
  - Afterwards the boot loader's hooks in C(/etc/initramfs/post-update.d) are run, as Debian's kernel policy requires.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._image
  - vfio.variants._unsupported
attributes:
  diff_mode:
    details: Shows the reasons why an image is rebuilt, not the image itself.
options:
  kernels:
    description:
      - The kernels whose images are checked.
      - V(all) means every kernel that is installed with its modules, V(running) the running one; anything else is a release.
    type: list
    elements: str
    default: [all]
  policy:
    description:
      - The policy that the images must contain, as M(vfio.variants.boot_policy) returned it.
      - With it, check mode predicts the rebuild before the policy's files are written.
      - Files of other policies of this collection are compared with those on the host; without this option, all files are.
    type: dict
    suboptions:
      files:
        description: The SHA-256 digest of each of the policy's files by path; null for a file that must not exist.
        type: dict
        default: {}
      modules:
        description: The modules that an image must contain.
        type: list
        elements: str
        default: []
  pending_modules:
    description:
      - Modules that another task of the same play installs, as C(modules) returned by M(vfio.variants.dkms_package).
      - In check mode, the image of a kernel that does not have such a module yet, or has one of other sources, is predicted to be rebuilt.
      - Without check mode it has no effect.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The module's name.
        type: str
        required: true
      aliases:
        description: Its aliases, which are ignored here.
        type: list
        elements: str
        default: []
      kernels:
        description:
          - The kernels for which it is installed then.
          - The default is all.
        type: list
        elements: str
      new_for:
        description: Those of them that do not have it yet, or of other sources, which their images can contain.
        type: list
        elements: str
        default: []
      replaces_loaded:
        description: Whether the running kernel has loaded another version of it, which is ignored here.
        type: bool
        default: false
  generator:
    description:
      - The program that builds this host's images.
      - V(auto) selects the one that is installed, or if several are, the one that is called when a kernel is installed.
    type: str
    choices: [auto, initramfs-tools, dracut, mkinitcpio]
    default: auto
  force:
    description: Rebuild the images of all of O(kernels), even if they match. The result is always changed.
    type: bool
    default: false
  timeout:
    description:
      - Time limit for building one image in seconds, from 1 to 86400.
      - The boot loader's hooks and C(kernel-install) have as long, and 300 seconds at the least.
      - As long does it wait for other programs that build modules or images, such as a package's hooks, before it begins.
    type: int
    default: 600
notes:
  - Requires root.
  - Where what boots is a copy of the generator's image, as on an EFI system partition, or a unified kernel image that C(kernel-install)
    makes with C(ukify) or C(dracut), the generator's image is built and what boots is made again from it, by the hooks or by
    C(kernel-install add), and read back. If it does not match then, it is made again from the old image.
  - A unified kernel image is also rebuilt where a preset of mkinitcpio makes it; of other programs it is an error that says so.
  - A module that a kernel does not have at all is reported in RV(kernels) and in a warning; its image is not rebuilt because of it.
  - Images whose files are in a nested squashfs or EROFS (dracut's C(squash) modules) cannot be read and are an error.
  - An image compressed with zstd, LZ4 or LZO is unpacked with the command of that name.
seealso:
  - module: vfio.variants.boot_policy
  - module: vfio.variants.dkms_package
"""

EXAMPLES = r"""
- name: Write the boot policy
  vfio.variants.boot_policy:
    devices: "10de:1db1"
  become: true
  register: boot_policy

- name: Rebuild the initramfs images that do not contain it
  vfio.variants.initramfs:
    policy: "{{ boot_policy.policy }}"
  become: true

- name: Check whether the running kernel's initramfs matches the policy on disk
  vfio.variants.initramfs:
    kernels: [running]
  become: true
  check_mode: true
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
kernels:
  description: The result for each kernel, by release.
  returned: success
  type: dict
  contains:
    image:
      description: The path of the image that boots, which may be a unified kernel image.
      type: str
    generator:
      description: The program that builds the image; null if the host has none and does not need one.
      type: str
    reasons:
      description: Why the image was rebuilt, or would be in check mode, one sentence each. Empty if it matched.
      type: list
      elements: str
    rebuilt:
      description: Whether the image was rebuilt, or would be in check mode.
      type: bool
    missing_modules:
      description: Modules of the policy that this kernel does not have.
      type: list
      elements: str
  sample:
    6.12.107+deb13-amd64:
      generator: initramfs-tools
      image: /boot/initrd.img-6.12.107+deb13-amd64
      missing_modules: []
      reasons:
        - /etc/modprobe.d/vfio-variants.conf is not in it.
      rebuilt: true
log:
  description: The last lines of the output of the failed build.
  returned: when a build failed
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_check import GivenPolicy
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import SyncRequest, sync_images
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import CLAIM_ARGUMENTS, pending_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.image_host import host_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import AUTO, GENERATORS

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "kernels": {"type": "list", "elements": "str", "default": ["all"]},
    "policy": {
        "type": "dict",
        "options": {"files": {"type": "dict", "default": {}}, "modules": {"type": "list", "elements": "str", "default": []}},
    },
    "pending_modules": CLAIM_ARGUMENTS["pending_modules"],
    "generator": {"type": "str", "choices": [AUTO, *(generator.name for generator in GENERATORS)], "default": AUTO},
    "force": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 600},
    "root": {"type": "path", "default": "/"},
    "allow_unsupported": {"type": "bool", "default": False},
}


def request(options: t.Mapping[str, t.Any]) -> SyncRequest:
    policy = options["policy"]
    return SyncRequest(
        kernels=tuple(options["kernels"]),
        policy=None if policy is None else GivenPolicy.parse(policy["files"], policy["modules"]),
        pending_modules=pending_of(options),
        generator=options["generator"],
        force=options["force"],
        timeout=options["timeout"],
        allow_unsupported=options["allow_unsupported"],
    )


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: sync_images(host, request(module.params), module.check_mode).result(), module.params["root"], host_of)


if __name__ == "__main__":
    main()
