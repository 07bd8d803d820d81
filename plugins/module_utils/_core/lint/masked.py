# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one file of the policy asks for, and another one switches off."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding, listed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

DRIVERS_RULES = "/80-drivers.rules"
IMAGE_LISTS = "/etc/initramfs-tools/"


def masked_units(host: HostPolicy) -> t.Iterator[Finding]:
    """A unit about drivers that is enabled and masked."""
    for unit in host.files.masks.units:
        first = unit.acts[0]
        said = (
            f"{unit.link} enables {unit.name}, and {unit.mask} masks it: it does not start, and {first.source} ({first.fact}) does nothing."
        )
        yield Finding("masked-unit", unit.mask, f"{said} Remove the mask, or `systemctl disable {unit.name}`.", _addresses(first.addresses))


def masked_rules(host: HostPolicy) -> t.Iterator[Finding]:
    """A rule about the driver of one of the host's devices, in a file that another one of its name masks."""
    for masked in host.files.masks.rules:
        rule = masked.rule
        found = tuple(device.address for device in host.candidates(rule) if rule.matches(device) is not False)
        if found:
            keys = " and ".join(key.written for key in rule.keys if not key.is_match and key.name in ("ATTR", "RUN"))
            said = f"{rule} ({keys}) is about {listed(list(found))} and has no effect, because {masked.mask} masks its file."
            yield Finding("masked-rules", masked.mask, f"{said} Remove {masked.mask}, or the rule.", found)


def masked_stock_rules(host: HostPolicy) -> t.Iterator[Finding]:
    """Without 80-drivers.rules udev loads no driver for any device."""
    for _boot, root in host.roots:
        loads = any(key.words[:2] == ["kmod", "load"] and not key.is_match for rule in root.rules.rules for key in rule.keys)
        for path in (path for path in root.rules.masked if path.endswith(DRIVERS_RULES) and not loads):
            said = f"{path} masks the rules by which udev loads a device's driver: only modules in lists, or already loaded, drive devices."
            yield Finding("drivers-rules-masked", path, f"{said} Remove {path}.")


def masked_driverctl(host: HostPolicy) -> t.Iterator[Finding]:
    """Saved overrides that nothing applies."""
    masks = host.files.masks
    if masks.driverctl is not None:
        place, why = masks.driverctl
        saved = [file for file in host.files.saved if file.name.startswith("pci-")]
        addresses = [file.name.partition("-")[2] for file in saved]
        is_mask = place.endswith((".rules", ".service"))
        reason, advice = (f"{place} {why}", f"Remove {place}.") if is_mask else (why, "Install driverctl, or remove what is saved.")
        said = f"{listed([file.path for file in saved])}: nothing is done about what is saved there, because {reason}."
        yield Finding("driverctl-off", place, f"{said} {advice}", tuple(one for one in addresses if host.device(one) is not None))
    for path, mask in masks.saved:
        address = path.rpartition("/pci-")[2]
        said = f"{path}: nothing is done about it, because {mask} masks its unit."
        yield Finding("driverctl-off", mask, f"{said} Remove the mask, or run `driverctl unset-override {address}`.", (address,))


def masked_lists(host: HostPolicy) -> t.Iterator[Finding]:
    """Modules of VFIO, or for the host's devices, in lists that nothing loads."""
    masks = host.files.masks
    if masks.lists is not None:
        places = [place for file in host.files.lists if not file.path.startswith(IMAGE_LISTS) for place in _listed(host, file)]
        if places:
            named = listed([f"{place} ({module})" for place, module in places])
            said = f"{named}: nothing loads what is listed there, because {masks.lists} masks systemd-modules-load.service."
            yield Finding("lists-masked", masks.lists, f"{said} Remove that mask.")


def _listed(host: HostPolicy, file: PolicyFile) -> t.Iterator[tuple[str, str]]:
    for number, line in enumerate((file.text or "").split("\n"), 1):
        name = line.strip()
        if normalize_module_name(name) in host.contenders:
            yield f"{file.path}:{number}", name


def _addresses(addresses: frozenset[str] | None) -> tuple[str, ...]:
    return tuple(sorted(addresses or ()))
