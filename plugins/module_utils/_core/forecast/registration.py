# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drivers that a module registers when it is inserted, with their ID tables and the dynamic IDs of `ids=`."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import Registration
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import parameters
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import every_ids, named

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId

VFIO_PCI = "vfio_pci"
ASYNC_PROBE = "async_probe"
TAKES_VALUES = "6.3"
FALSE = ("0", "n", "N", "no", "No", "NO", "off", "Off", "OFF", "f", "F")
TRUE = ("1", "y", "Y", "on", "ON", "true")
_Ids = tuple[tuple["PciId", ...], t.Optional[Reason]]


class Registrar:
    """The modules of one boot."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        self._vfio = frozenset().union(*(stage.kernel.vfio_modules for stage in boot.stages)) | {VFIO_PCI}
        self._modules: dict[str, list[str]] = {}
        for module, facts in boot.modules.items():
            for driver in facts.drivers:
                self._modules.setdefault(driver.name, []).append(module)
        self._known: dict[tuple[int, str], tuple[Registration, ...]] = {}
        self._dynamic: dict[int, tuple[tuple[str, tuple[PciId, ...]], ...]] = {}
        self._in_stage: dict[int, t.Callable[[str], tuple[Registration, ...]]] = {}

    def built_in(self) -> t.Iterator[Registration]:
        """Built-in drivers in link order; their `ids=` can be set only on the command line."""
        for module, driver in self._boot.built_in:
            facts = self._boot.modules.get(module)
            takes_ids = facts is not None and facts.takes_ids
            ids, because = self._ids_on_cmdline(module) if takes_ids else ((), None)
            yield Registration(driver, module, module in self._vfio, ids, because)

    def registers(self, stage: Stage | None, module: str) -> tuple[Registration, ...]:
        """The drivers that inserting the module in a stage registers."""
        facts = self._boot.modules.get(module)
        if facts is None or stage is None:
            return ()
        key = (id(stage), module)
        if key not in self._known:
            ids, because = self._ids(stage, module) if facts.takes_ids else ((), None)
            is_vfio, asked = module in self._vfio, self._asks_for_async(stage, module)
            self._known[key] = tuple(
                Registration(driver, module, is_vfio, ids, because)
                if asked is None or driver.name in facts.synchronous
                else Registration(dataclasses.replace(driver, asynchronous=True), module, is_vfio, ids, because, asked)
                for driver in facts.drivers
            )
        return self._known[key]

    def _asks_for_async(self, stage: Stage, module: str) -> Reason | None:
        """`async_probe` among the module's options; since Linux 6.3 it takes a value, and `module.async_probe` applies to all modules.

        (unknown_module_param_cb() in kernel/module/main.c)
        """
        takes_values = version_key(self._boot.release) >= version_key(TAKES_VALUES)
        of_all = self._on_cmdline("module") if takes_values else ()
        asked: Reason | None = None
        # unknown_module_param_cb() compares to the letter.
        own = (one for one in parameters.given_to(stage.config, module) if one.name == ASYNC_PROBE)
        for before, given in (("", named(of_all, ASYNC_PROBE)), (f"options {module} ", own)):
            for one in given:
                refused = takes_values and one.value in FALSE
                asked = None if refused else Reason(str(one.source), f"{before}{one.written}: loading it does not wait for its probes")
        return asked

    def _on_cmdline(self, module: str) -> tuple[Parameter, ...]:
        return parameters.given_to_built_in(self._boot.cmdline, self._boot.cmdline_source, module)

    def registering_in(self, stage: Stage | None) -> t.Callable[[str], tuple[Registration, ...]]:
        if id(stage) not in self._in_stage:
            self._in_stage[id(stage)] = lambda module: self.registers(stage, module)
        return self._in_stage[id(stage)]

    def _ids(self, stage: Stage, module: str) -> _Ids:
        """The last `ids=` counts; a module with one that the kernel refuses is not loaded, see `Modprobe.unloadable()`."""
        return _parsed(parameters.given_to(stage.config, module), f"options {module} ")

    def _ids_on_cmdline(self, module: str) -> _Ids:
        """The kernel goes on without an `ids=` that it refuses."""
        return _parsed(self._on_cmdline(module), "")

    # -- the modules that matter for a device

    def modules_of(self, driver: str) -> t.Sequence[str]:
        """The modules that register a driver of that name."""
        return self._modules.get(driver, ())

    def with_dynamic_id(self, stage: Stage, device: Device) -> set[str]:
        """The modules whose `ids=` in that stage matches the device."""
        if id(stage) not in self._dynamic:
            modules = self._boot.modules.keys() & stage.config.modules_with_options
            listed = ((module, self.registers(stage, module)) for module in sorted(modules))
            self._dynamic[id(stage)] = tuple((module, found[0].ids) for module, found in listed if found and found[0].ids)
        return {module for module, ids in self._dynamic[id(stage)] if any(entry.matches(device) for entry in ids)}

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

    def vfio_pci_has_set(self, parameter: str, stage: Stage | None) -> bool:
        """Whether a boolean parameter of vfio-pci is set: disable_denylist, enable_sriov."""
        given = () if stage is None else named(parameters.given_to(stage.config, VFIO_PCI), parameter)
        return bool(given) and ("1" if given[-1].value is None else given[-1].value) in TRUE

    def doubts(self, drivers: t.Collection[str]) -> t.Iterator[str]:
        """Doubts about these drivers."""
        for name in sorted(drivers):
            for module in self.modules_of(name):
                doubt = self._boot.modules[module].doubt
                if doubt is not None:
                    yield doubt


def _parsed(given: t.Iterable[Parameter], before: str) -> _Ids:
    taken = [one for one in every_ids(given) if parameters.why_refused(one) is None]
    if not taken:
        return (), None
    return parameters.parse_ids(taken[-1].value or ""), Reason(str(taken[-1].source), f"{before}{taken[-1].written}")
