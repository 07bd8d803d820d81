# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots to forecast and to judge, made from the texts that a reader would find: no file, no host.

boot(modprobe="blacklist nouveau\n", cmdline="vfio-pci.ids=10de:1db1") has a root stage alone;
boot(stage(INITRAMFS, modules={"nouveau": [NVIDIA_DISPLAY]}), stage(ROOT, rules='KERNEL=="0000:01:00.0", …')) has both.
"""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t
from types import MappingProxyType

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import (
    INITRAMFS,
    ROOT,
    Boot,
    Coldplug,
    Later,
    ListedModule,
    LoadList,
    ModuleFacts,
    Stage,
    StageName,
    Step,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import AliasIndex, normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule, Rules, parse
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, modalias

Aliases = t.Mapping[str, t.Sequence[str]]
Texts = t.Union[str, t.Mapping[str, str]]  # noqa: UP007 - read by Python 3.9 as well
"""A file's text, or texts by path."""

STOCK: Aliases = MappingProxyType({"nouveau": [NVIDIA_DISPLAY], "e1000e": [E1000E], "vfio_pci_core": [], "vfio_pci": [ANY_VFIO]})
"""The modules of `stock_debian()` with their aliases, in depmod's order."""
MODPROBE_FILE = "/etc/modprobe.d/site.conf"
RULES_FILE = "/etc/udev/rules.d/90-site.rules"


def device(
    address: str = "0000:01:00.0",
    id: str = "10de:1db1",  # noqa: A002 - the field's word
    *,
    subsystem: str = "0000:0000",
    class_code: int = 0x030200,
    **facts: t.Any,
) -> Device:
    """A V100, unless said otherwise; ``facts`` are further fields of `Device`."""
    (vendor, number), (subsystem_vendor, subsystem_device) = ([int(part, 16) for part in pair.split(":")] for pair in (id, subsystem))
    alias = modalias(id, subsystem, class_code)
    return Device(address, vendor, number, subsystem_vendor, subsystem_device, class_code, facts.pop("revision", 0xA1), alias, **facts)


def kernel(modules: Aliases = STOCK, builtin: Aliases | t.Sequence[str] = (), release: str = DEBIAN_13) -> Kernel:
    """What a stage has: modules with their aliases in depmod's order, and what is built in (with aliases, as from Linux 6.18 on)."""
    alias = "".join(f"alias {pattern} {normalize_module_name(name)}\n" for name, patterns in modules.items() for pattern in patterns)
    known = builtin if isinstance(builtin, t.Mapping) else dict.fromkeys(builtin, ())
    modinfo = "".join(f"{normalize_module_name(name)}.alias={pattern}\0" for name, patterns in known.items() for pattern in patterns)
    paths = {normalize_module_name(name): f"kernel/drivers/{name}.ko" for name in modules}
    return Kernel(release, paths, frozenset(map(normalize_module_name, known)), False, AliasIndex.parse(alias, modinfo))


def modprobe_config(texts: Texts = "", cmdline: str = "", prefix: str = "") -> ModprobeConfig:
    """What kmod reads: files ordered by their base names, then the command line."""
    files = {MODPROBE_FILE: texts} if isinstance(texts, str) else texts
    found: list[Directive] = []
    for path in sorted(files, key=posixpath.basename):
        found += ModprobeConfig.parse(files[path], prefix + path).directives
    return ModprobeConfig(tuple(found)).with_cmdline(Cmdline.parse(cmdline))


def udev_rules(texts: Texts = "", prefix: str = "") -> Rules:
    """udev's rules, files ordered by their base names."""
    files = {RULES_FILE: texts} if isinstance(texts, str) else texts
    found: list[Rule] = []
    for path in sorted(files, key=posixpath.basename):
        found += parse(files[path], prefix + path)
    return Rules(tuple(found), complete=True)


def image_path(release: str = DEBIAN_13) -> str:
    return f"/boot/initrd.img-{release}"


def load_list(program: str, *names: str, source: str | None = None, in_order: bool = True) -> LoadList:
    """Modules that ``program`` loads, each on its line of ``source``."""
    place = source or ("/etc/modules" if program == "systemd-modules-load" else program)
    return LoadList(program, tuple(ListedModule(name, f"{place}:{number}") for number, name in enumerate(names, 1)), in_order)


def stage(
    name: StageName = ROOT,
    *,
    modprobe: Texts = "",
    rules: Texts = "",
    modules: Aliases = STOCK,
    builtin: Aliases | t.Sequence[str] = (),
    load: t.Sequence[str] = (),
    steps: tuple[Step, ...] | None = None,
    release: str = DEBIAN_13,
    place: str | None = None,
    doubts: tuple[str, ...] = (),
    programs: t.Mapping[str, tuple[Influence, ...]] | None = None,
) -> Stage:
    """A stage; without ``steps`` as Debian has it: initramfs-tools' (``load`` is conf/modules), or systemd's (``load`` is /etc/modules)."""
    inside = name == INITRAMFS
    where = place or (image_path(release) if inside else "/")
    prefix = f"{where}:" if inside else ""
    if steps is None:
        steps = _initramfs_tools(load, prefix) if inside else _systemd(load)
    config, of_udev = modprobe_config(modprobe, prefix=prefix), udev_rules(rules, prefix)
    return Stage(name, where, steps, kernel(modules, builtin, release), config, of_udev, doubts, programs=programs or {})


def boot(
    *stages: Stage,
    cmdline: str = "",
    cmdline_source: str = CMDLINE,
    release: str = DEBIAN_13,
    facts: t.Mapping[str, ModuleFacts] | None = None,
    built_in: tuple[tuple[str, PciDriver], ...] | None = None,
    later: Later = Later(),  # noqa: B008 - frozen
    doubts: tuple[str, ...] = (),
    **of_root: t.Any,
) -> Boot:
    """A boot of ``stages``, or of one root stage made from what `stage()` takes.

    The command line is handed to each stage's kmod.  Each module is taken to register one PCI driver with the IDs that its
    aliases state, in ``facts`` those that do otherwise; what is built in registers by name, unless ``built_in`` has the order.
    """
    arguments = Cmdline.parse(cmdline)
    whole = stages or (stage(ROOT, release=release, **of_root),)
    whole = tuple(dataclasses.replace(one, config=one.config.with_cmdline(arguments, cmdline_source)) for one in whole)
    names = {name for one in whole for name in (*one.kernel.modules, *one.kernel.builtins)}
    modules = {name: module_facts(name, whole) for name in sorted(names)}
    modules.update((normalize_module_name(name), fact) for name, fact in (facts or {}).items())
    if built_in is None:
        linked = dict.fromkeys(name for one in whole for name in sorted(one.kernel.builtins))
        built_in = tuple((name, driver) for name in linked for driver in modules[name].drivers)
    return Boot(release, arguments, cmdline_source, whole, modules, built_in, later=later, doubts=doubts)


def module_facts(name: str, stages: t.Sequence[Stage], *, asynchronous: bool = False) -> ModuleFacts:
    """One driver, named as the kernel's own are, with the IDs of the module's aliases in any stage."""
    lines = (
        (bus, *line.split())
        for one in stages
        for bus, known in one.kernel.index.buses.items()
        for line in (*known.built_in, *known.loadable)
    )
    aliases = dict.fromkeys(
        f"{bus}:{pattern}" for bus, pattern, module in lines if normalize_module_name(module) == normalize_module_name(name)
    )
    ids = tuple(found for found in map(PciId.from_alias, aliases) if found is not None)
    drivers = (PciDriver(KNOWN_DRIVERS.get(normalize_module_name(name), name), ids, asynchronous),) if ids else ()
    return ModuleFacts(drivers, takes_ids=any(entry.override_only for entry in ids))


def _initramfs_tools(load: t.Sequence[str], prefix: str) -> tuple[Step, ...]:
    listed: Step = (load_list("conf/modules", *load, source=f"{prefix}/conf/modules"),)
    return ((Coldplug(),), listed) if load else ((Coldplug(),),)


def _systemd(load: t.Sequence[str]) -> tuple[Step, ...]:
    return ((load_list("systemd-modules-load", *load), Coldplug()),) if load else ((Coldplug(),),)
