# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows that a race is one: the same configuration once more, with everything held back but what lets the other side win."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping

from configuration import Configuration

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Winner

SECONDS = 3
_RULES = "/etc/udev/rules.d/00-forecast-delay.rules"
_MODPROBE = "/etc/modprobe.d/00-forecast-delay.conf"
_WAITING = "forecast_delay"
_ROOT_BUS = "0000:00:"
_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_DRIVERCTL = "/etc/driverctl.d/"
# The guest has bash read this before it runs driverctl.
_SLOW_PROBE = "/etc/forecast-driverctl.sh"
_UNBIND_RULES = "/etc/udev/rules.d/00-forecast-unbind.rules"
# Between driverctl's override and its probe, where udev would be quicker than the one and slower than the other.
_UNBIND_LATE = 'ACTION=="unbind", SUBSYSTEM=="pci", PROGRAM=="/bin/sleep 1"\n'
_PROBE_LATE = f"set -o functrace\ntrap '[[ $BASH_COMMAND == *drivers_probe* ]] && sleep {SECONDS}' DEBUG\n"
_ALIAS = re.compile(r"(pci:\S+) \S+$")
#: Else those that wait would be all that udev deals with at a time.
_MANY_WORKERS = "udev.children_max=64"


def force_order(
    configuration: Configuration, modalias: Mapping[str, str], address: str, winner: Winner, outcome: str | None
) -> Iterator[tuple[str, Configuration]]:
    """Variations of a configuration that may make a device's race end so, each with its name, the likeliest first.

    Which job has to come first, the forecast's own reasons for this outcome tell: the event of another device for which the
    same driver is loaded, the device's own, the lists of modules, or udev's part in what driverctl does.
    """
    facts = list(_reasons(winner, outcome))
    named = _addresses_in_rules(configuration, facts)
    others = [other for other in sorted(modalias) if other != address and (other in named or _asks_for(modalias[other], facts))]
    if any(fact.startswith(f"or {outcome or 'no driver'}: {_DRIVERCTL}") for fact in facts):
        late = _with_files(configuration, {_SLOW_PROBE: _PROBE_LATE, _UNBIND_RULES: _UNBIND_LATE})
        yield _named(configuration, "driverctl's probe late", late)
        # There is nothing to take the device from unless an identical card's event came first.
        for alike in sorted(other for other in modalias if other != address and modalias[other] == modalias[address]):
            yield _named(configuration, f"driverctl's probe late, event of {alike} first", _first(late, alike)[1])
    events = [*others, address] if others and not _is_by_rule(facts) else [address, *others]
    for first in events:
        yield _first(configuration, first)
    yield _named(configuration, "lists first", _with_slow_events(configuration, 'ATTR{class}!="0x06*"'))
    yield _named(configuration, f"event of {address} last", _with_slow_events(configuration, f'KERNEL=="{address}"'))
    for first in sorted(modalias.keys() - set(events)):
        yield _first(configuration, first)


def _first(configuration: Configuration, address: str) -> tuple[str, Configuration]:
    # What is behind a bridge waits for the bridge's event.
    match = f'KERNEL!="{address}"' if address.startswith(_ROOT_BUS) else f'ATTR{{class}}!="0x06*", KERNEL!="{address}"'
    return _named(configuration, f"event of {address} first", _with_slow_list(_with_slow_events(configuration, match)))


def _addresses_in_rules(configuration: Configuration, facts: Iterable[str]) -> frozenset[str]:
    """The devices that those rules name that decided."""
    lines = {
        f"{path}:{number}": line for path, text in configuration.root_files.items() for number, line in enumerate(text.splitlines(), 1)
    }
    return frozenset(address for fact in facts for source, line in lines.items() if source in fact for address in _ADDRESS.findall(line))


def _reasons(winner: Winner, outcome: str | None) -> Iterator[str]:
    is_first = outcome == winner.driver
    for because in winner.because:
        if because.source == f"or {outcome or 'no driver'}" or (is_first and not because.source.startswith("or ")):
            yield str(because)


def _asks_for(modalias: str, facts: Iterable[str]) -> bool:
    """Whether one of the aliases that decided is the device's as well."""
    aliases = (match[1] for match in map(_ALIAS.search, facts) if match is not None)
    return any(fnmatch.fnmatchcase(modalias, alias) for alias in aliases)


def _is_by_rule(facts: Iterable[str]) -> bool:
    return any("driver_override=" in fact for fact in facts)


def _named(configuration: Configuration, name: str, variation: Configuration) -> tuple[str, Configuration]:
    return name, dataclasses.replace(variation, name=f"{configuration.name} ({name})")


def _with_slow_events(configuration: Configuration, match: str) -> Configuration:
    """udev waits for PROGRAM while it reads the rules, so before it loads anything for the device."""
    line = f'ACTION=="add", SUBSYSTEM=="pci", {match}, PROGRAM=="/bin/sleep {SECONDS}"\n'
    slow = _with_files(configuration, {_RULES: line})
    return dataclasses.replace(slow, cmdline=(*configuration.cmdline, _MANY_WORKERS))


def _with_slow_list(configuration: Configuration) -> Configuration:
    """systemd-modules-load takes the command line's modules first, in order, and waits for what `install` runs."""
    slow = _with_files(configuration, {_MODPROBE: f"install {_WAITING} /bin/sleep {SECONDS}\n"})
    return dataclasses.replace(slow, cmdline=(f"modules_load={_WAITING}", *configuration.cmdline))


def _with_files(configuration: Configuration, files: dict[str, str]) -> Configuration:
    return dataclasses.replace(
        configuration,
        root_files={**configuration.root_files, **files},
        image_files={**configuration.image_files, **files},
    )
