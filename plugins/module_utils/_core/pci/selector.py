# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device selectors: one grammar for every option that names PCI functions.

`10de:1db1`, `10de:*`, `10de:1db1:10de:1212` (with subsystem), `0000:3b:00.0` (or `3b:00.0`), `0000:3b:00.*`,
`class:0302`, a dictionary of the same fields, or a list of any of them.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import math
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import ADDRESS

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

ID_PART = re.compile(r"(?:0x)?([0-9a-f]{4})")
CLASS = re.compile(r"(?:0x)?((?:[0-9a-f]{2}){1,3})")
LONGEST = 64
"""Characters of an address with wildcards."""
WILDCARD = re.compile(r"[*?\[]")
# An address in which any part may be a glob pattern; without one it must be a full address.
GLOB = re.compile(r"[0-9a-f*?\[\]!-]+:[0-9a-f*?\[\]!-]+:[0-9a-f*?\[\]!.-]+")
NUMBERS = ("vendor", "device", "subsystem_vendor", "subsystem_device")
FIELDS = ("address", *NUMBERS, "class")
MOST = 8192
"""Selectors of one option: more than any host has functions."""
FORMS = (
    "Allowed are an ID (10de:1db1, 10de:*, 10de:1db1:10de:1212), an address (0000:3b:00.0, 0000:3b:00.*), a class (class:0302), "
    f"a dictionary of {', '.join(FIELDS)}, or a list of these."
)


@dataclasses.dataclass(frozen=True)
class Selector:
    """Matches devices that agree with every field that is not None.  ``text`` is what the user wrote."""

    text: str
    address: str | None = None
    vendor: int | None = None
    device: int | None = None
    subsystem_vendor: int | None = None
    subsystem_device: int | None = None
    class_prefix: str | None = None

    @property
    def names_address(self) -> bool:
        """Whether this is the full address of one function."""
        return self.address is not None and not WILDCARD.search(self.address)

    @property
    def names_id(self) -> bool:
        """Whether this names one vendor and device."""
        return self.vendor is not None and self.device is not None

    def matches(self, device: Device) -> bool:
        numbers = (device.vendor, device.device, device.subsystem_vendor, device.subsystem_device)
        wanted = (self.vendor, self.device, self.subsystem_vendor, self.subsystem_device)
        return (
            all(want in (None, number) for want, number in zip(wanted, numbers))
            and (self.address in (None, device.address) or fnmatch.fnmatchcase(device.address, self.address or ""))
            and (self.class_prefix is None or f"{device.class_code:06x}".startswith(self.class_prefix))
        )


def parse(value: object, option: str = "devices") -> tuple[Selector, ...]:
    """The selectors in an option's value.  Raises HostError, naming ``option``, if one is not valid."""
    found: list[Selector] = []
    for item in _items(value):
        if isinstance(item, str):
            parts = item.split(",", MOST)
            found += [_parse_text(part, option) for part in parts[: MOST + 1 - len(found)]]
        else:
            found.append(_parse_one(item, option))
        if len(found) > MOST:
            raise HostError(f"{option}: there are more than {MOST} selectors.", "Use wildcards or a class: 10de:*, class:0302.")
    return tuple(found)


def _items(value: object) -> t.Iterator[object]:
    """What is in lists in lists, in its order; not by recursion, because lists may be nested more deeply than Python calls functions."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, (list, tuple)):
            pending += reversed(item)
        else:
            yield item


def _parse_one(value: object, option: str) -> Selector:
    if isinstance(value, t.Mapping):
        return _parse_fields(value, option)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise HostError(f"{option}: the number {shown(value)} is not a valid selector.", _unquoted(value))
    raise HostError(f"{option}: {shown(value)} is not a valid selector.", FORMS)


def parse_id(value: object, option: str) -> tuple[int, int]:
    """Vendor and device of an ID such as `10de:1db1`.  Raises HostError, naming ``option``, if it is not valid."""
    parts = value.strip().lower().split(":") if isinstance(value, str) else []
    matches = [ID_PART.fullmatch(part) for part in parts]
    if len(matches) != 2 or matches[0] is None or matches[1] is None:
        raise HostError(
            f"{option}: {shown(value)} is not a vendor and device ID.", "Write four hexadecimal digits for each, as in '10de:1db1'."
        )
    return int(matches[0][1], 16), int(matches[1][1], 16)


def selector_of(device: Device) -> Selector:
    """The selector of this function only."""
    return Selector(device.address, address=device.address)


def select(
    inventory: Inventory, selectors: t.Sequence[Selector], allow_missing: bool = False, option: str = "devices"
) -> tuple[Device, ...]:
    """The devices that any selector matches, in the inventory's order.

    Raises HostError for a selector that matches nothing and for an empty list, unless ``allow_missing``.
    """
    found = matching(inventory, selectors, allow_missing, option)
    return tuple(device for device in inventory.devices if device.address in found)


def matching(
    inventory: Inventory, selectors: t.Sequence[Selector], allow_missing: bool = False, option: str = "devices"
) -> dict[str, list[Selector]]:
    """The selectors that match a device, in their order, by its address.  Raises what `select()` raises."""
    if not selectors and not allow_missing:
        raise HostError(f"{option}: the list is empty.", "Name a device, or set allow_missing.")
    found: dict[str, list[Selector]] = {}
    for selector in selectors:
        devices = [device for device in _candidates(inventory, selector) if selector.matches(device)]
        if not devices and not allow_missing:
            raise missing_error(inventory, selector, option)
        for device in devices:
            found.setdefault(device.address, []).append(selector)
    return found


def _candidates(inventory: Inventory, selector: Selector) -> tuple[Device, ...]:
    """An address is looked up, not compared with that of each device."""
    if selector.address is None or not selector.names_address:
        return inventory.devices
    named = inventory.get(selector.address)
    return () if named is None else (named,)


def missing_error(inventory: Inventory, selector: Selector, option: str) -> HostError:
    """The error for a selector that matches no device of this host, with the nearest devices."""
    near = ", ".join(f"{device.address} ({device.id}, class {device.class_code:06x})" for device in _nearest(inventory, selector))
    advice = f"The nearest {'is' if near.count('(') == 1 else 'are'} {near}. " if near else ""
    return HostError(
        f"{option}: {cut(selector.text)} matches no PCI device of this host.", f"{advice}Set allow_missing if this is intentional."
    )


def _nearest(inventory: Inventory, selector: Selector) -> tuple[Device, ...]:
    devices = [device for device in inventory.devices if not device.is_bridge]
    if selector.address is not None:
        names = difflib.get_close_matches(selector.address, [device.address for device in devices], 3, 0.7)
        return tuple(device for device in devices if device.address in names)
    if selector.vendor is not None:
        return tuple(device for device in devices if device.vendor == selector.vendor)[:3]
    prefix = (selector.class_prefix or "")[:2]
    return tuple(device for device in devices if f"{device.class_code:06x}".startswith(prefix))[:3]


def _parse_text(written: str, option: str) -> Selector:
    text = written.strip().lower()
    if text.startswith("class:"):
        return Selector(text, class_prefix=_class(text[len("class:") :], option, written))
    parts = text.split(":")
    if "." in text or len(parts) == 3:
        return Selector(text, address=_address(text, option, written))
    if len(parts) not in (2, 4):
        raise HostError(f"{option}: '{cut(written)}' is not a valid selector.", FORMS)
    numbers = [None if part == "*" else _number(part, option, written) for part in parts] + [None, None]
    if numbers[0] is None:
        raise HostError(f"{option}: '{cut(written)}' does not name the vendor.", f"Name the vendor. {FORMS}")
    return Selector(text, vendor=numbers[0], device=numbers[1], subsystem_vendor=numbers[2], subsystem_device=numbers[3])


def _parse_fields(value: t.Mapping[t.Any, t.Any], option: str) -> Selector:
    unknown = sorted(str(key) for key in value if key not in FIELDS)
    if unknown:
        known = "To pass on what device_info returned, take the addresses: [].address." if "modalias" in value else FORMS
        raise HostError(f"{option}: a device has no field {cut(unknown[0])}.", known)
    given = {str(key): content for key, content in value.items() if content is not None}
    if not given:
        raise HostError(f"{option}: an empty dictionary is not a valid selector.", FORMS)
    for key, content in given.items():
        if not isinstance(content, str):
            raise HostError(
                f"{option}: {key} is {shown(content)}, which is not a string.", f"Write it in quotes: {key}: '{_example(key)}'."
            )
    text = ", ".join(f"{key}={content}" for key, content in given.items())
    clean = {key: content.strip().lower() for key, content in given.items()}
    numbers = {key: None if clean[key] == "*" else _number(clean[key], f"{option}.{key}", clean[key]) for key in NUMBERS if key in clean}
    if set(clean) <= set(NUMBERS) and not any(number is not None for number in numbers.values()):
        raise HostError(f"{option}: '{cut(text)}' matches every device.", FORMS)
    return Selector(
        text,
        address=_address(clean["address"], option, clean["address"]) if "address" in clean else None,
        class_prefix=_class(clean["class"], option, clean["class"]) if "class" in clean else None,
        **numbers,
    )


def _address(text: str, option: str, written: str) -> str:
    full = text if text.count(":") == 2 else f"0000:{text}"
    if not ADDRESS.fullmatch(full) and not (WILDCARD.search(full) and GLOB.fullmatch(full) and len(full) <= LONGEST and _is_glob(full)):
        raise HostError(
            f"{option}: '{cut(written)}' is not a PCI address.", "Write it as in 0000:3b:00.0; globs such as 0000:3b:00.* are allowed."
        )
    return full


def _is_glob(text: str) -> bool:
    try:
        re.compile(fnmatch.translate(text))
    except re.error:  # a range from a later sign to an earlier one, before Python 3.11
        return False
    return True


def _class(text: str, option: str, written: str) -> str:
    match = CLASS.fullmatch(text)
    if match is None:
        raise HostError(f"{option}: '{cut(written)}' is not a PCI class.", "Write two, four or six hexadecimal digits: 03, 0302 or 030200.")
    return match[1]


def _number(text: str, option: str, written: str) -> int:
    match = ID_PART.fullmatch(text)
    if match is None:
        raise HostError(f"{option}: '{cut(written)}' is not an ID: '{cut(text)}' is not four hexadecimal digits.", FORMS)
    return int(match[1], 16)


def _example(field: str) -> str:
    return {"address": "0000:3b:00.0", "class": "0302", "device": "1db1", "subsystem_device": "1212"}.get(field, "10de")


def _unquoted(value: float) -> str:
    if not math.isfinite(value) or abs(value) > 100 * 60:
        return "Write a selector in quotes, as in '0000:3b:00.0'."
    # YAML 1.1 reads 0000:03:00.1 as a base 60 number: (0 * 60 + 3) * 60 + 0 + 0.1 = 180.1.
    bus, slot = divmod(int(value), 60)
    function = round((value - int(value)) * 10)
    plausible = isinstance(value, float) and 0 <= bus < 100 and slot < 32 and 0 <= function < 8
    example = f"'0000:{bus:02d}:{slot:02d}.{function}'" if plausible else "'0000:3b:00.0'"
    return f"YAML reads an unquoted address as a number: write it in quotes, as in {example}."
