# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as public reports of passthrough in data centres describe them, and what claims on them come to."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import boot_menus, images, initramfs_files, policy_hosts
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import ANY, Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim, device_info
from ansible_collections.vfio.variants.tests.unit.module_files import signed
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

V100, GPU, PF, VF, NIC = "10de:1db1", "0000:3b:00.0", "0000:5e:00.0", "0000:5e:00.1", "0000:05:00.0"

SOURCE = "4C1D0A6B0F2E8D7A9B3C5E1"


@dataclasses.dataclass(frozen=True)
class Module:
    folder: str
    driver: str
    entries: tuple[Entry, ...]
    takes_ids: bool = False

    @property
    def aliases(self) -> list[str]:
        return [entry.alias for entry in self.entries]

    @property
    def file(self) -> bytes:
        fields: dict[str, t.Any] = {"srcversion": SOURCE, **({"parmtype": "ids:string"} if self.takes_ids else {})}
        return driver_file(DEBIAN_13, [Driver(self.driver.encode(), self.entries)], aliases=self.aliases, **fields)


MODULES = {
    "nouveau": Module("kernel/drivers/gpu/drm/nouveau", "nouveau", (Entry(0x10DE, ANY, 0x030000, 0xFF0000),)),
    "mlx5_core": Module("kernel/drivers/net/mlx5", "mlx5_core", (Entry(0x15B3, 0x101D), Entry(0x15B3, 0x101E))),
    "ixgbe": Module("kernel/drivers/net/ixgbe", "ixgbe", (Entry(0x8086, 0x10FB),)),
    "vfio-pci": Module("kernel/drivers/vfio/pci", "vfio-pci", (Entry(override=1),), takes_ids=True),
    "nvlink2gpu_vfio_pci": Module("updates/dkms", "nvlink2gpu_vfio_pci", (Entry(0x10DE, 0x1DB1, override=1),), takes_ids=True),
}


def host(root: Path, *names: str, words: str = "", in_image: t.Sequence[str] = ()) -> Tree:
    cmdline = f"{boot_menus.ROOT} {words}".strip()
    tree = Tree(root).systemd().cmdline(f"BOOT_IMAGE=/boot/vmlinuz-{DEBIAN_13} {cmdline}")
    tree.kernel(DEBIAN_13, {f"{MODULES[name].folder}/{name}": MODULES[name].aliases for name in names}, running=True)
    for name in names:
        tree.file(f"/lib/modules/{DEBIAN_13}/{MODULES[name].folder}/{name}.ko", MODULES[name].file)
    held = initramfs_files.initramfs_tools({name: MODULES[name].aliases for name in in_image})
    tree.file(initramfs_files.IMAGE, images.packed(images.archive(held), "gzip"))
    tree.file("/usr/sbin/mkinitramfs", "#!/bin/sh\n", mode=0o755).directory("/etc/initramfs-tools/hooks").directory("/etc/modprobe.d")
    return tree.file("/boot/grub/grub.cfg", boot_menus.debian_grub((DEBIAN_13,)).replace(boot_menus.ROOT, cmdline))


def next_boot(tree: Tree, address: str) -> dict[str, t.Any]:
    found = device_info(tree.host(Commands(tree.root)))["devices"]
    return t.cast("dict[str, t.Any]", next(one for one in found if one["address"] == address)["next_boot"])


def with_function(root: Path, assigned: str = "") -> Tree:
    """A card whose driver is in the image, so that a rule for its event in the root creates its function."""
    tree = host(root, "mlx5_core", "vfio-pci", in_image=["mlx5_core"])
    tree.pci(PF, "15b3:101d", class_code=0x020000, driver="mlx5_core", group=7, max_virtual_functions=8)
    tree.pci(VF, "15b3:101e", class_code=0x020000, driver="mlx5_core", group=8, physical_function=PF)
    rule = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{PF}", {assigned}ATTR{{sriov_numvfs}}="1"\n'
    return tree.file("/etc/udev/rules.d/60-sriov.rules", rule)


def test_driverctl_takes_a_virtual_function_that_a_rule_creates(tmp_path: Path) -> None:
    tree = with_function(tmp_path).driverctl().file(f"/etc/driverctl.d/pci-{VF}", "vfio-pci\n")
    found = next_boot(tree, VF)
    assert (found["winner"], found["certainty"]) == ("vfio-pci", "certain")


def test_a_policy_for_a_function_is_certain_where_the_rule_keeps_it_from_its_driver(tmp_path: Path) -> None:
    tree = with_function(tmp_path, 'ATTR{sriov_drivers_autoprobe}="0", ')
    policy_hosts.run(tree, {"devices": "15b3:101e"})
    assert claim_info(tree.host(Commands(tree.root)), devices="15b3:101e", require="winner")["devices"][0]["will_be_satisfied"]


def without_iommu(root: Path, words: str = "") -> Tree:
    tree = host(root, "ixgbe", "vfio-pci", words=words).pci("0000:00:00.0", "8086:1237", class_code=0x060000)
    return tree.pci(NIC, "8086:10fb", class_code=0x020000, driver="ixgbe")


def test_vfio_takes_a_card_without_an_iommu_where_the_boot_entry_tells_it_to(tmp_path: Path) -> None:
    tree = without_iommu(tmp_path, "vfio.enable_unsafe_noiommu_mode=1")
    policy_hosts.run(tree, {"devices": "8086:10fb", "driver": "vfio-pci"})
    assert (next_boot(tree, NIC)["winner"], next_boot(tree, NIC)["certainty"]) == ("vfio-pci", "certain")


def test_that_the_running_kernel_was_told_so_does_not_help_the_next_one(tmp_path: Path) -> None:
    tree = without_iommu(tmp_path)
    tree.cmdline(f"BOOT_IMAGE=/boot/vmlinuz-{DEBIAN_13} {boot_menus.ROOT} vfio.enable_unsafe_noiommu_mode=1")
    assert "there is no IOMMU" in policy_hosts.refused(tree, {"devices": "8086:10fb", "driver": "vfio-pci"})


def test_binding_without_an_iommu_is_refused_in_check_mode_too(tmp_path: Path) -> None:
    kernel = ModelKernel(without_iommu(tmp_path), {NIC: "ixgbe"}, {"vfio_pci": ["vfio-pci"], "ixgbe": ["ixgbe"]})
    with pytest.raises(HostError, match="IOMMU"):
        device_claim(kernel, True, devices=NIC, timeout=2)


@pytest.mark.parametrize(("taint", "certainty"), [("O", "certain"), ("OE", "unknown")])
def test_what_secure_boot_has_let_in_once_is_let_in_again(tmp_path: Path, taint: str, certainty: str) -> None:
    """A module that was loaded without a valid signature has the flag E (Documentation/admin-guide/tainted-kernels.rst)."""
    names = ("nouveau", "vfio-pci", "nvlink2gpu_vfio_pci")
    tree = host(tmp_path, *names)
    tree.file(f"/boot/config-{DEBIAN_13}", "CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y\n")
    tree.file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x06\0\0\0\x01")
    for name in names:
        path = f"/lib/modules/{DEBIAN_13}/{MODULES[name].folder}/{name}.ko"
        tree.file(path, signed(tree.place(path).read_bytes(), "a key of this machine"))
    tree.pci(GPU, V100, class_code=0x030200, driver="nvlink2gpu_vfio_pci", override="nvlink2gpu_vfio_pci", group=15)
    tree.file("/sys/module/nvlink2gpu_vfio_pci/taint", f"{taint}\n").file("/sys/module/nvlink2gpu_vfio_pci/srcversion", f"{SOURCE}\n")
    policy_hosts.run(tree, {"devices": V100})
    found = claim_info(tree.host(Commands(tree.root)), devices=V100)["devices"][0]["kernels"][DEBIAN_13]
    assert (found["winner"], found["certainty"]) == ("nvlink2gpu_vfio_pci" if certainty == "certain" else None, certainty)


def test_a_kernel_without_the_claimed_module_is_named_in_the_sentence(tmp_path: Path) -> None:
    tree = host(tmp_path, "nouveau", "vfio-pci").pci(GPU, V100, class_code=0x030200, driver="nouveau", group=15)
    keys = 'ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1"'
    rule = f'{keys}, ATTR{{driver_override}}="nvlink2gpu_vfio_pci", RUN{{builtin}}+="kmod load nvlink2gpu_vfio_pci"\n'
    tree.file("/etc/udev/rules.d/70-vfio-variants.rules", rule)
    with pytest.raises(HostError, match="no module"):
        claim_info(tree.host(Commands(tree.root)), devices=V100, require="winner")
