# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of the checks, and the claims of a host's policy: the driver that it assigns to each device, and the source."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, ROOT
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import NOTHING_READ, SITE, PolicyFile, PolicyFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.rebuilt_image import rebuilt
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.host import wording
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import NEAR
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import (
    every_ids,
    given_to,
    given_to_built_in,
    parse_ids,
    why_refused,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage, Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule


@dataclasses.dataclass(frozen=True)
class Finding:
    """One contradiction in the policy, or one line without effect.

    ``kind`` identifies the cause and does not change between releases; ``source`` is the file and line to change; ``sentence`` tells
    the operator what was found, what it means and what to do; ``devices`` are the addresses that are affected, if any.
    """

    kind: str
    source: str
    sentence: str
    devices: tuple[str, ...] = ()


def listed(words: t.Sequence[str]) -> str:
    """Words joined for a sentence; of more than four, the first four and the number of others."""
    return wording.listed(words, 4)


SYSTEM_LIST = "/etc/modules"
STUBS = frozenset(("pci_stub", "pciback", "xen_pciback"))
"""Stub drivers: they take ids= as vfio_pci does, but have no `vfio_pci:` alias."""
WITHOUT_IDS = dict.fromkeys(("vfio", "vfio_pci_core", "vfio_iommu_type1", "vfio_virqfd", "kvm"), "vfio-pci")
"""Modules that are mistaken for the one that takes ids=."""
_FILE_END = re.compile(r"\.ko(?:\.(?:gz|xz|zst))?$")
_PINNED = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")

RULE, IDS, DRIVERCTL = "rule", "ids", "driverctl"


@dataclasses.dataclass(frozen=True)
class GivenIds:
    """One `ids=`: the module, the value as the kernel reads it, the file and line, and why the kernel refuses it, if it does."""

    module: str
    value: str
    source: str
    refused: str | None = None
    name: str = ""
    """The module as the line spells it."""

    @property
    def said(self) -> str:
        return self.name or self.module


@dataclasses.dataclass(frozen=True)
class PolicyClaim:
    """A driver that the policy assigns to a device, by which means, and the file and line."""

    device: Device
    driver: str
    by: str
    source: str


@dataclasses.dataclass(frozen=True)
class HostPolicy:
    """The input of the checks.  ``kernels`` are all that are installed, including those without a forecast."""

    boots: tuple[Boot, ...]
    inventory: Inventory
    kernels: tuple[Kernel, ...]
    files: PolicyFiles = NOTHING_READ

    @functools.cached_property
    def roots(self) -> tuple[tuple[Boot, Stage], ...]:
        """Each boot with its root stage, which has the host's own files."""
        return tuple((boot, stage) for boot in self.boots for stage in boot.stages if stage.name == ROOT)

    @functools.cached_property
    def images(self) -> tuple[tuple[Boot, Stage, Stage], ...]:
        """Each boot with an initramfs that could be read, with that stage and the root stage."""
        return tuple((boot, image, root) for boot, root in self.roots for image in boot.stages if image.name == INITRAMFS)

    def is_site(self, path: str) -> bool:
        """Whether the file is the administrator's: below /etc, /run or /usr/local, and not unchanged from a package."""
        return path.startswith(SITE) and path not in self.files.packaged

    @functools.cached_property
    def lists(self) -> tuple[PolicyFile, ...]:
        """The lists of modules, without Debian's link to /etc/modules."""
        system = next((file.text for file in self.files.lists if file.path == SYSTEM_LIST), None)
        return tuple(file for file in self.files.lists if file.name != "modules.conf" or file.text != system)

    # -- names

    @functools.cached_property
    def modules(self) -> frozenset[str]:
        """The modules of all installed kernels."""
        return frozenset[str]().union(*(frozenset(kernel.modules) | kernel.builtins for kernel in self.kernels))

    @functools.cached_property
    def vfio_modules(self) -> frozenset[str]:
        return frozenset[str]().union(STUBS, *(kernel.vfio_modules for kernel in self.kernels))

    @property
    def releases(self) -> tuple[str, ...]:
        return tuple(kernel.release for kernel in self.kernels)

    def nearest(self, name: str) -> str | None:
        """The module with the most similar name."""
        # Of a file's path the name is meant.
        wanted = normalize_module_name(_FILE_END.sub("", name.rpartition("/")[2]))
        return next(iter(difflib.get_close_matches(wanted, sorted(self.modules), 1, NEAR)), None)

    @functools.cached_property
    def contenders(self) -> frozenset[str]:
        """The modules that could bind to one of the host's devices, or are configured to, and those of VFIO."""
        return self.vfio_modules.union(*(frozenset(boot.modules) for boot in self.boots), ("vfio", "vfio_pci_core", "vfio_iommu_type1"))

    # -- claims

    def devices_of_native(self, kernel: Kernel, module: str) -> tuple[Device, ...]:
        """The host's devices for which a module is a native driver."""
        wanted = {modalias for modalias in self._modaliases if any(match.module == module for match in kernel.natives(modalias))}
        return tuple(device for device in self.inventory.devices if device.modalias in wanted) if wanted else ()

    def devices_with(self, ids: t.Sequence[PciId]) -> tuple[Device, ...]:
        """The host's devices that one of these entries matches; of devices with the same identity only one is tested."""
        named = {identity for identity, device in self._identities.items() if any(entry.matches(device) for entry in ids)}
        return tuple(device for device in self.inventory.devices if device.identity in named) if named else ()

    @functools.cached_property
    def _modaliases(self) -> t.Collection[str]:
        return dict.fromkeys(device.modalias for device in self.inventory.devices)

    @functools.cached_property
    def _identities(self) -> t.Mapping[t.Hashable, Device]:
        return {device.identity: device for device in self.inventory.devices}

    @functools.cached_property
    def _claims(self) -> dict[tuple[int, str], tuple[PolicyClaim, ...]]:
        return {}

    def claims(self, boot: Boot, stage: Stage) -> tuple[PolicyClaim, ...]:
        """The claims of the policy that a stage reads; for the root stage, including driverctl's."""
        key = (id(boot), stage.name)
        if key not in self._claims:
            # In the order in which they come: while drivers are loaded, in the device's event, and after it.
            found = [*self._ids_claims(boot, stage), *self._rule_claims(boot, stage)]
            if stage.name == ROOT:
                found += self._driverctl_claims(boot)
            self._claims[key] = tuple(found)
        return self._claims[key]

    def effective_claims(self, boot: Boot, stage: Stage) -> tuple[PolicyClaim, ...]:
        """Of each device's claims those that decide, if they disagree: by the forecast, with an initramfs that has the policy.

        All of them if none has a part in the outcome.
        """
        by_device: dict[Device, list[PolicyClaim]] = {}
        for claim in self.claims(boot, stage):
            by_device.setdefault(claim.device, []).append(claim)
        disputed = [device for device, claims in by_device.items() if len({claim.driver for claim in claims}) > 1]
        winners = self._winners(boot, disputed) if disputed else {}
        found: list[PolicyClaim] = []
        for device, claims in by_device.items():
            winner = winners.get(device.address)
            found += claims[-1:] if winner is None else [claim for claim in claims if claim.source in winner.facts] or claims
        return tuple(found)

    def _winners(self, boot: Boot, devices: t.Sequence[Device]) -> t.Mapping[str, Winner]:
        root = boot.stages[-1]
        modules = {self.module_of(boot, claim.driver) for claim in self.claims(boot, root)}
        stages = tuple(rebuilt(stage, root, modules) if stage.name == INITRAMFS else stage for stage in boot.stages)
        return forecast(self.inventory.devices, dataclasses.replace(boot, stages=stages), only=devices)

    def _rule_claims(self, boot: Boot, stage: Stage) -> t.Iterator[PolicyClaim]:
        setting = self.setting_overrides(stage)
        # GOTO cannot leave its file.
        jumping = {rule.path for rule in stage.rules.rules if setting and rule.value("GOTO") is not None}
        files = {path: Rules(tuple(rule for rule in stage.rules.rules if rule.path == path)) for path in jumping}
        for rule, driver in setting:
            for device in self.candidates(rule):
                if rule.path in files:
                    certain = any(
                        one.rule == rule and one.certain for one in files[rule.path].overrides(device, boot.release, boot.cmdline)
                    )
                else:
                    certain = rule.matches(device, boot.release) is True
                if certain and "$" not in driver and "%" not in driver:
                    yield PolicyClaim(device, driver, RULE, str(rule))

    def setting_overrides(self, stage: Stage) -> tuple[tuple[Rule, str], ...]:
        """A stage's rules that set driver_override, with the driver."""
        key = id(stage.rules)
        if key not in self._setting:
            found = ((rule, rule.override) for rule in stage.rules.rules)
            self._setting[key] = tuple((rule, driver) for rule, driver in found if driver)
        return self._setting[key]

    @functools.cached_property
    def _setting(self) -> dict[int, tuple[tuple[Rule, str], ...]]:
        return {}

    def candidates(self, rule: Rule) -> tuple[Device, ...]:
        """The devices that a rule could match: the one at the address in the rule, else all."""
        address = pinned_address(rule)
        if address is None:
            return self.inventory.devices
        device = self._by_address.get(address)
        return () if device is None else (device,)

    @functools.cached_property
    def _by_address(self) -> dict[str, Device]:
        return {device.address: device for device in self.inventory.devices}

    def device(self, address: str) -> Device | None:
        return self._by_address.get(address)

    def _ids_claims(self, boot: Boot, stage: Stage) -> t.Iterator[PolicyClaim]:
        for given in effective_ids(boot, stage):
            for module in _taking(stage, given.module):
                for device in self.devices_with(parse_ids(given.value)):
                    yield PolicyClaim(device, driver_of(boot, module), IDS, given.source)

    def _driverctl_claims(self, boot: Boot) -> t.Iterator[PolicyClaim]:
        for address, assigned in boot.later.driverctl.items():
            device = self.device(address)
            if device is not None and assigned.driver:
                yield PolicyClaim(device, assigned.driver, DRIVERCTL, assigned.source)

    def is_vfio_driver(self, boot: Boot, driver: str) -> bool:
        """Whether a driver belongs to a VFIO module."""
        return normalize_module_name(driver) in self.vfio_modules or any(
            known.name == driver for module in self.vfio_modules & boot.modules.keys() for known in boot.modules[module].drivers
        )

    def module_of(self, boot: Boot, driver: str) -> str:
        """The module that registers a driver, if known; else the driver's name, normalized."""
        found = (module for module, facts in boot.modules.items() if any(known.name == driver for known in facts.drivers))
        return next(found, normalize_module_name(driver))


def pinned_address(rule: Rule) -> str | None:
    """The full address that a rule matches on; None if there is none."""
    for key in rule.keys:
        if key.name in ("KERNEL", "KERNELS") and key.operator == "==" and _PINNED.fullmatch(key.value):
            return key.value
    return None


def _taking(stage: Stage, name: str) -> t.Sequence[str]:
    """The modules that ``ids=`` of a name is for: its own, or those of an alias by which a softdep asks for them."""
    if name in WITHOUT_IDS:
        return ()
    aliased = [line.arguments[1] for line in stage.config.aliases(name)]
    words = {normalize_module_name(word) for line in stage.config.directives if line.command == "softdep" for word in line.arguments[1:]}
    return (aliased if name in words else ()) if aliased else (name,)


def driver_of(boot: Boot, module: str) -> str:
    """The driver that a module's `ids=` applies to: its first one."""
    facts = boot.modules.get(module)
    if facts is not None and facts.drivers:
        return facts.drivers[0].name
    return KNOWN_DRIVERS.get(module, module)


def given_ids(config: ModprobeConfig) -> dict[str, tuple[GivenIds, ...]]:
    """All `ids=`, by module, in the order in which kmod passes them."""
    found = {module: _given(module, given_to(config, module)) for module in config.modules_with_options}
    return {module: entries for module, entries in found.items() if entries}


def effective_ids(boot: Boot, stage: Stage) -> tuple[GivenIds, ...]:
    """The `ids=` that counts for each module: the last; of a built-in module, the last that the kernel takes from the command line."""
    found: list[GivenIds] = []
    for module, entries in given_ids(stage.config).items():
        heard = entries
        if module in stage.kernel.builtins and module not in stage.kernel.modules:
            of_kernel = _given(module, given_to_built_in(boot.cmdline, boot.cmdline_source, module))
            heard = tuple(one for one in of_kernel if one.refused is None)
        found += heard[-1:]
    return tuple(found)


def _given(module: str, parameters: t.Iterable[Parameter]) -> tuple[GivenIds, ...]:
    return tuple(GivenIds(module, one.value or "", str(one.source), why_refused(one), _spelt(module, one)) for one in every_ids(parameters))


def _spelt(module: str, given: Parameter) -> str:
    words = re.split(r"[\s.\"]+", given.line)
    return next((word for word in words if normalize_module_name(word) == module), module)
