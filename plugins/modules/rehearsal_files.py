#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rehearsal_files
short_description: List and pack the files that decide a host's boot, without secrets
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - M(vfio.variants.rehearse) calls this module on the host. It is of little use by itself.
  - Without O(wanted) it writes C(files.json.gz) into O(folder). That has the path, size, SHA-256, mode and owner of each file that
    decides the host's boot, the PCI functions with their configuration space, the kernels with their images and arguments, and what
    M(vfio.variants.device_info) predicts.
  - With O(wanted) it writes the files that are named there into C(files.tar.gz) in O(folder), about 64 MiB of them at a time.
  - What may hold secrets is neither listed nor packed. C(docs/rehearsal.md) has the list. A file that starts by itself is listed
    wherever it is.
  - Nothing is changed but the file in O(folder), which only the owner of O(folder) can read.
extends_documentation_fragment:
  - vfio.variants._attributes
attributes:
  check_mode:
    support: full
    details: In check mode it does the same.
  diff_mode:
    support: none
  idempotent:
    support: none
    details: The file is written each time.
  platform:
    platforms: linux
    support: full
options:
  folder:
    description: An existing directory on the host.
    type: path
    required: true
  kernels:
    description: The kernels to boot, V(next) for the one that boots by default, V(all), or releases.
    type: list
    elements: str
    default: [next]
  size_limit:
    description: The most that the files may have together. More is an error.
    type: str
    default: 4G
  exclude:
    description: Files and directories to leave out.
    type: list
    elements: path
    default: []
  wanted:
    description: A file on the host with a list of paths in JSON.
    type: path
  first:
    description: The number of the path in O(wanted) to begin with, from 0 on.
    type: int
    default: 0
  root:
    description: The root of the host, such as a mounted image. O(hardware) then describes its devices.
    type: path
    default: /
  hardware:
    description: The devices in place of those in C(/sys); see O(vfio.variants.device_info#module:hardware).
    type: list
    elements: dict
notes:
  - Without root privileges, what only root can read is missing.
seealso:
  - module: vfio.variants.rehearse
  - module: vfio.variants.collect
"""

EXAMPLES = r"""
- name: List what decides the boot
  vfio.variants.rehearsal_files:
    folder: /root/rehearsal
"""

RETURN = r"""
path:
  description: The file that was written.
  returned: success
  type: str
  sample: /root/rehearsal/files.json.gz
size:
  description: Its size in bytes.
  returned: without O(wanted)
  type: int
  sample: 1830422
files:
  description: The number of files, directories and links in the list.
  returned: without O(wanted)
  type: int
  sample: 14321
next:
  description: The number of the path to go on with.
  returned: with O(wanted)
  type: int
  sample: 14321
wanted:
  description: The number of paths in O(wanted).
  returned: with O(wanted)
  type: int
  sample: 14321
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import parse as parse_hardware
from ansible_collections.vfio.variants.plugins.module_utils._core.report.rehearsal_files import FilesRequest, gather

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "folder": {"type": "path", "required": True},
    "kernels": {"type": "list", "elements": "str", "default": ["next"]},
    "size_limit": {"type": "str", "default": "4G"},
    "exclude": {"type": "list", "elements": "path", "default": []},
    "wanted": {"type": "path"},
    "first": {"type": "int", "default": 0},
    "root": {"type": "path", "default": "/"},
    "hardware": {"type": "list", "elements": "dict"},
}
LARGEST = 1 << 40
UNITS = {"M": 1 << 20, "G": 1 << 30}


def request(options: t.Mapping[str, t.Any]) -> FilesRequest:
    """What the options ask for.  Raises HostError for a value that is not one."""
    if options["first"] < 0:
        raise HostError(f"first: {options['first']} is not the number of a path.", "Allowed are 0 and more.")
    if not options["kernels"]:
        raise HostError("kernels: an empty list asks for no boot.", "Allowed are next, all, and releases of kernels.")
    relative = next((path for path in options["exclude"] if not path.startswith("/")), None)
    if relative is not None:
        raise HostError(f"exclude: {shown(relative)} is not the path of a file of the host.", "Allowed are paths that begin with /.")
    return FilesRequest(
        folder=options["folder"],
        kernels=tuple(options["kernels"]),
        size_limit=bytes_of(options["size_limit"]),
        exclude=tuple(options["exclude"]),
        wanted=options["wanted"],
        first=options["first"],
        hardware=None if options["hardware"] is None else parse_hardware(options["hardware"]),
    )


def bytes_of(text: str) -> int:
    """`4G` in bytes."""
    number, unit = text[:-1].strip(), UNITS.get(text[-1:].upper())
    if unit is None or not (number.isascii() and number.isdecimal()) or len(number) > 9 or not 0 < int(number) * unit <= LARGEST:
        raise HostError(f"size_limit: {shown(text)} is not a size.", "Allowed are numbers with M or G, such as 4G, up to 1024G.")
    return int(number) * unit


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: gather(host.root, module.run_command, request(module.params)), module.params["root"])


if __name__ == "__main__":
    main()
