# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each module of a boot is set to, and what that makes of it: it does not load, it registers no driver, it declines a device."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import declines, parameters, refusals
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.declines import Match
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.initcalls import unexplained
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import LONGEST_IDS, last_of_each
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import ModuleSettings, Refusal

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver

UNKNOWN_TYPE = ParameterType("charp", None)
IDS = ParameterType("string", LONGEST_IDS + 1)


class Settings:
    """The modules of one boot, on a host with these devices."""

    def __init__(self, boot: Boot, devices: t.Sequence[Device] = ()) -> None:
        self._boot = boot
        self._devices = devices
        self._known: dict[tuple[int, str, str], ModuleSettings] = {}
        self._alike: dict[PciDriver, int] = {}
        self._nomodeset = boot.cmdline_source if boot.cmdline.has_nomodeset else None

    def of(self, stage: Stage | None, module: str, alias: str = "") -> ModuleSettings:
        """A module's setting in a stage; ``alias`` is what it was found by.  Without a stage that of a built-in module."""
        key = (id(stage), module, alias)
        if key not in self._known:
            facts = self._boot.facts(module, stage)
            self._known[key] = ModuleSettings(
                # What is known of a driver is known by the name that its authors gave to it, whatever its file is called.
                module=(facts is not None and facts.name) or module,
                release=self._boot.release,
                values=self._values(stage, module, alias),
                nomodeset=self._nomodeset,
                of=lambda other: self._values(stage, other),
                types=(facts.types if facts is not None else None) or {},
                license=None if facts is None else facts.license,
                version=None if facts is None else facts.version,
                present=lambda other: any(one.kernel.has(other) for one in self._boot.stages),
            )
        return self._known[key]

    def given(self, stage: Stage | None, module: str, alias: str = "") -> tuple[Parameter, ...]:
        """What a module is given; what is built in, and every module without a stage, by the kernel's command line alone."""
        if stage is None or (module in stage.kernel.builtins and module not in stage.kernel.modules):
            return self._of_built_in(module)
        return parameters.given_to(stage.config, module, alias)

    def _of_built_in(self, module: str) -> tuple[Parameter, ...]:
        found = parameters.given_to_built_in(self._boot.cmdline, self._boot.cmdline_source, module)
        if module != "usbcore":
            return found
        # core_param(nousb, …) in drivers/usb/core/usb.c: the name is without the module's.
        return (*found, *parameters.named(parameters.words_of(self._boot.cmdline, self._boot.cmdline_source), "nousb"))

    def _values(self, stage: Stage | None, module: str, alias: str = "") -> dict[str, Parameter]:
        given = self.given(stage, module, alias)
        facts = self._boot.facts(module, stage)
        types = None if facts is None else facts.types
        if types is None:
            types = {normalize_module_name(one.name): UNKNOWN_TYPE for one in given}
        built_in = stage is None or (module in stage.kernel.builtins and module not in stage.kernel.modules)
        return last_of_each(given, types, built_in)

    # -- what keeps a module out

    def load(self, stage: Stage, module: str, alias: str = "") -> Refusal | None:
        """Why a loadable module does not load, or may not."""
        found = [one for one in self._why_not(stage, module, alias) if one is not None and not one.loads]
        return next((one for one in found if one.certain), found[0] if found else None)

    def _why_not(self, stage: Stage, module: str, alias: str) -> t.Iterator[Refusal | None]:
        yield self.left_out(module)
        facts = self._boot.facts(module, stage)
        if facts is not None:
            for one in parameters.given_to(stage.config, module, alias):
                yield self._objection(module, one, facts.types, facts.takes_ids)
        yield refusals.refusal(self.of(stage, module, alias))

    def _objection(self, module: str, one: Parameter, types: t.Mapping[str, ParameterType] | None, takes_ids: bool) -> Refusal | None:
        name = normalize_module_name(one.name)
        if name in refusals.IGNORED:
            return None
        kind = (types or {}).get(name)
        if name == "ids" and takes_ids and (kind is None or kind == ParameterType("string")):
            # The size of the buffer is the same in every driver that takes it.
            kind = IDS
        if kind is None:
            return None
        found = refusals.objection_of(module, kind, one, self._boot.possible_cpus)
        if found is None:
            return None
        effect = "the kernel does not load it with that" if found.certain else "whether it loads with that cannot be determined"
        return Refusal(str(one.source), f"{name}= of {module} {found.why}: {effect}", found.certain)

    def registration(self, stage: Stage | None, module: str, alias: str = "") -> Refusal | None:
        """Why a module, loadable or built in, registers no driver, or may not."""
        if stage is None:
            found = [self.left_out(module), refusals.refusal(self.of(None, module))]
        else:
            found = list(self._why_not(stage, module, alias))
        real = [one for one in found if one is not None]
        return next((one for one in real if one.certain), real[0] if real else None)

    def left_out(self, name: str) -> Refusal | None:
        """What `initcall_blacklist=` does to a module or a built-in driver."""
        functions = self._boot.cmdline.refused_functions
        if not functions:
            return None
        own = self._boot.functions.get(name)
        source = self._boot.cmdline_source
        if own is not None:
            out = [one for one in functions if one in own]
            # Of several functions of a module it may be another one that registers the driver.
            certain = own <= frozenset(out)
            said = f"initcall_blacklist={','.join(out)} {'leaves' if certain else 'may leave'} {name} out"
            return Refusal(source, said, certain) if out else None
        unknown = unexplained(functions)
        said = f"initcall_blacklist={','.join(unknown)} may leave {name} out, whose first function is not known"
        return Refusal(source, said, certain=False) if unknown else None

    # -- what keeps a driver from a device

    def probe(self, setting: ModuleSettings, driver: PciDriver, device: Device) -> Refusal | None:
        """Why a driver declines a device that it matches, or may."""
        if setting.module not in declines.PROBES and not setting.values and not declines.is_dsp(setting.module):
            return None
        natives = frozenset(match.module for one in self._boot.stages for match in one.kernel.natives(device.modalias))
        return declines.refusal(setting, Match(device, driver, natives, self._number(driver)))

    def _number(self, driver: PciDriver) -> int:
        """How many devices the driver matches."""
        if driver not in self._alike:
            self._alike[driver] = sum(any(entry.matches(device) for entry in driver.ids) for device in self._devices)
        return self._alike[driver]


def aliases_with_options(config: ModprobeConfig) -> t.Iterator[tuple[str, str]]:
    """Each module and the alias, of modprobe.d, by which it is given options."""
    given = config.modules_with_options
    for line in config.directives:
        if line.command == "alias" and line.arguments[0] in given:
            yield line.arguments[1], line.arguments[0]


def unclear(refusal: Refusal) -> str:
    """The sentence of what may keep a driver off."""
    return f"{refusal}."
