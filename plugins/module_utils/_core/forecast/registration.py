# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drivers that a module registers when it is inserted, with their ID tables and the dynamic IDs of `ids=`."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import Registration
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.settings import Settings, aliases_with_options, unclear
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import declines, parameters
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import parse_boolean
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import every_ids, named
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, ModuleFacts, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import Refusal
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId

VFIO_PCI = "vfio_pci"
ASYNC_PROBE = "async_probe"
SRIOV = "enable_sriov"
OWN_FOLDER = "kernel/"
"""Below /lib/modules/<release>; what others build lies elsewhere."""
TAKES_VALUES = "6.3"
_Ids = tuple[tuple["PciId", ...], t.Optional[Reason]]


class Registrar:
    """The modules of one boot."""

    def __init__(self, boot: Boot, devices: t.Sequence[Device] = ()) -> None:
        self._boot = boot
        self.settings = Settings(boot, devices)
        self._vfio = frozenset().union(*(stage.kernel.vfio_modules for stage in boot.stages)) | {VFIO_PCI}
        self._modules: dict[str, list[str]] = {}
        of_stages = (stage.own_modules for stage in boot.stages)
        for module, facts in (pair for found in (boot.modules, *of_stages) for pair in found.items()):
            for driver in facts.drivers:
                modules = self._modules.setdefault(driver.name, [])
                modules += [module] if module not in modules else []
        self._known: dict[tuple[int, str, str], tuple[Registration, ...]] = {}
        self._dynamic: dict[int, tuple[tuple[str, tuple[PciId, ...]], ...]] = {}
        self._in_stage: dict[int, t.Callable[[str, str], tuple[Registration, ...]]] = {}

    def built_in(self) -> t.Iterator[Registration]:
        """Built-in drivers in link order; their `ids=` can be set only on the command line."""
        for module, driver in self._boot.built_in:
            facts = self._boot.modules.get(module)
            takes_ids = facts is not None and facts.takes_ids
            ids, because = self._ids_on_cmdline(module) if takes_ids else ((), None)
            refusal = self.settings.registration(None, module)
            if refusal is None or not refusal.certain:
                may = () if refusal is None else (unclear(refusal),)
                yield Registration(driver, module, module in self._vfio, ids, because, setting=self.settings.of(None, module), unclear=may)

    def registers(self, stage: Stage | None, module: str, alias: str = "") -> tuple[Registration, ...]:
        """The drivers that inserting the module in a stage registers; ``alias`` is what it was found by, if options are given to that."""
        facts = self._boot.facts(module, stage)
        if facts is None or stage is None:
            return ()
        key = (id(stage), module, alias)
        if key not in self._known:
            refusal = self.settings.registration(stage, module, alias)
            off = refusal is not None and refusal.certain
            self._known[key] = () if off else tuple(self._registrations(stage, facts, module, alias))
        return self._known[key]

    def _registrations(self, stage: Stage, facts: ModuleFacts, module: str, alias: str) -> t.Iterator[Registration]:
        ids, because = self._ids(stage, module, alias) if facts.takes_ids else ((), None)
        asked = self._asks_for_async(stage, module, alias)
        refusal, setting = self.settings.registration(stage, module, alias), self.settings.of(stage, module, alias)
        may = () if refusal is None else (unclear(refusal),)
        for driver in facts.drivers:
            detached = None if driver.name in facts.synchronous else asked
            taken = driver if detached is None else dataclasses.replace(driver, asynchronous=True)
            yield Registration(taken, module, module in self._vfio, ids, because, detached, setting, may)

    def _asks_for_async(self, stage: Stage, module: str, alias: str = "") -> Reason | None:
        """`async_probe` among the module's options; since Linux 6.3 it takes a value, and `module.async_probe` applies to all modules.

        (unknown_module_param_cb() in kernel/module/main.c)
        """
        takes_values = version_key(self._boot.release) >= version_key(TAKES_VALUES)
        of_all = self._on_cmdline("module") if takes_values else ()
        asked: Reason | None = None
        # unknown_module_param_cb() compares to the letter.
        own = (one for one in parameters.given_to(stage.config, module, alias) if one.name == ASYNC_PROBE)
        for one in (*named(of_all, ASYNC_PROBE), *own):
            refused = takes_values and one.value is not None and parse_boolean(one.value) is False
            asked = None if refused else Reason(str(one.source), f"{one}: loading it does not wait for its probes")
        return asked

    def _on_cmdline(self, module: str) -> tuple[Parameter, ...]:
        return parameters.given_to_built_in(self._boot.cmdline, self._boot.cmdline_source, module)

    def why_declined(self, registration: Registration, device: Device) -> Refusal | None:
        """Why a driver declines a device that it matches, or may."""
        if registration.setting is None or registration.is_vfio:
            return None
        found = self.settings.probe(registration.setting, registration.driver, device)
        return found if found is not None else self._rivalry(registration, device)

    def declines_always(self, registration: Registration, device: Device) -> bool:
        """Whether a driver that matches the device declines it for certain."""
        found = self.why_declined(registration, device)
        return found is not None and found.certain

    def _rivalry(self, registration: Registration, device: Device) -> Refusal | None:
        """Another of the kernel's own drivers has the device now, and has its ID as well."""
        owners = set() if device.driver is None else set(self.modules_of(device.driver))
        if not owners or registration.module in owners:
            return None
        own = {
            match.module
            for stage in self._boot.stages
            for match in stage.kernel.natives(device.modalias)
            if match.module in stage.kernel.builtins or stage.kernel.modules.get(match.module, "").startswith(OWN_FOLDER)
        }
        rivals = (owners - self._vfio) & own if registration.module in own else set()
        return declines.rivalry(registration.module, registration.driver, device, rivals)

    def why_built_in_is_off(self, driver: str, device: Device) -> Refusal | None:
        """Why a built-in driver, to which the device is bound now, does not take it in this boot, or may not."""
        module = next(iter(self.modules_of(driver)), normalize_module_name(driver))
        found = self.settings.registration(None, module)
        if found is not None:
            return found
        known = next((one for name, one in self._boot.built_in if name == module and one.name == driver), PciDriver(driver))
        return self.settings.probe(self.settings.of(None, module), known, device)

    def registering_in(self, stage: Stage | None) -> t.Callable[[str, str], tuple[Registration, ...]]:
        if id(stage) not in self._in_stage:
            self._in_stage[id(stage)] = lambda module, alias: self.registers(stage, module, alias)
        return self._in_stage[id(stage)]

    def _ids(self, stage: Stage, module: str, alias: str) -> _Ids:
        """The last `ids=` counts; a module with one that the kernel refuses is not loaded, see `Modprobe.unloadable()`."""
        return _parsed(parameters.given_to(stage.config, module, alias))

    def _ids_on_cmdline(self, module: str) -> _Ids:
        """The kernel goes on without an `ids=` that it refuses."""
        return _parsed(self._on_cmdline(module))

    # -- the modules that matter for a device

    def modules_of(self, driver: str) -> t.Sequence[str]:
        """The modules that register a driver of that name."""
        return self._modules.get(driver, ())

    def with_dynamic_id(self, stage: Stage, device: Device) -> set[str]:
        """The modules whose `ids=` in that stage matches the device."""
        if id(stage) not in self._dynamic:
            modules = self._boot.modules.keys() & stage.config.modules_with_options
            named_so = [*((module, "") for module in sorted(modules)), *aliases_with_options(stage.config)]
            listed = ((module, self.registers(stage, module, alias)) for module, alias in named_so)
            self._dynamic[id(stage)] = tuple((module, found[0].ids) for module, found in listed if found and found[0].ids)
        return {module for module, ids in self._dynamic[id(stage)] if any(entry.matches(device) for entry in ids)}

    def kept_out(self, stage: Stage, device: Device) -> t.Iterator[str]:
        """The modules whose `ids=` are refused, or match the device though another option keeps the module out."""
        for module in sorted(self._boot.modules.keys() & stage.config.modules_with_options):
            facts = self._boot.facts(module, stage)
            given = every_ids(parameters.given_to(stage.config, module)) if facts is not None and facts.takes_ids else ()
            if not given or self.registers(stage, module):
                continue
            refused = any(parameters.why_refused(one) is not None for one in given)
            if refused or any(entry.matches(device) for entry in parameters.parse_ids(given[-1].value or "")):
                yield module

    @staticmethod
    def configured_natives(stage: Stage, device: Device) -> set[str]:
        """The modules of `alias` lines that match the device."""
        return {line.arguments[1] for line in stage.config.aliases(device.modalias)}

    def is_vfio(self, driver: str) -> bool:
        return any(module in self._vfio for module in self.modules_of(driver))

    def is_wanted(self, device: Device) -> bool:
        """Whether any module other than vfio_pci has an alias for the device, or is configured to bind to it."""
        for stage in self._boot.stages:
            natives = stage.kernel.natives(device.modalias)
            if natives or self.with_dynamic_id(stage, device) or self.configured_natives(stage, device):
                return True
            if len(stage.kernel.variants(device.modalias)) > 1:
                return True
        return False

    def creates_functions(self, driver: str, stage: Stage | None) -> bool | None:
        """Whether a VFIO driver lets virtual functions be created: vfio-pci does with `enable_sriov`, a variant if it has that parameter.

        None if that is not known of the driver.
        """
        for module in self.modules_of(driver) if self.is_vfio(driver) else ():
            facts = self._boot.modules.get(module)
            if driver == "vfio-pci" or (facts is not None and facts.types is not None and SRIOV in facts.types):
                return self.is_set(stage, module, SRIOV)
        return None

    def vfio_pci_has_set(self, parameter: str, stage: Stage | None) -> bool:
        """Whether a boolean parameter of vfio-pci is set, such as disable_denylist."""
        return stage is not None and self.is_set(stage, VFIO_PCI, parameter)

    def is_set(self, stage: Stage | None, module: str, parameter: str) -> bool:
        """Whether a module's boolean parameter is on."""
        given = self.settings.of(stage, module).values.get(parameter)
        return given is not None and (given.value is None or bool(parse_boolean(given.value)))

    def doubts(self, drivers: t.Collection[str]) -> t.Iterator[str]:
        """Doubts about these drivers."""
        for name in sorted(drivers):
            for module in self.modules_of(name):
                every = (self._boot.modules.get(module), *(stage.own_modules.get(module) for stage in self._boot.stages))
                yield from (facts.doubt for facts in every if facts is not None and facts.doubt is not None)


def _parsed(given: t.Iterable[Parameter]) -> _Ids:
    taken = [one for one in every_ids(given) if parameters.why_refused(one) is None]
    if not taken:
        return (), None
    return parameters.parse_ids(taken[-1].value or ""), Reason(str(taken[-1].source), str(taken[-1]))
