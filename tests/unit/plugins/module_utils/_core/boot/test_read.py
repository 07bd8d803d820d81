# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's boots, one for each kernel: read from its files, and forecast from what was read."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry, NextBoot
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit import boot_menus
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, driver_file
from ansible_collections.vfio.variants.tests.unit.driver_files import Entry as IdEntry
from ansible_collections.vfio.variants.tests.unit.images import archive
from ansible_collections.vfio.variants.tests.unit.initramfs_files import IMAGE, dracut, initramfs_tools
from ansible_collections.vfio.variants.tests.unit.module_files import signed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, E1000E, NVIDIA_DISPLAY, Tree, stock_debian

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot

CARD, NIC = "0000:01:00.0", "0000:00:02.0"
GRUB = "/boot/grub/grub.cfg:132"
ETHERNET = 0x020000
V100 = "pci:v000010DEd00001DB1sv*sd*bc*sc*i*"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    stock = stock_debian(tmp_path).systemd().cmdline("ro intel_iommu=on")
    return stock.pci(CARD, group=1, driver="nouveau").pci(NIC, "8086:10d3", class_code=ETHERNET, group=2, driver="e1000e")


def boots(tree: Tree, *entries: BootEntry) -> dict[str, Boot]:
    host = tree.host()
    loader = NextBoot(DEBIAN_13, "", {entry.release: entry for entry in entries})
    found = read.boots(host, Inventory.read(host), read_all(host), DEBIAN_13, loader)
    return {boot.release: boot for boot in found}


def entry(cmdline: str = "ro intel_iommu=on", initrds: tuple[str, ...] = (), doubts: tuple[str, ...] = ()) -> BootEntry:
    return BootEntry(DEBIAN_13, Cmdline.parse(cmdline), GRUB, initrds, doubts)


def the_boot(tree: Tree, *given: t.Any, **more: t.Any) -> Boot:
    return boots(tree, entry(*given, **more))[DEBIAN_13]


def stages(boot: Boot) -> list[str]:
    return [stage.name for stage in boot.stages]


def winners(tree: Tree, boot: Boot) -> dict[str, str | None]:
    found = forecast(Inventory.read(tree.host()).devices, boot)
    return {address: winner.driver for address, winner in found.items()}


# -- the entry and its images


def test_a_boot_is_given_what_its_entry_says(tree: Tree) -> None:
    boot = the_boot(tree, "ro modprobe.blacklist=nouveau")
    assert (boot.cmdline_source, boot.cmdline.blacklisted, boot.doubts) == (GRUB, ("nouveau",), ())


def test_an_entry_without_an_image_has_no_initramfs_stage(tree: Tree) -> None:
    tree.file(IMAGE, archive(initramfs_tools()))
    assert stages(the_boot(tree)) == ["root"]


def test_an_image_is_a_stage_of_its_own(tree: Tree) -> None:
    tree.file(IMAGE, archive(initramfs_tools())).file("/boot/intel-ucode.img", archive({"kernel/x86/microcode/GenuineIntel.bin": b"u"}))
    assert stages(the_boot(tree, initrds=("/boot/intel-ucode.img", IMAGE))) == ["initramfs", "root"]


@pytest.mark.parametrize("content", [b"", b"damaged", archive({"squashfs-root.img": "hsqs"})])
def test_an_image_that_cannot_be_read_is_not_a_stage_but_a_doubt(tree: Tree, content: bytes) -> None:
    boot = the_boot(tree.file(IMAGE, content), initrds=(IMAGE,))
    assert stages(boot) == ["root"]
    (doubt,) = boot.doubts
    assert IMAGE in doubt


def test_an_image_that_is_not_there_is_a_doubt(tree: Tree) -> None:
    assert the_boot(tree, initrds=(IMAGE,)).doubts == (
        f"{GRUB} names {IMAGE}, which does not exist: what the initramfs does cannot be determined.",
    )


def test_several_images_are_unpacked_one_over_the_other(tree: Tree) -> None:
    tree.file(IMAGE, archive(initramfs_tools())).file("/boot/site.img", archive({"etc/modprobe.d/site.conf": "blacklist e1000e\n"}))
    boot = the_boot(tree, initrds=(IMAGE, "/boot/site.img"))
    assert (stages(boot), boot.doubts, boot.stages[0].place) == (["initramfs", "root"], (), f"{IMAGE}+/boot/site.img")
    assert boot.stages[0].config.blacklisted("e1000e")
    assert not boot.stages[1].config.blacklisted("e1000e")
    assert [stage.is_of_several for stage in boot.stages] == [True, False]


@pytest.mark.parametrize("name", ["/boot/early.bin", "/boot/intel-ucode.img"])
def test_microcode_is_told_by_its_content_whatever_its_name(tree: Tree, name: str) -> None:
    tree.file(IMAGE, archive(initramfs_tools())).file(name, archive({"kernel/x86/microcode/AuthenticAMD.bin": b"microcode"}))
    boot = the_boot(tree, initrds=(name, IMAGE))
    assert (boot.stages[0].place, boot.doubts, boot.stages[0].is_of_several) == (IMAGE, (), False)
    tree.file(name, archive({"kernel/x86/microcode/AuthenticAMD.bin": b"", "etc/modprobe.d/site.conf": "blacklist e1000e\n"}))
    assert the_boot(tree, initrds=(IMAGE, name)).stages[0].config.blacklisted("e1000e")


def test_the_facts_of_the_command_line_name_the_file_that_a_person_edits(tree: Tree) -> None:
    one = dataclasses.replace(entry("ro modprobe.blacklist=nouveau"), edited=("/etc/default/grub:9",))
    boot = boots(tree, one)[DEBIAN_13]
    assert boot.cmdline_source == f"{GRUB} (from /etc/default/grub:9)"
    assert [str(source) for source in boot.stages[0].config.blacklisted("nouveau")] == [boot.cmdline_source]


def test_an_entrys_own_doubts_are_the_boots(tree: Tree) -> None:
    assert the_boot(tree, doubts=("The menu is written by a script.",)).doubts == ("The menu is written by a script.",)


def test_a_kernel_without_an_entry_is_taken_to_boot_as_the_running_one_and_in_doubt(tree: Tree) -> None:
    tree.kernel(DEBIAN_12, {"e1000e": [E1000E]})
    other = boots(tree, entry())[DEBIAN_12]
    assert other.cmdline.arguments == ("ro", "intel_iommu=on")
    assert other.doubts[0].startswith(f"The boot loader's menu has no entry for kernel {DEBIAN_12}: ")


def test_where_only_the_running_kernel_is_known_its_generators_image_counts(tree: Tree) -> None:
    tree.file(IMAGE, archive(initramfs_tools())).directory("/etc/dpkg")
    host = tree.host()
    (boot,) = read.boots(host, Inventory.read(host), read_all(host), DEBIAN_13)
    assert (stages(boot), boot.cmdline_source, boot.doubts) == (["initramfs", "root"], "/proc/cmdline", ())


def whole(tree: Tree) -> Boot:
    """The running kernel's boot as the host's own loader has it."""
    host = tree.host()
    (boot,) = read.boots(host, Inventory.read(host), read_all(host), DEBIAN_13)
    return boot


def test_what_is_left_over_from_another_loader_is_not_part_of_a_boot(tree: Tree) -> None:
    tree.file(IMAGE, archive(initramfs_tools())).directory("/etc/dpkg").cmdline("root=ZFS=rpool/ROOT/pve-1")
    tree.file("/boot/grub/grub.cfg", boot_menus.debian_grub([DEBIAN_13], "vfio-pci.ids=10de:1db1"))
    boot = whole(boot_menus.efi_variable(tree, "LoaderInfo", "systemd-boot 252"))
    assert (boot.cmdline.arguments, boot.cmdline_source) == (("root=ZFS=rpool/ROOT/pve-1",), "/proc/cmdline")
    assert boot.doubts == ("The boot loader's configuration cannot be read: the running kernel's arguments are assumed.",)
    found = forecast(Inventory.read(tree.host()).devices, boot)
    assert {winner.certainty for winner in found.values()} == {"unknown"}


def test_a_kernel_that_was_given_an_image_by_name_boots_with_it(tree: Tree) -> None:
    tree.directory("/sys/firmware/efi/efivars").cmdline("root=UUID=1 rw initrd=\\initramfs-linux.img")
    assert "initrd=\\initramfs-linux.img is an initramfs on a partition that is not mounted" in whole(tree).doubts[1]
    assert stages(whole(tree.file("/boot/initramfs-linux.img", archive(initramfs_tools())))) == ["initramfs", "root"]


# -- modules


def test_natives_variants_and_what_softdeps_bring_along_are_known(tmp_path: Path) -> None:
    modules = {"e1000e": [E1000E], "e1000e-vfio-pci": [E1000E.replace("pci:", "vfio_pci:")], "updates/first": [], "ext4": [], "igb": [V100]}
    tree = Tree(tmp_path).kernel(DEBIAN_13, modules, running=True).systemd().pci(NIC, "8086:10d3", class_code=ETHERNET)
    tree.file("/etc/modprobe.d/site.conf", "softdep e1000e pre: first post: ext4\n")
    assert set(the_boot(tree).modules) == {"e1000e", "e1000e_vfio_pci", "first"}


def test_what_config_overrides_and_lists_name_is_known(tmp_path: Path) -> None:
    names = ("configured", "overriding", "assigned", "listed", "given")
    tree = Tree(tmp_path).kernel(DEBIAN_13, {f"updates/{name}": [] for name in names}, running=True).systemd().pci(CARD)
    tree.file("/etc/modprobe.d/site.conf", "alias pci:v000010DE* configured\noptions given ids=10de:1db1\n")
    tree.file("/etc/udev/rules.d/90-site.rules", 'ATTR{driver_override}="overriding"\n').file("/etc/modules-load.d/a.conf", "listed\n")
    tree.driverctl().file(f"/etc/driverctl.d/pci-{CARD}", "assigned\n")
    assert set(names) <= the_boot(tree).modules.keys()


def test_the_running_kernel_tells_a_drivers_name_better_than_any_guess(tree: Tree) -> None:
    tree.driver("nouveau-of-sysfs", "nouveau").place("/sys/bus/pci/drivers/nouveau/module").unlink()
    assert [driver.name for driver in the_boot(tree).modules["nouveau"].drivers] == ["nouveau-of-sysfs"]


def test_an_image_with_another_build_of_a_module_is_in_doubt_about_it(tree: Tree) -> None:
    tree.file(IMAGE, archive(initramfs_tools({"e1000e": ["pci:v00008086d0000FFFFsv*sd*bc*sc*i*"]})))
    doubt = the_boot(tree, initrds=(IMAGE,)).modules["e1000e"].doubt
    assert doubt is not None


# -- built-in drivers


def test_a_built_in_driver_that_has_a_device_now_has_it_again(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, builtin=["net/e1000e"], running=True).systemd().driver("e1000e")
    boot = the_boot(tree.pci(NIC, "8086:10d3", class_code=ETHERNET, driver="e1000e"))
    assert boot.held_by_built_in == {NIC: "e1000e"}


def test_a_loadable_driver_that_has_a_device_is_asked_again(tree: Tree) -> None:
    assert the_boot(tree).held_by_built_in == {}


def test_a_built_in_vfio_pci_has_what_it_was_told_to_take(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, builtin=["vfio/pci/vfio-pci"], running=True).systemd().driver("vfio-pci", "vfio_pci")
    boot = the_boot(tree.pci(CARD, driver="vfio-pci"))
    assert boot.held_by_built_in == {}
    assert [(module, driver.name) for module, driver in boot.built_in] == [("vfio_pci", "vfio-pci")]
    assert boot.maybe_built_in == {CARD: ()}


OLD = "6.1.0-own"


def boot_of_another_kernel(tree: Tree, builtin: str = "net/e1000e", release: str = OLD, loadable: str = "net/other") -> Boot:
    """That of a kernel that does not run and has a driver built in; the running kernel has the driver as a module."""
    tree.kernel(DEBIAN_13, {"net/e1000e": [E1000E]}, running=True).kernel(release, {loadable: []}, [builtin]).systemd()
    return boots(tree)[release]


def test_a_modules_driver_that_has_a_device_now_has_it_where_it_is_built_in(tmp_path: Path) -> None:
    tree = Tree(tmp_path).driver("e1000e", "e1000e")
    boot = boot_of_another_kernel(tree.pci(NIC, "8086:10d3", class_code=ETHERNET, driver="e1000e"))
    assert boot.held_by_built_in == {NIC: "e1000e"}


@pytest.mark.parametrize(
    ("given", "drivers"),
    [
        ({}, {NIC: ("e1000e",)}),
        ({"builtin": "net/unheard"}, {}),
        # Its own list is complete since Linux 6.18.
        ({"release": "6.18.1-own"}, {}),
        ({"loadable": "net/e1000e"}, {}),
    ],
)
def test_other_kernels_tell_for_which_devices_a_built_in_driver_is(tmp_path: Path, given: dict[str, str], drivers: object) -> None:
    tree = Tree(tmp_path).driver("pcieport").pci(NIC, "8086:10d3", class_code=ETHERNET)
    assert boot_of_another_kernel(tree, **given).maybe_built_in == drivers


SATA, USB, NVME = 0x010601, 0x0C0330, 0x010802


@pytest.mark.parametrize(
    ("number", "class_code", "builtin", "bound", "drivers"),
    [
        # By its class.
        ("8086:2922", SATA, ["ata/ahci"], {}, ("ahci",)),
        ("1b36:000d", USB, ["usb/host/xhci-pci"], {}, ("xhci_hcd",)),
        ("1b36:0010", NVME, ["nvme/host/nvme"], {}, ("nvme",)),
        ("8086:2922", SATA, ["nvme/host/nvme"], {}, None),
        # As an equal one that is bound.
        ("8086:10d3", ETHERNET, ["net/e1000e", "net/igb"], {"e1000e": "8086:10d3"}, ("e1000e",)),
        # By what is registered for such devices.
        ("8086:10d3", ETHERNET, ["net/e1000e", "net/igb", "ata/ahci"], {"e1000e": "8086:1533"}, ("e1000e",)),
        ("8086:10d3", ETHERNET, ["net/e1000e"], {}, None),
        ("8086:a0a3", 0x0C0500, ["net/e1000e"], {"e1000e": "8086:1533"}, None),
        ("1022:1480", 0x060000, ["net/e1000e"], {"e1000e": "8086:1533"}, None),
    ],
)
def test_a_built_in_driver_may_have_lost_a_device_by_hand(
    tmp_path: Path, number: str, class_code: int, builtin: list[str], bound: dict[str, str], drivers: tuple[str, ...] | None
) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, builtin=builtin, running=True).systemd().driver("pcieport")
    for other, its in bound.items():
        tree.driver(other).pci("0000:09:00.0", its, class_code=ETHERNET, driver=other)
    given = {} if drivers is None else {NIC: drivers}
    assert the_boot(tree.pci(NIC, number, class_code=class_code)).maybe_built_in == given


def test_what_a_device_without_a_driver_was_told_to_have_and_lists_of_ids_decide(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, builtin=["ata/ahci"], running=True).systemd().driver("ahci")
    assert the_boot(tree.pci(NIC, "8086:2922", class_code=SATA, override="vfio-pci")).maybe_built_in == {}
    tree.file(f"/lib/modules/{DEBIAN_13}/modules.builtin.modinfo", "ahci.alias=pci:v*d*sv*sd*bc01sc06i01*\0")
    assert the_boot(tree.pci(CARD, "8086:2922", class_code=SATA)).maybe_built_in == {}


def test_where_nothing_runs_any_built_in_driver_may_be_for_a_device_without_another(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"net/e1000e": [E1000E]}, ["net/zzz"]).systemd()
    tree.pci(NIC, "8086:10d3", class_code=ETHERNET).pci(CARD)
    assert the_boot(tree).maybe_built_in == {CARD: ()}


def test_built_in_drivers_are_in_link_order_where_the_kernel_tells_them(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, builtin=["net/zzz", "net/aaa"], running=True).systemd()
    modinfo = f"aaa.alias={E1000E}\0zzz.alias={E1000E}\0other.alias={NVIDIA_DISPLAY}\0"
    tree.file(f"/lib/modules/{DEBIAN_13}/modules.builtin.modinfo", modinfo)
    boot = the_boot(tree.pci(NIC, "8086:10d3", class_code=ETHERNET))
    assert [module for module, _driver in boot.built_in] == ["zzz", "aaa"]
    assert boot.maybe_built_in == {}


# -- the machine


def test_a_registered_driver_that_left_a_device_alone_has_declined_it(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path).systemd().driver("e1000e", "e1000e").pci(NIC, "8086:10d3", class_code=ETHERNET)
    assert the_boot(tree).declined == {NIC: frozenset({"e1000e"})}


def test_the_iommu_is_known_as_long_as_the_command_line_says_the_same_of_it(tree: Tree) -> None:
    assert the_boot(tree).has_iommu is True
    assert the_boot(tree, "quiet intel_iommu=on").has_iommu is True
    assert the_boot(tree, "ro").has_iommu is None


# -- from the files to the winner


@pytest.fixture
def real(tree: Tree) -> Tree:
    """The same host with modules that a kernel would load."""
    here = f"/lib/modules/{DEBIAN_13}/kernel/drivers"
    tree.file(f"{here}/gpu/drm/nouveau/nouveau.ko", driver_file(DEBIAN_13, [Driver(b"nouveau", (IdEntry(0x10DE, 0x1DB1),))]))
    return tree.file(f"{here}/net/ethernet/intel/e1000e/e1000e.ko", driver_file(DEBIAN_13, [Driver(b"e1000e", (IdEntry(0x8086, 0x10D3),))]))


def test_stock_natives_win(real: Tree) -> None:
    assert winners(real, the_boot(real)) == {CARD: "nouveau", NIC: "e1000e"}


def test_a_blacklist_for_the_root_comes_too_late_for_what_the_image_loads(real: Tree) -> None:
    real.file("/etc/modprobe.d/site.conf", "blacklist e1000e\n").file(IMAGE, archive(initramfs_tools()))
    assert winners(real, the_boot(real, initrds=(IMAGE,)))[NIC] == "e1000e"
    assert winners(real, the_boot(real))[NIC] is None


def test_a_dracut_blacklist_reaches_into_the_root(real: Tree) -> None:
    real.file(IMAGE, archive(dracut()))
    assert winners(real, the_boot(real, "intel_iommu=on", initrds=(IMAGE,)))[CARD] == "nouveau"
    assert winners(real, the_boot(real, "intel_iommu=on rd.driver.blacklist=nouveau", initrds=(IMAGE,)))[CARD] is None


# -- a module that the image has from elsewhere


def with_newer_driver(tree: Tree, old: bytes, new: bytes) -> Boot:
    """A driver was installed to updates/ under lockdown, and the image still has the kernel's own."""
    path = "kernel/drivers/e1000e"
    tree.kernel(DEBIAN_13, {"updates/e1000e": [E1000E]}, running=True)
    tree.file(f"/lib/modules/{DEBIAN_13}/{path}.ko", old).file(f"/lib/modules/{DEBIAN_13}/updates/e1000e.ko", new)
    tree.file(IMAGE, archive(initramfs_tools({"e1000e": [E1000E]})))
    return the_boot(tree, "ro intel_iommu=on lockdown=integrity", initrds=(IMAGE,))


def nic_driver(name: bytes = b"e1000e", **more: t.Any) -> bytes:
    return driver_file(DEBIAN_13, [Driver(name, (IdEntry(0x8086, 0x10D3),))], **more)


def test_a_driver_that_the_kernel_refuses_may_be_loaded_from_an_image_with_an_older_one(tree: Tree) -> None:
    boot = with_newer_driver(tree, signed(nic_driver(), "Debian"), nic_driver())
    found = forecast(Inventory.read(tree.host()).devices, boot)[NIC]
    assert found.certainty == "unknown"
    assert set(found.outcomes) >= {"e1000e", None}
    assert f"{IMAGE} has kernel/drivers/e1000e.ko as e1000e, and the root has updates/e1000e.ko" in str(boot.modules["e1000e"].doubt)
    assert "is not signed" in str(boot.modules["e1000e"].doubt)


def test_an_older_driver_in_the_image_that_is_taken_as_the_newer_one_makes_nothing_uncertain(tree: Tree) -> None:
    old = signed(nic_driver(), "Debian")
    assert the_boot(tree).modules["e1000e"].doubt is None
    assert with_newer_driver(tree, nic_driver(), nic_driver()).modules["e1000e"].refused is not None
    assert with_newer_driver(tree, old, signed(nic_driver(b"other"), "DKMS")).modules["e1000e"].doubt is not None
