# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forecast with one of its rules broken, each in turn: the boots that were seen must give every one away."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Callable, Iterator

from module_mutations import MODULE_MUTATIONS
from mutation import Broken, Mutation, always, changed, generated

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import OWN, SetOverride


def _without_effect(kind: str) -> Broken:
    """Events in which one kind of effect is missing."""
    return lambda right: lambda self, device: tuple(effect for effect in right(self, device) if type(effect).__name__ != kind)


def _programs_first(right: t.Any) -> t.Any:
    """As if udev loaded modules before it writes the attributes."""

    def broken(self: t.Any, device: t.Any) -> t.Any:
        effects = right(self, device)
        return tuple(sorted(effects, key=lambda effect: type(effect).__name__ != "LoadRequest"))

    return broken


def _first_override_stays(right: t.Any) -> t.Any:
    def broken(self: t.Any, device: t.Any) -> t.Any:
        seen: set[str] = set()
        found = []
        for effect in right(self, device):
            name = type(effect).__name__
            if name != "SetOverride" or name not in seen:
                found.append(effect)
            seen.add(name)
        return tuple(found)

    return broken


def _blacklist_for_all(right: t.Any) -> t.Any:
    """As if a blacklist kept a module out that a softdep or another module asks for."""

    def broken(self: t.Any, module: str, *rest: t.Any, **named: t.Any) -> t.Any:
        return (
            entry for entry in right(self, module, *rest, **named) if self._blacklist_of(entry.module) is None or entry.module == module
        )

    return broken


def _blacklist_for_every_program(right: t.Any) -> t.Any:
    """As if every program asked as udev asks."""

    def broken(self: t.Any, text: str, honours_blacklist: bool, source: t.Any = None) -> t.Any:
        return right(self, text, honours_blacklist is not None, source)

    return broken


def _displaces(right: t.Any) -> t.Any:
    """As if the driver that comes last took the device from the one that has it."""

    def broken(self: t.Any, registration: t.Any, because: t.Any) -> t.Any:
        before = self.state
        self.state = dataclasses.replace(before, driver=None)
        right(self, registration, because)
        if self.state.driver is None:
            self.state = before

    return broken


def _skips_stage(name: str) -> Broken:
    """As if a stage had no steps."""
    return lambda right: lambda self, stage, *rest: None if stage.name == name else right(self, stage, *rest)


def _with_stages(change: Callable[[t.Any, t.Any], t.Any]) -> Broken:
    """The stages before the root, changed with the root in view."""

    def outer(right: t.Any) -> t.Any:
        def broken(self: t.Any) -> t.Any:
            *early, root = self._boot.stages
            self._boot = dataclasses.replace(self._boot, stages=(*(change(stage, root) for stage in early), root))
            return right(self)

        return broken

    return outer


def _reversed_steps(right: t.Any) -> t.Any:
    def broken(self: t.Any) -> t.Any:
        stages = tuple(dataclasses.replace(stage, steps=tuple(reversed(stage.steps))) for stage in self._boot.stages)
        self._boot = dataclasses.replace(self._boot, stages=stages)
        return right(self)

    return broken


def _ordered_by_priority(right: t.Any) -> t.Any:
    def broken(self: t.Any, name: str) -> t.Any:
        return list(reversed(right(self, name)))

    return broken


def _first_of_each_module(right: t.Any) -> t.Any:
    def broken(self: t.Any, module: str) -> t.Any:
        return right(self, module)[:1]

    return broken


def _without_options_of_cmdline(right: t.Any) -> t.Any:
    def broken(self: t.Any, *asked: t.Any) -> t.Any:
        return tuple(directive for directive in right(self, *asked) if directive.source.line)

    return broken


def _without_unbinding(right: t.Any) -> t.Any:
    def broken(self: t.Any, effect: t.Any, own: bool) -> None:
        if type(effect).__name__ != "Unbind":
            right(self, effect, own)

    return broken


def _nobody_yet(right: t.Any) -> t.Any:
    """As if no built-in driver had the device when user space starts."""

    def broken(self: t.Any, *given: t.Any) -> t.Any:
        fate = right(self, *given)
        return dataclasses.replace(fate, states=tuple(dataclasses.replace(state, driver=None, stage=None) for state in fate.states))

    return broken


def _without_words(*left_out: str) -> Broken:
    return lambda right: lambda arguments, key: () if key in left_out else right(arguments, key)


def _empty_value_clears(right: t.Any) -> t.Any:
    """As if udev wrote an empty value, which would clear the override."""

    def broken(self: t.Any, done: t.Any, subject: t.Any) -> Iterator[t.Any]:
        if done.key.value or done.key.attribute != "driver_override":
            yield from right(self, done, subject)
        else:
            yield SetOverride(OWN, None, Reason(str(done.rule), "cleared"))

    return broken


def _for_any_address(right: t.Any) -> t.Any:
    def broken(*arguments: t.Any) -> t.Any:
        keys, notes = right(*arguments)
        return tuple(key for key in keys or () if key.name != "KERNEL" or not key.value.startswith("0000:")) or None, notes

    return broken


def _without_modules_load(right: t.Any) -> t.Any:
    def broken(tree: t.Any, cmdline: t.Any, *rest: t.Any) -> t.Any:
        kept = tuple(argument for argument in cmdline.arguments if "load" not in argument.partition("=")[0])
        return right(tree, dataclasses.replace(cmdline, arguments=kept), *rest)

    return broken


_MATCHING, _PROBING, _EVENTS, _PLAY = "forecast.matching", "forecast.probing", "forecast.events", "forecast.device_simulation"
_SIMULATION, _REGISTRATION, _CONFIG = "forecast.forecast:_Simulation", "forecast.registration", "kernel.modprobe"
_PARAMETERS = "kernel.parameters"
EVENT = f"{_EVENTS}:Events.of"

MUTATIONS = (
    *MODULE_MUTATIONS,
    # The kernel's matching
    Mutation(
        "an override shuts other drivers out",
        f"{_MATCHING}:matches",
        lambda right: lambda d, i, v, o: right(d, i, v, None) or right(d, i, v, o),
    ),
    Mutation("an override lets its driver in without an ID", f"{_MATCHING}:_is_named", always(False)),
    Mutation(
        "an override is compared to the letter",
        f"{_MATCHING}:_is_named",
        lambda _right: lambda driver, override: driver.name.replace("-", "_") == override.replace("-", "_"),
    ),
    Mutation("dynamic IDs match", f"{_MATCHING}:_has_dynamic_id", always(False)),
    Mutation("a driver's own table matches", f"{_MATCHING}:_has_static_id", always(False)),
    Mutation(
        "entries for an override match nothing without it",
        f"{_MATCHING}:_has_static_id",
        lambda _right: lambda driver, device: any(entry.matches(device) for entry in driver.ids),
    ),
    Mutation("autoprobe keeps drivers from virtual functions", f"{_MATCHING}:can_probe", always(True)),
    Mutation(
        "an override outdoes autoprobe",
        f"{_MATCHING}:can_probe",
        lambda _right: lambda virtual, autoprobe, _override: not virtual or autoprobe,
    ),
    Mutation("every entry of ids= counts", f"{_PARAMETERS}:parse_ids", changed(lambda ids: ids[:1])),
    Mutation(
        "an entry of ids= can name the subsystem",
        f"{_PARAMETERS}:parse_ids",
        changed(lambda ids: tuple(dataclasses.replace(entry, subsystem_vendor=0xFFFFFFFF, subsystem_device=0xFFFFFFFF) for entry in ids)),
    ),
    Mutation(
        "ids= are read in either case",
        f"{_PARAMETERS}:parse_ids",
        lambda right: lambda value: right(",".join(entry for entry in value.split(",") if entry == entry.lower())),
    ),
    Mutation("without an IOMMU no VFIO driver takes a device", f"{_MATCHING}:vfio_refusal", always(None)),
    Mutation(
        "the order in which a new device is offered to drivers changed in 7.x",
        f"{_MATCHING}:attach_order",
        lambda right: lambda drivers, _release: right(drivers, "6.1"),
    ),
    # kmod
    Mutation("an alias of modprobe.d replaces modules.alias", f"{_PROBING}:Modprobe._from_config_alias", always([])),
    Mutation("a module can be asked for by its name", f"{_PROBING}:Modprobe._from_names", always([])),
    Mutation("an install line's name can be asked for", f"{_PROBING}:Modprobe._from_install", always([])),
    Mutation("modules are loaded in the order of modules.alias", f"{_PROBING}:Modprobe._from_modules_alias", _ordered_by_priority),
    Mutation("every module of modules.alias is loaded", f"{_PROBING}:Modprobe._from_modules_alias", _first_of_each_module),
    Mutation("a blacklist keeps a module out", f"{_PROBING}:Modprobe._blacklist_of", always(None)),
    Mutation("a blacklist counts only for what was asked for", f"{_PROBING}:Modprobe._probe_list", _blacklist_for_all),
    Mutation(
        "a plain modprobe of a name ignores blacklists",
        f"{_PROBING}:Modprobe.ask",
        _blacklist_for_every_program,
    ),
    Mutation(
        "softdep pre: comes before",
        f"{_PROBING}:softdep_words",
        lambda right: lambda line, wanted: () if wanted == "pre:" else right(line, wanted),
    ),
    Mutation(
        "softdep post: comes after",
        f"{_PROBING}:softdep_words",
        lambda right: lambda line, wanted: () if wanted == "post:" else (*right(line, "pre:"), *right(line, "post:")),
    ),
    Mutation("only the first softdep counts", f"{_CONFIG}:ModprobeConfig.softdeps", changed(lambda lines: tuple(reversed(lines)))),
    Mutation(
        "install is ignored beside a softdep",
        f"{_PROBING}:Modprobe._with_softdeps",
        generated(lambda found: [entry._replace(ignores_install=False) for entry in found]),
    ),
    Mutation("install stands in for loading", f"{_PROBING}:Modprobe._install_of", always(None)),
    Mutation("a module that cannot be loaded is not there", f"{_PROBING}:Modprobe._why_unloadable", always(None)),
    Mutation("only the last ids= counts", f"{_CONFIG}:ModprobeConfig.options", changed(lambda lines: tuple(reversed(lines)))),
    Mutation("the command line's options come last", f"{_CONFIG}:ModprobeConfig.options", _without_options_of_cmdline),
    Mutation("module_blacklist= keeps a module out", "kernel.cmdline:Cmdline.refused", lambda _right: property(lambda _self: ())),
    Mutation(
        "modprobe.blacklist= keeps a module out",
        "kernel.cmdline:Cmdline.blacklisting",
        lambda _right: property(lambda _self: ()),
        reads=True,
    ),
    Mutation(
        "- is _ in modprobe.d", f"{_CONFIG}:_underscores", lambda right: lambda word: word if right(word) is not None else None, reads=True
    ),
    Mutation(
        "comments say nothing", f"{_CONFIG}:_directive", lambda right: lambda source, line: right(source, line.lstrip("# ")), reads=True
    ),
    Mutation("a line can go on", f"{_CONFIG}:_logical_lines", lambda _right: lambda text: enumerate(text.split("\n"), 1), reads=True),
    Mutation(
        "two blanks before pre: undo a softdep", f"{_CONFIG}:_rest", changed(lambda words: [word.strip() for word in words]), reads=True
    ),
    Mutation("only .conf files are read", f"{_CONFIG}:is_configuration", always(True), reads=True),
    Mutation("kmod 33 and newer read no .alias files", f"{_CONFIG}:reads_old_suffix", always(True), reads=True),
    Mutation("/etc hides its namesakes", f"{_CONFIG}:DIRECTORIES", lambda right: tuple(reversed(right)), reads=True),
    # udev
    Mutation("a rule sets the override", EVENT, _without_effect("SetOverride")),
    Mutation("the override is set before modules are loaded", EVENT, _programs_first),
    Mutation("the last rule's override stays", EVENT, _first_override_stays),
    Mutation("an empty value leaves an override as it is", "forecast.rule_effects:RuleEffects._attribute", _empty_value_clears),
    Mutation("a rule can switch autoprobe off", EVENT, _without_effect("SetAutoprobe")),
    Mutation("an event loads modules", EVENT, _without_effect("LoadRequest")),
    Mutation(
        "a rule's condition has to hold",
        "udev.answers:_answer",
        lambda right: lambda key, *rest: True if key.name == "ATTR" else right(key, *rest),
    ),
    Mutation(
        "a rule is for an action",
        "udev.answers:_answer",
        lambda right: lambda key, *rest: True if key.name == "ACTION" else right(key, *rest),
    ),
    Mutation("GOTO skips rules", "udev.rule:Rule.target", lambda _right: property(lambda _self: None)),
    Mutation("a rule is for an address", "udev.rules:_keys_of", _for_any_address, reads=True),
    # registering and probing
    Mutation("nobody is displaced", f"{_PLAY}:DeviceSimulation._offer", _displaces),
    Mutation("jobs at the same time can come in any order", "forecast.alternatives:orders", generated(lambda found: found[:1])),
    Mutation("a driver that registers is offered what is unbound", f"{_PLAY}:DeviceSimulation._load", always(None)),
    Mutation("a module registers its drivers", f"{_REGISTRATION}:Registrar.registers", always(())),
    # the stages
    Mutation("the initramfs comes first", f"{_SIMULATION}._step", _skips_stage("initramfs")),
    Mutation("the root comes after it", f"{_SIMULATION}._step", _skips_stage("root")),
    Mutation("conf/modules comes after coldplug, rd.driver.pre= before", f"{_SIMULATION}.winners", _reversed_steps),
    Mutation(
        "an image has its own modprobe.d",
        f"{_SIMULATION}.winners",
        _with_stages(lambda stage, root: dataclasses.replace(stage, config=root.config)),
    ),
    Mutation(
        "an image has its own rules",
        f"{_SIMULATION}.winners",
        _with_stages(lambda stage, root: dataclasses.replace(stage, rules=root.rules, programs=root.programs)),
    ),
    Mutation(
        "an image has only its own modules",
        f"{_SIMULATION}.winners",
        _with_stages(lambda stage, root: dataclasses.replace(stage, kernel=root.kernel)),
    ),
    Mutation("what the initramfs loaded stays loaded", f"{_SIMULATION}._settle", always(None)),
    Mutation("a rule may write its override once driverctl has taken the device", f"{_SIMULATION}._unbind_events", always(())),
    Mutation("driverctl comes last", "forecast.forecast:jobs_of", always([])),
    Mutation("virtual functions appear when their drivers are there", f"{_SIMULATION}._appear", always(None)),
    Mutation(
        "a virtual function's event can come before its drivers are asked",
        f"{_SIMULATION}._appear",
        lambda right: lambda self, device, root, _event: right(self, device, root, ()),
    ),
    Mutation("not every driver makes virtual functions", f"{_REGISTRATION}:Registrar.creates_functions", always(True)),
    Mutation(
        "driverctl's vfio-pci takes unbound identical cards, too",
        f"{_PLAY}:with_id",
        lambda _right: lambda registration, _effect: registration,
    ),
    Mutation(
        "driverctl gives up where modprobe fails",
        f"{_PROBING}:Modprobe._insert",
        changed(lambda one: dataclasses.replace(one, failed=False)),
    ),
    Mutation("driverctl takes a device from whoever has it", f"{_PLAY}:DeviceSimulation._apply", _without_unbinding),
    Mutation("a module that is in is not loaded again", f"{_PLAY}:DeviceSimulation._is_loaded", always(False)),
    Mutation("built-in drivers have their devices first", "forecast.built_ins:BuiltIns.outcomes", _nobody_yet),
    # what is read
    Mutation("blacklist= of initramfs-tools", "boot.read_initramfs_tools:_blacklisted", always(()), reads=True),
    Mutation("/conf/modules", "boot.read_initramfs_tools:_listed", generated(lambda _found: []), reads=True),
    Mutation(
        "rd.driver.pre= and rd.driver.post=",
        "boot.read_dracut:_values",
        _without_words("rd.driver.pre", "rd.driver.post"),
        reads=True,
    ),
    Mutation(
        "rd.driver.blacklist=",
        "boot.read_dracut:_value",
        lambda right: lambda word, key: None if key == "rd.driver.blacklist" else right(word, key),
        reads=True,
    ),
    Mutation("lists in modules-load.d", "boot.read_systemd:_from_files", generated(lambda _found: []), reads=True),
    Mutation("modules_load=", "boot.read_systemd:_load_list", _without_modules_load, reads=True),
    Mutation("/run is empty after a boot", "boot.read_root:lasting", lambda _right: tuple, reads=True),
    Mutation("ids= on the command line", "kernel.cmdline:Cmdline.written_options", lambda _right: property(lambda _self: ()), reads=True),
)
