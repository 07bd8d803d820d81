# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about devices besides what sysfs shows: concluded once, and again when anything that was read has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import marshal
import operator
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_cache import read_kernels
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import headers_package
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES, Device
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import HostForecast, next_boot_facts
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_report import (
    Context,
    contender_facts,
    kernel_report,
    modprobe_report,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

Facts = dict[str, t.Any]
# The last format of marshal that does not tell one object from two equal ones.
VALUES_ONLY = 2
_all_fields = operator.attrgetter(*(field.name for field in dataclasses.fields(Device)))


@dataclasses.dataclass(frozen=True)
class Forecasts:
    """Forecasts in the form in which modules return them; devices of which the same is said share it."""

    next_kernel: Facts
    facts: t.Sequence[Facts]
    on_kernels: t.Mapping[str, t.Mapping[str, int]]
    """The place in ``facts``, by address and release."""
    warnings: t.Mapping[str, t.Sequence[str]]
    """By address, for those devices that there is something to say about."""
    policy_warnings: list[str]

    @classmethod
    def make(cls, outlook: HostForecast, devices: t.Sequence[Device]) -> Forecasts:
        facts: list[Facts] = []
        places: dict[t.Hashable, int] = {}
        on_kernels: dict[str, dict[str, int]] = {}
        for device in devices:
            on_kernels[device.address] = here = {}
            for release in outlook.boots:
                told = outlook.on_kernel(device, release)
                key = (id(told["because"]), told["claimed"], told["would_change"])
                here[release] = places.setdefault(key, len(facts))
                if here[release] == len(facts):
                    facts.append(told)
        found = {device.address: outlook.warnings(device) for device in devices}
        warnings = {address: sentences for address, sentences in found.items() if sentences}
        return cls(outlook.next_kernel, facts, on_kernels, warnings, outlook.policy_warnings)

    def of(self, device: Device, contending: t.Mapping[str, Facts]) -> Facts:
        """``contending`` is what is said of each kernel besides."""
        places = self.on_kernels[device.address]
        kernels = {release: {**known, **self.facts[places[release]]} for release, known in contending.items()}
        next_boot = next_boot_facts(self.next_kernel, kernels)
        return {"kernels": kernels, "next_boot": next_boot, "warnings": list(self.warnings.get(device.address, ()))}


@dataclasses.dataclass(frozen=True)
class CachedReport:
    """Nothing but what JSON can say."""

    kernels: list[Facts]
    modprobe: list[Facts]
    warnings: list[str]
    contender_facts: t.Mapping[str, Facts]
    """By modalias."""
    forecasts: Forecasts | None

    @classmethod
    def read(
        cls, host: Host, inventory: Inventory, devices: t.Sequence[Device], described: bool, forecast: bool, cache: Cache
    ) -> CachedReport:
        """From the host's files.  ``described`` devices are not those that /sys shows."""
        running = host.text_or_none(OSRELEASE)
        kernels = read_kernels(host, cache)
        config = ModprobeConfig.read(host)
        outlook = HostForecast.read(host, inventory, kernels, running, cache, described) if forecast else None
        around = Context(inventory, kernels, running, config, frozenset(host.names("/sys/module")))
        return cls(
            [{**kernel, "headers_package": headers_package(host, kernel["release"])} for kernel in kernel_report(kernels, running)],
            modprobe_report(config, kernels),
            _warnings(host, described, running, [kernel.release for kernel in kernels]),
            contender_facts(devices, around),
            None if outlook is None else Forecasts.make(outlook, devices),
        )

    @classmethod
    def recall(
        cls, host: Host, inventory: Inventory, devices: t.Sequence[Device], described: bool, forecast: bool, cache: Cache
    ) -> CachedReport:
        """What `read()` says, from the cache where it would read the same again."""
        whose = json.dumps([described, forecast, [device.address for device in devices]])

        def read() -> CachedReport:
            return cls.read(host, inventory, devices, described, forecast, cache)

        return cache.concluded("told", whose, _fingerprint(inventory), read, CachedReport.to_cache, CachedReport.from_cache)

    def to_cache(self) -> dict[str, t.Any]:
        """As JSON can say it."""
        return {**vars(self), "forecasts": None if self.forecasts is None else vars(self.forecasts)}

    @classmethod
    def from_cache(cls, kept: t.Any) -> CachedReport:
        """Raises KeyError or TypeError on what `to_cache()` did not write."""
        forecasts = kept["forecasts"]
        return cls(**{**kept, "forecasts": None if forecasts is None else Forecasts(**forecasts)})

    def of(self, device: Device) -> Facts:
        """What is said of one device."""
        verdict = self.contender_facts[device.modalias]
        return verdict if self.forecasts is None else {**verdict, **self.forecasts.of(device, verdict["kernels"])}

    def of_host(self) -> Facts:
        """What is said of the host."""
        found: Facts = {"kernels": self.kernels, "modprobe": self.modprobe}
        if self.forecasts is not None:
            found |= {"next_boot": self.forecasts.next_kernel, "policy_warnings": self.forecasts.policy_warnings}
        return {**found, "warnings": self.warnings} if self.warnings else found


def _warnings(host: Host, described: bool, running: str | None, installed: t.Sequence[str]) -> list[str]:
    if described and running is None:
        return []
    if not host.is_dir(DEVICES):
        return [f"{host.root} has no {DEVICES}: this tells about its kernels and modprobe.d, not about devices."]
    if running not in installed:
        return [f"Kernel {running} runs, but its modules are not installed: what contends for a device is not known."]
    return []


def _fingerprint(inventory: Inventory) -> str:
    """Of all that is known about the devices and their drivers."""
    drivers = sorted((driver.name, driver.module or "") for driver in inventory.drivers.values())
    return hashlib.sha256(marshal.dumps([list(map(_all_fields, inventory.devices)), drivers], VALUES_ONLY)).hexdigest()
