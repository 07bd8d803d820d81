# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which driver a module registers: read where it is loaded, loaded where that is harmless, never guessed from a wrong rule."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import driver_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, PendingModule
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_12, DEBIAN_13, E1000E, V100_VARIANT, Tree


class Modprobe:
    """Loads modules into a tree: `drivers` are those that each registers."""

    def __init__(self, tree: Tree, drivers: t.Mapping[str, t.Sequence[str]]) -> None:
        self.tree, self.drivers, self.asked = tree, drivers, list[str]()

    def __call__(self, args: list[str], **_options: t.Any) -> tuple[int, str, str]:
        module = args[-1]
        self.asked.append(module)
        if module not in self.drivers:
            return 1, "", f"modprobe: ERROR: could not insert '{module}': Key was rejected by service"
        self.tree.module(module, self.drivers[module])
        return 0, "", ""


def machine(tmp_path: Path) -> Tree:
    modules = {"vfio_pci": [ANY_VFIO], "mine-vfio": [V100_VARIANT], "e1000e": [E1000E]}
    return Tree(tmp_path).kernel(DEBIAN_13, modules, running=True)


def names(tree: Tree, *modules: str, load: bool = False, modprobe: Modprobe | None = None) -> dict[str, str]:
    host = tree.host(modprobe)
    return driver_names(host, Inventory.read(host), modules, load)


def test_a_loaded_module_shows_its_driver(tmp_path: Path) -> None:
    assert names(machine(tmp_path).module("mine-vfio", ["mine-pci"]), "mine-vfio") == {"mine_vfio": "mine-pci"}


def test_of_several_drivers_the_modules_own_is_meant(tmp_path: Path) -> None:
    tree = machine(tmp_path).module("mine-vfio", ["a-companion", "mine-vfio"])
    assert names(tree, "mine_vfio") == {"mine_vfio": "mine-vfio"}


def test_vfio_pci_is_known_without_being_loaded(tmp_path: Path) -> None:
    modprobe = Modprobe(machine(tmp_path), {})
    assert names(modprobe.tree, "vfio-pci", load=True, modprobe=modprobe) == {"vfio_pci": "vfio-pci"}
    assert modprobe.asked == []


def test_a_variant_is_loaded_to_learn_its_drivers_name(tmp_path: Path) -> None:
    modprobe = Modprobe(machine(tmp_path), {"mine_vfio": ["mine-pci"]})
    assert names(modprobe.tree, "mine_vfio", load=True, modprobe=modprobe) == {"mine_vfio": "mine-pci"}
    assert modprobe.asked == ["mine_vfio"]


def test_a_variants_file_tells_its_drivers_name_without_loading_it(tmp_path: Path) -> None:
    modprobe = Modprobe(machine(tmp_path), {})
    content = driver_file(DEBIAN_13, [Driver(b"mine-pci", (Entry(0x10DE, 0x1DB1, override=1),))])
    modprobe.tree.file(f"/lib/modules/{DEBIAN_13}/kernel/drivers/mine-vfio.ko", content)
    assert names(modprobe.tree, "mine-vfio", load=True, modprobe=modprobe) == {"mine_vfio": "mine-pci"}
    assert modprobe.asked == []


def test_the_file_of_the_kernel_in_question_counts(tmp_path: Path) -> None:
    tree = machine(tmp_path).kernel(DEBIAN_12, {"mine-vfio": [V100_VARIANT]})
    content = driver_file(DEBIAN_12, [Driver(b"mine-old", (Entry(0x10DE, 0x1DB1, override=1),))])
    host = tree.file(f"/lib/modules/{DEBIAN_12}/kernel/drivers/mine-vfio.ko", content).host()
    assert driver_names(host, Inventory.read(host), ["mine-vfio"], False, Kernel.read(host, DEBIAN_12)) == {"mine_vfio": "mine-old"}


def test_check_mode_loads_nothing_and_takes_the_modules_name(tmp_path: Path) -> None:
    modprobe = Modprobe(machine(tmp_path), {"mine_vfio": ["mine-pci"]})
    assert names(modprobe.tree, "mine_vfio", load=False, modprobe=modprobe) == {"mine_vfio": "mine_vfio"}
    assert modprobe.asked == []


def test_a_native_is_never_loaded_for_its_name_since_it_would_take_devices(tmp_path: Path) -> None:
    modprobe = Modprobe(machine(tmp_path), {"e1000e": ["e1000e"]})
    assert names(modprobe.tree, "e1000e", load=True, modprobe=modprobe) == {"e1000e": "e1000e"}
    assert modprobe.asked == []


def test_what_another_kernel_or_another_task_has_cannot_be_loaded_yet(tmp_path: Path) -> None:
    modprobe = Modprobe(machine(tmp_path).kernel(DEBIAN_12, {"other_vfio": [V100_VARIANT]}), {})
    host = modprobe.tree.host(modprobe)
    other = Kernel.read(host, DEBIAN_12)
    assert driver_names(host, Inventory.read(host), ["other_vfio"], True, other) == {"other_vfio": "other_vfio"}
    later = Kernel.read(host, DEBIAN_13).with_pending([PendingModule("new_vfio", (V100_VARIANT,))])
    assert driver_names(host, Inventory.read(host), ["new_vfio"], True, later) == {"new_vfio": "new_vfio"}
    assert modprobe.asked == []


def test_a_module_that_cannot_be_loaded_is_told_with_the_reason(tmp_path: Path) -> None:
    modprobe = Modprobe(machine(tmp_path), {})
    with pytest.raises(HostError, match=r"Module mine_vfio cannot be loaded: .*Key was rejected by service") as caught:
        names(modprobe.tree, "mine_vfio", load=True, modprobe=modprobe)
    assert "Secure Boot" in str(caught.value.hint)


def test_a_module_without_pci_driver_is_told(tmp_path: Path) -> None:
    modprobe = Modprobe(machine(tmp_path), {"mine_vfio": []})
    with pytest.raises(HostError, match="registered no PCI driver"):
        names(modprobe.tree, "mine_vfio", load=True, modprobe=modprobe)


def test_of_several_drivers_none_of_which_is_the_modules_own_the_first_is_meant(tmp_path: Path) -> None:
    assert names(machine(tmp_path).module("mine-vfio", ["b-card", "a-card"]), "mine_vfio") == {"mine_vfio": "a-card"}


def test_drivers_of_other_buses_are_no_pci_drivers(tmp_path: Path) -> None:
    tree = machine(tmp_path).module("mine-vfio", ["mine-pci"])
    tree.link("/sys/module/mine_vfio/drivers/auxiliary:aaa", "/sys/bus/auxiliary/drivers/aaa")
    assert names(tree, "mine-vfio") == {"mine_vfio": "mine-pci"}


@pytest.mark.parametrize(
    ("module", "driver"),
    # drivers/vfio/pci/vfio_pci.c, drivers/vfio/pci/xe/main.c, drivers/pci/pci-stub.c, drivers/pci/pci-pf-stub.c
    [("vfio_pci", "vfio-pci"), ("xe_vfio_pci", "xe-vfio-pci"), ("pci_stub", "pci-stub"), ("pci-pf-stub", "pci-pf-stub")],
)
def test_the_kernels_own_drivers_whose_names_are_not_their_modules_are_known(tmp_path: Path, module: str, driver: str) -> None:
    assert list(names(Tree(tmp_path).kernel(DEBIAN_13, running=True), module).values()) == [driver]


def test_where_no_kernel_runs_the_module_s_name_is_taken(tmp_path: Path) -> None:
    modprobe = Modprobe(Tree(tmp_path).kernel(DEBIAN_13, {"mine_vfio": [V100_VARIANT]}), {})
    assert names(modprobe.tree, "mine_vfio", load=True, modprobe=modprobe) == {"mine_vfio": "mine_vfio"}
    assert names(modprobe.tree.running("9.9"), "mine_vfio", load=True, modprobe=modprobe) == {"mine_vfio": "mine_vfio"}
    assert modprobe.asked == []


def test_a_driver_that_the_inventory_knows_by_its_module_is_told(tmp_path: Path) -> None:
    tree = machine(tmp_path).driver("of-mine", "mine-vfio")
    tree.place("/sys/module/mine_vfio/drivers/pci:of-mine").unlink()
    assert names(tree, "mine-vfio") == {"mine_vfio": "of-mine"}


def test_the_module_is_loaded_by_its_name_and_never_taken_for_an_option(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def run(args: list[str], **_options: t.Any) -> tuple[int, str, str]:
        asked.append(args)
        return 1, "", "no"

    host = machine(tmp_path).host(run)
    with pytest.raises(HostError, match="cannot be loaded"):
        driver_names(host, Inventory.read(host), ["mine_vfio"], True)
    assert asked[0][-3:] == ["modprobe", "--", "mine_vfio"]
