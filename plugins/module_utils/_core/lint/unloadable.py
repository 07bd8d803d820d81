# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFIO drivers that the policy or libvirt chooses, but that cannot be loaded or refuse the device."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.matching import (
    DENYLIST,
    NO_GROUP,
    UNSERVED_ADVICE,
    unserved,
    why_off,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PENDING
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import parse_boolean
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to, named
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding, listed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

NO_FALLBACK = "libvirt 10 and newer choose it by its alias and have no fallback: guests with the device do not start"
WORKAROUND = "or write <driver model='vfio-pci'/> into the domain"
ENABLE = "Enable the IOMMU in the firmware and on the kernel's command line."


def variants_that_cannot_load(host: HostPolicy) -> t.Iterator[Finding]:
    """A variant that is a device's best by its alias, but that the kernel refuses: unsigned under lockdown, or built for another kernel.

    libvirt considers only the aliases (virPCIDeviceFindBestVFIOVariant() in src/util/virpci.c).
    """
    for boot, root in host.roots:
        for module, reason in sorted((name, facts.refused) for name, facts in boot.modules.items() if facts.refused):
            devices = _devices_of_variant(host, root.kernel, module) if root.kernel.index.is_variant(module) else ()
            if devices:
                place = f"modules.alias of {boot.release}"
                said = f"{place} makes {module} the best variant for {listed(devices)}, but it cannot be loaded: {reason.rstrip('.')}."
                said += f" {NO_FALLBACK}."
                yield Finding("variant-refused", place, f"{said} Sign or rebuild the module, {WORKAROUND}.", devices)


def variants_without_a_module(host: HostPolicy) -> t.Iterator[Finding]:
    """A `vfio_pci:` alias of a module that does not exist: depmod was not run after the module was removed, or its file is missing."""
    for kernel in host.kernels:
        for module in sorted(kernel.vfio_modules - kernel.builtins):
            path = kernel.modules.get(module)
            if path == PENDING or (path is not None and (kernel.release, module) not in host.files.absent):
                continue
            # vfio_pci matches everything and so is never the best.
            devices = _devices_of_variant(host, kernel, module) if module != "vfio_pci" else ()
            place = f"modules.alias of {kernel.release}"
            said = f"{place} names {module}, but that kernel does not have the module."
            said += f" It is the best variant for {listed(devices)}; {NO_FALLBACK}." if devices else ""
            yield Finding("variant-missing", place, f"{said} Install the module again, or run `depmod {kernel.release}`.", devices)


def _devices_of_variant(host: HostPolicy, kernel: Kernel, module: str) -> tuple[str, ...]:
    best: dict[str, bool] = {}
    for modalias in dict.fromkeys(device.modalias for device in host.inventory.devices):
        match = kernel.best_variant(modalias)
        best[modalias] = match is not None and match.module == module
    return tuple(device.address for device in host.inventory.devices if best[device.modalias])


def claimed_modules_that_nobody_may_load(host: HostPolicy) -> t.Iterator[Finding]:
    """A blacklist of a VFIO module that the policy assigns devices to: udev and systemd-modules-load honour it, softdeps do not;
    `module_blacklist=` is implemented in the kernel and always applies (kernel/module/main.c)."""
    for boot, root in host.roots:
        for module, devices in _claimed(host, boot, root).items():
            names = listed(devices)
            for line in root.config.blacklists(module):
                said = f"{line.source}: `{line}`, but the policy assigns {names} to {line.spelt(module)}"
                said += ": udev and systemd-modules-load will not load it."
                yield Finding("claimed-blacklisted", str(line.source), f"{said} Remove that line.", devices)
            if module in boot.cmdline.refused:
                argument = boot.cmdline.last("module_blacklist")
                said = f"{boot.cmdline_source}: `{argument}`, but the policy assigns {names} to {module}: it cannot be loaded."
                yield Finding("claimed-blacklisted", boot.cmdline_source, f"{said} Remove it from the command line.", devices)


def _claimed(host: HostPolicy, boot: Boot, root: Stage) -> dict[str, tuple[str, ...]]:
    """The VFIO modules that the policy assigns devices to, with the addresses."""
    found: dict[str, dict[str, None]] = {}
    for claim in host.effective_claims(boot, root):
        if host.is_vfio_driver(boot, claim.driver):
            found.setdefault(host.module_of(boot, claim.driver), {})[claim.device.address] = None
    return {module: tuple(addresses) for module, addresses in found.items()}


def iommu_switched_off(host: HostPolicy) -> t.Iterator[Finding]:
    """No IOMMU (`intel_iommu=off`, `amd_iommu=off`, `iommu=off`) although devices are assigned to VFIO, which needs an IOMMU group."""
    for boot, root in host.roots:
        off = why_off(host.inventory.devices, boot)
        for reason, devices in _without_group(host, boot, root, off).items() if not _takes_without_iommu(root) else ():
            them = "them" if len(devices) > 1 else "it"
            said = f"The policy assigns {listed(devices)} to VFIO, which cannot bind to {them} after a boot of {boot.release}: {reason}."
            word = reason.rpartition(" has ")[2] if " has " in reason else ""
            advice = f"Remove {word} from the kernel's command line." if word else ENABLE if off else UNSERVED_ADVICE
            yield Finding("iommu-off", boot.cmdline_source, f"{said} {advice}", tuple(devices))


def _without_group(host: HostPolicy, boot: Boot, root: Stage, off: str | None) -> dict[str, list[str]]:
    """The assigned devices that will be in no IOMMU group, by the reason."""
    found: dict[str, list[str]] = {}
    claimed = {address for addresses in _claimed(host, boot, root).values() for address in addresses}
    without = unserved(host.inventory.devices, boot) if claimed else frozenset[str]()
    for address in sorted(claimed if off else claimed & without):
        found.setdefault(off or NO_GROUP, []).append(address)
    return found


def _takes_without_iommu(root: Stage) -> bool:
    """`options vfio enable_unsafe_noiommu_mode=1`: VFIO then takes devices that are in no group."""
    given = named(given_to(root.config, "vfio"), "enable_unsafe_noiommu_mode")
    return bool(given) and (given[-1].value is None or parse_boolean(given[-1].value) is True)


def denied_devices(host: HostPolicy) -> t.Iterator[Finding]:
    """Devices on vfio-pci's denylist because of errata, unless that is disabled (vfio_pci_dev_in_denylist())."""
    for boot, root in host.roots:
        denied = [
            claim
            for claim in host.effective_claims(boot, root)
            if claim.driver == "vfio-pci" and (claim.device.vendor, claim.device.device) in DENYLIST
        ]
        if not denied or _denylist_disabled(root):
            continue
        for claim in denied:
            device = claim.device
            said = f"{claim.source} assigns {device.address} ({device.id}) to vfio-pci, which refuses that device because of its errata."
            advice = "Read the CVE, and if the guests can be trusted, add `options vfio-pci disable_denylist=1`."
            yield Finding("denied-device", claim.source, f"{said} {advice}", (device.address,))


def _denylist_disabled(root: Stage) -> bool:
    """The last value of the parameter, a boolean (kstrtobool())."""
    given = named(given_to(root.config, "vfio_pci"), "disable_denylist")
    return bool(given) and (given[-1].value is None or parse_boolean(given[-1].value) is True)
