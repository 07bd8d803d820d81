# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is disturbed on further hosts: kernel arguments by each way, the IOMMU, device nodes, virtual functions, other generators."""

from __future__ import annotations

import dataclasses
import functools
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import iommu
from ansible_collections.vfio.variants.tests.faults import hosts
from ansible_collections.vfio.variants.tests.faults.scenario import Action, Scenario
from ansible_collections.vfio.variants.tests.unit import cmdline_hosts, mkinitcpio_hosts
from ansible_collections.vfio.variants.tests.unit.module_commands import ModuleCommands
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply import test_iommu as machines
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply import test_nodes as nodes
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply import test_virtual_functions as functions
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.image_machine import Machine
from ansible_collections.vfio.variants.tests.unit.policy_hosts import V100, gpu_host, run
from ansible_collections.vfio.variants.tests.unit.trees import Tree

WORDS = ("intel_iommu=on", "iommu=pt")
TIMEOUT = 3
"""Seconds: what hangs in a trial hangs for so long."""
EVERY = ("killed", "EIO", "EACCES", "ENOSPC", "EDQUOT", "EROFS", "SIGTERM", "SIGINT", "SIGHUP", "hangs")
LOADERS: dict[str, tuple[Callable[[Path], cmdline_hosts.CmdlineHost], tuple[str, ...]]] = {
    "GRUB of Debian": (cmdline_hosts.debian, ("boot/grub/",)),
    "GRUB of openSUSE": (cmdline_hosts.opensuse, ("boot/grub2/",)),
    "grubby": (cmdline_hosts.fedora, ("boot/loader/", "etc/kernel/cmdline", "etc/default/grub")),
    "grubby and settings of GRUB": (cmdline_hosts.rocky, ("boot/loader/", "etc/kernel/cmdline", "etc/default/grub")),
    "entries of a person": (cmdline_hosts.arch_entries, ()),
    "a unified image": (cmdline_hosts.arch_unified, ("boot/EFI/",)),
    "kernel-install": (cmdline_hosts.kernel_install, ("boot/",)),
    "sdbootutil": (cmdline_hosts.opensuse_sdbootutil, ("boot/efi/",)),
    "GRUB with entries": (cmdline_hosts.opensuse_grub_entries, ("boot/efi/",)),
    "proxmox-boot-tool": (cmdline_hosts.proxmox, ()),
    "u-boot-menu": (cmdline_hosts.u_boot, ("boot/extlinux/",)),
    "extlinux": (cmdline_hosts.extlinux, ()),
}
SOME = ("killed", "SIGTERM", "SIGINT", "SIGHUP", "hangs")
WITH_EVERY_FAULT = ("GRUB of Debian", "kernel-install")


def scenarios() -> Iterator[Scenario]:
    yield from _arguments()
    yield from _policies()
    yield from _generators()


def _arguments() -> Iterator[Scenario]:
    kind = "kernel arguments"
    for name, (make, places) in LOADERS.items():
        add, remove = (functools.partial(_call, state=state) for state in ("present", "absent"))
        faults = EVERY if name in WITH_EVERY_FAULT else EVERY[:1]
        added = Scenario(f"arguments by {name}", kind, (), (add,), make=_tree_of(make), has_policy=False, of_programs=places)
        yield dataclasses.replace(added, faults=faults)
        yield dataclasses.replace(added, name=f"arguments taken back by {name}", before=(add,), actions=(remove,))
    on, off = (functools.partial(_iommu, state=state) for state in ("present", "absent"))
    machine = _tree_of(machines.machine)
    added = Scenario("arguments for the IOMMU", kind, (), (on,), make=machine, has_policy=False, of_programs=("boot/grub/",))
    yield added
    yield dataclasses.replace(added, name="arguments for the IOMMU taken back", before=(on,), actions=(off,))


def _tree_of(make: Callable[[Path], cmdline_hosts.CmdlineHost]) -> Callable[[Path], Tree]:
    return lambda root: make(root).tree.directory("/var/lib")


def _call(tree: Tree, check_mode: bool, state: str) -> dict[str, t.Any]:
    host = cmdline_hosts.CmdlineHost(tree, ModuleCommands(tree.root))
    return host.call(*WORDS, check_mode=check_mode, state=state, timeout=TIMEOUT)


def _iommu(tree: Tree, check_mode: bool, state: str) -> dict[str, t.Any]:
    request = iommu.IommuRequest(state == "present", timeout=TIMEOUT)
    return iommu.apply(tree.host(ModuleCommands(tree.root)), request, check_mode)


def _policies() -> Iterator[Scenario]:
    kind = "device nodes and virtual functions"
    handed = functools.partial(_policy, claim={**V100, "node": {**nodes.NODE, "memlock": "64G"}})
    numbered = functools.partial(_policy, claim=functions.claim(3))
    for name, make, write in (("device nodes", _with_accounts, handed), ("virtual functions", _with_functions, numbered)):
        yield Scenario(f"policy of {name}", kind, (), (write,), make=make)
        yield Scenario(f"policy of {name} removed", kind, (write,), (hosts.remove_policy,), make=make)


def _with_accounts(root: Path) -> Tree:
    return nodes.accounts(gpu_host(root)).directory("/var/lib").directory("/etc/udev/rules.d")


def _policy(tree: Tree, check_mode: bool, claim: dict[str, t.Any]) -> dict[str, t.Any]:
    return run(tree, claim, check=check_mode)


def _generators() -> Iterator[Scenario]:
    kind, rebuild = "an image is built", functools.partial(hosts.rebuild_images, timeout=TIMEOUT)
    yield Scenario("image by dracut", kind, (), (rebuild,), make=_dracut, has_policy=False, faults=SOME)
    write: Action = functools.partial(_policy, claim=V100)
    yield Scenario("image by mkinitcpio", kind, (write,), (rebuild,), make=_arch, has_policy=False, faults=SOME)


def _dracut(root: Path) -> Tree:
    machine = Machine(root, "dracut", image="/boot/initramfs-{}.img").has_policy()
    machine.tree.directory("/var/lib")
    return machine.has_image(machine.content(options=None)).will_build(machine.content()).tree


def _arch(root: Path) -> Tree:
    return mkinitcpio_hosts.arch_host(root).directory("/var/lib")


def _with_functions(root: Path) -> Tree:
    return functions.host(root).directory("/var/lib")
