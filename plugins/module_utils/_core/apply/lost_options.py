# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of vfio-pci that a function loses when a variant driver takes it."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import version_key

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

VFIO_PCI = "vfio-pci"
PARAMETERS = "/sys/module/{}/parameters"
OPTIONS = ("disable_idle_d3", "disable_vga", "nointxmask")
OWN_SINCE = "7.2"
"""Until then the options that vfio-pci was loaded with are those of the core, which all variants share (vfio_pci_core_set_params())."""


def lost_options(host: Host, bindings: t.Sequence[Binding], kernel: Kernel) -> tuple[str, ...]:
    """A sentence for each function that is taken from vfio-pci with options that are on, by a driver without them."""
    if version_key(kernel.release) < version_key(OWN_SINCE):
        return ()
    given = PARAMETERS.format("vfio_pci")
    on = [name for name in OPTIONS if host.text_or_none(f"{given}/{name}") == "Y"]
    found = []
    for item in bindings if on else ():
        if not item.rebind or item.device.driver != VFIO_PCI or item.driver in (None, VFIO_PCI):
            continue
        module = normalize_module_name(item.modules[0] if item.modules else item.driver or "")
        lost = [name for name in on if not host.is_file(f"{PARAMETERS.format(module)}/{name}")]
        if module in kernel.vfio_modules and lost:
            found.append(
                f"{item.device.address} is taken from vfio-pci, which was loaded with {' and '.join(lost)}: {module} has no such option, "
                f"and since Linux {OWN_SINCE} those of vfio-pci are its own."
            )
    return tuple(found)
