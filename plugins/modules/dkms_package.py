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
  - Copies a DKMS source package to a host, builds it for the host's kernels, installs it, and verifies that each installed module
    was built for its kernel and has the required aliases.
  - New sources are first built outside of DKMS's own tree. Only if they build for every kernel do they replace the old ones;
    otherwise the host is not changed, and the last lines of the build's log are returned.
  - Kernels are built for one after the other, because DKMS has one build directory for all kernels of a package's version. The terminal
    shows which one it is, and so does the host's log (C(journalctl -f)).
  - Unchanged sources are neither copied nor rebuilt. What is installed is determined from DKMS's tree and the kernels' module
    trees.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.changes
  - vfio.variants._image
  - vfio.variants._unsupported
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
options:
  source:
    description:
      - The directory on the controller with the package's C(dkms.conf).
      - The name of one of this collection's packages, such as V(vfio-variants), or a path. A relative path is looked up in
        C(files) of the role and the playbook, as for M(ansible.builtin.copy).
      - Without it, sources that are already in C(/usr/src) of the host are built; O(name) and O(version) are then required.
      - C(.git), C(.hg), C(.svn) and C(__pycache__) are not copied.
    type: str
  remote_src:
    description: Whether O(source) is a directory on the managed host.
    type: bool
    default: false
  name:
    description: The package's name. The default is the one in its C(dkms.conf).
    type: str
  version:
    description:
      - The package's version. The default is the one in its C(dkms.conf).
      - With O(state=absent), the version to remove; every version by default.
    type: str
  variant:
    description:
      - One of the kernel's own VFIO variant drivers, which the distribution's kernels are built without, such as V(mlx5),
        V(nvgrace_gpu), V(qat) or V(virtio). The name is that of the module without the ending C(_vfio_pci).
      - For each of O(kernels), the driver's files are taken, unchanged, from the source that this very kernel was built from, and
        put together as one DKMS package, C(linux-vfio-) and the variant's name. RV(sources) says where they are from and their licence.
      - Nothing is built for a kernel that has the driver itself; O(kernels) that have it are reported in RV(skipped_kernels).
        So is one whose source is not on the host, is of another version, or does not have the driver, and one that is built
        without an option that the driver's C(Kconfig) depends on.
      - What a kernel was given once is kept for it, also when the package with the source is replaced by that of a newer kernel.
    type: str
  kernel_sources:
    description:
      - Folders, archives and packages of sources (C(.src.rpm)) on the managed host with the source of kernels, for O(variant).
      - Without it, what is in C(/usr/src), as Debian's and Ubuntu's packages C(linux-source-*) and SUSE's C(kernel-source) put it there,
        and packages of sources C(kernel*.src.rpm).
      - What says of which version and release its package is, as a package of sources and the folders of SUSE and of C(rpmbuild) do, is
        taken for the kernels of that package alone. In a package of sources no patch may change the driver; if one does, that is said.
      - A link in a folder or an archive counts as what it leads to there. One that leads out of it is not followed, and that is said.
    type: list
    elements: path
    default: []
  ignore_kconfig:
    description:
      - Whether to build O(variant) also for a kernel that is built without an option that the driver's C(Kconfig) depends on.
      - Whether it builds is then decided by what the kernel exports. V(qat), for example, builds for Debian's kernels, which lack only the
        driver of the cards' physical functions.
    type: bool
    default: false
  state:
    description:
      - V(present) and V(installed) both mean that the package is built and installed for each of O(kernels).
      - V(built) builds it, and installs it only for kernels on which an older version is installed.
      - V(absent) removes it from all kernels, from DKMS and from C(/usr/src). Modules in C(updates/dkms) of a kernel's module tree
        that DKMS no longer knows are also removed if they have the name and version of the package's modules; if nothing else of
        the package is left on the host, these are taken from O(source), or from O(modules) and O(version).
    type: str
    choices: [present, installed, built, absent]
    default: present
  kernels:
    description:
      - The kernels to build the package for.
      - V(all) means every kernel that is installed with its modules, V(running) the running one; anything else is a release.
      - O(state=absent) removes the package from all kernels, and refuses a list of others.
      - A kernel that the package's C(dkms.conf) excludes is skipped and reported in RV(skipped_kernels). It is an error if it
        was listed explicitly, or if no other is left.
      - If the sources are replaced, other kernels that already have the package are updated too, so that no kernel keeps
        modules that cannot be rebuilt.
    type: list
    elements: str
    default: [all]
  modules:
    description:
      - The modules that the package must provide for each kernel, and the aliases that each must have.
      - The default is the list under the key C(modules) in the file C(modules.json) of O(source), if there is one. It has the
        format of this option.
    type: list
    elements: dict
    suboptions:
      name:
        description: The module's name.
        type: str
        required: true
      aliases:
        description: Complete aliases, as C(modinfo -F alias) shows them.
        type: list
        elements: str
        default: []
  keep_versions:
    description: Whether to keep other versions of the package, built but not installed for O(kernels).
    type: bool
    default: false
  timeout:
    description:
      - Time limit for building for one kernel in seconds, from 1 to 86400.
      - As long does it wait for other programs that build modules or images, such as a package's hooks, before it begins.
    type: int
    default: 1800
  _run:
    description: Internal, set by the action plugin. It is ignored in playbooks.
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
        description: The path of an archive of the sources on the managed host.
        type: path
      step:
        description: The part of the run that this call does.
        type: str
        choices: [look, build, finish]
        default: finish
      build:
        description: The kernels to build for in this call.
        type: list
        elements: str
        default: []
notes:
  - Requires root, DKMS, make, and for each kernel its headers and the compiler that it was built with, in that version or a newer one;
    if that is clang, C(lld) and C(llvm) as well. If something is missing, the module fails before it changes anything and names the
    package to install. In check mode that is only a warning, because an earlier task may install it.
  - It builds for several kernels at a time where the host has the processors and 768 MiB of free memory for each; together they run no more
    compilers than there are processors. The first build is made alone where DKMS has no key to sign with, or is told where its key is,
    because it makes one then.
  - During a build a line is printed at the start and at the end of each kernel, or of those that are built for at a time. The host's log
    has one of each kernel.
  - C(dkms.conf) is parsed, not executed, to determine the package's name and version and the kernels that it is for. If that is
    impossible, set O(name) and O(version); DKMS then decides on the kernels.
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

- name: Write the boot policy; also works in check mode, before the drivers are installed
  vfio.variants.boot_policy:
    devices: "10de:1db1"
    pending_modules: "{{ drivers.modules }}"
  become: true

- name: Install another package for the running kernel, and verify that its module has an alias for the card
  vfio.variants.dkms_package:
    source: my-driver-1.2
    kernels: running
    modules:
      - name: my_vfio_pci
        aliases:
          - "vfio_pci:v00001234d00005678sv*sd*bc*sc*i*"
  become: true

- name: Get the source of the running kernel of Debian 13
  ansible.builtin.apt:
    name: linux-source-6.12
  become: true

- name: Build the kernel's own driver for ConnectX virtual functions, which Debian's kernels lack
  vfio.variants.dkms_package:
    variant: mlx5
  become: true

- name: Build one from a source tree of your own
  vfio.variants.dkms_package:
    variant: nvgrace_gpu
    kernels: running
    kernel_sources: [/srv/linux]
  become: true

- name: Remove it from all kernels
  vfio.variants.dkms_package:
    name: my-driver
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
name:
  description: The package's name.
  returned: success
  type: str
  sample: vfio-variants
version:
  description: The package's version; null if all versions were removed.
  returned: success
  type: str
  sample: 0.1.0
kernels:
  description: The package's state for each kernel, by release. In check mode only the required modules and aliases are known.
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
          description: The file that the kernel loads, or that DKMS built if the package is not installed.
          type: str
        vermagic:
          description: The module's vermagic, which begins with the release of the kernel that it was built for.
          type: str
        version:
          description: The module's version; null if it has none.
          type: str
        srcversion:
          description: A checksum of the module's source; null if it has none.
          type: str
        signer:
          description: The module's signer; null if it is not signed.
          type: str
        aliases:
          description: The module's aliases.
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
  description: Why the package is not for a kernel, by release.
  returned: success
  type: dict
  sample: {"5.10.0-32-amd64": "the kernel is built without CONFIG_VFIO_PCI_CORE"}
sources:
  description: Where the driver of each kernel is from.
  returned: O(variant), unless there is nothing to build
  type: dict
  contains:
    from:
      description: The folder or the archive.
      type: str
    version:
      description: The version of Linux that its Makefile states.
      type: str
    package:
      description: The version of the distribution's package that the kernel is from; null if the kernel's headers do not say.
      type: str
    licences:
      description: The licences that the driver's files state.
      type: list
      elements: str
    without:
      description: Options that the driver depends on or would switch on, and that the kernel is built without. What rests on
        them, such as the tracking of written pages with C(CONFIG_IOMMUFD_DRIVER), does not work.
      type: list
      elements: str
    only_compiles:
      description: Whether the driver's devices are on another architecture, for which alone the kernel's makers offer it.
      type: bool
  sample:
    6.12.117+deb13-amd64:
      from: /usr/src/linux-source-6.12.tar.xz
      version: 6.12.117
      package: 6.12.117-1
      licences: [GPL-2.0 OR Linux-OpenIB, GPL-2.0-only]
      without: [CONFIG_IOMMUFD_DRIVER]
      only_compiles: false
modules:
  description:
    - The modules, their aliases and the kernels for which they are installed, also in check mode, for the option C(pending_modules) of
      other modules.
    - In check mode also C(new_for), the kernels that do not have it yet, or of other sources, and C(replaces_loaded=true) where
      another version of the module is loaded than will be installed, so that tasks with that option predict what becomes of images and
      of the loaded module. Whether other sources are another version of each module shows at its build; until then they are taken for one.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "nvlink2gpu_vfio_pci", "aliases": ["vfio_pci:v000010DEd00001DB1sv*sd*bc*sc*i*"], "kernels": ["6.12.107+deb13-amd64"]}]
old_in_use:
  description:
    - Modules of which the running kernel has loaded another version than is installed, by the checksums of their sources. Each is a
      warning.
    - The installed one is used once the module is loaded again, or after a reboot. In check mode those that will be installed count.
  returned: unless O(state=absent)
  type: list
  elements: str
mok_enrolment_required:
  description:
    - What a person has to do before a kernel that takes signed modules only (Secure Boot, lockdown) loads these, in one sentence with the
      command; V(null) if nothing is left to do. It is a warning as well.
    - In check mode, of the key that DKMS would sign with.
  returned: unless O(state=absent)
  type: str
  sample: "Kernel 6.12.107+deb13-amd64 takes signed modules only (Secure Boot, with CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y in
    /boot/config-6.12.107+deb13-amd64): of nvlink2gpu_vfio_pci, its key is none of the machine owner's (MokListRT), and whether
    6.12.107+deb13-amd64 trusts it cannot be determined; to enrol it, run `mokutil --import /var/lib/dkms/mok.pub`, and confirm it in the
    menu of the next boot."
replaced:
  description: Versions that were replaced by this one.
  returned: unless O(state=absent)
  type: list
  elements: str
removed:
  description: Versions that were removed.
  returned: O(state=absent)
  type: list
  elements: str
removed_files:
  description: Modules of the package that DKMS no longer knew and that were removed.
  returned: O(state=absent)
  type: list
  elements: str
  sample: [/lib/modules/6.1.0-50-amd64/updates/dkms/nvlink2gpu_vfio_pci.ko]
missing_packages:
  description: Packages that are needed to build it and are not installed.
  returned: when something is missing
  type: list
  elements: str
  sample: [dkms, linux-headers-6.1.0-50-amd64]
log:
  description: The last lines of the build's log.
  returned: failed build
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import (
    FolderOnHost,
    KernelVariant,
    PackageOption,
    PackageRequest,
    RunStep,
    SentSources,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.steps import run
from ansible_collections.vfio.variants.plugins.module_utils._core.host.image_host import host_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import in_log
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "source": {"type": "str"},
    "remote_src": {"type": "bool", "default": False},
    "name": {"type": "str"},
    "version": {"type": "str"},
    "variant": {"type": "str"},
    "kernel_sources": {"type": "list", "elements": "path", "default": []},
    "ignore_kconfig": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": [*t.get_args(PackageOption)], "default": "present"},
    "kernels": {"type": "list", "elements": "str", "default": ["all"]},
    "modules": {
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str", "required": True}, "aliases": {"type": "list", "elements": "str", "default": []}},
    },
    "keep_versions": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 1800},
    "root": {"type": "path", "default": "/"},
    "allow_unsupported": {"type": "bool", "default": False},
    "_run": {
        "type": "dict",
        "options": {
            "digest": {"type": "str"},
            "conf": {"type": "str"},
            "manifest": {"type": "str"},
            "archive": {"type": "path"},
            "step": {"type": "str", "choices": [*t.get_args(RunStep)], "default": "finish"},
            "build": {"type": "list", "elements": "str", "default": []},
        },
    },
}


def request(options: t.Mapping[str, t.Any]) -> PackageRequest:
    run_options = options["_run"] or {}
    modules, variant = options["modules"], options["variant"]
    return PackageRequest(
        name=options["name"],
        version=options["version"],
        state=options["state"],
        kernels=tuple(options["kernels"]),
        source=_source(options["source"], options["remote_src"], run_options) if variant is None else KernelVariant(variant),
        modules=None if modules is None else tuple(ExpectedModule(module["name"], tuple(module["aliases"] or ())) for module in modules),
        keep_versions=options["keep_versions"],
        timeout=options["timeout"],
        step=run_options.get("step", "finish"),
        build=tuple(run_options.get("build") or ()),
        allow_unsupported=options["allow_unsupported"],
        kernel_sources=tuple(options["kernel_sources"] or ()),
        ignore_kconfig=options["ignore_kconfig"],
    )


def _source(path: str | None, is_on_host: bool, run_options: t.Mapping[str, t.Any]) -> FolderOnHost | SentSources | None:
    if path is None:
        return None
    if is_on_host:
        return FolderOnHost(path)
    return SentSources(path, *(run_options.get(name) for name in ("digest", "conf", "manifest", "archive")))


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(
            argument_spec=ARGUMENTS,
            supports_check_mode=True,
            required_if=[("remote_src", True, ("source",))],
            mutually_exclusive=[("variant", other) for other in ("source", "name", "version", "modules")],
        )
    run_module(
        module, lambda host: run(host, request(module.params), module.check_mode, in_log(module)).result(), module.params["root"], host_of
    )


if __name__ == "__main__":
    main()
