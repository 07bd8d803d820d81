# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers without an ID, which the kernel gives any device by an override: bound now, at the next boot and in the forecast alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import ANY_DEVICE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.policy_hosts import MODPROBE, RULES, STOCK, kernel, lines, refused, run
from ansible_collections.vfio.variants.tests.unit.trees import E1000E, Tree

NIC, FUNCTION = "0000:03:00.0", "0000:03:10.0"
UIO = "uio_pci_generic"


def driver_of(module: str) -> str:
    return KNOWN_DRIVERS.get(module, module)


def host(root: Path, module: str, owner: str = "e1000e", builtin: bool = False) -> Tree:
    tree = kernel(Tree(root), modules=STOCK if builtin else {**STOCK, module: []}, builtin=[module] if builtin else [])
    if owner == driver_of(module):
        tree.module(module, drivers=[owner])
    tree.pci(NIC, "8086:10d3", class_code=0x020000, driver=owner, override=None if owner == "e1000e" else owner, group=7)
    return (
        tree.directory("/etc/initramfs-tools/hooks").file("/usr/sbin/mkinitramfs", "#!/bin/sh\n", mode=0o755).directory("/etc/modprobe.d")
    )


@pytest.mark.parametrize("module", sorted(ANY_DEVICE - {UIO}))
@pytest.mark.parametrize("strategy", ["override", "blacklist"])
def test_each_takes_the_device_now_and_at_the_next_boot(tmp_path: Path, module: str, strategy: str) -> None:
    tree = host(tmp_path, module)
    live = device_claim(ModelKernel(tree, {NIC: "e1000e"}, {module: [driver_of(module)]}), True, devices=NIC, driver=module)
    assert live["devices"][0]["driver"] == driver_of(module)
    run(tree, {"devices": NIC, "driver": module, "strategy": strategy}, require_certain=True)
    assert any(driver_of(module) in line for line in lines(tree, RULES))
    assert bool(lines(tree, MODPROBE)) >= (strategy == "blacklist")
    (device,) = claim_info(tree.host(), devices=NIC, driver=module, require="winner")["devices"]
    assert (device["claimed"], device["will_be_satisfied"]) == (driver_of(module), True)


@pytest.mark.parametrize("builtin", [False, True])
def test_one_that_is_particular_says_what_it_depends_on(tmp_path: Path, builtin: bool) -> None:
    """uio_pci_generic declines what it cannot keep from interrupting, which shows when it is bound."""
    tree = host(tmp_path, UIO, builtin=builtin)
    said = refused(tree, {"devices": NIC, "driver": UIO}, require_certain=True)
    assert "uio_pci_generic declines a device whose interrupt line it cannot mask, which shows when it is bound" in said
    assert "`device_claim` with `driver: uio_pci_generic` tries it" in said


@pytest.mark.parametrize("driver", ["auto", "vfio-pci", "vfio_pci"])
def test_vfio_pci_is_a_vfio_driver_where_it_is_built_in(tmp_path: Path, driver: str) -> None:
    """As in Ubuntu's kernels, which before Linux 6.18 list no alias of it."""
    modules = {name: aliases for name, aliases in STOCK.items() if name != "vfio-pci"}
    tree = kernel(Tree(tmp_path), modules=modules, builtin=["vfio/pci/vfio-pci"]).driver("vfio-pci")
    tree.pci(NIC, "8086:10d3", class_code=0x020000, driver="e1000e", group=7).directory("/etc/initramfs-tools/hooks")
    (now,) = device_claim(tree.host(), True, devices=NIC, driver=driver)["devices"]
    assert (now["driver"], now["kind"]) == ("vfio-pci", "generic")
    run(tree, {"devices": NIC, "driver": driver}, require_certain=True)
    (device,) = claim_info(tree.host(), devices=NIC, driver=driver, require="winner")["devices"]
    assert (device["claimed"], device["will_be_satisfied"]) == ("vfio-pci", True)


def test_what_it_has_taken_it_takes_again(tmp_path: Path) -> None:
    tree = host(tmp_path, UIO, owner=UIO)
    run(tree, {"devices": NIC, "driver": UIO}, require_certain=True)
    assert claim_info(tree.host(), devices=NIC, driver=UIO, require="winner")["devices"][0]["will_be_satisfied"]


def test_a_virtual_function_has_no_interrupt_line(tmp_path: Path) -> None:
    tree = host(tmp_path, UIO).file("/etc/modules-load.d/uio.conf", f"{UIO}\n")
    tree.pci(NIC, "8086:10d3", class_code=0x020000, driver="e1000e", group=7, max_virtual_functions=1)
    tree.pci(FUNCTION, "8086:10d3", class_code=0x020000, driver="e1000e", group=8, physical_function=NIC)
    rules = (f'SUBSYSTEM=="pci", KERNEL=="{address}", ATTR{{driver_override}}="{UIO}"\n' for address in (NIC, FUNCTION))
    tree.file("/etc/udev/rules.d/70-own.rules", "".join(rules))
    line, without = (str(one["kernels"]) for one in claim_info(tree.host(), devices=[NIC, FUNCTION], driver=UIO, group="ignore")["devices"])
    assert "interrupt line" in line
    assert "interrupt line" not in without


def test_a_native_driver_of_other_devices_is_none_of_them(tmp_path: Path) -> None:
    tree = host(tmp_path, "pci_stub")
    assert E1000E in STOCK["e1000e"]
    assert "nouveau is not a VFIO driver, and none of its aliases" in refused(tree, {"devices": NIC, "driver": "nouveau"})
