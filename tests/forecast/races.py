# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows that a race is one: the same configuration once more, with one side held back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from configuration import Configuration

SECONDS = 3
_RULES = "/etc/udev/rules.d/00-forecast-delay.rules"
_MODPROBE = "/etc/modprobe.d/00-forecast-delay.conf"
_LISTS = "/etc/modules-load.d/00-forecast-delay.conf"
_WAITING = "forecast_delay"


def holding_back(configuration: Configuration, address: str) -> Iterable[tuple[str, Configuration]]:
    """Variations of a configuration that favour the other side of a race for a device, each with its name.

    Which side that is nobody needs to know: one after the other is delayed, the device's own event, all other devices'
    events, and the lists of modules.
    """
    sides: tuple[tuple[str, Callable[[Configuration], Configuration]], ...] = (
        (f"event of {address} delayed", lambda known: _with_rule(known, f'KERNEL=="{address}"')),
        ("lists delayed", _with_slow_list),
        (f"events of all but {address} delayed", lambda known: _with_rule(known, f'KERNEL!="{address}"')),
        (f"lists and all but {address} delayed", lambda known: _with_slow_list(_with_rule(known, f'KERNEL!="{address}"'))),
        ("once more", lambda known: known),
    )
    for name, change in sides:
        yield name, dataclasses.replace(change(configuration), name=f"{configuration.name} ({name})")


def _with_rule(configuration: Configuration, match: str) -> Configuration:
    """udev waits for PROGRAM while it reads the rules, so before it loads anything for the device."""
    line = f'ACTION=="add", SUBSYSTEM=="pci", {match}, PROGRAM=="/bin/sleep {SECONDS}"\n'
    return _with_files(configuration, {_RULES: line})


def _with_slow_list(configuration: Configuration) -> Configuration:
    """systemd-modules-load goes through its lists in order, and waits for what `install` runs."""
    files = {_MODPROBE: f"install {_WAITING} /bin/sleep {SECONDS}\n", _LISTS: f"{_WAITING}\n"}
    return _with_files(configuration, files)


def _with_files(configuration: Configuration, files: dict[str, str]) -> Configuration:
    return dataclasses.replace(
        configuration,
        root_files={**configuration.root_files, **files},
        image_files={**configuration.image_files, **files},
    )
