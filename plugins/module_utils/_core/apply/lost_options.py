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
"""Until then the options that vfio-pci was loaded with are those of the core, which all variants share (vfio_pci_core_set_params()).

Since then a driver writes its own into each device that it is bound to (vfio_pci_init_dev()), if it has any.
"""


def lost_options(host: Host, bindings: t.Sequence[Binding], kernel: Kernel) -> tuple[str, ...]:
    """A sentence for each function that is taken from vfio-pci with options that are on, by a driver that has them off or not at all."""
    if version_key(kernel.release) < version_key(OWN_SINCE):
        return ()
    given = PARAMETERS.format("vfio_pci")
    on = [name for name in OPTIONS if host.text_or_none(f"{given}/{name}") == "Y"]
    own: dict[str, dict[str, bool]] = {}
    found = []
    for item in bindings if on else ():
        if not item.rebind or item.device.driver != VFIO_PCI or item.driver in (None, VFIO_PCI):
            continue
        module = normalize_module_name(item.modules[0] if item.modules else item.driver or "")
        if module not in kernel.vfio_modules:
            continue
        if module not in own:
            own[module] = _own_options(host, kernel, module)
        lost = [name for name in on if not own[module].get(name)]
        if lost:
            found.append(
                f"{item.device.address} is taken from vfio-pci, which was loaded with {' and '.join(lost)}: since Linux {OWN_SINCE} the "
                f"options of vfio-pci are its own. {_instead(module, lost, own[module])}"
            )
    return tuple(found)


def _own_options(host: Host, kernel: Kernel, module: str) -> dict[str, bool]:
    """Those that the module has, and whether they are on; one that is not loaded is going to be, as modprobe.d says."""
    place = PARAMETERS.format(module)
    if host.is_dir(place.rpartition("/")[0]):
        values = {name: host.text_or_none(f"{place}/{name}") for name in OPTIONS}
        return {name: value == "Y" for name, value in values.items() if value is not None}
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent, NoModuleError, module_path
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import parse_boolean
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to

    path = module_path(kernel, module)
    try:
        known = frozenset() if path is None else ModuleContent.read(host, path).info.parameters
    except NoModuleError:
        return {}
    words = given_to(ModprobeConfig.read(host), module)
    last = {normalize_module_name(word.name): word.value is None or bool(parse_boolean(word.value)) for word in words}
    return {name: last.get(name, False) for name in OPTIONS if name in known}


def _instead(module: str, lost: t.Sequence[str], own: t.Mapping[str, bool]) -> str:
    """What the user of such options can do."""
    missing = [name for name in lost if name not in own]
    if missing:
        return f"{module} has no option {' and '.join(missing)}."
    return f"Add `options {module} {' '.join(f'{name}=1' for name in lost)}` to a file in /etc/modprobe.d, and load {module} again."
