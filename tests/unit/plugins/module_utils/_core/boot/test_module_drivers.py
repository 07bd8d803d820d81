# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel makes of a module: its drivers, whether it takes `ids=`, and whether it is loaded at all."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.module_drivers import module_facts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, PendingModule
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.module_files import module_file, signed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

CARD = Entry(0x10DE, 0x1DB1)
GPU = PciId(0x10DE, 0x1DB1)
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOCKDOWN = "/sys/kernel/security/lockdown"


def machine(tmp_path: Path, content: bytes | None = None, path: str = "kernel/drivers/gpu") -> Tree:
    """A host whose kernel has the module `gpu`, with the driver `gpu-pci`."""
    tree = Tree(tmp_path).kernel(DEBIAN_13, {path: [CARD.alias]}, builtin=["nvme", "tiny"], running=True)
    return tree.file(
        f"/lib/modules/{DEBIAN_13}/{path}.ko", driver_file(DEBIAN_13, [Driver(b"gpu-pci", (CARD,))]) if content is None else content
    )


def facts(tree: Tree, name: str = "gpu", cmdline: str = "", **options: t.Any) -> ModuleFacts:
    """Without what the file says of its parameters, licence and version."""
    return dataclasses.replace(all_facts(tree, name, cmdline, **options), types=None, license=None, version=None)


def all_facts(tree: Tree, name: str = "gpu", cmdline: str = "", **options: t.Any) -> ModuleFacts:
    host = tree.host()
    return module_facts(host, Kernel.read(host, DEBIAN_13), name, Cmdline.parse(cmdline), **options)


def test_the_drivers_stand_in_the_modules_file(tmp_path: Path) -> None:
    assert facts(machine(tmp_path)) == ModuleFacts((PciDriver("gpu-pci", (GPU,)),))


def test_a_module_is_asked_for_by_either_spelling(tmp_path: Path) -> None:
    tree = machine(tmp_path, driver_file(DEBIAN_13, [Driver(b"xe-vfio-pci", (CARD,))]), "kernel/drivers/xe-vfio-pci")
    assert facts(tree, "xe_vfio_pci") == facts(tree, "xe-vfio-pci") == ModuleFacts((PciDriver("xe-vfio-pci", (GPU,)),))


def test_a_module_with_the_parameter_takes_ids(tmp_path: Path) -> None:
    content = driver_file(DEBIAN_13, [Driver(b"gpu-pci", (CARD,))], parmtype="ids:string")
    assert facts(machine(tmp_path, content)).takes_ids


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    tree = machine(tmp_path)
    host = tree.host()
    kernel = Kernel.read(host, DEBIAN_13)
    before = module_facts(host, kernel, "gpu", Cmdline(()))
    assert module_facts(host, kernel, "gpu", Cmdline(())).drivers[0] is before.drivers[0]
    machine(tmp_path, driver_file(DEBIAN_13, [Driver(b"gpu-new", (CARD,))]))
    assert [driver.name for driver in module_facts(host, kernel, "gpu", Cmdline(())).drivers] == ["gpu-new"]


def test_what_a_file_says_is_kept_for_the_next_run(tmp_path: Path) -> None:
    tree = machine(tmp_path, driver_file(DEBIAN_13, [Driver(b"gpu-pci", (CARD,), probe_type=2)], parmtype="ids:string"))
    path = str(tree.place(f"/lib/modules/{DEBIAN_13}/kernel/drivers/gpu.ko"))
    read = ModuleContent.read(Host(), path, Cache(Host(), True, str(tmp_path / "kept"), 0.0))
    (kept,) = (tmp_path / "kept").iterdir()
    assert ModuleContent.read(Host(), path, Cache(Host(), False, str(tmp_path / "kept"))) == read
    kept.write_text(kept.read_text().replace("gpu-pci", "gpu-pcx"))
    again = ModuleContent.read(Host(), path, Cache(Host(), False, str(tmp_path / "kept")))
    assert [driver.name for driver in again.tables.drivers] == ["gpu-pcx"]


# -- names that no file tells


def test_a_driver_made_at_run_time_is_doubtful_with_the_modules_name_and_ids(tmp_path: Path) -> None:
    content = driver_file(DEBIAN_13, [], announced={"__mod_pci__t_device_table": (CARD,)})
    found = facts(machine(tmp_path, content))
    assert found.drivers == (PciDriver("gpu", (GPU,)),)
    assert found.doubt == "the name of its PCI driver cannot be read from the file of gpu"


def test_what_the_loaded_module_has_registered_settles_it(tmp_path: Path) -> None:
    content = driver_file(DEBIAN_13, [], announced={"__mod_pci__t_device_table": (CARD,)})
    found = facts(machine(tmp_path, content), registered={"gpu": ("hexium",)})
    assert found == ModuleFacts((PciDriver("hexium", (GPU,)),))


def test_vfio_pci_without_a_table_is_known_by_name(tmp_path: Path) -> None:
    tree = machine(tmp_path, module_file(DEBIAN_13, parmtype="ids:string"), "kernel/drivers/vfio-pci")
    assert facts(tree, "vfio_pci") == ModuleFacts((PciDriver("vfio-pci"),), takes_ids=True)


def test_a_module_that_drives_no_pci_device_has_no_driver(tmp_path: Path) -> None:
    assert facts(machine(tmp_path, module_file(DEBIAN_13))) == ModuleFacts(())


def test_a_module_that_another_task_installs_counts_as_installed(tmp_path: Path) -> None:
    host = machine(tmp_path).host()
    kernel = Kernel.read(host, DEBIAN_13).with_pending([PendingModule("new-vfio", (CARD.alias,))])
    found = module_facts(host, kernel, "new-vfio", Cmdline(()))
    assert found == ModuleFacts((PciDriver("new_vfio", (GPU,)),), takes_ids=True)


# -- built-in modules


def test_a_built_in_module_is_read_from_the_kernels_list(tmp_path: Path) -> None:
    listing = f"xhci_pci.alias={CARD.alias}\0vfio_pci.parmtype=ids:string\0vfio_pci.alias=vfio_pci:v*d*sv*sd*bc*sc*i*\0"
    tree = (
        Tree(tmp_path)
        .kernel(DEBIAN_13, builtin=["xhci-pci", "vfio-pci"])
        .file(f"/lib/modules/{DEBIAN_13}/modules.builtin.modinfo", listing)
    )
    assert facts(tree, "xhci-pci") == ModuleFacts((PciDriver("xhci_hcd", (GPU,)),))
    assert facts(tree, "vfio-pci") == ModuleFacts((PciDriver("vfio-pci", (PciId(override_only=True),)),), takes_ids=True)


def test_what_can_only_be_built_in_is_found_though_no_list_of_modules_names_it(tmp_path: Path) -> None:
    bridges, entry = "pci:v*d*sv*sd*bc06sc04i00*", PciId(class_code=0x060400, class_mask=0xFFFFFF)
    tree = machine(tmp_path).file(f"/lib/modules/{DEBIAN_13}/modules.builtin.modinfo", f"shpchp.alias={bridges}\0")
    assert facts(tree, "shpchp", cmdline="shpchp.async_probe") == ModuleFacts((PciDriver("shpchp", (entry,)),))


def test_a_built_in_driver_with_an_unknown_name_is_doubtful_until_it_is_seen(tmp_path: Path) -> None:
    tree = machine(tmp_path).file(f"/lib/modules/{DEBIAN_13}/modules.builtin.modinfo", f"tiny.alias={CARD.alias}\0")
    assert "so its driver's name cannot be read" in str(facts(tree, "tiny").doubt)
    assert facts(tree, "tiny", registered={"tiny": ("tiny-pci",)}) == ModuleFacts((PciDriver("tiny-pci", (GPU,)),))


# -- modules that the kernel refuses


def test_a_module_of_another_kernel_is_refused(tmp_path: Path) -> None:
    found = facts(machine(tmp_path, driver_file(DEBIAN_12, [Driver(b"gpu-pci", (CARD,))])))
    assert found.refused == f"/lib/modules/{DEBIAN_13}/kernel/drivers/gpu.ko was built for {DEBIAN_12}, not for {DEBIAN_13}"


@pytest.mark.parametrize(("built", "refused"), [("6.12.107-other", False), (DEBIAN_12, True)])
def test_symbol_versions_let_a_module_of_the_same_base_version_in(tmp_path: Path, built: str, refused: bool) -> None:
    found = facts(machine(tmp_path, driver_file(built, [Driver(b"gpu-pci", (CARD,))], sections={"__versions": bytes(64)})))
    assert (found.refused is not None, found.doubt is not None) == (refused, not refused)


def test_a_module_whose_file_is_gone_is_refused(tmp_path: Path) -> None:
    tree = machine(tmp_path)
    tree.place(f"/lib/modules/{DEBIAN_13}/kernel/drivers/gpu.ko").unlink()
    found = facts(tree)
    assert found.refused == f"/lib/modules/{DEBIAN_13}/kernel/drivers/gpu.ko is missing"
    assert found.drivers == (PciDriver("gpu", (GPU,)),)


def test_a_module_of_an_initramfs_alone_is_a_doubt(tmp_path: Path) -> None:
    host = machine(tmp_path).host()
    kernel = Kernel.read(host, DEBIAN_13)
    image = dataclasses.replace(kernel, modules={**kernel.modules, "early": "kernel/drivers/early.ko"})
    found = module_facts(host, image, "early", Cmdline(()))
    assert found.refused is None
    assert "exists only in an initramfs" in str(found.doubt)


def test_a_file_that_is_not_a_module_is_refused(tmp_path: Path) -> None:
    assert "is not a kernel module" in str(facts(machine(tmp_path, b"junk")).refused)


@pytest.mark.parametrize("cmdline", ["module.sig_enforce", "module.sig_enforce=1", "lockdown=integrity", "quiet lockdown=confidentiality"])
def test_an_unsigned_module_is_refused_where_the_command_line_asks_for_signatures(tmp_path: Path, cmdline: str) -> None:
    refused = facts(machine(tmp_path), cmdline=cmdline).refused
    assert refused is not None
    assert refused.startswith(f"/lib/modules/{DEBIAN_13}/kernel/drivers/gpu.ko is not signed")
    assert cmdline.rsplit(maxsplit=1)[-1].removesuffix("=1") in refused


# kstrtobool() in lib/kstrtox.c
@pytest.mark.parametrize("value", ["1", "y", "Y", "t", "T", "on", "On", "ON", "oN", "yes", "true", "1x"])
def test_signatures_are_asked_for_by_all_that_the_kernel_takes_for_yes(tmp_path: Path, value: str) -> None:
    assert "module.sig_enforce" in str(facts(machine(tmp_path), cmdline=f"module.sig_enforce={value}").refused)


@pytest.mark.parametrize("cmdline", ["", "module.sig_enforce=0", "module.sig_enforce=off", "module.sig_enforce=", "lockdown=none"])
def test_nothing_is_refused_where_nothing_asks_for_signatures(tmp_path: Path, cmdline: str) -> None:
    assert facts(machine(tmp_path).file(LOCKDOWN, "[none] integrity confidentiality\n"), cmdline=cmdline).refused is None


@pytest.mark.parametrize("cmdline", ["lockdown=integrity lockdown=none", "lockdown=none lockdown=confidentiality lockdown="])
def test_no_later_word_takes_a_lockdown_back(tmp_path: Path, cmdline: str) -> None:
    # lock_kernel_down() in security/lockdown/lockdown.c
    assert "on its command line" in str(facts(machine(tmp_path), cmdline=cmdline).refused)


def test_a_kernel_without_signatures_has_no_such_parameter(tmp_path: Path) -> None:
    tree = machine(tmp_path).file(f"/boot/config-{DEBIAN_13}", "# CONFIG_MODULE_SIG is not set\n")
    assert facts(tree, cmdline="module.sig_enforce=1").refused is None


def test_a_kernel_that_is_built_to_enforce_signatures_refuses(tmp_path: Path) -> None:
    tree = machine(tmp_path).file(f"/boot/config-{DEBIAN_13}", "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_FORCE=y\n")
    assert f"CONFIG_MODULE_SIG_FORCE=y in /boot/config-{DEBIAN_13}" in str(facts(tree).refused)


@pytest.mark.parametrize(("state", "refused"), [(b"\6\0\0\0\1", True), (b"\6\0\0\0\0", False)])
def test_secure_boot_refuses_where_the_kernel_locks_itself_down_for_it(tmp_path: Path, state: bytes, refused: bool) -> None:
    tree = machine(tmp_path).file(SECURE_BOOT, state).file(f"/boot/config-{DEBIAN_13}", "CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y\n")
    assert ("Secure Boot" in str(facts(tree).refused)) == refused


@pytest.mark.parametrize(
    ("options", "refused"), [("CONFIG_IMA_ARCH_POLICY=y\nCONFIG_MODULE_SIG=y\n", True), ("CONFIG_IMA_ARCH_POLICY=y\n", False)]
)
def test_secure_boot_refuses_where_the_integrity_architecture_asks_for_signatures(tmp_path: Path, options: str, refused: bool) -> None:
    """arch_get_ima_policy() in security/integrity/ima/ima_efi.c"""
    tree = machine(tmp_path).file(SECURE_BOOT, b"\6\0\0\0\1").file(f"/boot/config-{DEBIAN_13}", options)
    assert ("IMA_ARCH_POLICY" in str(facts(tree).refused)) == refused


def test_the_running_kernels_lockdown_counts_for_it_unless_its_own_command_line_made_it(tmp_path: Path) -> None:
    tree = machine(tmp_path).file(LOCKDOWN, "none [integrity] confidentiality\n")
    assert f"lockdown [integrity] in {LOCKDOWN}" in str(facts(tree).refused)
    assert facts(tree.cmdline("quiet lockdown=integrity")).refused is None
    assert facts(tree.cmdline("quiet").running(DEBIAN_12)).refused is None


def test_a_signed_module_of_the_kernel_is_let_in_and_a_foreign_signature_is_a_doubt(tmp_path: Path) -> None:
    content = signed(driver_file(DEBIAN_13, [Driver(b"gpu-pci", (CARD,))]), "DKMS module signing key")
    own = facts(machine(tmp_path / "own", content), cmdline="lockdown=integrity")
    assert (own.refused, own.doubt) == (None, None)
    foreign = facts(machine(tmp_path / "foreign", content, "updates/dkms/gpu"), cmdline="lockdown=integrity")
    assert foreign.refused is None
    assert "is signed by DKMS module signing key; its key is none of the machine owner's" in str(foreign.doubt)


@pytest.mark.parametrize(("cmdline", "doubted"), [("lockdown=integrity", True), ("", False)])
def test_a_module_that_is_to_be_built_is_doubted_where_its_key_is_not_enrolled(tmp_path: Path, cmdline: str, doubted: bool) -> None:
    host = machine(tmp_path).host()
    pending = [PendingModule("nvlink2gpu_vfio_pci", (CARD.alias,))]
    kernel = Kernel.read(host, DEBIAN_13).with_pending(pending)
    found = str(module_facts(host, kernel, "nvlink2gpu_vfio_pci", Cmdline.parse(cmdline)).doubt)
    assert ("nvlink2gpu_vfio_pci will be signed by DKMS; it makes a key for that at its first build" in found) == doubted


# -- asynchronous probing


@pytest.mark.parametrize(
    ("cmdline", "asynchronous"),
    [
        ("", False),
        ("driver_async_probe=other,gpu-pci", True),
        ("driver_async_probe=gpu-pci driver_async_probe=other", False),
        ("driver_async_probe=*", True),
        ("driver_async_probe=*,gpu-pci", False),
        ("gpu.async_probe", True),
        ("gpu.async_probe=1", True),
        ("gpu.async_probe=0", False),
        ("module.async_probe", True),
        ("module.async_probe gpu.async_probe=0", False),
    ],
)
def test_the_command_line_makes_drivers_probe_asynchronously(tmp_path: Path, cmdline: str, asynchronous: bool) -> None:
    assert [driver.asynchronous for driver in facts(machine(tmp_path), cmdline=cmdline).drivers] == [asynchronous]


def test_a_driver_that_must_be_synchronous_stays_so(tmp_path: Path) -> None:
    tree = machine(tmp_path, driver_file(DEBIAN_13, [Driver(b"gpu-pci", (CARD,), probe_type=2)]))
    assert not facts(tree, cmdline="driver_async_probe=* gpu.async_probe").drivers[0].asynchronous


def test_a_driver_that_prefers_to_be_asynchronous_is_so(tmp_path: Path) -> None:
    assert facts(machine(tmp_path, driver_file(DEBIAN_13, [Driver(b"gpu-pci", (CARD,), probe_type=1)]))).drivers[0].asynchronous


def test_older_kernels_do_not_know_the_words_for_all_drivers(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12, {"kernel/drivers/gpu": [CARD.alias]})
    tree.file(f"/lib/modules/{DEBIAN_12}/kernel/drivers/gpu.ko", driver_file(DEBIAN_12, [Driver(b"gpu-pci", (CARD,))]))
    host = tree.host()
    words = Cmdline.parse("driver_async_probe=* module.async_probe")
    assert not module_facts(host, Kernel.read(host, DEBIAN_12), "gpu", words).drivers[0].asynchronous
