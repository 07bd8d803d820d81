# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from the host what a policy is planned from, and the boots that it leads to."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read as reading
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_root import config_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_transaction import read_state
from ansible_collections.vfio.variants.plugins.module_utils._core.host.planned_host import PlannedHost
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, alias_text
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import LOADED
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import (
    ModuleContent,
    NoModuleError,
    module_path,
    own_name,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import NextBoot
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import Policy, PolicyPaths


def read_facts(
    host: Host,
    paths: PolicyPaths,
    inventory: Inventory,
    kernels: tuple[Kernel, ...],
    loader: NextBoot,
    ids_candidates: t.Collection[str],
    natives: t.Collection[str] = (),
) -> PolicyFacts:
    """Read the host.  ``ids_candidates`` are the modules to look into for an `ids` parameter, ``natives`` those named as native."""
    without = PlannedHost(host, dict.fromkeys(paths.all))
    return PolicyFacts(
        inventory=inventory,
        kernels=kernels,
        configs={kernel.release: _config(without, kernel.release, loader) for kernel in kernels},
        existing={path: read_state(host, path) for path in paths.all},
        hidden={path: other for path in paths.all for other in reversed(paths.hidden_by(path)) if host.exists(other)},
        initramfs_tools=host.is_dir("/etc/initramfs-tools") and host.which("mkinitramfs") is not None,
        dracut=host.which("dracut") is not None,
        mkinitcpio=host.which("mkinitcpio") is not None,
        ids_modules=frozenset(
            (kernel.release, module) for kernel in kernels for module in ids_candidates if _takes_ids(host, kernel, module)
        ),
        renamed=dict(_renamed(host, inventory, kernels)),
        asked_for=_asked_for(host, kernels, frozenset(map(normalize_module_name, natives))),
    )


def _asked_for(host: Host, kernels: t.Sequence[Kernel], modules: t.Collection[str]) -> dict[str, str]:
    """What has no alias of a device, and one of another kind: a file system, a bond, a layer of disks."""
    found: dict[str, set[str]] = {}
    for kernel in kernels if modules else ():
        for line in alias_text(host, f"{MODULES}/{kernel.release}").splitlines():
            alias, _blank, module = line.removeprefix("alias ").rpartition(" ")
            if (name := normalize_module_name(module)) in modules:
                found.setdefault(name, set()).add(alias)
    return {module: min(aliases) for module, aliases in found.items() if not any(map(_is_of_device, aliases))}


def _is_of_device(alias: str) -> bool:
    """Every modalias begins with its bus; by `devname:` a module is loaded for a node that somebody opens."""
    return ":" in alias and not alias.startswith("devname:")


def _renamed(host: Host, inventory: Inventory, kernels: t.Sequence[Kernel]) -> t.Iterator[tuple[str, str]]:
    """The modules that drive a function now and whose files have other names, such as Debian's nvidia_current: name and file's name."""
    bound = ((device.modalias, inventory.drivers.get(device.driver or "")) for device in inventory.devices)
    owners = dict.fromkeys((modalias, driver.module) for modalias, driver in bound if driver is not None and driver.module is not None)
    for modalias, loaded in owners:
        # Only what was loaded has this file; a driver that is built in may belong to no module of the list.
        if any(kernel.has(loaded) for kernel in kernels) or not host.exists(f"{LOADED}/{loaded}/initstate"):
            continue
        natives = ((kernel, match.module) for kernel in kernels for match in kernel.natives(modalias))
        yield from ((loaded, module) for kernel, module in natives if own_name(host, kernel, module) == loaded)


def read_boots(
    host: Host, policy: Policy, inventory: Inventory, kernels: t.Sequence[Kernel], running: Kernel | None, loader: NextBoot, cache: Cache
) -> tuple[Boot, ...]:
    """The boot of each of the kernels once the policy's files are written and the images rebuilt."""
    planned = PlannedHost(host, {path: policy.content(path) for path in policy.paths.all})
    # What the running kernel has built in is known from what it does.
    others = [] if running is None or running.release in {kernel.release for kernel in kernels} else [running]
    found = reading.boots(
        planned, inventory, (*kernels, *others), None if running is None else running.release, loader, cache, policy.modules
    )
    return found[: len(kernels)]


def _config(host: Host, release: str, loader: NextBoot) -> ModprobeConfig:
    entry = loader.entries.get(release) or reading.without_entry(host, release)
    return config_of(host, release, entry.cmdline, entry.cmdline_source)


def _takes_ids(host: Host, kernel: Kernel, module: str) -> bool:
    """A file that cannot be read takes none: modprobe could not load it either."""
    path = module_path(kernel, normalize_module_name(module))
    try:
        return path is not None and "ids" in ModuleContent.read(host, path).info.parameters
    except NoModuleError:
        return False
