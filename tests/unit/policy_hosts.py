# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to write policies for, what boot_policy does to them, and what is there afterwards."""

from __future__ import annotations

import typing as t
from types import MappingProxyType

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.boot_policy import apply
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import OFF_WORD
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
from ansible_collections.vfio.variants.plugins.modules.boot_policy import request
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, V100_VARIANT, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

RULES = "/etc/udev/rules.d/70-vfio-variants.rules"
MODPROBE = "/etc/modprobe.d/vfio-variants.conf"
SOFTDEPS = "/etc/modprobe.d/00-vfio-variants.conf"
EARLY = "/etc/modules-load.d/vfio-variants.conf"
HOOK = "/etc/initramfs-tools/hooks/vfio-variants"
DRACUT = "/etc/dracut.conf.d/vfio-variants.conf"
MKINITCPIO = "/etc/mkinitcpio.conf.d/zz-vfio-variants.conf"
LIMITS = "/etc/security/limits.d/zz-vfio-variants.conf"
ALL = (SOFTDEPS, MODPROBE, RULES, EARLY, HOOK, DRACUT, MKINITCPIO, LIMITS)

VARIANT = "nvlink2gpu_vfio_pci"
STOCK = {"nouveau": [NVIDIA_DISPLAY], "e1000e": [E1000E], "vfio-pci": [ANY_VFIO]}
BUILT = MappingProxyType({**STOCK, f"updates/dkms/{VARIANT}": [V100_VARIANT]})


def kernel(
    tree: Tree,
    release: str = DEBIAN_13,
    modules: t.Mapping[str, t.Sequence[str]] = BUILT,
    builtin: t.Sequence[str] = (),
    running: bool = True,
) -> Tree:
    """The same on a machine with systemd and an IOMMU, by default the kernel that runs there."""
    installed(tree, release, modules, builtin, running).systemd().cmdline("root=/dev/sda1 ro")
    return tree.pci("0000:00:00.0", "8086:1237", class_code=0x060000, group=0)


def installed(
    tree: Tree,
    release: str = DEBIAN_13,
    modules: t.Mapping[str, t.Sequence[str]] = BUILT,
    builtin: t.Sequence[str] = (),
    running: bool = False,
) -> Tree:
    """A kernel whose modules' files say what they drive; vfio-pci takes ids=."""
    tree.kernel(release, modules, builtin, running=running)
    for name, aliases in modules.items():
        place = name if "/" in name else f"kernel/drivers/{name}"
        parameters: dict[str, t.Any] = {"parmtype": "ids:string"} if name == "vfio-pci" else {}
        tree.file(f"/lib/modules/{release}/{place}.ko", driver_file(release, [_driver(name, aliases)], aliases=aliases, **parameters))
    return tree


def _driver(module: str, aliases: t.Sequence[str]) -> Driver:
    name = module.rpartition("/")[2].replace("-", "_")
    found = (PciId.from_alias(alias) for alias in aliases)
    ids = (Entry(one.vendor, one.device, one.class_code, one.class_mask, int(one.override_only)) for one in found if one is not None)
    return Driver(KNOWN_DRIVERS.get(name, name).encode(), tuple(ids))


def gpu_host(tmp_path: Path) -> Tree:
    """Two V100 with nouveau, and an e1000e, on a Debian 13 with initramfs-tools and the variant built."""
    tree = kernel(Tree(tmp_path))
    tree.pci("0000:3b:00.0", driver="nouveau").pci("0000:5e:00.0", driver="nouveau")
    tree.pci("0000:02:00.0", "8086:10d3", class_code=0x020000, driver="e1000e")
    return (
        tree.directory("/etc/initramfs-tools/hooks").file("/usr/sbin/mkinitramfs", "#!/bin/sh\n", mode=0o755).directory("/etc/modprobe.d")
    )


def run(tree: Tree, *claims: dict[str, t.Any], check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    defaults = {"state": "present", "name": "vfio-variants", "strategy": "override", "kernels": ["all"], "group": "claim", "natives": None}
    allowed = dict.fromkeys(("allow_shared_native", "require_certain", "allow_unsupported"), False)
    params = {"claims": list(claims), "pending_modules": [], "pending_arguments": [], **allowed, **defaults, **options}
    return apply(tree.host(Commands(tree.root)), request(params), check)


def refused(tree: Tree, *claims: dict[str, t.Any], **options: t.Any) -> str:
    """The error's whole text; nothing may have been written."""
    before = contents(tree)
    with pytest.raises(HostError) as error:
        run(tree, *claims, **options)
    assert contents(tree) == before
    return str(error.value)


def contents(tree: Tree) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(tree.place("/etc").rglob("*")) if path.is_file()}


def lines(tree: Tree, path: str) -> list[str]:
    """A file's lines without comments; none where there is no file."""
    place = tree.place(path)
    return [line for line in place.read_text().splitlines() if not line.startswith("#")] if place.exists() else []


def rules_of_own_events(tree: Tree, path: str) -> list[str]:
    """The rules that a card's own event follows, but for those by which a word of the command line switches the others off."""
    return [line for line in lines(tree, path) if "[pci/" not in line and OFF_WORD not in line and not line.startswith("SUBSYSTEM!=")]


def settings(tree: Tree) -> list[str]:
    """What the policy's file of options and blacklists says, but for the lines that a word of the command line decides about."""
    return [line for line in lines(tree, MODPROBE) if not line.startswith("install ")]


def rules_of_any_event(tree: Tree, path: str) -> list[str]:
    """The rules by which any event of a PCI function sets an override."""
    return [line for line in lines(tree, path) if "[pci/" in line]


def early_rule(address: str, id: str = "10de:1db1", driver: str = VARIANT) -> str:  # noqa: A002 - the field's word
    vendor, device = id.split(":")
    its = f"[pci/{address}]"
    keys = f'ATTR{{{its}vendor}}=="0x{vendor}", ATTR{{{its}device}}=="0x{device}"'
    return f'ACTION=="add", SUBSYSTEM=="pci", {keys}, ATTR{{{its}driver_override}}="{driver}"'


def rule(keys: str, driver: str = VARIANT, module: str = VARIANT) -> str:
    probe = 'ATTR{[subsystem/pci]drivers_probe}="$kernel"'
    return f'ACTION=="add", SUBSYSTEM=="pci", {keys}, ATTR{{driver_override}}="{driver}", {probe}, RUN{{builtin}}+="kmod load {module}"'


V100 = {"devices": "10de:1db1"}
NIC = {"devices": "8086:10d3", "driver": "vfio-pci"}
V100_KEYS = 'ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1"'
