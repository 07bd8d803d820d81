# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `device_info` returns besides sysfs: computed once, and again if anything that was read has changed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import marshal
import operator
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_cache import read_kernels
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import headers_package
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tolerant_host import TolerantHost
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import kernel_config
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import warning_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.old_modules import old_in_use
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import DEVICES, Device
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.names import read_names
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import NO_FORECAST, HostForecast
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_report import (
    Context,
    DeviceModules,
    InstalledKernel,
    configured_modules,
    device_contenders,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

# The last format of marshal that does not distinguish one object from two equal ones.
VALUES_ONLY = 2
_all_fields = operator.attrgetter(*(field.name for field in dataclasses.fields(Device) if field.name != "virtual_layout"))


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Whether forecasts are part of the report, and of them: what they take for granted, what a boot elsewhere need not show, and what
    would change them, which is searched by many forecasts more."""

    forecast: bool = True
    assumes: bool = False
    hidden: bool = False
    changes: bool = True


@dataclasses.dataclass(frozen=True)
class Forecasts:
    """Forecasts in the form in which modules return them; devices with the same forecast share it."""

    next_kernel: Result
    forecasts: t.Sequence[Result]
    on_kernels: t.Mapping[str, t.Mapping[str, int]]
    """The index in ``forecasts``, by address and release."""
    warnings: t.Mapping[str, t.Sequence[str]]
    """By address, for those devices that have any."""
    policy_warnings: list[str]
    no_forecast: Result
    """For a boot that is not known."""

    @classmethod
    def make(cls, host_forecast: HostForecast, devices: t.Sequence[Device], wanted: Wanted) -> Forecasts:
        forecasts: list[Result] = []
        indices: dict[t.Hashable, int] = {}
        on_kernels: dict[str, dict[str, int]] = {}
        hidden = {release: host_forecast.hidden_causes(release) for release in host_forecast.boots} if wanted.hidden else {}
        for device in devices:
            on_kernels[device.address] = here = {}
            for release in host_forecast.boots:
                forecast = host_forecast.on_kernel(device, release, wanted.changes)
                # Winners are shared objects, which the host's forecast keeps alive.
                causes = hidden[release][device.address] if hidden else ()
                key = (id(forecast.winner), forecast.claimed, forecast.would_change, causes)
                here[release] = indices.setdefault(key, len(forecasts))
                if here[release] == len(forecasts):
                    more = {"hidden": [dataclasses.asdict(one) for one in causes]} if hidden else {}
                    forecasts.append({**forecast.result(wanted.assumes), **more})
        found = {device.address: host_forecast.warnings(device) for device in devices}
        warnings = {address: sentences for address, sentences in found.items() if sentences}
        no_forecast = NO_FORECAST.result(wanted.assumes)
        return cls(host_forecast.next_kernel.result(), forecasts, on_kernels, warnings, host_forecast.policy_warnings, no_forecast)

    def of(self, device: Device, modules: t.Mapping[str, Result]) -> Result:
        """``modules`` is the rest of each kernel's result."""
        indices = self.on_kernels[device.address]
        kernels = {release: {**known, **self.forecasts[indices[release]]} for release, known in modules.items()}
        release = self.next_kernel["release"]
        on_next = {**DeviceModules().result(), **self.no_forecast} if release is None else kernels[release]
        warnings = list(self.warnings.get(device.address, ()))
        return {"kernels": kernels, "next_boot": {**self.next_kernel, **on_next}, "warnings": warnings}


@dataclasses.dataclass(frozen=True)
class CachedReport:
    """What `device_info` returns except for sysfs, as JSON values."""

    kernels: list[Result]
    modprobe: list[Result]
    warnings: list[str]
    old_in_use: list[str]
    contenders: t.Mapping[str, Result]
    """By modalias."""
    names: t.Mapping[str, str]
    """By ID, those that the host's database has."""
    forecasts: Forecasts | None

    @classmethod
    def read(
        cls, host: Host, inventory: Inventory, devices: t.Sequence[Device], described: bool, wanted: Wanted, cache: Cache
    ) -> CachedReport:
        """From the host's files.  ``described`` devices are not those in /sys."""
        host = TolerantHost.of(host)
        running = host.text_or_none(OSRELEASE)
        kernels = read_kernels(host, cache)
        config = ModprobeConfig.read(host)
        host_forecast = HostForecast.read(host, inventory, kernels, running, cache, described) if wanted.forecast else None
        configuration = functools.cache(functools.partial(kernel_config, host))
        context = Context(inventory, kernels, running, config, frozenset(host.names("/sys/module")), configuration)
        contenders = device_contenders(devices, context)
        old = [] if described else list(old_in_use(host, kernels))
        return cls(
            [kernel.result() for kernel in _installed(host, kernels, running)],
            # A root without devices is asked about its configuration.
            [found.result() for found in configured_modules(config, kernels, contenders.values() if inventory.devices else None)],
            _warnings(host, described, running, [kernel.release for kernel in kernels]) + list(map(warning_of, old)),
            old,
            {modalias: found.result() for modalias, found in contenders.items()},
            read_names(host, devices),
            None if host_forecast is None else Forecasts.make(host_forecast, devices, wanted),
        )

    @classmethod
    def recall(
        cls, host: Host, inventory: Inventory, devices: t.Sequence[Device], described: bool, wanted: Wanted, cache: Cache
    ) -> CachedReport:
        """The result of `read()`, from the cache if it would be the same again."""
        whose = json.dumps([described, *dataclasses.astuple(wanted), [device.address for device in devices]])

        def read() -> CachedReport:
            return cls.read(host, inventory, devices, described, wanted, cache)

        return cache.concluded("report", whose, _fingerprint(inventory), read, CachedReport.to_cache, CachedReport.from_cache)

    def to_cache(self) -> dict[str, t.Any]:
        """As JSON values."""
        return {**vars(self), "forecasts": None if self.forecasts is None else vars(self.forecasts)}

    @classmethod
    def from_cache(cls, kept: t.Any) -> CachedReport:
        """Raises KeyError or TypeError if `to_cache()` did not write this."""
        forecasts = kept["forecasts"]
        return cls(**{**kept, "forecasts": None if forecasts is None else Forecasts(**forecasts)})

    def of(self, device: Device) -> Result:
        """The result for one device."""
        contenders = self.contenders[device.modalias]
        return contenders if self.forecasts is None else {**contenders, **self.forecasts.of(device, contenders["kernels"])}

    def of_host(self) -> Result:
        """The result for the host."""
        found: Result = {"kernels": self.kernels, "modprobe": self.modprobe, **({"old_in_use": self.old_in_use} if self.old_in_use else {})}
        if self.forecasts is not None:
            found |= {"next_boot": self.forecasts.next_kernel, "policy_warnings": self.forecasts.policy_warnings}
        return {**found, "warnings": self.warnings} if self.warnings else found


def _installed(host: Host, kernels: t.Sequence[Kernel], running: str | None) -> t.Iterator[InstalledKernel]:
    for kernel in kernels:
        yield InstalledKernel(kernel.release, kernel.release == running, kernel.has_headers, headers_package(host, kernel.release))


def _warnings(host: Host, described: bool, running: str | None, installed: t.Sequence[str]) -> list[str]:
    if described and running is None:
        return []
    if not host.is_dir(DEVICES):
        return [f"{host.root} has no {DEVICES}: only its kernels and modprobe.d are reported, no devices."]
    if running not in installed:
        return [f"Kernel {running} runs, but its modules are not installed: the contenders for devices are not known."]
    return []


def _fingerprint(inventory: Inventory) -> str:
    """Of all that is known about the devices and drivers."""
    drivers = sorted((driver.name, driver.module or "") for driver in inventory.drivers.values())
    # marshal takes no class of ours.
    layouts = [(device.address, tuple(device.virtual_layout)) for device in inventory.devices if device.virtual_layout is not None]
    return hashlib.sha256(marshal.dumps([list(map(_all_fields, inventory.devices)), layouts, drivers], VALUES_ONLY)).hexdigest()
