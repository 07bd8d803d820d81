# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""udev rules and driverctl's files that name devices or drivers that do not exist, or contradict one another."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.driverctl import FOLDER
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import NEAR
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS, plain_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OF_VFIO
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import (
    Finding,
    listed,
    pinned_address,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Key

IDENTITY = {
    **{("ATTR", name): name for name in ("vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision", "modalias")},
    **{("ENV", name): name for name in ("PCI_ID", "PCI_SUBSYS_ID", "PCI_CLASS", "MODALIAS")},
}
ABOUT_DEVICE = frozenset(
    (
        *((name, attribute) for name in ("ATTR", "ATTRS") for attribute in ("vendor", "device", "class")),
        *(("SUBSYSTEM", None), ("KERNEL", None), ("ENV", "PCI_ID"), ("ENV", "PCI_SLOT_NAME"), ("ENV", "PCI_CLASS")),
    )
)
"""Keys by which a rule chooses a function, by name and attribute."""
MOST_RULES = 64
NO_DRIVER = ("none", "")
"""Names that are used to keep a device from being bound to any driver."""
NOT_COPIED = ("/usr/lib/", "/lib/", "/run/", "/usr/local/")


def rules_for_absent_devices(host: HostPolicy) -> t.Iterator[Finding]:
    """A driver_override rule, or a file of driverctl, for an address without a device: cards were moved, or buses renumbered."""
    if not host.inventory.devices:
        return
    for boot, root in host.roots:
        places = [(str(rule), pinned_address(rule)) for rule, _driver in host.setting_overrides(root)]
        places += [(assigned.source, address) for address, assigned in boot.later.driverctl.items()]
        for source, address in places:
            if address is not None and host.device(address) is None and not _may_become_virtual(host, boot, address):
                said = f"{source} is for {address}, and this host has no device there: it has no effect."
                yield Finding("override-for-absent-device", source, f"{said} Correct the address (lspci -D), or remove it.", (address,))


def rules_for_no_device(host: HostPolicy) -> t.Iterator[Finding]:
    """A driver_override rule whose keys about identity agree with no device of this host, nor with one that may still appear."""
    waiting = [device for device in host.inventory.devices if device.max_virtual_functions > len(device.virtual_functions)]
    for _boot, root in host.roots if host.inventory.devices else ():
        unpinned = [(rule, driver) for rule, driver in host.setting_overrides(root) if pinned_address(rule) is None]
        for rule, driver in unpinned[:MOST_RULES]:
            asked = tuple(key for key in rule.keys if key.operator == "==" and (key.name, key.attribute) in ABOUT_DEVICE)
            makers = tuple(key for key in asked if key.attribute == "vendor")
            may_appear = any(_agrees(rule, makers, device) for device in waiting)
            if not asked or not host.is_site(rule.path) or may_appear or any(_agrees(rule, asked, one) for one in host.inventory.devices):
                continue
            wrong = next((key for key in asked if not any(_agrees(rule, (key,), one) for one in host.inventory.devices)), None)
            why = "its keys agree with none together" if wrong is None else f"`{wrong.written}` agrees with none"
            said = f"{rule} sets driver_override={driver} for no device of this host: {why}."
            yield Finding("rule-without-device", str(rule), f"{said} Correct it (lspci -Dnn), or remove the rule.")


def _agrees(rule: Rule, keys: tuple[Key, ...], device: Device) -> bool:
    return Rule(rule.path, rule.line, keys).matches(device) is not False


def _may_become_virtual(host: HostPolicy, boot: Boot, address: str) -> bool:
    """Whether a VF could be created at this address: on its physical function's bus, or the next."""
    domain, bus = address.split(":")[:2]
    for device in host.inventory.devices:
        waiting = device.max_virtual_functions > len(device.virtual_functions) or device.address in boot.later.virtual_functions
        its_domain, its_bus = device.address.split(":")[:2]
        if waiting and its_domain == domain and 0 <= int(bus, 16) - int(its_bus, 16) <= 1:
            return True
    return False


def rules_for_changed_devices(host: HostPolicy) -> t.Iterator[Finding]:
    """A driver_override rule that names an address and an identity, if another device is at that address now."""
    for boot, root in host.roots:
        for rule, _driver in host.setting_overrides(root):
            address = pinned_address(rule)
            device = None if address is None else host.device(address)
            if device is None or rule.matches(device, boot.release) is not False:
                continue
            wrong = [
                key for key in rule.keys if _is_identity(key) and Rule(rule.path, rule.line, (key,)).matches(device, boot.release) is False
            ]
            if wrong:
                wanted = " ".join(f"{key.attribute}{key.operator}{key.value}" for key in wrong)
                there = f"{device.id} (class 0x{device.class_code:06x})" if "class" in wanted.lower() else device.id
                said = f"{rule} expects {wanted} at {device.address}, but {there} is there: the device has changed"
                yield Finding(
                    "override-for-changed-device", str(rule), f"{said}, and the rule has no effect. Correct it.", (device.address,)
                )


def _is_identity(key: Key) -> bool:
    return key.is_match and (key.name, key.attribute) in IDENTITY


def overrides_to_unknown_drivers(host: HostPolicy) -> t.Iterator[Finding]:
    """An override that is not a driver's name: the kernel compares with strcmp() (pci_match_device()), so the device stays unbound.

    The usual cause is a module's name in place of its driver's: vfio_pci for vfio-pci.
    """
    for boot, root in host.roots if host.kernels else ():
        given = [(str(rule), driver, pinned_address(rule)) for rule, driver in host.setting_overrides(root)]
        given += [(assigned.source, assigned.driver, address) for address, assigned in boot.later.driverctl.items()]
        problems = {driver: _unknown_driver(driver, boot, host) for driver in {driver for _source, driver, _address in given}}
        for source, driver, address in given:
            problem = problems[driver]
            if problem is not None:
                kind, advice = problem
                addresses = () if address is None else (address,)
                said = f"{source} sets driver_override={_shown(driver)}, and no installed kernel has a driver of that name"
                is_left = source.startswith(FOLDER) and normalize_module_name(driver) not in host.modules
                effect = "driverctl cannot load it, and leaves the device as it is" if is_left else "the device stays without a driver"
                yield Finding(kind, source, f"{said}: {effect}. {advice}", addresses)


def _shown(driver: str) -> str:
    return f'"{driver}"' if re.search(r"\s", driver) else driver


def _unknown_driver(driver: str, boot: Boot, host: HostPolicy) -> tuple[str, str] | None:
    """The finding's kind, and what to do; None if it is, or may be, the name of a driver."""
    if "$" in driver or "%" in driver:
        return None
    registered = {known.name for one in host.boots for facts in one.modules.values() for known in facts.drivers}
    registered |= set(host.inventory.drivers) | {known.name for _module, known in boot.built_in}
    if driver in registered or driver in NO_DRIVER:
        return None
    module = normalize_module_name(driver)
    candidates = sorted(registered | {KNOWN_DRIVERS.get(name, name) for name in host.vfio_modules if name in host.modules})
    facts = boot.modules.get(module)
    names = tuple(known.name for known in facts.drivers) if facts is not None else ()
    names = names or ((KNOWN_DRIVERS[module],) if module in KNOWN_DRIVERS else ())
    if names:
        return (
            None if driver in names else ("override-names-module", f"{driver} is a module; write the name of its driver, {listed(names)}.")
        )
    meant = _near(driver, candidates)
    if meant is None and module in OF_VFIO:
        return "override-names-module", f"{driver} is a module without a driver for PCI; write vfio-pci."
    if meant is not None and plain_name(driver) == plain_name(meant):
        return "unknown-driver", f"The kernel compares every sign. Write {meant}."
    if module in host.modules or (meant is None and not host.inventory.drivers):
        # What the module registers is unknown; and without a running kernel, drivers with another name than their module are, too.
        return None
    return "unknown-driver", f"Did you mean {meant}?" if meant else "Check the spelling, or install the module that registers it."


def _near(driver: str, candidates: t.Sequence[str]) -> str | None:
    """The driver that is meant, whatever its capitals, dashes and blanks, with a path before it or a file's ending behind it."""
    plain = plain_name(driver)
    alike = [name for name in candidates if plain_name(name) == plain]
    return next(iter(alike or difflib.get_close_matches(driver.strip().lower(), candidates, 1, NEAR)), None)


def rules_that_no_image_gets(host: HostPolicy) -> t.Iterator[Finding]:
    """initramfs-tools copies /etc/udev/rules.d and a few named files (hooks/udev): a driver_override rule elsewhere is not copied.

    In the initramfs the device is then bound to a native driver before the root's rules are read.
    """
    for _boot, image, root in host.images if host.files.initramfs_tools else ():
        held = {_base_name(rule.path) for rule, _driver in host.setting_overrides(image)}
        for rule, driver in host.setting_overrides(root):
            if not rule.path.startswith(NOT_COPIED) or _base_name(rule.path) in held:
                continue
            devices = [device for device in host.candidates(rule) if rule.matches(device, root.kernel.release) is True]
            taken = [device for device in devices if _early_natives(image.kernel, device, driver)]
            early = dict.fromkeys(name for device in taken for name in _early_natives(image.kernel, device, driver))
            said = (
                f"{rule} sets driver_override, but initramfs-tools copies only rules in /etc/udev/rules.d: {image.place} does not have it"
            )
            said += f", and has {listed(list(early))} for {listed([device.address for device in taken])}" if early else ""
            name = _base_name(rule.path)
            yield Finding(
                "rule-not-in-image",
                str(rule),
                f"{said}. Move it to /etc/udev/rules.d, or add a hook that copies {name}.",
                _addresses(devices),
            )


def _early_natives(kernel: Kernel, device: Device, driver: str) -> tuple[str, ...]:
    return tuple(match.module for match in kernel.natives(device.modalias) if match.module != normalize_module_name(driver))


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]


def _addresses(devices: t.Iterable[Device]) -> tuple[str, ...]:
    return tuple(device.address for device in devices)
