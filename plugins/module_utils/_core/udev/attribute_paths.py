# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device, driver or bus the attribute belongs to that a rule writes, whatever way its path goes through sysfs."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import PCI

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Devices, Subject

TargetKind = t.Literal["device", "own driver", "driver", "bus", "nothing", "unknown"]
"""``nothing`` where what the path names does not exist, so that udev writes nothing."""
OF_DEVICE = frozenset(("driver_override", "remove", "rescan", "sriov_drivers_autoprobe"))
OF_DRIVER = frozenset(("bind", "unbind", "new_id", "remove_id"))
OF_BUS = frozenset(("drivers_probe", "drivers_autoprobe", "rescan"))
ACTING = OF_DEVICE | OF_DRIVER | OF_BUS
"""The attributes that decide which driver a PCI function has; sriov_numvfs makes further functions (boot/read_runtime.py)."""
_VIRTUAL = re.compile(r"virtfn([0-9]{1,5})")


@dataclasses.dataclass(frozen=True)
class Target:
    """``name`` is an address or a driver's name; empty for the event's own device, for its driver, and for the bus."""

    kind: TargetKind
    name: str
    attribute: str


def acts(key: Key) -> bool:
    """Whether a rule's assignment is to an attribute that acts on drivers."""
    return key.name == "ATTR" and not key.is_match and _last(key.attribute or "") in ACTING


def _last(path: str) -> str:
    return path.rpartition("/")[2].rpartition("]")[2]


def target_of(key: Key, subject: Subject, others: Devices) -> Target:
    """The owner of the attribute that ``key`` writes in the event of ``subject``."""
    another = key.of_another
    if another is None:
        # Below the event's device, whatever it begins with (udev_rule_apply_token_to_event() in udev-rules.c).
        path = (key.attribute or "").lstrip("/")
        if path.startswith("sys/"):
            return Target("nothing", "", path.rpartition("/")[2])
        return _from_subject(subject, path.split("/"), others)
    subsystem, name, rest = another
    parts = rest.split("/")
    if subsystem == PCI:
        return _from_device(name, parts, others) if name in others or not others else Target("nothing", "", parts[-1])
    if (subsystem, name) == ("subsystem", PCI):
        return _from_bus(parts, others)
    if subsystem == "drivers" and name.startswith(f"{PCI}:"):
        return _from_driver(name[len(PCI) + 1 :], parts, others)
    return Target("unknown", "", parts[-1])


def _from_subject(subject: Subject, parts: list[str], others: Devices) -> Target:
    if subject.device is not None:
        return _from_device("", parts, others, subject)
    if (subject.subsystem, subject.name) == ("subsystem", PCI):
        return _from_bus(parts, others)
    if subject.subsystem == "drivers" and subject.name is not None:
        return _from_driver(subject.name, parts, others)
    if len(parts) == 1:
        # No PCI function's, nor its driver's.
        return Target("nothing", "", parts[0])
    if subject.subsystem == "module" and len(parts) > 2 and parts[0] == "drivers" and parts[1].startswith(f"{PCI}:"):
        return _from_driver(parts[1][len(PCI) + 1 :], parts[2:], others)
    return Target("unknown", "", parts[-1])


def _from_device(address: str, parts: list[str], others: Devices, subject: Subject | None = None) -> Target:
    first, rest = parts[0], parts[1:]
    if not rest:
        return Target("device", address, first)
    if first == "driver":
        return Target("own driver", address, rest[0]) if len(rest) == 1 else _beyond(rest, others)
    if first == "subsystem":
        return _from_bus(rest, others)
    device = subject.device if subject is not None else others.get(address)
    if device is None:
        return Target("unknown", "", parts[-1])
    if first == "physfn" and device.physical_function is not None:
        return _from_device(device.physical_function, rest, others)
    number = _VIRTUAL.fullmatch(first)
    if number is not None and int(number[1]) < len(device.virtual_functions):
        return _from_device(device.virtual_functions[int(number[1])], rest, others)
    above = subject.parents[:1] if subject is not None and subject.all_parents else ()
    if first == ".." and above and above[0].device is not None:
        return _from_device(above[0].device.address, rest, others)
    return Target("unknown", "", parts[-1])


def _from_bus(parts: list[str], others: Devices) -> Target:
    if len(parts) == 1:
        return Target("bus", "", parts[0])
    return _beyond(parts, others)


def _beyond(parts: list[str], others: Devices) -> Target:
    """``devices/<address>/…`` and ``drivers/<name>/…`` below a bus."""
    if len(parts) > 2 and parts[0] == "devices":
        return _from_device(parts[1], parts[2:], others)
    if len(parts) > 2 and parts[0] == "drivers":
        return _from_driver(parts[1], parts[2:], others)
    return Target("unknown", "", parts[-1])


def _from_driver(name: str, parts: list[str], others: Devices) -> Target:
    if len(parts) == 1:
        return Target("driver", name, parts[0])
    return _from_device(parts[0], parts[1:], others) if parts[0] in others else Target("unknown", "", parts[-1])
