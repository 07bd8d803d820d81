# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that may influence which drivers a host's devices are bound to, and the built-in drivers."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import iommu
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, LoadList, ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.image_modules import ImageModules, uncompressed
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.module_drivers import BUILT_IN_NAMES, function_of, module_facts
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.unbound_built_ins import UnboundBuiltIns
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import initcalls
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import ANY_DEVICE, VFIO_PCI
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, built_in_modules, version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import module_path
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import (
    every_ids,
    given_to,
    given_to_built_in,
    parse_ids,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Later, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.image_modules import ImageFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Driver, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver

# Drivers without device aliases, which bind only by ids=, new_id or driver_override.
GENERIC = ANY_DEVICE | {VFIO_PCI}
MODULES_OF_DRIVERS: t.Mapping[str, str] = {driver: module for module, driver in BUILT_IN_NAMES.items()}
COMPRESSIONS = ("", ".xz", ".zst", ".gz")
ALIASES_OF_BUILT_INS = "6.18"
"""The first Linux whose modules.builtin.modinfo has PCI aliases."""


@dataclasses.dataclass(frozen=True)
class BootInputs:
    """What is the same for every boot.  ``running`` is the running kernel, if its modules are installed."""

    host: Host
    inventory: Inventory
    running: Kernel | None
    cache: Cache | None = None
    kernels: t.Sequence[Kernel] = ()
    """All kernels whose boots are asked for."""

    @functools.cached_property
    def registered(self) -> t.Mapping[str, t.Sequence[str]]:
        """The drivers that the running kernel has registered, by their modules' normalized names."""
        found: dict[str, list[str]] = {}
        for driver in self.inventory.drivers.values():
            if driver.module is not None:
                found.setdefault(normalize_module_name(driver.module), []).append(driver.name)
        return found

    @functools.cached_property
    def iommu_vendor(self) -> str | None:
        return iommu.vendor(self.host)

    @functools.cached_property
    def modaliases(self) -> frozenset[str]:
        return frozenset(device.modalias for device in self.inventory.devices)

    def runs(self, kernel: Kernel) -> bool:
        return self.running is not None and self.running.release == kernel.release


@dataclasses.dataclass(frozen=True)
class BootModules:
    """The fields of `Boot` about modules and built-in drivers."""

    modules: t.Mapping[str, ModuleFacts]
    built_in: tuple[tuple[str, PciDriver], ...]
    held_by_built_in: t.Mapping[str, str]
    maybe_built_in: t.Mapping[str, tuple[str, ...]]
    maybe_taken_first: frozenset[str]
    declined: t.Mapping[str, frozenset[str]]
    functions: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    """The stages, with the modules of which an initramfs has its own."""


def read(
    machine: BootInputs, kernel: Kernel, stages: t.Sequence[Stage], later: Later, cmdline: Cmdline, files: ImageFiles | None = None
) -> BootModules:
    """The modules of a boot.  ``kernel`` is the one that boots; ``files`` are those of its initramfs."""
    registered = machine.registered if machine.runs(kernel) else None
    built_in_names = _built_in_names(machine, kernel)
    names = sorted({*concerned(machine, kernel, stages, later), *built_in_names})
    of_image = ImageModules() if files is None else files.compared(names, kernel, cmdline, registered)
    stale = _stale(machine, stages, kernel)
    modules: dict[str, ModuleFacts] = {}
    for name in names:
        place = next((one for one in (kernel, *(stage.kernel for stage in stages)) if one.has(name)), kernel)
        facts = of_image.facts.get(name) if place is not kernel else None
        facts = module_facts(machine.host, place, name, cmdline, registered, machine.cache) if facts is None else facts
        if name in of_image.seen:
            modules[name] = facts
            continue
        if name in stale and facts.doubt is None:
            facts = dataclasses.replace(facts, doubt=f"{stale[name]} has another build of {name} than {MODULES}/{kernel.release}")
        for stage, path, its in _other_files(machine.host, stages, kernel, name):
            as_there = module_facts(machine.host, its, name, cmdline, registered, machine.cache)
            facts = facts if _is_alike(facts, as_there) else _doubted(facts, f"{stage.place} has {path} as {name}", kernel.modules[name])
        modules[name] = facts
    held = dict(_held(machine, kernel))
    built_ins_known = _built_ins_known(kernel)
    return BootModules(
        modules=modules,
        built_in=tuple((name, driver) for name in built_in_names for driver in modules[name].drivers),
        held_by_built_in=held,
        maybe_built_in={} if built_ins_known else dict(_maybe_built_in(machine, kernel)),
        maybe_taken_first=frozenset() if built_ins_known else frozenset(_maybe_taken_first(machine, kernel)),
        declined=dict(_declined(machine, kernel, modules)) if machine.runs(kernel) else {},
        functions=dict(_functions(machine, kernel, (*modules, *held.values()), of_image)) if cmdline.refused_functions else {},
        stages=tuple(_with_own(stage, of_image) if stage.name == INITRAMFS else stage for stage in stages),
    )


def _with_own(stage: Stage, of_image: ImageModules) -> Stage:
    return dataclasses.replace(stage, own_modules=of_image.facts, other_builds=of_image.other_builds)


def _functions(
    machine: BootInputs, kernel: Kernel, names: t.Iterable[str], of_image: ImageModules
) -> t.Iterator[tuple[str, frozenset[str]]]:
    """By module, and by built-in driver, what starts it, as far as that is known."""
    runs = machine.runs(kernel)
    for name in dict.fromkeys(names):
        module = MODULES_OF_DRIVERS.get(name, normalize_module_name(name))
        path = module_path(kernel, name)
        of_built_in = initcalls.in_running(machine.host, module) if runs else initcalls.of_built_in(module)
        # A file that does not tell has the function that it has elsewhere.
        found = of_built_in if path is None else function_of(machine.host, path, machine.cache) or initcalls.of_built_in(module)
        init = of_image.inits.get(name)
        found = found if found is None or init is None else found | {init}
        if found is not None:
            yield name, found


def concerned(machine: BootInputs, kernel: Kernel, stages: t.Sequence[Stage], later: Later) -> frozenset[str]:
    """Every module that could bind to one of the devices in any stage, or that is configured, with its dependencies."""
    found: set[str] = set()
    for stage in stages:
        found |= _for_devices(stage, machine.modaliases) | _named(stage)
    drivers = [entry.driver for entry in (*later.driverctl.values(), *later.may_take.values())]
    drivers += [rule.override for stage in stages for rule in stage.rules.rules if rule.override]
    for influence in (*later.influences, *(one for stage in stages for one in stage.influences)):
        found |= influence.modules or frozenset()
        drivers += influence.drivers or ()
    for driver in drivers:
        found |= {normalize_module_name(driver), MODULES_OF_DRIVERS.get(driver, normalize_module_name(driver))}
    found |= GENERIC
    kernels = [kernel, *(stage.kernel for stage in stages)]
    return _closure({name for name in found if any(one.has(name) for one in kernels)}, stages)


def _matters(kernel: Kernel, name: str) -> bool:
    """Whether a module may bind to PCI functions or be refused: the kernel's own modules without a PCI driver do neither."""
    own = kernel.modules.get(name, "kernel/").startswith("kernel/")
    return not own or name in GENERIC or name in kernel.index.modules("pci") or name in kernel.index.modules("vfio_pci")


def _for_devices(stage: Stage, modaliases: t.Iterable[str]) -> set[str]:
    found: set[str] = set()
    for modalias in modaliases:
        found.update(match.module for match in stage.kernel.natives(modalias))
        found.update(match.module for match in stage.kernel.variants(modalias))
        found.update(directive.arguments[1] for directive in stage.config.aliases(modalias))
    return found


def _named(stage: Stage) -> set[str]:
    """The modules that lists, options `ids=` and rules refer to."""
    lists = [work for step in stage.steps for work in step if isinstance(work, LoadList)]
    words = {entry.name for work in lists for entry in work.modules}
    for rule in stage.rules.rules:
        for key in rule.keys:
            if key.name == "RUN" and ("kmod" in key.value or "modprobe" in key.value):
                words.update(normalize_module_name(word) for word in key.value.split())
    found = {name for name in words if _matters(stage.kernel, name)}
    options = stage.config.modules_with_options
    found.update(module for module in options if every_ids(given_to(stage.config, module)))
    found.update(line.arguments[1] for line in stage.config.directives if line.command == "alias" and line.arguments[0] in options)
    return found


def _closure(names: set[str], stages: t.Sequence[Stage]) -> frozenset[str]:
    """The modules, and those that kmod inserts before and after them if they may bind to PCI functions or be refused."""
    waiting, found = list(names), set(names)
    while waiting:
        name = waiting.pop()
        for stage in stages:
            for other in {*_brought(stage, name)} - found:
                found.add(other)
                waiting.append(other)
    return frozenset(found)


def _brought(stage: Stage, name: str) -> t.Iterator[str]:
    kernel = stage.kernel
    given = stage.config.modules_with_options
    for dependency in kernel.dependencies(name):
        if "vfio" in name or _matters(kernel, dependency) or dependency in given:
            yield dependency
    words = [word for line in stage.config.softdeps(name)[:1] for word in line.arguments[1:]]
    words += [word for line in stage.config.installs(name)[:1] for word in line.arguments[-1].split()]
    for word in map(normalize_module_name, words):
        if word in kernel.modules and _matters(kernel, word):
            yield word


def _stale(machine: BootInputs, stages: t.Sequence[Stage], kernel: Kernel) -> dict[str, str]:
    """Modules with other aliases in an initramfs than in the root, as far as the host's devices show it; each with the image's path."""
    found: dict[str, str] = {}
    for stage in stages:
        if stage.place == "/":
            continue
        for modalias in machine.modaliases:
            for find in (type(kernel).natives, type(kernel).variants):
                here, there = ([match.module for match in find(one, modalias)] for one in (stage.kernel, kernel))
                if here != there:
                    differing = (set(here) ^ set(there)) & stage.kernel.modules.keys() & kernel.modules.keys()
                    found.update((name, stage.place) for name in differing)
    return found


def _other_files(host: Host, stages: t.Sequence[Stage], kernel: Kernel, name: str) -> t.Iterator[tuple[Stage, str, Kernel]]:
    """The initramfs images that have the module from another place than the root would take it from, such as updates/.

    With each its path there, and the image's kernel with the file of the root that its copy came from.
    """
    own = kernel.modules.get(name)
    for stage in stages:
        path = stage.kernel.modules.get(name)
        if stage.place == "/" or not own or not path or uncompressed(own) == uncompressed(path):
            continue
        start = uncompressed(path)
        paths = (f"{start}.ko{ending}" for ending in COMPRESSIONS)
        found = next((one for one in paths if host.is_file(f"{MODULES}/{kernel.release}/{one}")), None)
        if found is not None:
            yield stage, path, dataclasses.replace(stage.kernel, modules={**stage.kernel.modules, name: found})
        elif not path.startswith("kernel/"):
            # It was removed from the root, or is somewhere else now.
            yield stage, path, stage.kernel


def _is_alike(one: ModuleFacts, other: ModuleFacts) -> bool:
    return (one.drivers, one.doubt, one.refused is None) == (other.drivers, other.doubt, other.refused is None)


def _doubted(facts: ModuleFacts, elsewhere: str, own: str) -> ModuleFacts:
    why = "" if facts.refused is None else f": {facts.refused}"
    return dataclasses.replace(facts, refused=None, doubt=f"{elsewhere}, and the root has {own}{why}")


def _built_in_names(machine: BootInputs, kernel: Kernel) -> tuple[str, ...]:
    """The built-in modules with PCI drivers that matter, in link order, which is the order of modules.builtin."""
    registered = machine.registered if machine.runs(kernel) else ()
    wanted = {name for name in (*GENERIC, *registered, *kernel.vfio_modules) if name in kernel.builtins}
    for modalias in machine.modaliases if kernel.index.buses["pci"].built_ins else ():
        wanted.update(match.module for match in kernel.natives(modalias) if match.order < 0)
    text = machine.host.text_or_none(f"{MODULES}/{kernel.release}/modules.builtin") or "" if wanted else ""
    return tuple(name for name in dict.fromkeys(built_in_modules(text)) if name in wanted and name not in kernel.modules)


def _built_ins_known(kernel: Kernel) -> bool:
    has_aliases = kernel.index.buses["pci"].built_ins > 0 or not kernel.builtins
    return has_aliases or version_key(kernel.release) >= version_key(ALIASES_OF_BUILT_INS)


def _held(machine: BootInputs, kernel: Kernel) -> t.Iterator[tuple[str, str]]:
    """The devices that are bound now to a driver that is built into ``kernel``, with the driver."""
    for device in machine.inventory.devices:
        driver = machine.inventory.drivers.get(device.driver or "")
        if driver is None:
            continue
        module = _module_of(driver)
        if _is_vfio(kernel, module) or device.driver_override is not None or module in kernel.modules:
            continue
        # A driver that cannot be a module, such as pcieport, is in no list, although sysfs may show a module's name for it.  A
        # loaded module whose file was removed is in no list either, but it has `initstate` (kernel/module/sysfs.c).
        now = driver.module is None or (machine.running is not None and module not in machine.running.modules)
        if module in kernel.builtins or (now and not machine.host.exists(f"/sys/module/{module}/initstate")):
            yield device.address, driver.name


def _module_of(driver: Driver) -> str:
    return normalize_module_name(driver.module or MODULES_OF_DRIVERS.get(driver.name, driver.name))


def _is_vfio(kernel: Kernel, module: str) -> bool:
    return module in GENERIC or module in kernel.vfio_modules


def _maybe_built_in(machine: BootInputs, kernel: Kernel) -> t.Iterator[tuple[str, tuple[str, ...]]]:
    """The devices that a driver built into ``kernel`` may match, with those drivers, or with none where any may.

    A device that no built-in driver has taken in the running kernel is for none of that kernel's, unless VFIO has taken it since, or
    it has no driver: then one that is for such devices may have lost it.
    Other kernels tell by their modules' aliases which devices a driver is for; what no kernel tells shows in no kernel that runs.
    """
    linked = kernel.builtins - kernel.modules.keys()
    runs, inventory, is_free = machine.runs(kernel), machine.inventory, UnboundBuiltIns.is_free
    unbound = None
    if runs and any(map(is_free, inventory.devices)):
        text = machine.host.text_or_none(f"{MODULES}/{kernel.release}/modules.builtin") or ""
        unbound = UnboundBuiltIns(kernel, linked, text, inventory, lambda name: _module_of(inventory.drivers[name]))
    for device in inventory.devices:
        shows_nothing = _is_told_by_none(machine, kernel, device)
        if runs and not (shows_nothing or is_free(device)):
            continue
        known = (match.module for other in machine.kernels for match in other.natives(device.modalias))
        drivers = tuple(dict.fromkeys(BUILT_IN_NAMES.get(one, one) for one in known if one in linked))
        if unbound is not None and not shows_nothing:
            drivers = drivers or unbound.of(device)
        if drivers or (shows_nothing and not kernel.natives(device.modalias)):
            yield device.address, drivers


def _maybe_taken_first(machine: BootInputs, kernel: Kernel) -> t.Iterator[str]:
    """The devices that a driver built into ``kernel`` may have before a VFIO driver that is built in and has `ids=` is linked.

    Not those that a module is for, and not those that VFIO took in a boot of this kernel with `ids=` for them.
    """
    vfio = kernel.builtins & kernel.vfio_modules
    if not vfio:
        return
    given = Cmdline.read(machine.host) if machine.runs(kernel) else Cmdline(())
    asked = [entry for name in vfio for one in every_ids(given_to_built_in(given, CMDLINE, name)) for entry in parse_ids(one.value or "")]
    for device in machine.inventory.devices:
        # One without a driver may have been unbound by hand.
        is_free = device.driver is None
        was_taken = not is_free and device.driver_override is None and any(entry.matches(device) for entry in asked)
        if (is_free or _is_told_by_none(machine, kernel, device)) and not was_taken and not kernel.natives(device.modalias):
            yield device.address


def _is_told_by_none(machine: BootInputs, kernel: Kernel, device: Device) -> bool:
    """Whether VFIO has the device, or nothing runs that would show its native driver, as on a described machine or in an image."""
    driver = machine.inventory.drivers.get(device.driver or "")
    return not machine.inventory.drivers or (driver is not None and _is_vfio(kernel, _module_of(driver)))


def _declined(machine: BootInputs, kernel: Kernel, modules: t.Mapping[str, ModuleFacts]) -> t.Iterator[tuple[str, frozenset[str]]]:
    """Unbound devices, each with the registered drivers that match it and have not bound to it."""
    no_probe = {device.address for device in machine.inventory.devices if not device.drivers_autoprobe}
    for device in machine.inventory.devices:
        if device.driver is not None or device.driver_override is not None or device.physical_function in no_probe:
            continue
        natives = [modules[match.module] for match in kernel.natives(device.modalias) if match.module in modules]
        names = {driver.name for facts in natives for driver in facts.drivers if any(entry.matches(device) for entry in driver.ids)}
        if names & machine.inventory.drivers.keys():
            yield device.address, frozenset(names & machine.inventory.drivers.keys())
