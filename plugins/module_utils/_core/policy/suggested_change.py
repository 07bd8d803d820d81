# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest change that makes a claimed driver win: each is tried on all devices, and counts only if it helps and harms none.

By the forecast's own word: the device is certain to be bound to the claimed driver, and every other device's answer stays as it
is, or becomes certain for the driver that the host's policy claims that device for.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import types
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, INITRAMFS, KERNEL
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import SITE
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.reasons import LACKS
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.runtime import NO_DRIVER
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import off_word
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import plain_name
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.boot_change import (
    BootChange,
    in_root,
    removals,
    with_claims,
    with_image_rebuilt,
    with_listed,
    with_softdeps,
    without_names,
    without_switches,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.changed_arguments import switched_on

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

NO_CLAIMS: t.Mapping[str, str] = types.MappingProxyType({})
UNBOUNDED = 1 << 62
EVENTS_LIKE_A_DEVICE = 10
"""Cost factor: the events of ten classes of devices cost as much as the simulation of one."""
RULES_LIKE_A_DEVICE = 25
"""Cost factor: one extra forecast per 25 rules, since every event is checked against the rules that write to other devices."""


@dataclasses.dataclass(frozen=True)
class SuggestedChange:
    """A change that helps, and the addresses of all devices that it binds as they are claimed."""

    sentence: str
    devices: tuple[str, ...]


class OutOfBudgetError(Exception):
    """The search has cost as much as it may, and is not at its end."""


class Search:
    """The search for changes of one boot.  ``claimed`` has the drivers that the host's policy claims devices for, by address.

    ``carried`` are the modules that the initramfs generator is configured to include.  ``limit`` is in forecasts of one device.
    """

    def __init__(
        self,
        devices: t.Sequence[Device],
        boot: Boot,
        claimed: t.Mapping[str, str] = NO_CLAIMS,
        carried: t.Collection[str] = (),
        before: t.Mapping[str, Winner] | None = None,
        limit: int = UNBOUNDED,
        classes: int = 1,
    ) -> None:
        self._devices = devices
        self._boot = boot
        self._claimed = claimed
        self._carried = frozenset(map(normalize_module_name, carried))
        self._before = forecast(devices, boot) if before is None else before
        self._left = limit
        self._classes = classes
        self._rules = 1 + sum(len(stage.rules.rules) for stage in boot.stages) // RULES_LIKE_A_DEVICE
        self._after: dict[str, t.Mapping[str, Winner]] = {}

    def remedy(self, device: Device, driver: str) -> SuggestedChange | None:
        """The first change that helps; None where no known one does.  Raises OutOfBudgetError."""
        module = _module_of(driver, self._boot)
        if module is None:
            return None
        for change in self._changes(device, driver, module):
            moved = self._moved(change, device, driver)
            if moved:
                return SuggestedChange(change.sentence, moved)
        return None

    # -- trying

    def _moved(self, change: BootChange, device: Device, driver: str) -> tuple[str, ...]:
        """The devices whose answers the change improves, among them ``device``; none if it does not help, or harms one."""
        if not _is_certain(self._own_answer(change, device), driver):
            return ()
        after = self._answers(change)
        moved = [address for address, winner in after.items() if _answer(winner) != _answer(self._before[address])]
        claimed = {**self._claimed, device.address: driver}
        if all(address in claimed and _is_certain(after[address], claimed[address]) for address in moved):
            return tuple(moved)
        return ()

    def _own_answer(self, change: BootChange, device: Device) -> Winner:
        known = self._after.get(change.sentence)
        if known is not None:
            return known[device.address]
        self._spend(1 + self._classes // EVENTS_LIKE_A_DEVICE)
        return forecast(self._devices, change.boot, only=(device,))[device.address]

    def _answers(self, change: BootChange) -> t.Mapping[str, Winner]:
        if change.sentence not in self._after:
            self._spend(self._classes)
            self._after[change.sentence] = forecast(self._devices, change.boot)
        return self._after[change.sentence]

    def _spend(self, forecasts: int) -> None:
        if self._left <= 0:
            raise OutOfBudgetError
        self._left -= forecasts * self._rules

    # -- what can be changed

    def _changes(self, device: Device, driver: str, module: str) -> t.Iterator[BootChange]:
        """From the smallest on: take one line away or add one, rebuild the image, both, and last a policy of our own."""
        boot = self._boot
        switches: list[BootChange] = []
        if switched_on(boot) is not boot:
            sentence = f"Remove {off_word.ARGUMENT} from the command line ({boot.cmdline_source})."
            switches.append(BootChange(sentence, switched_on(boot)))
        switches += without_switches(boot)
        yield from switches
        removed = list(self._removals(device, module))
        spelt = driver if normalize_module_name(driver) == module else module
        together = list(self._claimed_together(device, driver))
        listed = with_listed(boot, spelt)
        added = [*_additions(boot, together[0], spelt), *(() if listed is None else (listed,))]
        small = (*removed, *added, *(change for devices in together[1:] for change in _additions(boot, devices, spelt)))
        yield from small
        image = next((stage for stage in boot.stages if stage.name == INITRAMFS), None)
        rebuild = "" if image is None else f"rebuild {image.place}"
        if image is not None:
            yield BootChange(f"Rebuild {image.place}: it does not have what the root's files say.", self._rebuilt(boot))
            for change in small:
                yield change.then(rebuild, self._rebuilt(change.boot))
        for devices in together:
            yield from self._claims(devices, driver, module, (*switches, *removed), rebuild)

    def _rebuilt(self, boot: Boot, *modules: str) -> Boot:
        return with_image_rebuilt(boot, (*self._carried, *modules))

    def _removals(self, device: Device, module: str) -> t.Iterator[BootChange]:
        """What keeps a module out is removed only if that is the claimed module, or one that it needs."""
        boot, now = self._boot, self._before[device.address]
        own = frozenset((module, *(needed for stage in boot.stages for needed in stage.kernel.dependencies(module))))
        yield from without_names(boot, own)
        for change in removals(boot, now, {**_keeping_out(boot, own), **in_root(boot, now.facts)}):
            place, _colon, fact = change.line.partition(": ")
            is_site = place.startswith(SITE) or place == boot.cmdline_source
            if is_site and own.issuperset(_kept_out(fact)):
                yield change

    def _claimed_together(self, device: Device, driver: str) -> t.Iterator[tuple[Device, ...]]:
        """The device alone, and with all others that are claimed for the same driver and not certain to be bound to it."""
        yield (device,)
        waiting = (one for one in self._devices if self._claimed.get(one.address) == driver or one is device)
        others = tuple(one for one in waiting if not _is_certain(self._before[one.address], driver))
        if len(others) > 1 and not any(one.is_virtual for one in others):
            yield others

    def _claims(
        self, devices: t.Sequence[Device], driver: str, module: str, removed: t.Sequence[BootChange], rebuild: str
    ) -> t.Iterator[BootChange]:
        selectors = self._selectors(devices)
        named = ", ".join(dict.fromkeys(one.text for one in selectors.values()))
        ignored = " (group: ignore)" if any(map(self._has_company, devices)) else ""
        claim = f"claim {named} for {driver} with boot_policy{ignored}"
        for change in (None, *removed):
            boot = with_claims(self._boot if change is None else change.boot, selectors, driver, module, self._devices)
            if boot is not None:
                claimed = BootChange(f"{claim[0].upper()}{claim[1:]}.", boot) if change is None else change.then(claim, boot)
                yield claimed.then(rebuild, self._rebuilt(boot, module)) if rebuild else claimed

    def _selectors(self, devices: t.Sequence[Device]) -> dict[Device, Selector]:
        """By address, or by ID if there are no others with it."""
        ids = {device.id for device in devices}
        if len(devices) > 1 and sum(device.id in ids for device in self._devices) == len(devices):
            return {device: Selector(device.id, vendor=device.vendor, device=device.device) for device in devices}
        return {device: Selector(device.address, address=device.address) for device in devices}

    def _has_company(self, device: Device) -> bool:
        """Whether boot_policy would claim other devices along with this one, which are not claimed yet."""
        if device.iommu_group is None:
            return False
        group = (other for other in self._devices if other.iommu_group == device.iommu_group and not other.is_bridge)
        return any(other.address not in self._claimed for other in group if other.address != device.address)


def would_change(
    device: Device, driver: str, devices: t.Sequence[Device], boot: Boot, now: Winner, search: Search | None = None
) -> str | None:
    """What makes ``driver`` win for certain, as a sentence; None where it wins already, or where nothing that is known would do.

    ``devices`` are all of the host.  Raises OutOfBudgetError if ``search`` has a limit.
    """
    if _is_certain(now, driver) or driver == NO_DRIVER:
        return None
    if _module_of(driver, boot) is None:
        meant = _meant(driver, boot)
        advice = "install or build it for that kernel first" if meant is None else f"write {meant}, as the kernel compares every sign"
        return f"Kernel {boot.release} {LACKS} {driver}: {advice}."
    if now.stage == KERNEL and now.certainty == CERTAIN:
        return f"{now.driver} is built into kernel {boot.release} and has the device before any file is read; move it after the boot."
    found = (search or Search(devices, boot)).remedy(device, driver)
    return None if found is None else found.sentence


def _module_of(driver: str, boot: Boot) -> str | None:
    module = next(iter(Registrar(boot).modules_of(driver)), None)
    return module if module is not None and any(stage.kernel.has(module) for stage in boot.stages) else None


def _meant(driver: str, boot: Boot) -> str | None:
    """The driver of the boot's modules that is written otherwise."""
    names = sorted({known.name for facts in boot.modules.values() for known in facts.drivers})
    return next((name for name in names if plain_name(name) == plain_name(driver)), None)


def _is_certain(winner: Winner, driver: str) -> bool:
    return (winner.driver, winner.certainty) == (driver, CERTAIN)


def _answer(winner: Winner) -> tuple[t.Hashable, ...]:
    return winner.driver, winner.certainty, frozenset(winner.outcomes)


def _keeping_out(boot: Boot, modules: t.Collection[str]) -> dict[str, str]:
    """The root's lines of modprobe.d that keep these modules out, by place, whether or not anything asks for the modules now."""
    lines = (line for line in boot.stages[-1].config.directives if line.command in ("blacklist", "install") and line.source.line)
    return {str(line.source): str(line) for line in lines if line.arguments[0] in modules}


def _kept_out(fact: str) -> t.Iterator[str]:
    """The modules that a line keeps from being loaded: `blacklist nouveau`, `module_blacklist=nouveau`, `install nouveau /bin/false`."""
    words = fact.split()
    key, _equals, value = words[0].partition("=") if words else ("", "", "")
    if key == "initcall_blacklist":
        # Of the functions that start a module most are named after it.
        yield from (re.sub(r"_(?:module_)?init(?:_module)?$", "", name) for name in value.split(","))
    elif key.endswith("blacklist"):
        yield from (normalize_module_name(name) for name in (value.split(",") if value else words[1:]))
    elif key == "install":
        yield from (normalize_module_name(name) for name in words[1:2])


def _additions(boot: Boot, devices: t.Sequence[Device], module: str) -> t.Iterator[BootChange]:
    """Where the driver's `ids=` name the devices: load the driver before the native modules of one, or of all."""
    root = boot.stages[-1]
    if not all(normalize_module_name(module) in Registrar(boot).with_dynamic_id(root, device) for device in devices):
        return
    found = (match.module for device in devices for match in root.kernel.natives(device.modalias))
    missing = [native for native in dict.fromkeys(found) if native in root.kernel.modules and not _loads_first(boot, native, module)]
    for native in missing if len(devices) == 1 else ():
        yield with_softdeps(boot, (native,), module)
    if len(missing) > 1:
        yield with_softdeps(boot, missing, module)


def _loads_first(boot: Boot, native: str, module: str) -> bool:
    """Whether the first softdep of the native has the module before its `post:` already."""
    softdeps = boot.stages[-1].config.softdeps(native)
    before = itertools.takewhile(lambda word: word.strip() != "post:", softdeps[0].arguments[1:] if softdeps else ())
    return normalize_module_name(module) in map(normalize_module_name, before)
