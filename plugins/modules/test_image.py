#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation and options of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: test_image
short_description: Build a Debian image for test machines
version_added: "0.1.0"
author: "The vfio.variants authors (@vfio-variants)"
description:
  - Builds a disk image with a bootable Debian system (BIOS or UEFI, GRUB, its own initramfs), for M(vfio.variants.test_vm).
  - It contains what is needed to build kernel modules (DKMS, a compiler, kernel headers), Python, and an SSH server that
    accepts a key of this machine.
  - Runs on the controller, without a loop device. Building requires root, because an image has files of several users and its
    packages are configured in a chroot. Non-root users need passwordless C(sudo); C(become) has no effect on actions that
    run on the controller.
  - Requires the Debian packages C(mmdebstrap), C(e2fsprogs),
    C(openssh-client) and C(debian-archive-keyring), and a Debian archive.
  - Images are cached by the hash of everything that determines their content. An image is rebuilt only if
    that changes, or after O(state=absent).
  - If several processes request the same image at the same time, one builds it and the others wait.
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
  suite:
    description:
      - Debian suite, such as V(bookworm), V(trixie) or V(forky).
      - V(trixie-backports) is trixie with the kernel from backports.
    type: str
    default: trixie
  kernels:
    description:
      - Kernel packages, with or without the prefix C(linux-image-). The headers of each are installed too.
      - The newest kernel boots by default.
    type: list
    elements: str
    default: [linux-image-amd64]
  packages:
    description: Additional packages to install.
    type: list
    elements: str
    default: []
  components:
    description:
      - Components of the Debian archive that packages are taken from; V(main) is always one of them.
      - V(non-free-firmware) exists from bookworm on. What is not in V(main) has licences of its own.
    type: list
    elements: str
    choices: [main, contrib, non-free, non-free-firmware]
    default: [main]
  mirror:
    description:
      - Address of the Debian archive.
      - The default is the archive in this machine's apt configuration.
    type: str
  initramfs:
    description: The initramfs generator.
    type: str
    choices: [initramfs-tools, dracut]
    default: initramfs-tools
  initramfs_modules:
    description:
      - Which modules an initramfs contains; V(most) for booting any machine, or V(dep) for those that this machine needs.
      - With V(dep) that applies to an initramfs that the guest builds; the one in the image has only the drivers of the root disk.
    type: str
    choices: [most, dep]
    default: most
  kernel_arguments:
    description: Kernel arguments to add.
    type: list
    elements: str
    default: []
  nouveau_fixtures:
    description:
      - Make stock nouveau bind to an emulated GV100 without the signed firmware.
      - Adds empty files below C(/lib/firmware/nvidia/gv100/sec2), which are enough for Linux 6.12 and newer, and in bookworm,
        for Linux 6.1, the kernel argument C(nouveau.config=sec2=0).
    type: bool
    default: true
  firmware:
    description:
      - V(uefi) adds what UEFI firmware starts, also with Secure Boot, Debian's signed shim and GRUB.
      - Such an image boots by BIOS as well.
    type: str
    choices: [bios, uefi]
    default: bios
  size:
    description: Size of the disk. The file is sparse; a new image takes about 1 GiB.
    type: str
    default: 8G
  name:
    description: First part of the image's directory name in the cache. The default is the suite's name.
    type: str
  cache:
    description: Directory of the cache. The default is C($XDG_CACHE_HOME/vfio-variants), where C(XDG_CACHE_HOME) defaults to C(~/.cache).
    type: path
  timeout:
    description: Time limit of each step in seconds, from 1 to 86400.
    type: int
    default: 1800
  state:
    description: Whether the image should be in the cache.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: vfio.variants.test_vm
"""

EXAMPLES = r"""
- name: Build a trixie image
  vfio.variants.test_image:
    suite: trixie
  register: image

- name: Build a trixie image with the kernel from backports and a small initramfs
  vfio.variants.test_image:
    suite: trixie-backports
    initramfs_modules: dep

- name: Build an image with two kernels
  vfio.variants.test_image:
    name: two-kernels
    kernels: [linux-image-amd64, linux-image-cloud-amd64]

- name: Build an image with NVIDIA's driver, built by DKMS for the image's kernel
  vfio.variants.test_image:
    name: nvidia
    components: [main, contrib, non-free, non-free-firmware]
    packages: [nvidia-kernel-dkms, libcuda1]
"""

RETURN = r"""
path:
  description: Directory of the image, for the option O(vfio.variants.test_vm#module:image).
  returned: except in check mode with a cache that was never used
  type: str
  sample: /root/.cache/vfio-variants/images/trixie-0123456789abcdef
key:
  description: Hash of what determines the content.
  returned: except in check mode with a cache that was never used
  type: str
  sample: 0123456789abcdef
kernels:
  description: Releases of the installed kernels, the one that boots by default first.
  returned: when the image is in the cache
  type: list
  elements: str
  sample: [6.12.48+deb13-amd64]
seconds:
  description: How long it took to build the image.
  returned: when the image is in the cache
  type: float
  sample: 120.5
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule


def argument_spec() -> dict[str, t.Any]:
    return {
        "suite": {"type": "str", "default": "trixie"},
        "kernels": {"type": "list", "elements": "str", "default": ["linux-image-amd64"]},
        "packages": {"type": "list", "elements": "str", "default": []},
        "components": {
            "type": "list",
            "elements": "str",
            "choices": ["main", "contrib", "non-free", "non-free-firmware"],
            "default": ["main"],
        },
        "mirror": {"type": "str"},
        "initramfs": {"type": "str", "choices": ["initramfs-tools", "dracut"], "default": "initramfs-tools"},
        "initramfs_modules": {"type": "str", "choices": ["most", "dep"], "default": "most"},
        "kernel_arguments": {"type": "list", "elements": "str", "default": []},
        "nouveau_fixtures": {"type": "bool", "default": True},
        "firmware": {"type": "str", "choices": ["bios", "uefi"], "default": "bios"},
        "size": {"type": "str", "default": "8G"},
        "name": {"type": "str"},
        "cache": {"type": "path"},
        "timeout": {"type": "int", "default": 1800},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    module.fail_json(msg="test_image runs on the controller. Use its full name, vfio.variants.test_image, in a task.")


if __name__ == "__main__":
    main()
