# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.initcalls import (
    OF_NO_DRIVER,
    functions_of,
    of_built_in,
    unexplained,
)

# From a booted Debian kernel 6.12.
SYMBOLS = """\
ffffffff835cd15c d __initcall__kmod_8250__547_359_serial8250_init6
ffffffff835cd17c d __initcall__kmod_8250_pci__583_6232_serial_pci_driver_init6
ffffffff835cd1ac d __initcall__kmod_quirks__649_290_pci_apply_final_quirks5s
ffffffff835cd474 d __initcall__kmod_8250__554_516_univ8250_console_initcon
ffffffff81000000 T _text
"""
# By `readelf -s` on the module files of Debian's kernel 6.12.117: the function that stands where init_module does.
OF_FILES = """\
8250_exar exar_pci_driver_init
8250_lpss lpss8250_pci_driver_init
ahci ahci_pci_driver_init
amdgpu amdgpu_init
ast ast_pci_driver_init
ata_generic ata_generic_pci_driver_init
ata_piix piix_init
bochs bochs_pci_driver_init
dwc3_pci dwc3_pci_driver_init
e1000 e1000_init_module
e1000e e1000_init_module
ehci_pci ehci_pci_init
hpsa hpsa_init
i2c_designware_pci dw_i2c_driver_init
i2c_i801 i801_driver_init
i2c_piix4 piix4_driver_init
i915 i915_init
igb igb_init_module
intel_lpss_pci intel_lpss_pci_driver_init
ixgbe ixgbe_init_module
mei_me mei_me_driver_init
mlx4_core mlx4_init
mlx5_core mlx5_init
mpt3sas _mpt3sas_init
nouveau nouveau_drm_init
nvme nvme_init
ohci_pci ohci_pci_init
pci_pf_stub pf_stub_driver_init
pci_stub pci_stub_init
pvpanic_pci pvpanic_pci_driver_init
r8169 rtl8169_pci_driver_init
radeon radeon_module_init
sdhci_pci sdhci_driver_init
snd_hda_intel azx_driver_init
tg3 tg3_driver_init
thunderbolt nhi_init
ufshcd_pci ufshcd_pci_driver_init
uhci_hcd uhci_hcd_init
vfio_pci vfio_pci_init
vmd vmd_drv_init
vmxnet3 vmxnet3_init_module
xe xe_init
xen_pciback xen_pcibk_init
xhci_pci xhci_pci_init
xhci_pci_renesas xhci_renesas_pci_driver_init
yenta_socket yenta_cardbus_driver_init
"""

# Of modules that Debian builds in, the line of the kernel's own source that registers them.
OF_SOURCES = {
    "8250_pci": "module_pci_driver(serial_pci_driver)",  # drivers/tty/serial/8250/8250_pci.c
    "8250_pericom": "module_pci_driver(pericom8250_pci_driver)",  # drivers/tty/serial/8250/8250_pericom.c
    "8250_mid": "module_pci_driver(mid8250_pci_driver)",  # drivers/tty/serial/8250/8250_mid.c
    "iosf_mbi": "module_init(iosf_mbi_init)",  # arch/x86/platform/intel/iosf_mbi.c
    "intel_agp": "module_init(agp_intel_init)",  # drivers/char/agp/intel-agp.c
    "amd64_agp": "module_init(agp_amd64_mod_init)",  # drivers/char/agp/amd64-agp.c
    "via_agp": "module_init(agp_via_init)",  # drivers/char/agp/via-agp.c
    "sis_agp": "module_init(agp_sis_init)",  # drivers/char/agp/sis-agp.c
    "shpchp": "module_init(shpcd_init)",  # drivers/pci/hotplug/shpchp_core.c
    "pcieport": "device_initcall(pcie_portdrv_init)",  # drivers/pci/pcie/portdrv.c
    "virtio_pci": "module_pci_driver(virtio_pci_driver)",  # drivers/virtio/virtio_pci_common.c
}


def test_the_running_kernel_tells_its_functions_by_module() -> None:
    assert functions_of(SYMBOLS) == {
        "8250": {"serial8250_init", "univ8250_console_init"},
        "8250_pci": {"serial_pci_driver_init"},
        "quirks": {"pci_apply_final_quirks"},
    }


def test_a_function_is_unexplained_unless_it_is_a_known_one() -> None:
    assert of_built_in("virtio_pci") == frozenset({"virtio_pci_driver_init"})
    assert of_built_in("no_such") is None
    assert unexplained(("sysfb_init", "nvme_init", "mystery_init")) == ("mystery_init",)


def test_a_module_has_the_function_built_in_that_its_file_has() -> None:
    found = dict(line.split() for line in OF_FILES.splitlines())
    assert {module: of_built_in(module) for module in found} == {module: frozenset((function,)) for module, function in found.items()}
    assert of_built_in("8250_pci") == functions_of(SYMBOLS)["8250_pci"]
    assert unexplained(found.values()) == ()


@pytest.mark.parametrize("end", ["0", "1", "2", "3", "4", "5", "6", "7", "0s", "7s", "early", "rootfs", "con"])
def test_what_follows_a_functions_name_is_the_level_at_which_it_is_called(end: str) -> None:
    """__define_initcall() in include/linux/init.h."""
    symbol = f"ffffffff835cd15c d __initcall__kmod_pcie_x__547_359_some_init{end}"
    assert functions_of(f"{symbol}\n") == functions_of(symbol) == {"pcie_x": {"some_init"}}


def test_other_symbols_are_no_functions_that_start_anything() -> None:
    assert functions_of("ffffffff81000000 d __initcall__kmod_a__5_f_x_init6\n") == {}
    assert functions_of("ffffffff81000000 d __initcall__kmod_a__5_3_x_init\n") == {}
    assert functions_of("ffffffff81000000 d __initcall__kmod_a__5_3_x_init6 [a]\n") == {}
    assert functions_of("") == {}


@pytest.mark.parametrize("function", ["sysfb_init", "intel_pstate_init", "algif_aead_init", "io_uring_init", "acpi_cpufreq_init"])
def test_some_functions_start_no_driver(function: str) -> None:
    assert function in OF_NO_DRIVER
    assert unexplained((function, "x")) == ("x",)


@pytest.mark.parametrize("module", OF_SOURCES)
def test_a_module_that_is_built_in_has_the_function_that_its_source_registers(module: str) -> None:
    """module_driver() in include/linux/device/driver.h makes one of the driver's name and `_init`."""
    macro, _bracket, name = OF_SOURCES[module].rstrip(")").partition("(")
    assert of_built_in(module) == frozenset((f"{name}_init" if macro == "module_pci_driver" else name,))
