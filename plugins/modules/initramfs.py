#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: initramfs
short_description: Rebuild the boot images that do not agree with the boot policy
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Reads each kernel's boot image and rebuilds those, and only those, whose content no longer agrees with what
    M(vfio.variants.boot_policy) has written.
  - An image disagrees when it lacks one of the policy's modprobe or udev files or holds another version of it, when it still
    holds one that the host no longer has, when it lacks one of the policy's modules or holds another build of it, when it is
    damaged, or when there is none.
  - A new image is built beside the old one and read back. Only when it agrees with the policy does it take the old one's place, as a
    whole; until then, and after any failure, the old image is there untouched.
  - After that, the boot loader's hooks in C(/etc/initramfs/post-update.d) run, as Debian's policy wants it.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
attributes:
  diff_mode:
    details: Shows the reasons for which an image is rebuilt; an image itself cannot be shown.
options:
  kernels:
    description:
      - The kernels whose images to look at.
      - V(all) means every kernel that is installed with its modules; V(running) the one that runs; anything else is a kernel's release.
    type: list
    elements: str
    default: [all]
  policy:
    description:
      - The policy that the images have to agree with, as M(vfio.variants.boot_policy) returned it.
      - With it, check mode predicts the rebuild before the policy's files are written.
      - Files of other policies of this collection count as they are on the host. So does every file when this is not given.
    type: dict
    suboptions:
      files:
        description: The SHA-256 digest of each of the policy's files by its path; null where no file may be.
        type: dict
        default: {}
      modules:
        description: The modules that an image has to hold.
        type: list
        elements: str
        default: []
  pending_modules:
    description:
      - Modules that another task of the same play installs, as C(modules) returned by M(vfio.variants.dkms_package).
      - In check mode, an image whose kernel does not have such a module yet counts as one that will be rebuilt.
      - Outside of check mode this does nothing.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The module's name.
        type: str
        required: true
      aliases:
        description: Its aliases; they do not matter here.
        type: list
        elements: str
        default: []
  generator:
    description:
      - What builds this host's images.
      - With V(auto), the one that is installed. Where both are, the one that is called when a kernel is installed.
    type: str
    choices: [auto, initramfs-tools, dracut]
    default: auto
  force:
    description: Rebuild the images of all of O(kernels), whether they agree or not. This is changed every time.
    type: bool
    default: false
  timeout:
    description: How long building one image may take, in seconds.
    type: int
    default: 600
notes:
  - Requires root.
  - A module that a kernel does not have at all is reported in RV(kernels) and in a warning; its image is not rebuilt for that.
  - Images whose files lie in a nested squashfs or EROFS (dracut's C(squash) modules) cannot be looked into, and are an error.
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

- name: Rebuild the boot images that do not hold it
  vfio.variants.initramfs:
    policy: "{{ boot_policy.policy }}"
  become: true

- name: Look whether the running kernel's image agrees with the policy on disk
  vfio.variants.initramfs:
    kernels: [running]
  become: true
  check_mode: true
"""

RETURN = r"""
kernels:
  description: What was found, and done, for each kernel, by release.
  returned: success
  type: dict
  contains:
    image:
      description: The image's path.
      type: str
    generator:
      description: What builds the image; null when the host has nothing to build one with, and needs none.
      type: str
    reasons:
      description: Why the image was rebuilt, or would be in check mode, a sentence each. Empty when it agreed.
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
  description: The last lines of the output of a build that failed.
  returned: when a build failed
  type: list
  elements: str
hint:
  description: What to do about the failure.
  returned: on failure, where there is something to say
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import sync_images
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import CLAIM_ARGUMENTS
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
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
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)

    def work(host: Host) -> dict[str, t.Any]:
        agreement = sync_images(host, module.params, module.check_mode)
        for warning in agreement.warnings():
            module.warn(warning)
        return agreement.result()

    run_module(module, work)


if __name__ == "__main__":
    main()
