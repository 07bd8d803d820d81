# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that a udev rule compares with, in another form than the kernel prints them: such a key never matches."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_line import Written

PATTERN = re.compile(r"[*?\[$%]")
ADDRESS = re.compile(r"(?:pci[-:_])?(?:([0-9a-f]{1,8})[:_.-])?([0-9a-f]{1,2})[:_.-]([01]?[0-9a-f])[.:_-]([0-7])", re.IGNORECASE)
HEXADECIMAL = re.compile(r"(?:0x)?([0-9a-f]+)h?", re.IGNORECASE)
PAIR = re.compile(r"(?:0x)?([0-9a-f]{1,4})[:.\s-](?:0x)?([0-9a-f]{1,4})", re.IGNORECASE)
_BOTH = re.compile(r"(?:0x)?([0-9a-f]{4})([0-9a-f]{4})", re.IGNORECASE)
DIGITS = {"vendor": 4, "device": 4, "subsystem_vendor": 4, "subsystem_device": 4, "class": 6, "revision": 2}
"""Of the numbers in sysfs, which begin with 0x (drivers/pci/pci-sysfs.c)."""
MEANS_PCI = re.compile(r"pci(?:[-_]?e|[-_ ]?(?:bus|device|devices|express))?|bus/pci", re.IGNORECASE)
Wrong = tuple[str, str]
"""Why a value never matches, and the value that does."""


def wrong_value(key: Written) -> Wrong | None:
    """What is wrong with the value of a key that compares; None if it may match, or if nothing is known about it.

    Of several alternatives all must be wrong.
    """
    check = _check_of(key)
    if check is None or not key.value or key.operator != "==":
        return None
    answers = [(one, check(one)) for one in key.value.split("|")]
    wrong = [answer for _one, answer in answers if answer is not None]
    if len(wrong) < len(answers):
        return None
    if "i" in key.prefix and all(meant.lower() == one.lower() for one, (_why, meant) in zip((one for one, _a in answers), wrong)):
        return None
    return wrong[0][0], "|".join(meant for _why, meant in wrong)


def _check_of(key: Written) -> t.Callable[[str], Wrong | None] | None:
    if key.name in ("KERNEL", "KERNELS") or (key.name, key.attribute) == ("ENV", "PCI_SLOT_NAME"):
        return _address
    if key.name in ("SUBSYSTEM", "SUBSYSTEMS"):
        return lambda value: ("the subsystem of PCI functions is pci", "pci") if MEANS_PCI.fullmatch(value) and value != "pci" else None
    if key.name in ("ATTR", "ATTRS") and key.attribute in DIGITS:
        digits, name = DIGITS[key.attribute], key.attribute
        return lambda value: _part_of_pair(value, name) or _number(value, digits)
    if key.name == "ENV" and key.attribute in ("PCI_ID", "PCI_SUBSYS_ID"):
        return _pair
    if (key.name, key.attribute) == ("ENV", "PCI_CLASS"):
        return _class
    return None


def _address(value: str) -> Wrong | None:
    match = None if PATTERN.search(value) else ADDRESS.fullmatch(value)
    if match is None:
        return None
    domain, bus, slot, function = match.groups()
    meant = f"{int(domain or '0', 16):04x}:{int(bus, 16):02x}:{int(slot, 16):02x}.{function}"
    if meant == value:
        return None
    if value.lower() == meant:
        return "addresses have small letters", meant
    return ("the address has no domain" if domain is None else "this is not the form of an address"), meant


def _part_of_pair(value: str, name: str) -> Wrong | None:
    """An ID of two numbers where one is asked for."""
    match = None if PATTERN.search(value) or DIGITS[name] != 4 else PAIR.fullmatch(value) or _BOTH.fullmatch(value)
    if match is None:
        return None
    return "in sysfs vendor and device are numbers of their own", f"0x{match[1 if name.endswith('vendor') else 2].lower().zfill(4)}"


def _number(value: str, digits: int) -> Wrong | None:
    if PATTERN.search(value):
        # Of a pattern only the letters can be judged, outside of brackets.
        plain = re.sub(r"\[[^\]]*\]", "", value)
        if value[:2] != "0x" and re.match(r"[0-9a-fA-F]{2,}\*$", value):
            return "in sysfs the number begins with 0x", f"0x{value.lower()}"
        return ("in sysfs letters are small", value.lower()) if plain != plain.lower() and plain == value else None
    match = HEXADECIMAL.fullmatch(value)
    if match is None or re.fullmatch(rf"0x[0-9a-f]{{{digits}}}", value):
        return None
    number = match[1].lower()
    if digits == 6 and len(number) < 6:
        # A class without its programming interface, or without its subclass.
        return "in sysfs a class has six digits", f"0x{number.zfill(len(number) + len(number) % 2)}*"
    meant = f"0x{number.zfill(digits)}"
    if not value.startswith("0x"):
        return "in sysfs the number begins with 0x", meant
    return ("in sysfs letters are small" if value.lower() == meant else f"in sysfs the number has {digits} digits"), meant


def _pair(value: str) -> Wrong | None:
    match = None if PATTERN.search(value) else PAIR.fullmatch(value)
    if match is None:
        return None
    meant = f"{match[1].upper().zfill(4)}:{match[2].upper().zfill(4)}"
    return None if meant == value else ("the kernel writes four capital digits each", meant)


def _class(value: str) -> Wrong | None:
    """The kernel prints a class with "%04X", so without a nought at its beginning (pci_uevent())."""
    match = None if PATTERN.search(value) else HEXADECIMAL.fullmatch(value)
    if match is None:
        return None
    meant = f"{int(match[1], 16):04X}"
    return None if meant == value else ("the kernel writes it in capitals, without 0x and without a nought at its beginning", meant)
