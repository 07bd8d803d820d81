# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts what is built in, what its drivers are called and how they probe, compared with the sources of Linux."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.module_drivers import BUILT_IN_ASYNCHRONOUS, BUILT_IN_NAMES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.initcalls import (
    FUNCTIONS,
    OF_NO_DRIVER,
    functions_of,
    in_running,
    of_built_in,
)
from ansible_collections.vfio.variants.tests.unit.sources import LINUX
from ansible_collections.vfio.variants.tests.unit.trees import Tree

INIT = "include/linux/init.h"
# The files of each module; the one with its name first, then those that define the words in it.
FILES = {
    **{f"8250_{one}": f"drivers/tty/serial/8250/8250_{one}.c" for one in ("exar", "lpss", "mid", "pci", "pericom")},
    "ahci": "drivers/ata/ahci.c",
    "amd64_agp": "drivers/char/agp/amd64-agp.c",
    "amdgpu": "drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c drivers/gpu/drm/amd/amdgpu/amdgpu_drv.h",
    "ast": "drivers/gpu/drm/ast/ast_drv.c drivers/gpu/drm/ast/ast_drv.h",
    "ata_generic": "drivers/ata/ata_generic.c",
    "ata_piix": "drivers/ata/ata_piix.c",
    "bochs": "drivers/gpu/drm/tiny/bochs.c",
    "dwc3_pci": "drivers/usb/dwc3/dwc3-pci.c",
    "e1000": "drivers/net/ethernet/intel/e1000/e1000_main.c",
    "e1000e": "drivers/net/ethernet/intel/e1000e/netdev.c",
    "ehci_pci": "drivers/usb/host/ehci-pci.c",
    "hpsa": "drivers/scsi/hpsa.c",
    "i2c_designware_pci": "drivers/i2c/busses/i2c-designware-pcidrv.c",
    "i2c_i801": "drivers/i2c/busses/i2c-i801.c",
    "i2c_piix4": "drivers/i2c/busses/i2c-piix4.c",
    "i915": "drivers/gpu/drm/i915/i915_pci.c drivers/gpu/drm/i915/i915_module.c drivers/gpu/drm/i915/i915_driver.h",
    "igb": "drivers/net/ethernet/intel/igb/igb_main.c",
    "intel_agp": "drivers/char/agp/intel-agp.c",
    "intel_lpss_pci": "drivers/mfd/intel-lpss-pci.c",
    "iosf_mbi": "arch/x86/platform/intel/iosf_mbi.c",
    "ixgbe": "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c",
    "mei_me": "drivers/misc/mei/pci-me.c",
    "mlx4_core": "drivers/net/ethernet/mellanox/mlx4/main.c drivers/net/ethernet/mellanox/mlx4/mlx4.h",
    "mlx5_core": "drivers/net/ethernet/mellanox/mlx5/core/main.c",
    "mpt3sas": "drivers/scsi/mpt3sas/mpt3sas_scsih.c drivers/scsi/mpt3sas/mpt3sas_base.h",
    "nouveau": "drivers/gpu/drm/nouveau/nouveau_drm.c",
    "nvme": "drivers/nvme/host/pci.c",
    "ohci_pci": "drivers/usb/host/ohci-pci.c",
    "pci_pf_stub": "drivers/pci/pci-pf-stub.c",
    "pci_stub": "drivers/pci/pci-stub.c",
    "pcieport": "drivers/pci/pcie/portdrv.c",
    "pvpanic_pci": "drivers/misc/pvpanic/pvpanic-pci.c",
    "r8169": "drivers/net/ethernet/realtek/r8169_main.c",
    "radeon": "drivers/gpu/drm/radeon/radeon_drv.c drivers/gpu/drm/radeon/radeon_drv.h",
    "sdhci_pci": "drivers/mmc/host/sdhci-pci-core.c",
    "shpchp": "drivers/pci/hotplug/shpchp_core.c",
    "sis_agp": "drivers/char/agp/sis-agp.c",
    "snd_hda_intel": "sound/pci/hda/hda_intel.c",
    "tg3": "drivers/net/ethernet/broadcom/tg3.c",
    "thunderbolt": "drivers/thunderbolt/nhi.c",
    "ufshcd_pci": "drivers/ufs/host/ufshcd-pci.c include/ufs/ufshcd.h",
    "uhci_hcd": "drivers/usb/host/uhci-pci.c drivers/usb/host/uhci-hcd.c",
    "vfio_pci": "drivers/vfio/pci/vfio_pci.c",
    "via_agp": "drivers/char/agp/via-agp.c",
    "virtio_pci": "drivers/virtio/virtio_pci_common.c",
    "vmd": "drivers/pci/controller/vmd.c",
    "vmxnet3": "drivers/net/vmxnet3/vmxnet3_drv.c",
    "xe": "drivers/gpu/drm/xe/xe_pci.c drivers/gpu/drm/xe/xe_module.c drivers/gpu/drm/xe/xe_drv.h",
    "xen_pciback": "drivers/xen/xen-pciback/pci_stub.c",
    "xhci_pci": "drivers/usb/host/xhci-pci.c",
    "xhci_pci_renesas": "drivers/usb/host/xhci-pci-renesas.c",
    "yenta_socket": "drivers/pcmcia/yenta_socket.c",
}
# Linux 6.12 does not have these yet.
NEWER = {"8250_mxpcie"}
OF_NO_DRIVER_FILES = (
    "crypto/af_alg.c crypto/algif_aead.c crypto/algif_hash.c crypto/algif_skcipher.c drivers/cpufreq/acpi-cpufreq.c"
    " drivers/cpufreq/amd-pstate.c drivers/cpufreq/cpufreq_performance.c drivers/cpufreq/intel_pstate.c drivers/firmware/sysfb.c"
    " drivers/gpu/drm/tiny/simpledrm.c drivers/video/fbdev/efifb.c drivers/video/fbdev/simplefb.c drivers/video/fbdev/vesafb.c"
    " io_uring/io_uring.c"
).split()
# Names of before, which guides still have; no function of Linux 6.12 has them.
OLD = {"algif_rng_init", "efifb_init", "intel_rapl_init", "simplefb_init", "vesafb_init"}
# Of platform, I2C and virtio drivers; those of the framebuffer are newer than 6.12.  NVIDIA's guides leave out the first on Grace.
# (drivers/soc/tegra/cbb, drivers/platform/x86/amd/pmc, drivers/input/touchscreen, net/vmw_vsock, drivers/gpu/drm/sysfb)
NOT_ON_PCI = {
    *("tegra234_cbb_init", "amd_pmc_driver_init", "elants_i2c_driver_init", "virtio_vsock_init"),
    *("efidrm_platform_driver_init", "vesadrm_platform_driver_init"),
}
MACRO = re.compile(r"^\s*(\w+)\((\w+)", re.MULTILINE)
DRIVER = re.compile(r"^static struct pci_driver\s+\w+ = \{\n([\s\S]*?)^\};", re.MULTILINE)


def registration(module: str) -> str:
    return "".join(LINUX.registration(path) for path in FILES[module].split())


def functions(text: str) -> set[str]:
    """module_init() and the initcalls are given a function, the others a driver: of its name they make that of the function."""
    found = MACRO.findall(re.sub(r"^static struct[\s\S]*?^\};", "", text, flags=re.MULTILINE))
    called = {name for macro, name in found if macro == "module_init" or macro.endswith(("initcall", "initcall_sync"))}
    made = {
        f"{name}_init"
        for macro, name in found
        if re.fullmatch(r"(?:drm_)?(?:module|builtin)_(?!exit)\w*driver\w*|cpufreq_governor_init", macro)
    }
    return called | made


def names(module: str) -> set[str]:
    """The names of the file's PCI drivers, a macro or variable being looked up."""
    text = registration(module)
    said = dict(re.findall(r"(?:#define\s+|char )(\w+)(?:\[\])?\s*=?\s*(?:\\\n\s*)?\"([^\"]*)\"", text))
    written = (re.search(r"\.name\s*=\s*(\S+?),?\s", block) for block in DRIVER.findall(text))
    words: list[str] = [one[1] for one in written if one is not None]
    found = (word.strip('"') if word.startswith('"') else said.get(word, word) for word in words)
    return {module if name == "KBUILD_MODNAME" else name for name in found}


def test_linux_makes_the_functions_name_of_the_driver_s() -> None:
    assert "static int __init __driver##_init(void)" in LINUX.text("include/linux/device/driver.h", "#define module_driver(", "#define")
    assert "module_driver(__pci_drv, drm_pci_register_driver" in LINUX.text("include/drm/drm_module.h", "#define drm_module_pci_driver(")
    assert "module_driver(__pci_driver, pci_register_driver" in LINUX.text("include/linux/pci.h", "#define module_pci_driver(")


def test_every_known_module_is_compared() -> None:
    assert FILES.keys() | NEWER == FUNCTIONS.keys()
    assert BUILT_IN_NAMES.keys() - FILES.keys() == {*NEWER, "xe_vfio_pci", "uio_pci_generic_sva"}


@pytest.mark.parametrize("module", FILES)
def test_a_built_in_module_is_started_by_the_function_that_its_source_names(module: str) -> None:
    assert of_built_in(module) == frozenset((FUNCTIONS[module],))
    assert FUNCTIONS[module] in functions(registration(module))
    assert len(functions(registration(module))) == 1 or module == "xen_pciback"


def test_the_driver_of_xen_is_registered_by_the_first_of_its_two_functions() -> None:
    path = "drivers/xen/xen-pciback/pci_stub.c"
    assert functions(LINUX.registration(path)) == {"pcistub_init", "xen_pcibk_init"}
    assert "pci_register_driver(&xen_pcibk_pci_driver)" in LINUX.text(path, "static int __init pcistub_init(void)", "\n}\n")
    assert "#ifdef MODULE\n\terr = pcistub_init();" in LINUX.text(path, "static int __init xen_pcibk_init(void)", "\n}\n")


@pytest.mark.parametrize("module", sorted(FILES.keys() & BUILT_IN_NAMES.keys()))
def test_a_built_in_driver_has_the_name_that_its_source_gives_it(module: str) -> None:
    assert BUILT_IN_NAMES[module] in names(module)


def test_built_in_drivers_that_probe_asynchronously_are_those_that_say_so() -> None:
    files = {**FILES, "cxl_pci": "drivers/cxl/pci.c"}
    found = {module for module in files if any("PROBE_PREFER_ASYNCHRONOUS" in LINUX.registration(path) for path in files[module].split())}
    assert {BUILT_IN_NAMES.get(module, module) for module in found} == BUILT_IN_ASYNCHRONOUS


def test_functions_that_start_no_pci_driver_are_those_of_files_without_one() -> None:
    texts = [LINUX.registration(path) for path in OF_NO_DRIVER_FILES]
    assert not any(DRIVER.search(text) for text in texts)
    assert set.union(*map(functions, texts)) | OLD | NOT_ON_PCI | {"xen_pcibk_init"} == OF_NO_DRIVER


def test_the_symbol_of_a_function_is_as_linux_s_macros_make_it(tmp_path: Path) -> None:
    macros = LINUX.text(INIT, "#define __initcall_id(fn)", "struct obs_kernel_param")
    levels = re.findall(r"^#define (\w+_initcall(?:_sync)?)\(fn\)", macros, re.MULTILINE)
    assert {"early_initcall", "rootfs_initcall", "device_initcall", "late_initcall_sync", "console_initcall"} <= set(levels)
    source = tmp_path / "a.c"
    given = "#define __PASTE_(a, b) a##b\n#define __PASTE(a, b) __PASTE_(a, b)\n#define __KBUILD_MODNAME kmod_pcie_x\n"
    source.write_text(given + macros + "".join(f"{level}(f_{level})\n" for level in levels))
    made = subprocess.run(["gcc", "-E", "-P", source], check=True, timeout=60, capture_output=True, text=True).stdout
    symbols = [f"ffffffff81000000 d {name}\n" for name in re.findall(r"\b__initcall__\w+", made)]
    assert len(symbols) == len(levels)
    assert [functions_of(symbol) for symbol in symbols] == [{"pcie_x": {f"f_{level}"}} for level in levels]


@pytest.mark.parametrize(
    ("module", "present", "found"),
    [
        ("xen_pciback", ("pcistub_init", "xen_pcibk_init"), {"pcistub_init"}),
        ("xen_pciback", ("renamed_init", "other_init"), {"renamed_init", "other_init"}),
        ("xen_pciback", (), {"pcistub_init"}),
        ("no_such", (), None),
    ],
)
def test_of_several_functions_of_the_running_kernel_the_one_that_registers_the_driver_is_meant(
    tmp_path: Path, module: str, present: tuple[str, ...], found: set[str] | None
) -> None:
    symbols = "".join(f"ffffffff81000000 d __initcall__kmod_{module}__5_3_{name}6\n" for name in present)
    assert in_running(Tree(tmp_path).file("/proc/kallsyms", symbols).host(), module) == found
