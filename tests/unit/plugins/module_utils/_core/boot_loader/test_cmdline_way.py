# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program makes the boot entries."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import cmdline_way, next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_way import BY_MKCONFIG
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import KERNEL_INSTALL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage, unified_image
from ansible_collections.vfio.variants.tests.unit.cmdline_hosts import arch_entries, kernel_install
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

MACHINE, OTHER_MACHINE = "0123456789abcdef0123456789abcdef", "f" * 32


@pytest.mark.parametrize(
    ("machine_id", "entry_token", "system", "tokens"),
    [
        (MACHINE, "", "ID=debian\n", [MACHINE]),
        (MACHINE, "host", "ID=debian\nIMAGE_ID=gpu-node\n", ["host", MACHINE]),
        ("uninitialized", "", "ID=debian\n", ["debian"]),
        ("", "", "ID=debian\nIMAGE_ID=gpu-node\n", ["gpu-node", "debian"]),
        ("", "host", "ID=debian\n", ["host", "debian"]),
        (None, "", "", []),
    ],
)
def test_the_beginning_of_a_name_is_the_machines_id_or_what_an_image_has_in_its_place(
    tmp_path: Path, machine_id: str | None, entry_token: str, system: str, tokens: list[str]
) -> None:
    tree = Tree(tmp_path).file("/usr/bin/kernel-install", mode=0o755).file("/etc/os-release", system)
    if machine_id is not None:
        tree.file("/etc/machine-id", f"{machine_id}\n")
    if entry_token:
        tree.file("/etc/kernel/entry-token", f"{entry_token}\n")
    host = tree.host()
    names = [MACHINE, "host", "gpu-node", "debian", "uninitialized", ""]
    unified = {name: f"/efi/EFI/Linux/{name}-{DEBIAN_13}.efi" for name in names}
    copies = {name: f"/efi/{name}/{DEBIAN_13}/linux" for name in names}

    assert {name for name in names if cmdline_way.is_named_by_kernel_install(host, unified[name], DEBIAN_13)} == set(tokens)
    assert {name for name in names if cmdline_way.is_copied_by_kernel_install(host, copies[name], DEBIAN_13)} == set(tokens)


@pytest.mark.parametrize(
    ("place", "text", "token"),
    [
        ("/usr/lib/kernel/entry-token", "host\n", "host"),
        ("/etc/kernel/entry-token", "host\nother\n", "host"),
        ("/etc/machine-info", f"PRETTY_HOSTNAME=x\nKERNEL_INSTALL_MACHINE_ID={OTHER_MACHINE}\n", OTHER_MACHINE),
    ],
)
def test_the_beginning_of_a_name_can_be_written_down_elsewhere(tmp_path: Path, place: str, text: str, token: str) -> None:
    """entry_token_load() in src/shared/boot-entry.c, context_load_machine_info() in src/kernel-install/kernel-install.c."""
    tree = Tree(tmp_path).file("/usr/bin/kernel-install", mode=0o755).file("/etc/machine-id", f"{MACHINE}\n").file(place, text)
    assert cmdline_way.is_named_by_kernel_install(tree.host(), f"/efi/EFI/Linux/{token}-{DEBIAN_13}.efi", DEBIAN_13)
    assert not cmdline_way.is_named_by_kernel_install(tree.host(), f"/efi/EFI/Linux/other-{DEBIAN_13}.efi", DEBIAN_13)


@pytest.mark.parametrize(
    ("command", "distribution", "way"),
    [
        ("kernelstub", 'ID=pop\nID_LIKE="ubuntu debian"\n', "kernelstub --add-options"),
        ("sdboot-manage", "ID=cachyos\nID_LIKE=arch\n", "/etc/sdboot-manage.conf"),
        ("clr-boot-manager", "ID=solus\n", "/etc/kernel/cmdline.d"),
    ],
)
def test_entries_that_another_program_makes_again_are_not_edited(tmp_path: Path, command: str, distribution: str, way: str) -> None:
    host = arch_entries(tmp_path)
    host.tree.file("/etc/os-release", distribution)
    assert host.call("iommu=pt", check_mode=True)["method"] == "entries"
    host.tree.file(f"/usr/bin/{command}", "#!/bin/sh\n", 0o755)
    before = host.files()
    with pytest.raises(HostError, match=f"entries that {command} makes") as refused:
        host.call("iommu=pt")
    assert "/boot/loader/entries/arch.conf" in str(refused.value)
    assert way in str(refused.value)
    assert host.files() == before


def test_entries_of_kernel_install_are_its_own_whatever_else_is_installed(tmp_path: Path) -> None:
    host = kernel_install(tmp_path)
    host.tree.file("/usr/bin/kernelstub", "#!/bin/sh\n", 0o755)
    assert host.call("iommu=pt", check_mode=True)["method"] == "kernel-install"


@pytest.mark.parametrize(("name", "method"), [(f"{MACHINE}-{DEBIAN_13}.efi", KERNEL_INSTALL), ("mine.efi", None)])
def test_the_arguments_of_a_unified_image_that_grub_starts_are_not_grub_mkconfig_s(tmp_path: Path, name: str, method: str | None) -> None:
    place = f"/boot/efi/EFI/Linux/{name}"
    image = unified_image([(".osrel", b"ID=debian\n"), (".cmdline", b"ro a.b=1"), (".linux", bzimage(DEBIAN_13))])
    config = f"{BY_MKCONFIG}\nmenuentry u {{\n chainloader /EFI/Linux/{name}\n}}\n"
    tree = Tree(tmp_path).kernel(DEBIAN_13).file("/etc/os-release", "ID=debian\n").file("/etc/machine-id", f"{MACHINE}\n")
    tree.file(place, image).file("/boot/grub/grub.cfg", config)
    tree.file("/etc/default/grub", 'GRUB_CMDLINE_LINUX="c.d=1"\n').file("/etc/kernel/cmdline", "ro a.b=1\n")
    for program in ("update-grub", "grub-mkconfig", "kernel-install"):
        tree.file(f"/usr/bin/{program}", mode=0o755)
    boot = next_boot.read(tree.host())
    assert (boot.release, boot.doubts, boot.warnings) == (DEBIAN_13, (), ())
    assert boot.entries[DEBIAN_13].edited == ("/etc/kernel/cmdline:1",)
    if method is None:
        with pytest.raises(HostError, match="made by no program that is known"):
            cmdline_way.find(tree.host())
    else:
        assert cmdline_way.find(tree.host()).method == method
