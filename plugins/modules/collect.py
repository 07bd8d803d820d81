#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: collect
short_description: Collect what decides about a host's drivers in one archive without secrets, to attach to a bug report
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Reads the host as M(vfio.variants.device_info) does, and packs just what was read, at its place below the directory
    C(vfio-variants-host). Unpacked, the archive is a host for O(vfio.variants.device_info#module:root).
  - Asks M(vfio.variants.device_info) about the unpacked archive, and says in RV(same_answer) whether its answer is the host's own, in which
    the same has been taken out.
  - Taken out are the values of names such as C(password), C(secret), C(token), C(private_key) and C(psk), hashes of passwords, private
    and public keys, tokens of well-known services, names and passwords in URLs, hardware addresses of networks, IPv4 and IPv6 addresses but
    for those of the loopback interface, the host's name, serial numbers, and world wide names. The same value has the same replacement
    everywhere.
  - Of an initramfs all names are collected, and of its contents only modules and the texts that decide about drivers. Unified kernel images
    and databases of other programs than package managers are left out, as are files of more than 256 MiB; RV(left_out) names them.
  - Names of files, IDs of file systems, comments and everything else are as on the host. B(Look through the archive before you publish it.)
  - The host is not changed but for O(dest), and no device is accessed.
extends_documentation_fragment:
  - vfio.variants._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details: The archive is written each time.
  platform:
    platforms: linux
    support: full
options:
  dest:
    description:
      - The archive's path on the host (tar, gzip). Only its owner can read it. A file that is there is replaced.
    type: path
    required: true
  root:
    description:
      - The root of the host to collect from, such as a mounted image.
    type: path
    default: /
notes:
  - Without root privileges, what only root can read is missing.
seealso:
  - module: vfio.variants.device_info
  - module: ansible.builtin.fetch
"""

EXAMPLES = r"""
- name: Collect what decides about the drivers
  vfio.variants.collect:
    dest: /root/vfio-variants-host.tar.gz
  register: collected

- name: Bring it to the controller
  ansible.builtin.fetch:
    src: "{{ collected.dest }}"
    dest: bug-report/

- name: Look at the unpacked archive
  vfio.variants.device_info:
    root: bug-report/vfio-variants-host
  delegate_to: localhost
"""

RETURN = r"""
dest:
  description: The archive's path.
  returned: success
  type: str
  sample: /root/vfio-variants-host.tar.gz
size:
  description: The archive's size in bytes.
  returned: success
  type: int
  sample: 4182007
entries:
  description: The number of files, directories and links in it.
  returned: success
  type: int
  sample: 2310
left_out:
  description: Files that were read and are not in the archive.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      sample: /boot/efi/EFI/Linux/debian.efi
    why:
      description: Why it was left out.
      type: str
      sample: a unified kernel image has an initramfs in it, which may have secrets
  sample: []
same_answer:
  description: Whether M(vfio.variants.device_info) gives the host's own answer for the unpacked archive.
  returned: success
  type: bool
  sample: true
differences:
  description: The devices with the fields, and the other parts of the answer, that are not the same.
  returned: success
  type: list
  elements: str
  sample: []
"""

import posixpath
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.report.collection import collect

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "dest": {"type": "path", "required": True},
    "root": {"type": "path", "default": "/"},
}


def request(options: t.Mapping[str, t.Any]) -> str:
    dest: str = options["dest"]
    return dest


def refuse_no_file(writer: Host, dest: str) -> None:
    """Before all is read, and in check mode.  Raises HostError."""
    folder = posixpath.dirname(dest) or "."
    if writer.is_dir(dest):
        raise HostError(f"dest: {cut(dest)} is a directory.", "Name the archive's file in it.")
    if not writer.is_dir(folder):
        raise HostError(f"dest: {cut(folder)} is not a directory.", "Create it, or name a file in another one.")


def work(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    dest, writer = request(module.params), Host.from_module(module)
    refuse_no_file(writer, dest)
    collected = collect(host.root, module.run_command)
    if not module.check_mode:
        writer.write_atomic(dest, collected.snapshot.data, 0o600)
    return {"changed": True, "dest": dest, **collected.result()}


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: work(module, host), module.params["root"])


if __name__ == "__main__":
    main()
