# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of a rule that ask which driver a device has, in whatever words, or which override: as comparisons of the name."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key

BOUND = Key("DRIVER", None, "==", "?*")
UNBOUND = Key("DRIVER", None, "!=", "?*")
OVERRIDE: t.Final = "driver_override"
NO_OVERRIDE = "(null)"
"""What the attribute shows where none is set (driver_override_show() in drivers/base/bus.c)."""
LINKS: t.Final = ("driver", "driver/unbind")
"""What there is below a PCI function for as long as it has a driver (drivers/base/bus.c)."""


def of_event_s_device(key: Key) -> tuple[Key, ...]:
    """The comparisons that a key stands for; nothing if it asks something else."""
    if key.name in ("DRIVER", "DRIVERS") or (key.name == "ENV" and key.attribute == "DRIVER"):
        return (key,)
    if key.name == "TEST" and key.attribute is None and key.value in LINKS:
        return (UNBOUND if key.is_negated else BOUND,)
    if key.name == "ATTR" and key.attribute == "driver":
        # Of a link udev compares the last part; where there is none, neither == nor != holds (udev_rule_apply_token_to_event()).
        return (Key("DRIVER", None, key.operator, key.value, key.ignores_case), BOUND)
    return ()


def is_about_override(key: Key) -> bool:
    """Whether a comparison is one of the override that the event's own device has."""
    return key.name == "ATTR" and key.attribute == OVERRIDE and key.is_match


def hold(keys: t.Iterable[Key], driver: str | None, override: str | None) -> bool:
    """Whether comparisons that are handed on hold for a device with this driver and this override."""
    shown = NO_OVERRIDE if override is None else override
    return all(key.matches_attribute(shown) if is_about_override(key) else key.matches(driver or "") for key in keys)
