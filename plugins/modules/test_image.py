#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation and options of the action of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: test_image
short_description: Build a Debian image for test machines
version_added: "0.1.0"
author: "The vfio.variants authors (@vfio-variants)"
description:
  - Builds a Debian system on a disk that boots by itself (BIOS, GRUB, its own initramfs), for M(vfio.variants.test_vm).
  - It holds what building kernel modules takes (DKMS, a compiler, kernel headers), Python, an ssh server, and a key
    that only this machine has.
  - Runs on the controller, without a loop device. Building needs root, because an image holds files of several users and its
    packages configure themselves in a chroot. Who is not root needs C(sudo) that does not ask for a password; C(become) has no
    effect on what runs on the controller itself.
  - Needs the Debian packages C(mmdebstrap), C(e2fsprogs),
    C(openssh-client) and C(debian-archive-keyring), and a Debian archive.
  - An image is kept in the cache below the hash of everything that determines its content. It is built again only when
    that changes, or after O(state=absent).
  - Several processes may build the same image at the same time; one does, the others wait for it.
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
      - V(trixie-backports) is a trixie with the kernel of its backports.
    type: str
    default: trixie
  kernels:
    description:
      - Kernel packages, with or without the prefix C(linux-image-). The headers of each are installed as well.
      - The newest one boots by default.
    type: list
    elements: str
    default: [linux-image-amd64]
  packages:
    description: Packages to install besides.
    type: list
    elements: str
    default: []
  mirror:
    description:
      - Address of the Debian archive.
      - Without it the archive that this machine's own apt configuration names.
    type: str
  initramfs:
    description: What builds the initramfs.
    type: str
    choices: [initramfs-tools, dracut]
    default: initramfs-tools
  initramfs_modules:
    description:
      - Which modules an initramfs holds, V(most) of those that help booting any machine, or V(dep), those this machine needs.
      - With V(dep) this holds for each initramfs that the guest builds; the image's own holds the drivers of the root disk only.
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
      - Let stock nouveau bind to an emulated GV100, whose signed firmware cannot be had.
      - Adds empty files below C(/lib/firmware/nvidia/gv100/sec2), which satisfy Linux 6.12 and newer, and in bookworm, for
        Linux 6.1, the kernel argument C(nouveau.config=sec2=0).
    type: bool
    default: true
  size:
    description: Size of the disk. The file is sparse; a fresh image takes about 1 GiB.
    type: str
    default: 8G
  name:
    description: First part of the image's folder name in the cache. Without it the suite's name.
    type: str
  cache:
    description: Folder of the cache. Without it C($XDG_CACHE_HOME/vfio-variants), where C(XDG_CACHE_HOME) is by default C(~/.cache).
    type: path
  timeout:
    description: Time limit of each step in seconds.
    type: int
    default: 1800
  state:
    description: Whether the image shall be in the cache.
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

- name: Build a trixie with the kernel of its backports and a small initramfs
  vfio.variants.test_image:
    suite: trixie-backports
    initramfs_modules: dep

- name: Build an image with two kernels
  vfio.variants.test_image:
    name: two-kernels
    kernels: [linux-image-amd64, linux-image-cloud-amd64]
"""

RETURN = r"""
path:
  description: Folder of the image, for the option O(vfio.variants.test_vm#module:image).
  returned: unless in check mode with a cache that was never used
  type: str
  sample: /root/.cache/vfio-variants/images/trixie-0123456789abcdef
key:
  description: Hash of what determines the content.
  returned: unless in check mode with a cache that was never used
  type: str
  sample: 0123456789abcdef
kernels:
  description: Releases of the installed kernels, the one that boots by default first.
  returned: when the image is in the cache
  type: list
  elements: str
  sample: [6.12.48+deb13-amd64]
seconds:
  description: How long building took when it was built.
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
        "mirror": {"type": "str"},
        "initramfs": {"type": "str", "choices": ["initramfs-tools", "dracut"], "default": "initramfs-tools"},
        "initramfs_modules": {"type": "str", "choices": ["most", "dep"], "default": "most"},
        "kernel_arguments": {"type": "list", "elements": "str", "default": []},
        "nouveau_fixtures": {"type": "bool", "default": True},
        "size": {"type": "str", "default": "8G"},
        "name": {"type": "str"},
        "cache": {"type": "path"},
        "timeout": {"type": "int", "default": 1800},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    module.fail_json(msg="test_image works on the controller. Call it by its full name, vfio.variants.test_image, in a task.")


if __name__ == "__main__":
    main()
