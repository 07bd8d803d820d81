# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a host that decide who gets its devices at the next boot: one `Boot` for each installed kernel."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import Entry, NextBoot
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast import read_image, read_modules, read_root
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import Boot
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.read_later import LaterFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

IOMMU_ARGUMENTS = ("intel_iommu", "amd_iommu", "iommu")


def boots(
    host: Host,
    inventory: Inventory,
    kernels: t.Sequence[Kernel],
    running: str | None,
    loader: NextBoot | None = None,
    reader: read_image.ReadImage = read_image.read_image,
) -> tuple[Boot, ...]:
    """One boot for each of these kernels, in their order.

    ``running`` is the release that runs now, ``loader`` what the boot loader's files say where the caller has read them
    already, ``reader`` reads an image (from a cache, perhaps).  What cannot be read is a doubt of the boot, no error.
    """
    chosen = next_boot.read(host) if loader is None else loader
    later = LaterFacts.read(host)
    current = next((kernel for kernel in kernels if kernel.release == running), None)
    return tuple(_boot(host, inventory, kernel, current, chosen, later, reader) for kernel in kernels)


def _boot(
    host: Host,
    inventory: Inventory,
    kernel: Kernel,
    running: Kernel | None,
    loader: NextBoot,
    facts: LaterFacts,
    reader: read_image.ReadImage,
) -> Boot:
    entry = loader.entries.get(kernel.release) or _without_entry(host, kernel.release)
    found = read_image.find(host, entry, reader)
    inherited = () if found.early is None else found.early.blacklisted
    root = read_root.read_stage(host, kernel, entry.cmdline, entry.source, inherited)
    stages = (root,) if found.early is None else (found.early.stage, root)
    later = facts.for_kernel(kernel, inventory, root.rules, _driver_of(inventory))
    about = read_modules.read(host, kernel, running, inventory, stages, later, entry.cmdline)
    return Boot(
        release=kernel.release,
        cmdline=entry.cmdline,
        cmdline_source=entry.source,
        stages=stages,
        modules=about.modules,
        built_in=about.built_in,
        held_by_built_in=about.held_by_built_in,
        built_in_known=about.built_in_known,
        maybe_built_in=about.maybe_built_in,
        declined=read_modules.declined(inventory, about.modules) if running is not None and running.release == kernel.release else {},
        has_iommu=_has_iommu(host, inventory, entry.cmdline),
        later=later,
        doubts=tuple(dict.fromkeys((*entry.doubts, *found.doubts))),
    )


def _without_entry(host: Host, release: str) -> Entry:
    """A kernel that the boot loader does not offer: what it would be given is likeliest what the running one was given."""
    doubt = f"The boot loader's menu has no entry for kernel {release}: its command line and its image are taken to be the usual ones."
    return Entry(release, Cmdline.read(host), CMDLINE, (), (doubt,))


def _driver_of(inventory: Inventory) -> t.Callable[[str], str]:
    registered = read_modules.registered_by_module(inventory)
    return lambda module: next(iter(registered.get(module, ())), KNOWN.get(module, module))


def _has_iommu(host: Host, inventory: Inventory, cmdline: Cmdline) -> bool | None:
    """What the running kernel has, as long as the next boot is told the same about it."""
    if not inventory.devices or _iommu_words(cmdline) != _iommu_words(Cmdline.read(host)):
        return None
    return any(device.iommu_group is not None for device in inventory.devices)


def _iommu_words(cmdline: Cmdline) -> tuple[str, ...]:
    return tuple(word for word in cmdline.arguments if word.partition("=")[0].partition(".")[0] in IOMMU_ARGUMENTS)
