# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the facts that decide which drivers a host's devices are bound to at the next boot: a `Boot` for each kernel."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import (
    built_in_words,
    iommu,
    kernel_indexes,
    kernel_words,
    read_modules,
    read_root,
    read_virtual_functions,
    rule_programs,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_initramfs as read_image
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.install_lines import with_judged_commands
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_modules import BootInputs
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_runtime import LaterFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.rebuilt_image import rebuilt
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.wanted_units import wanted_units
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry, NextBoot
from ansible_collections.vfio.variants.plugins.module_utils._core.host import together
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.generators import masked_by_word

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules

POSSIBLE_CPUS = "/sys/devices/system/cpu/possible"
CPU_LIST = re.compile(r"\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*")
# Those that change the mask of possible processors, and isolcpus= for what newer kernels make of it.
CPU_ARGUMENTS = ("possible_cpus", "nr_cpus", "maxcpus", "nosmp", "additional_cpus", "acpi", "noapic", "nolapic", "isolcpus", "cpu0_hotplug")


def boots(
    host: Host,
    inventory: Inventory,
    kernels: t.Sequence[Kernel],
    running: str | None,
    loader: NextBoot | None = None,
    cache: Cache | None = None,
    rebuilt_with: t.Collection[str] | None = None,
) -> tuple[Boot, ...]:
    """One boot for each of these kernels, in their order.

    ``running`` is the running release, ``loader`` the boot loader's configuration if the caller has read it already, ``cache``
    a cache for images and modules.  With ``rebuilt_with``, each initramfs is as it will be after it is rebuilt with these modules
    added.  What cannot be read is a doubt of the boot, not an error.
    """
    chosen = next_boot.read(host) if loader is None else loader
    current = next((kernel for kernel in kernels if kernel.release == running), None)
    machine = BootInputs(host, inventory, current, cache, kernels)
    with together.of_one_run():
        later, rules = LaterFacts.read(host), read_root.rules_of(host)
        return tuple(_boot(machine, kernel, rules, chosen.entries.get(kernel.release), later, rebuilt_with) for kernel in kernels)


def of_described(found: tuple[Boot, ...], inventory: Inventory) -> tuple[Boot, ...]:
    """The boots of a machine that is only described: a description without IOMMU groups does not mean that there is no IOMMU."""
    known = tuple(dataclasses.replace(boot, iommu_vendor=None) for boot in found)
    if any(device.iommu_group is not None for device in inventory.devices):
        return known
    return tuple(dataclasses.replace(boot, has_iommu=None, iommu_doubt=None) for boot in known)


def _boot(
    machine: BootInputs,
    kernel: Kernel,
    rules: Rules,
    found: BootEntry | None,
    facts: LaterFacts,
    rebuilt_with: t.Collection[str] | None,
) -> Boot:
    entry = built_in_words.with_built_in_words(machine.host, found or without_entry(machine.host, kernel.release))
    image = read_image.find(machine.host, entry, machine.cache, machine.inventory)
    inherited = () if image.early is None else image.early.blacklisted
    root = read_root.read_stage(machine.host, kernel, rules, entry.cmdline, entry.cmdline_source, inherited, machine.inventory)
    starting = startup.read(
        machine.host, kernel, machine.inventory, entry.cmdline, entry.cmdline_source, read_root.init_is_systemd(machine.host)
    )
    root = dataclasses.replace(
        root,
        influences=(*root.influences, *starting.early),
        doubts=(*root.doubts, *kernel_indexes.doubts(machine.host, kernel.release)),
    )
    root = with_judged_commands(root, machine.host, machine.inventory, entry.cmdline)
    early = None if image.early is None else image.early.stage
    if early is not None and rebuilt_with is not None:
        early = rebuilt(early, root, rebuilt_with)
    files = image.files if rebuilt_with is None else None
    stages = (root,) if early is None else (early, root)
    masked = masked_by_word(machine.host, entry.cmdline)
    later = facts.for_kernel(kernel, machine.inventory, _driver_of(machine), masked)
    created, unmade = read_virtual_functions.read(root, machine.inventory, entry.cmdline)
    units = wanted_units(rules, kernel.release, entry.cmdline, machine.inventory)
    wanted = rule_programs.of_units(machine.host, rules, units, kernel, machine.inventory, entry.cmdline)
    influences = (*later.influences, *starting.later, *wanted)
    later = dataclasses.replace(later, influences=influences, virtual_functions=created, unmade=unmade)
    has_iommu, iommu_doubt = iommu.expected(machine.host, machine.inventory, entry)
    about = read_modules.read(machine, kernel, stages, later, entry.cmdline, files)
    return Boot(
        release=kernel.release,
        cmdline=entry.cmdline,
        cmdline_source=entry.cmdline_source,
        stages=about.stages,
        modules=about.modules,
        built_in=about.built_in,
        held_by_built_in=about.held_by_built_in,
        maybe_built_in=about.maybe_built_in,
        maybe_taken_first=about.maybe_taken_first,
        declined=about.declined,
        functions=about.functions,
        has_iommu=has_iommu,
        iommu_vendor=machine.iommu_vendor,
        iommu_doubt=iommu_doubt,
        possible_cpus=_possible_cpus(machine.host, entry.cmdline),
        later=later,
        doubts=tuple(dict.fromkeys((*entry.doubts, *image.doubts))),
        influences=kernel_words.influences(entry.cmdline, entry.source, Cmdline.read(machine.host), root.config),
        assumes=starting.assumes,
    )


def without_entry(host: Host, release: str) -> BootEntry:
    """For a kernel without a boot loader entry: most likely it would have the same command line as the running one."""
    assumed = "the running kernel's arguments" if host.is_file(CMDLINE) else "no arguments"
    doubt = f"The boot loader's menu has no entry for kernel {release}: {assumed} and the default initramfs are assumed."
    return BootEntry(release, Cmdline.read(host), CMDLINE, (), (doubt,))


def _driver_of(machine: BootInputs) -> t.Callable[[str], str]:
    return lambda module: next(iter(machine.registered.get(module, ())), KNOWN_DRIVERS.get(module, module))


def _possible_cpus(host: Host, cmdline: Cmdline) -> int | None:
    """As the running kernel counts them; None if the next boot has other arguments about that."""
    text = host.text_or_none(POSSIBLE_CPUS) or ""
    if not CPU_LIST.fullmatch(text) or _cpu_words(cmdline) != _cpu_words(Cmdline.read(host)):
        return None
    ends = (part.partition("-")[::2] for part in text.split(","))
    return sum(int(last or first) - int(first) + 1 for first, last in ends)


def _cpu_words(cmdline: Cmdline) -> tuple[str, ...]:
    return tuple(word for word in cmdline.of_kernel.arguments if word.partition("=")[0] in CPU_ARGUMENTS)
