# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules may have a say in who gets the devices of a host, and what they and the built-in drivers are."""

from __future__ import annotations

import dataclasses
import fnmatch
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import LoadList, ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import comparable
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import BUILTIN_LINE, MODULES, version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_drivers import BUILT_IN_NAMES, module_facts

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import Later, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pci_driver import PciDriver

# They have no alias for any device, and take what they are told to.
TOLD = frozenset(("vfio_pci", "pci_stub", "pci_pf_stub", "xen_pciback"))
MODULES_OF_DRIVERS: t.Mapping[str, str] = {driver: module for module, driver in BUILT_IN_NAMES.items()}
ALIASES_OF_BUILT_INS = "6.18"
"""The first Linux whose modules.builtin.modinfo has the PCI aliases of what is built in."""


@dataclasses.dataclass(frozen=True)
class KernelModules:
    """What `Boot` says about modules and built-in drivers."""

    modules: t.Mapping[str, ModuleFacts]
    built_in: tuple[tuple[str, PciDriver], ...]
    built_in_known: bool
    held_by_built_in: t.Mapping[str, str]
    maybe_built_in: frozenset[str]


def registered_by_module(inventory: Inventory) -> dict[str, list[str]]:
    """The drivers that the running kernel has registered, by their modules' comparable names."""
    found: dict[str, list[str]] = {}
    for driver in inventory.drivers.values():
        if driver.module is not None:
            found.setdefault(comparable(driver.module), []).append(driver.name)
    return found


def read(
    host: Host, kernel: Kernel, running: Kernel | None, inventory: Inventory, stages: t.Sequence[Stage], later: Later, cmdline: Cmdline
) -> KernelModules:
    """``kernel`` is what boots, ``running`` what runs now, if that is known."""
    registered = registered_by_module(inventory)
    runs = running is not None and running.release == kernel.release
    names = concerned(stages, kernel, inventory, later)
    built_in_names = _built_in_names(host, kernel, inventory, registered if runs else {})
    stale = _stale(stages, kernel, inventory)
    modules: dict[str, ModuleFacts] = {}
    for name in sorted({*names, *built_in_names}):
        place = next((one for one in (kernel, *(stage.kernel for stage in stages)) if one.has(name)), kernel)
        facts = module_facts(host, place, name, cmdline, registered if runs else None)
        if name in stale and facts.doubt is None:
            facts = dataclasses.replace(facts, doubt=f"{stale[name]} holds another build of {name} than {MODULES}/{kernel.release}")
        modules[name] = facts
    known = _built_ins_known(kernel)
    return KernelModules(
        modules=modules,
        built_in=tuple((name, driver) for name in built_in_names for driver in modules[name].drivers),
        built_in_known=known,
        held_by_built_in=dict(_held(kernel, running, inventory)),
        maybe_built_in=frozenset() if known else frozenset(_maybe_built_in(kernel, inventory)),
    )


def concerned(stages: t.Sequence[Stage], kernel: Kernel, inventory: Inventory, later: Later) -> frozenset[str]:
    """Every module that could take one of the devices in any stage, or that something names, with what it brings along."""
    modaliases = {device.modalias for device in inventory.devices}
    found: set[str] = set()
    for stage in stages:
        found |= _for_devices(stage, modaliases) | _named(stage)
    drivers = [entry.driver for entry in (*later.driverctl.values(), *later.libvirt.values())]
    drivers += [rule.override for stage in stages for rule in stage.rules.rules if rule.override]
    for driver in drivers:
        found |= {comparable(driver), MODULES_OF_DRIVERS.get(driver, comparable(driver))}
    found |= TOLD
    kernels = [kernel, *(stage.kernel for stage in stages)]
    return _closure({name for name in found if any(one.has(name) for one in kernels)}, stages)


def _matters(kernel: Kernel, name: str) -> bool:
    """Whether a module may drive PCI functions or be refused: what comes with the kernel and drives none is neither."""
    own = kernel.modules.get(name, "kernel/").startswith("kernel/")
    return not own or name in TOLD or name in kernel.index.modules("pci") or name in kernel.index.modules("vfio_pci")


def _for_devices(stage: Stage, modaliases: t.Iterable[str]) -> set[str]:
    aliases = [directive.arguments for directive in stage.config.aliases()]
    found: set[str] = set()
    for modalias in modaliases:
        found.update(match.module for match in stage.kernel.natives(modalias))
        found.update(match.module for match in stage.kernel.variants(modalias))
        found.update(comparable(module) for pattern, module in aliases if fnmatch.fnmatchcase(modalias, pattern))
    return found


def _named(stage: Stage) -> set[str]:
    """Modules that lists, options `ids=` and rules name."""
    lists = [work for step in stage.steps for work in step if isinstance(work, LoadList)]
    words = {entry.name for work in lists for entry in work.modules}
    for rule in stage.rules.rules:
        for key in rule.keys:
            if key.name == "RUN" and ("kmod" in key.value or "modprobe" in key.value):
                words.update(comparable(word) for word in key.value.split())
    found = {name for name in words if _matters(stage.kernel, name)}
    for directive in stage.config.directives:
        if directive.command == "options" and any(option.startswith("ids=") for option in directive.arguments[1:]):
            found.add(comparable(directive.arguments[0]))
    return found


def _closure(names: set[str], stages: t.Sequence[Stage]) -> frozenset[str]:
    """The modules with those that kmod inserts before and after them, as far as these may drive PCI functions or be refused."""
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
    yield from (dependency for dependency in kernel.dependencies(name) if "vfio" in name or _matters(kernel, dependency))
    words = [word for line in stage.config.softdeps(name)[:1] for word in line.arguments[1:]]
    words += [word for line in stage.config.installs(name)[:1] for word in line.arguments[-1].split()]
    for word in map(comparable, words):
        if word in kernel.modules and _matters(kernel, word):
            yield word


def _stale(stages: t.Sequence[Stage], kernel: Kernel, inventory: Inventory) -> dict[str, str]:
    """Modules whose aliases in an image are not those in the root, as far as the host's devices show it, with the image."""
    found: dict[str, str] = {}
    for stage in stages:
        if stage.place == "/":
            continue
        for modalias in {device.modalias for device in inventory.devices}:
            for find in (type(kernel).natives, type(kernel).variants):
                here, there = ({match.module for match in find(one, modalias)} for one in (stage.kernel, kernel))
                differing = (here ^ there) & stage.kernel.modules.keys() & kernel.modules.keys()
                found.update((name, stage.place) for name in differing)
    return found


def _built_in_names(host: Host, kernel: Kernel, inventory: Inventory, registered: t.Collection[str]) -> tuple[str, ...]:
    """Built-in modules with PCI drivers that matter here, in link order, which is the order of modules.builtin."""
    wanted = {name for name in (*TOLD, *registered, *kernel.vfio_modules) if name in kernel.builtins}
    for modalias in {device.modalias for device in inventory.devices}:
        wanted.update(match.module for match in kernel.natives(modalias) if match.order < 0)
    text = host.text_or_none(f"{MODULES}/{kernel.release}/modules.builtin") or "" if wanted else ""
    linked = dict.fromkeys(comparable(name) for name in BUILTIN_LINE.findall(text))
    return tuple(name for name in linked if name in wanted and name not in kernel.modules)


def _built_ins_known(kernel: Kernel) -> bool:
    told = bool(kernel.index.buses["pci"].built_in) or not kernel.builtins
    return told or version_key(kernel.release) >= version_key(ALIASES_OF_BUILT_INS)


def _held(kernel: Kernel, running: Kernel | None, inventory: Inventory) -> t.Iterator[tuple[str, str]]:
    """The built-in drivers that have devices now, where ``kernel`` has them built in too."""
    for device in inventory.devices:
        driver = inventory.drivers.get(device.driver or "")
        if driver is None:
            continue
        module = comparable(driver.module or MODULES_OF_DRIVERS.get(driver.name, driver.name))
        if module in TOLD or module in kernel.vfio_modules or device.driver_override is not None:
            continue
        now = driver.module is None or (running is not None and module in running.builtins)
        # A driver that is no module anywhere, such as pcieport, is in no list either.
        then = module in kernel.builtins or (driver.module is None and module not in kernel.modules)
        if now and then:
            yield device.address, driver.name


def _maybe_built_in(kernel: Kernel, inventory: Inventory) -> t.Iterator[str]:
    """Devices of a VFIO driver that have no loadable native: whether a built-in driver wants them shows when nobody has them only."""
    for device in inventory.devices:
        driver = inventory.drivers.get(device.driver or "")
        module = None if driver is None else comparable(driver.module or MODULES_OF_DRIVERS.get(driver.name, driver.name))
        if module is not None and (module in TOLD or module in kernel.vfio_modules) and not kernel.natives(device.modalias):
            yield device.address


def declined(inventory: Inventory, modules: t.Mapping[str, ModuleFacts]) -> dict[str, frozenset[str]]:
    """Drivers that are registered now, are for a device that nobody has, and have not taken it."""
    drivers = [driver for facts in modules.values() for driver in facts.drivers if driver.name in inventory.drivers]
    free = [device for device in inventory.devices if device.driver is None and device.driver_override is None]
    found = {
        device.address: frozenset(driver.name for driver in drivers if _wants(driver, device))
        for device in free
        if _offered(device, inventory)
    }
    return {address: names for address, names in found.items() if names}


def _offered(device: Device, inventory: Inventory) -> bool:
    parent = inventory.get(device.physical_function) if device.physical_function else None
    return parent is None or parent.drivers_autoprobe


def _wants(driver: PciDriver, device: Device) -> bool:
    return any(entry.matches(device) and not entry.override_only for entry in driver.ids)
