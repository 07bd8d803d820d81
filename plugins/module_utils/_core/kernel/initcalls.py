# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that start what is built into a kernel, by which `initcall_blacklist=` leaves a driver out.

A loadable module's file has its function's name.  Of what is built in, the running kernel tells the names of all in /proc/kallsyms
(CONFIG_KALLSYMS_ALL): `__initcall__kmod_MODULE__COUNTER_LINE_FUNCTIONLEVEL` (include/linux/init.h).
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

KALLSYMS = "/proc/kallsyms"
LARGEST = 48 << 20
"""Bytes of it: a kernel for debugging, with all its modules, has half of that."""
SYMBOL = re.compile(r"__initcall__kmod_(\w+?)__\d+_\d+_(\w+?)(?:[0-7]s?|early|rootfs|con)$", re.MULTILINE)
# Of modules that distributions build in, the same in Linux 6.1, 6.12 and 7.3.
FUNCTIONS: t.Mapping[str, str] = {
    "8250_exar": "exar_pci_driver_init",
    "8250_lpss": "lpss8250_pci_driver_init",
    "8250_mid": "mid8250_pci_driver_init",
    "8250_mxpcie": "mxpcie8250_pci_driver_init",
    "8250_pci": "serial_pci_driver_init",
    "8250_pericom": "pericom8250_pci_driver_init",
    "ahci": "ahci_pci_driver_init",
    "amd64_agp": "agp_amd64_mod_init",
    "amdgpu": "amdgpu_init",
    "ast": "ast_pci_driver_init",
    "ata_generic": "ata_generic_pci_driver_init",
    "ata_piix": "piix_init",
    "bochs": "bochs_pci_driver_init",
    "dwc3_pci": "dwc3_pci_driver_init",
    "e1000": "e1000_init_module",
    "e1000e": "e1000_init_module",
    "ehci_pci": "ehci_pci_init",
    "hpsa": "hpsa_init",
    "i2c_designware_pci": "dw_i2c_driver_init",
    "i2c_i801": "i801_driver_init",
    "i2c_piix4": "piix4_driver_init",
    "i915": "i915_init",
    "igb": "igb_init_module",
    "intel_agp": "agp_intel_init",
    "intel_lpss_pci": "intel_lpss_pci_driver_init",
    "iosf_mbi": "iosf_mbi_init",
    "ixgbe": "ixgbe_init_module",
    "mei_me": "mei_me_driver_init",
    "mlx4_core": "mlx4_init",
    "mlx5_core": "mlx5_init",
    "mpt3sas": "_mpt3sas_init",
    "nouveau": "nouveau_drm_init",
    "nvme": "nvme_init",
    "ohci_pci": "ohci_pci_init",
    "pci_pf_stub": "pf_stub_driver_init",
    "pci_stub": "pci_stub_init",
    "pcieport": "pcie_portdrv_init",
    "pvpanic_pci": "pvpanic_pci_driver_init",
    "r8169": "rtl8169_pci_driver_init",
    "radeon": "radeon_module_init",
    "sdhci_pci": "sdhci_driver_init",
    "shpchp": "shpcd_init",
    "sis_agp": "agp_sis_init",
    "snd_hda_intel": "azx_driver_init",
    "tg3": "tg3_driver_init",
    "thunderbolt": "nhi_init",
    "ufshcd_pci": "ufshcd_pci_driver_init",
    "uhci_hcd": "uhci_hcd_init",
    "vfio_pci": "vfio_pci_init",
    "via_agp": "agp_via_init",
    "virtio_pci": "virtio_pci_driver_init",
    "vmd": "vmd_drv_init",
    "vmxnet3": "vmxnet3_init_module",
    "xe": "xe_init",
    # It has two; this one registers the driver.
    "xen_pciback": "pcistub_init",
    "xhci_pci": "xhci_pci_init",
    "xhci_pci_renesas": "xhci_renesas_pci_driver_init",
    "yenta_socket": "yenta_cardbus_driver_init",
}
# Built-in functions that people leave out, and that start no PCI driver.
OF_NO_DRIVER = frozenset(
    "acpi_cpufreq_init af_alg_init algif_aead_init algif_hash_init algif_rng_init algif_skcipher_init amd_pmc_driver_init amd_pstate_init"
    " cpufreq_gov_performance_init efidrm_platform_driver_init efifb_driver_init efifb_init elants_i2c_driver_init intel_pstate_init"
    " intel_rapl_init io_uring_init simpledrm_platform_driver_init simplefb_driver_init simplefb_init sysfb_init tegra234_cbb_init"
    " vesadrm_platform_driver_init vesafb_driver_init vesafb_init virtio_vsock_init xen_pcibk_init".split()
)


def functions_of(symbols: str) -> dict[str, frozenset[str]]:
    """By module, from the text of /proc/kallsyms; empty where the kernel does not tell."""
    found: dict[str, set[str]] = {}
    for line in SYMBOL.finditer(symbols):
        module, function = line.groups()
        found.setdefault(module, set()).add(function)
    return {module: frozenset(functions) for module, functions in found.items()}


def of_running(host: Host) -> t.Mapping[str, frozenset[str]]:
    """The running kernel's, read once."""
    return host.once("initcalls", [KALLSYMS], lambda: functions_of(host.text_or_none(KALLSYMS, LARGEST) or ""))


def of_built_in(module: str) -> frozenset[str] | None:
    """The functions of a built-in module; None if they are not known."""
    return frozenset((FUNCTIONS[module],)) if module in FUNCTIONS else None


def in_running(host: Host, module: str) -> frozenset[str] | None:
    """The functions of a module that is built into the running kernel: of several the one that registers the driver, if that is known."""
    present, known = of_running(host).get(module, frozenset()), of_built_in(module)
    return (present & (known or frozenset())) or present or known


def unexplained(functions: t.Iterable[str]) -> tuple[str, ...]:
    """Those that may be any built-in driver's."""
    known = OF_NO_DRIVER.union(FUNCTIONS.values())
    return tuple(name for name in functions if name not in known)
