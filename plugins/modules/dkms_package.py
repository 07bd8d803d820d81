#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dkms_package
short_description: Build and install kernel modules from source with DKMS
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Brings a DKMS source package to a host, builds it for the host's kernels, installs it, and proves that each installed module
    fits its kernel and carries the aliases that it has to carry.
  - New sources are first built beside DKMS's own tree. Only when they build for every kernel do they replace the old ones; when
    they do not, the host stays as it was, and the last lines of the build's log are returned.
  - Unchanged sources are neither sent nor built again. What is there is judged by DKMS's tree and the kernels' module trees
    themselves.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
options:
  source:
    description:
      - The folder on the controller that holds the package's C(dkms.conf).
      - The name of one of this collection's packages, such as V(vfio-variants); or a path, a relative one being looked up in
        C(files) of the role and the playbook, as for M(ansible.builtin.copy).
      - Without it, the sources that the host already has in C(/usr/src) are built; O(name) and O(version) are then required.
      - C(.git), C(.hg), C(.svn) and C(__pycache__) are left out.
    type: str
  remote_src:
    description: Whether O(source) is a folder on the managed host.
    type: bool
    default: false
  name:
    description: The package's name. By default what its C(dkms.conf) says.
    type: str
  version:
    description:
      - The package's version. By default what its C(dkms.conf) says.
      - With O(state=absent), the version to remove; every version by default.
    type: str
  state:
    description:
      - V(present) and V(installed) both mean that the package is built and installed for each of O(kernels).
      - V(built) builds it, and installs it only where an older version is installed.
      - V(absent) removes it from all kernels, from DKMS and from C(/usr/src). Modules in C(updates/dkms) of a kernel's module tree
        that DKMS has lost are removed as well when they have the name and the version of the package's; for a package of which the
        host has nothing else, both come from O(source), or from O(modules) and O(version).
    type: str
    choices: [present, installed, built, absent]
    default: present
  kernels:
    description:
      - The kernels to have the package.
      - V(all) means every kernel that is installed with its modules; V(running) the one that runs; anything else is a kernel's release.
      - A kernel that the package's C(dkms.conf) excludes is skipped and reported in RV(skipped_kernels). It is an error when it
        was named, or when no other is left.
      - Kernels that have the package already are brought up to date as well when its sources are replaced, so that none keeps
        modules which nobody can build again.
    type: list
    elements: str
    default: [all]
  modules:
    description:
      - The modules that the package has to bring to each kernel, and the aliases that each has to carry.
      - By default what C(modules.json) says, if O(source) holds such a file. It has one key, C(modules), with a list as this
        option takes it.
    type: list
    elements: dict
    suboptions:
      name:
        description: The module's name.
        type: str
        required: true
      aliases:
        description: Whole aliases, as C(modinfo -F alias) shows them.
        type: list
        elements: str
        default: []
  keep_versions:
    description: Whether other versions of the package stay, built but not installed for O(kernels).
    type: bool
    default: false
  timeout:
    description: How long building for one kernel may take, in seconds.
    type: int
    default: 1800
  _run:
    description: What the module's action plugin tells the module about a run. Not for playbooks, where it is not looked at.
    type: dict
    suboptions:
      digest:
        description: The digest of the sources on the controller.
        type: str
      conf:
        description: The text of their C(dkms.conf).
        type: str
      manifest:
        description: The text of their C(modules.json).
        type: str
      archive:
        description: Where on the managed host the sources lie as an archive.
        type: path
      step:
        description: Which part of the run this call is.
        type: str
        choices: [look, build, finish]
        default: finish
      build:
        description: The kernel that is built for in this part.
        type: str
notes:
  - Requires root, DKMS, make, and for each kernel its headers and the compiler that it was built with. What is missing is named
    with the package that brings it, before anything is changed. In check mode that is a warning, as an earlier task may be the
    one that installs it.
  - While it builds, a line is printed when a kernel begins and when it is done.
  - A C(dkms.conf) is read, not run, to find the package's name, its version and the kernels that it is meant for. Where only
    running it would tell, set O(name) and O(version); DKMS then decides on the kernels.
seealso:
  - module: vfio.variants.boot_policy
  - module: vfio.variants.initramfs
"""

EXAMPLES = r"""
- name: Install the collection's VFIO variant drivers for every kernel
  vfio.variants.dkms_package:
    source: vfio-variants
  become: true
  register: drivers

- name: Write the boot policy, also in check mode, when the drivers are not there yet
  vfio.variants.boot_policy:
    devices: "10de:1db1"
    pending_modules: "{{ drivers.modules }}"
  become: true

- name: Install an own package for the running kernel, and make sure that its module claims the card
  vfio.variants.dkms_package:
    source: my-driver-1.2
    kernels: running
    modules:
      - name: my_vfio_pci
        aliases:
          - "vfio_pci:v00001234d00005678sv*sd*bc*sc*i*"
  become: true

- name: Remove it from all kernels
  vfio.variants.dkms_package:
    name: my-driver
    state: absent
  become: true
"""

RETURN = r"""
name:
  description: The package's name.
  returned: success
  type: str
  sample: vfio-variants
version:
  description: The package's version; null when all were removed.
  returned: success
  type: str
  sample: 0.1.0
kernels:
  description: The package for each kernel, by release. In check mode, of the modules only what is promised is known.
  returned: success
  type: dict
  contains:
    state:
      description: V(installed) or V(built).
      type: str
    modules:
      description: The modules by name.
      type: dict
      contains:
        path:
          description: The file that the kernel loads, or that DKMS built when the package is not installed.
          type: str
        vermagic:
          description: The kernel that it is built for.
          type: str
        version:
          description: The module's own version, null when it has none.
          type: str
        srcversion:
          description: A checksum of the module's source, null when it has none.
          type: str
        signer:
          description: Who signed the module, null when nobody did.
          type: str
        aliases:
          description: What it wants to be loaded for.
          type: list
          elements: str
  sample:
    6.1.0-50-amd64:
      state: installed
      modules:
        nvlink2gpu_vfio_pci:
          path: /lib/modules/6.1.0-50-amd64/updates/dkms/nvlink2gpu_vfio_pci.ko
          vermagic: "6.1.0-50-amd64 SMP preempt mod_unload modversions "
          version: 0.1.0
          srcversion: 6A5B1F7C9D3E2B4A8C0D1E2
          signer: DKMS module signing key
          aliases: ["vfio_pci:v000010DEd00001DB1sv*sd*bc*sc*i*"]
skipped_kernels:
  description: By release, why the package is not for a kernel.
  returned: success
  type: dict
  sample: {"5.10.0-32-amd64": "the kernel is built without CONFIG_VFIO_PCI_CORE"}
modules:
  description: The modules and their aliases, also in check mode, as the option C(pending_modules) of other modules takes them.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "nvlink2gpu_vfio_pci", "aliases": ["vfio_pci:v000010DEd00001DB1sv*sd*bc*sc*i*"]}]
replaced:
  description: Versions that were removed for this one.
  returned: unless O(state=absent)
  type: list
  elements: str
removed:
  description: Versions that were removed because the package shall be absent.
  returned: O(state=absent)
  type: list
  elements: str
removed_files:
  description: Modules of the package that DKMS did not know any more, and that were removed because the package shall be absent.
  returned: O(state=absent)
  type: list
  elements: str
  sample: [/lib/modules/6.1.0-50-amd64/updates/dkms/nvlink2gpu_vfio_pci.ko]
missing_packages:
  description: Packages without which it cannot be built.
  returned: when something is missing
  type: list
  elements: str
  sample: [dkms, linux-headers-6.1.0-50-amd64]
hint:
  description: What can be done about the failure.
  returned: failure, where there is something to say
  type: str
log:
  description: The last lines of the build's log.
  returned: failed build
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import DkmsPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import LEVELS, read_request
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "source": {"type": "str"},
    "remote_src": {"type": "bool", "default": False},
    "name": {"type": "str"},
    "version": {"type": "str"},
    "state": {"type": "str", "choices": list(LEVELS), "default": "present"},
    "kernels": {"type": "list", "elements": "str", "default": ["all"]},
    "modules": {
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str", "required": True}, "aliases": {"type": "list", "elements": "str", "default": []}},
    },
    "keep_versions": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 1800},
    "_run": {
        "type": "dict",
        "options": {
            "digest": {"type": "str"},
            "conf": {"type": "str"},
            "manifest": {"type": "str"},
            "archive": {"type": "path"},
            "step": {"type": "str", "choices": ["look", "build", "finish"], "default": "finish"},
            "build": {"type": "str"},
        },
    },
}


def look(host: Host, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What a run begins with: nothing to do, and the report; or what has to be done, everything needed being there."""
    package = DkmsPackage(host, read_request(host, params))
    if not package.plan.changed:
        return package.report()
    package.check()
    with host.lock():
        package.clear()
    return {"changed": False, "_todo": {"sources": package.needs_files, "builds": list(package.plan.builds)}}


def build(host: Host, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """One kernel's build; nothing of it can be seen outside of its hidden folder."""
    with host.lock():
        package = DkmsPackage(host, read_request(host, params))
        package.check()
        package.build([release for release in package.plan.builds if release == params["_run"]["build"]])
    return {"changed": False}


def finish(host: Host, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Everything that is still to be done."""
    with host.lock():
        package = DkmsPackage(host, read_request(host, params))
        if not package.plan.changed:
            return package.report()
        package.check()
        return package.apply()


def predict(host: Host, params: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> dict[str, t.Any]:
    package = DkmsPackage(host, read_request(host, params))
    if not package.plan.changed:
        return package.report()
    lacking = package.missing()
    for found in lacking:
        warn(f"This host lacks {found.what}; outside of check mode this would fail unless an earlier task installs {found.package}.")
    packages = {"missing_packages": [found.package for found in lacking]} if lacking else {}
    return {**package.prediction(), **packages}


STEPS = {"look": look, "build": build, "finish": finish}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("remote_src", True, ("source",))],
    )

    def work(host: Host) -> dict[str, t.Any]:
        if module.check_mode:
            return predict(host, module.params, module.warn)
        step = (module.params["_run"] or {}).get("step", "finish")
        return STEPS[step](host, module.params)

    run_module(module, work)


if __name__ == "__main__":
    main()
