# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PCI drivers a module registers: a driver's name may differ from its module's."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import (
    OSRELEASE,
    PENDING,
    Kernel,
    installed_releases,
    running_release,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

LOAD_TIMEOUT = 60.0
# For modules without a readable file: the kernel's own VFIO and stub drivers whose name is not their module's, from `.name` of
# struct pci_driver.  The others (mlx5, nvgrace-gpu, hisi-acc, pds, virtio, qat, ism) have KBUILD_MODNAME, the module's name with
# underscores.
KNOWN_DRIVERS = {
    "vfio_pci": "vfio-pci",  # drivers/vfio/pci/vfio_pci.c
    "xe_vfio_pci": "xe-vfio-pci",  # drivers/vfio/pci/xe/main.c
    "pci_stub": "pci-stub",  # drivers/pci/pci-stub.c
    "pci_pf_stub": "pci-pf-stub",  # drivers/pci/pci-pf-stub.c
    "uio_pci_generic_sva": "uio_pci_sva",  # drivers/uio/uio_pci_generic_sva.c
    "xen_pciback": "pciback",  # drivers/xen/xen-pciback/pci_stub.c
}


def plain_name(driver: str) -> str:
    """A driver's name without capitals, dashes and blanks, a path before it or a file's ending, by which the meant one is found."""
    name = re.sub(r"\.ko(?:\.\w+)?$", "", driver.strip().rpartition("/")[2].rpartition(":")[2])
    return re.sub(r"[-_\s]", "", name).lower()


def driver_names(host: Host, inventory: Inventory, modules: t.Iterable[str], load: bool, kernel: Kernel | None = None) -> dict[str, str]:
    """The PCI driver of each module, by the module's normalized name, for ``kernel`` or else the running one.

    The drivers of a loaded module are read from sysfs, those of another one from its file.  If neither is conclusive and ``load``
    is set, a VFIO driver is loaded: it binds to no device by itself.  Without ``load``, as in check mode, and if the running
    kernel does not have the module, its driver is assumed to have the module's name, as with KBUILD_MODNAME.  Raises
    HostError if a module cannot be loaded or registers no PCI driver.
    """
    names = sorted({normalize_module_name(name) for name in modules})
    registered = {module: registered_drivers(host, module) or inventory.drivers_of_module(module) for module in names}
    if kernel is None and not all(registered.values()):
        kernel = _running_kernel(host)
    return {module: _driver_name(host, module, registered[module], load, kernel) for module in names}


def _driver_name(host: Host, module: str, registered: tuple[str, ...], load: bool, kernel: Kernel | None) -> str:
    registered = registered or file_drivers(host, module, kernel)
    if not registered and module in KNOWN_DRIVERS:
        return KNOWN_DRIVERS[module]
    if not registered and load and _is_harmless(host, module, kernel):
        registered = load_module(host, module)
    if not registered:
        return module
    if len(registered) > 1:
        # Prefer the one with the module's name: a module may have helper drivers for other functions of its cards.
        return next((name for name in registered if normalize_module_name(name) == module), registered[0])
    return registered[0]


def registered_drivers(host: Host, module: str) -> tuple[str, ...]:
    """The PCI drivers that a module has registered; empty if it is not loaded."""
    return tuple(name[len("pci:") :] for name in host.names(f"/sys/module/{module}/drivers") if name.startswith("pci:"))


def file_drivers(host: Host, module: str, kernel: Kernel | None) -> tuple[str, ...]:
    """The PCI drivers in the file of a kernel's module; empty if it cannot be read or has none."""
    if kernel is None:
        return ()
    # What takes a file apart is a quarter of what binding has to import, and a driver that is loaded is asked for.
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent, module_path

    path = module_path(kernel, module)
    try:
        return () if path is None else tuple(driver.name for driver in ModuleContent.read(host, path).tables.drivers)
    except HostError:
        return ()


def load_module(host: Host, module: str) -> tuple[str, ...]:
    """Load a module; returns the PCI drivers that it has registered.  Raises HostError if it cannot be loaded or registers none."""
    try:
        host.run(["modprobe", "--", module], LOAD_TIMEOUT)
    except HostError as error:
        raise HostError(
            f"Module {module} cannot be loaded: {error.msg}",
            "`dmesg` may say more: Secure Boot refuses an unsigned module, and one built for another kernel has the wrong version.",
            error.facts,
        ) from error
    registered = registered_drivers(host, module)
    if not registered:
        raise HostError(f"Module {module} was loaded, but registered no PCI driver.", "Name a module with a PCI driver.")
    return registered


def _is_harmless(host: Host, module: str, kernel: Kernel | None) -> bool:
    """Whether the running kernel has the module and loading it binds no device: it has `vfio_pci:` aliases only."""
    if kernel is None or kernel.release != running_release(host):
        kernel = _running_kernel(host)
    return kernel is not None and kernel.modules.get(module, PENDING) != PENDING and kernel.index.is_variant(module)


def _running_kernel(host: Host) -> Kernel | None:
    """The running kernel; None if none runs or its modules were removed."""
    running = host.text_or_none(OSRELEASE)
    return Kernel.read(host, running) if running is not None and running in installed_releases(host) else None
