# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ids=` that is overwritten, malformed or matches no device; softdeps that rely on an `ids=` which does not exist."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import parse_entry, parse_ids
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import (
    IDS,
    RULE,
    Finding,
    driver_of,
    effective_ids,
    given_ids,
    listed,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import GivenIds, HostPolicy
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

_ADDRESS = re.compile(r"(?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]")


def ids_given_twice(host: HostPolicy) -> t.Iterator[Finding]:
    """Several `ids=` for one module: kmod passes all of them, the command line's last, and the kernel keeps the last one.

    (kmod_module_get_options() joins them; parse_args() in kernel/params.c overwrites the string each time.)
    """
    for _boot, root in host.roots:
        for module, entries in given_ids(root.config).items():
            if module in root.kernel.builtins and module not in root.kernel.modules:
                continue
            last = entries[-1]
            kept = parse_ids(last.value)
            for given in entries[:-1]:
                lost = tuple(entry for entry in _entries(given) if any(parsed not in kept for parsed in parse_ids(entry)))
                if not lost:
                    continue
                devices = tuple(device.address for device in _matching(host, lost) if not _matches(device, kept))
                said = f"{given.source} sets ids={given.value} for {given.said}, and {last.source} sets ids={last.value}"
                said += f": only the last one counts, so {listed(lost)} {'is' if len(lost) == 1 else 'are'} lost"
                said += f" ({given.said} does not bind to {listed(devices)})" if devices else ""
                yield Finding("ids-twice", given.source, f"{said}. Write all IDs into one ids=, at {last.source}.", devices)


def malformed_ids(host: HostPolicy) -> t.Iterator[Finding]:
    """Entries that are not hexadecimal `vendor:device[:…]`: vfio_pci_fill_ids() drops those with fewer than two numbers."""
    for _boot, root in host.roots:
        for entries in given_ids(root.config).values():
            for given in entries:
                if given.refused is not None:
                    kind, advice = (
                        ("ids-too-long", "Use driver_override rules.") if given.value else ("ids-without-value", "Write IDs, or remove it.")
                    )
                    yield Finding(
                        kind, given.source, f"{given.source}: ids= of {given.said} {given.refused}, so {given.said} does not load. {advice}"
                    )
                yield from (_malformed(entry, given) for entry in _entries(given) if not parse_entry(entry)[1])


def _malformed(entry: str, given: GivenIds) -> Finding:
    said = f"{given.source}: `{entry}` in ids= of {given.said}"
    parsed = parse_entry(entry)[0]
    if _ADDRESS.fullmatch(entry.strip()):
        advice = "is an address, but ids= takes vendor:device (lspci -n). Use a driver_override rule for one device."
    elif parsed:
        read = f"{parsed.vendor:04x}:{parsed.device:04x}"
        advice = f"is read as {read}, and the rest is dropped. Write vendor:device in hexadecimal, separated by commas."
    else:
        advice = "is dropped by the kernel: entries are vendor:device in hexadecimal, separated by commas."
    return Finding("ids-malformed", given.source, f"{said} {advice}")


def ids_without_device(host: HostPolicy) -> t.Iterator[Finding]:
    """An entry that matches no device of the host, unless it may match a virtual function that does not exist yet."""
    if not host.inventory.devices:
        return
    for boot, root in host.roots:
        for given in effective_ids(boot, root):
            for entry in _entries(given):
                parsed, whole = parse_entry(entry)
                if parsed and whole and not _matching(host, (entry,)) and not _may_appear(host, parsed.vendor):
                    said = f"{given.source} names {entry} in ids= of {given.said}, and no device of this host has that ID."
                    yield Finding("ids-without-device", given.source, f"{said} Correct it (lspci -n), or remove it.")


def ids_of_two_modules(host: HostPolicy) -> t.Iterator[Finding]:
    """One ID in the `ids=` of two modules: the devices are bound to the one that registers first."""
    for boot, root in host.roots:
        given = [(one, parse_ids(one.value)) for one in effective_ids(boot, root)]
        for index, (first, its) in enumerate(given):
            for second, others in given[index + 1 :]:
                devices = tuple(device.address for device in host.devices_with(its) if _matches(device, others))
                if devices:
                    names = f"{driver_of(boot, first.module)} and {driver_of(boot, second.module)}"
                    said = (
                        f"{first.source} and {second.source} claim {listed(devices)} for both {names}, of which the first to register wins."
                    )
                    yield Finding("ids-of-two-modules", second.source, f"{said} Remove one of the two.", devices)


def softdeps_on_a_module_without_ids(host: HostPolicy) -> t.Iterator[Finding]:
    """`softdep native pre: vfio-pci` without an `ids=` or override for vfio-pci: although it is loaded first, it binds to no device."""
    for boot, root in host.roots:
        for entry in root.config.directives:
            if entry.command != "softdep" or not host.is_site(entry.source.path):
                continue
            for module in _vfio_before(entry, host):
                devices = host.devices_of_native(root.kernel, entry.arguments[0]) if host.inventory.devices else ()
                # Of one that is built in it is told where its options have to stand.
                if module in root.kernel.builtins or _is_given_something(host, boot, root, module, devices):
                    continue
                names = listed(tuple(device.address for device in devices))
                native, spelt = entry.spelt(entry.arguments[0]), entry.spelt(module)
                took = f"that changes nothing for {names}" if names else f"this does not affect {native}"
                said = f"{entry.source} loads {spelt} before {native}, but nothing makes {spelt} bind to a device: {took}."
                advice = _way_to_bind(module, spelt, root, devices)
                yield Finding("softdep-without-ids", str(entry.source), f"{said} {advice}", tuple(device.address for device in devices))


def softdeps_that_load_too_late(host: HostPolicy) -> t.Iterator[Finding]:
    """`softdep native post: vfio-pci`, or `softdep vfio-pci pre: native`: the native driver has the devices before vfio-pci comes.

    The latter is told even where nothing gives vfio-pci one of them yet.
    """
    for boot, root in host.roots:
        claims = [claim for claim in host.claims(boot, root) if claim.by == IDS]
        overrides = {claim.device.address: claim.driver for claim in host.claims(boot, root) if claim.by == RULE}
        for entry in root.config.directives:
            if entry.command != "softdep" or not host.is_site(entry.source.path):
                continue
            own = entry.arguments[0]
            for place, word in _placed(entry):
                native, module = (own, word) if place == "post:" else (word, own)
                if module not in host.vfio_modules or native == module or ("pre:", module) in _placed(entry):
                    continue
                # What an override gives to another driver is not the native one's, whatever comes first.
                natives = {
                    device.address
                    for device in host.devices_of_native(root.kernel, native)
                    if device.address not in overrides or host.module_of(boot, overrides[device.address]) == native
                }
                taken = [
                    claim.device.address
                    for claim in claims
                    if claim.device.address in natives and host.module_of(boot, claim.driver) == module
                ]
                meant = f"Write `softdep {entry.spelt(native)} pre: {entry.spelt(module)}`."
                if taken:
                    said = f"{entry.source} loads {entry.spelt(module)} after {entry.spelt(native)}, which has {listed(taken)} by then."
                    yield Finding("softdep-too-late", str(entry.source), f"{said} {meant}", tuple(taken))
                elif place == "pre:" and natives:
                    said = f"{entry.source}: `{entry}` loads {native} before {entry.spelt(module)}, so that {native} takes"
                    yield Finding("softdep-reversed", str(entry.source), f"{said} {listed(sorted(natives))}. {meant}")


def _placed(entry: Directive) -> tuple[tuple[str, str], ...]:
    """The modules of a softdep, each with `pre:` or `post:`."""
    found, place = [], ""
    for word in entry.arguments[1:]:
        if word.endswith(":"):
            place = word
        else:
            found.append((place, normalize_module_name(word)))
    return tuple(found)


def _way_to_bind(module: str, spelt: str, root: Stage, devices: t.Sequence[Device]) -> str:
    """The devices of one native may be for different purposes: an ID is named only if it is the only one, and no list exists."""
    ids = tuple(dict.fromkeys(device.id for device in devices))
    given = given_ids(root.config).get(module, ())
    if given:
        return f"Write the ID of the device that is meant (lspci -n) into ids= at {given[-1].source}, or a driver_override rule."
    if len(ids) > 1:
        return f"Write `options {spelt} ids=` with the ID of the device that is meant (lspci -n), or a driver_override rule."
    return f"Add `options {spelt} ids={ids[0] if ids else 'vendor:device'}` or a driver_override rule."


def _vfio_before(entry: Directive, host: HostPolicy) -> t.Iterator[str]:
    place = ""
    for word in entry.arguments[1:]:
        if word.endswith(":"):
            place = word
        elif place == "pre:" and normalize_module_name(word) in host.vfio_modules - {entry.arguments[0]}:
            yield normalize_module_name(word)


def _is_given_something(host: HostPolicy, boot: Boot, root: Stage, module: str, devices: t.Sequence[Device]) -> bool:
    """Whether the policy assigns one of these devices to the module; if there are none, any device.

    A device that a rule assigns to another driver counts, too: it does not depend on the softdep.
    """
    if not devices:
        drivers = [driver for _rule, driver in host.setting_overrides(root)]
        return any(one.module == module for one in effective_ids(boot, root)) or any(
            host.module_of(boot, name) == module for name in drivers
        )
    addresses = {device.address for device in devices}
    claims = [claim for claim in host.claims(boot, root) if claim.device.address in addresses]
    return any(claim.by != IDS or host.module_of(boot, claim.driver) == module for claim in claims)


def _entries(given: GivenIds) -> tuple[str, ...]:
    return tuple(entry for entry in given.value.split(",") if entry)


def _matching(host: HostPolicy, entries: t.Iterable[str]) -> tuple[Device, ...]:
    return host.devices_with([parsed for entry in entries for parsed in parse_ids(entry)])


def _matches(device: Device, ids: t.Iterable[t.Any]) -> bool:
    return any(entry.matches(device) for entry in ids)


def _may_appear(host: HostPolicy, vendor: int) -> bool:
    return any(
        device.vendor == vendor and device.max_virtual_functions > len(device.virtual_functions) for device in host.inventory.devices
    )
