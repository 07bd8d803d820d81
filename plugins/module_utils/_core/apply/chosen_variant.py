# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a variant driver that was chosen by itself adds to vfio-pci on this machine, and what it costs."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

#: Where depmod finds what came with the kernel.
OWN = "kernel/"
LINKS = {"nvlink2gpu_vfio_pci": "ibm,npu", "npu2_vfio_pci": "ibm,gpu"}
"""The collection's drivers, and the property of the device's node that describes the link which each is about."""
OTHERS = "`driver: vfio-pci` takes the kernel's driver for any device, `driver: variant` insists on a variant"


def explained(host: Host, kernel: Kernel, module: str, address: str) -> str:
    """One sentence on the module, as the choice of `driver: auto` for the device."""
    best = f"{module} has the alias with the fewest wildcards for this device"
    return f"{best}; {_adds(host, module, address)}; {_costs(kernel, module)}; {OTHERS}."


def _adds(host: Host, module: str, address: str) -> str:
    if module not in LINKS:
        return "what it adds to vfio-pci is for these very devices, such as live migration or memory outside of the BARs"
    if host.exists(f"{DEVICES}/{address}/of_node/{LINKS[module]}"):
        return "firmware describes an NVLink2 link, which it adds as a region if the platform has set the link up"
    return "it adds nothing to vfio-pci here: no NVLink2 link is described"


def _costs(kernel: Kernel, module: str) -> str:
    path = kernel.modules.get(module, "")
    if module in kernel.builtins or path.startswith(OWN):
        return "it comes with the kernel"
    signed = "where modules must be signed, its key has to be trusted"
    return f"it is not part of the kernel, which it taints, it is built again for each new one, and {signed}"
