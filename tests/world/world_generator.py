# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws hosts: several mechanisms at once, each on a function of its own, alone or upon a configuration of the other generator."""

from __future__ import annotations

import random
import typing as t
from collections.abc import Callable
from dataclasses import dataclass

import generator
import machine
import plant_files
import plant_modprobe
import plant_rules
import plant_scripts
import plant_units
import targets
from cards import CARDS, COSTLY, IGB, Card, like
from configuration import COMPRESSIONS, DRACUT, INITRAMFS_TOOLS, NO_COLDPLUG, SERIES
from host_builder import HostBuilder
from world_configuration import Entry, World

Plant = Callable[[HostBuilder, Card], None]


def _any(_card: Card) -> bool:
    return True


def _has_native(card: Card) -> bool:
    return bool(card.natives)


def _is_network(card: Card) -> bool:
    return card.class_code.startswith("0200")


def _is_igb(card: Card) -> bool:
    return card.address == IGB


@dataclass(frozen=True)
class Mechanism:
    """``weight``: how often it is drawn; ``fits``: on which functions."""

    plant: Plant
    weight: int
    fits: Callable[[Card], bool] = _any


MECHANISMS = (
    Mechanism(plant_units.service, 6),
    Mechanism(plant_units.not_enabled, 2),
    Mechanism(plant_units.masked, 2),
    Mechanism(plant_units.condition, 4),
    Mechanism(plant_units.template, 3),
    Mechanism(plant_units.drop_in, 4),
    Mechanism(plant_units.drop_in_that_replaces, 2),
    Mechanism(plant_units.timer, 4),
    Mechanism(plant_units.path, 3),
    Mechanism(plant_units.socket, 2),
    Mechanism(plant_units.alias, 2),
    Mechanism(plant_units.linked, 2),
    Mechanism(plant_units.by_another_unit, 5),
    Mechanism(plant_units.generator, 4),
    Mechanism(plant_units.not_executable, 2),
    Mechanism(plant_units.interpreter, 4),
    Mechanism(plant_units.default_target, 1),
    Mechanism(plant_scripts.cron, 5),
    Mechanism(plant_scripts.at, 2),
    Mechanism(plant_scripts.rc_local, 3),
    Mechanism(plant_scripts.sysv, 4),
    Mechanism(plant_scripts.image_script, 4),
    Mechanism(plant_scripts.install_line, 6),
    Mechanism(plant_scripts.second_initrd, 3),
    Mechanism(plant_rules.matched, 14),
    Mechanism(plant_rules.program, 6),
    Mechanism(plant_rules.run_program, 6),
    Mechanism(plant_rules.run_operators, 4, _has_native),
    Mechanism(plant_rules.load_at_once, 3),
    Mechanism(plant_rules.attribute, 10),
    Mechanism(plant_rules.other_subsystem, 5, _is_network),
    Mechanism(plant_rules.environment, 5),
    Mechanism(plant_rules.flow, 3),
    Mechanism(plant_rules.broken, 5),
    Mechanism(plant_rules.hidden, 4),
    Mechanism(plant_rules.packages_rules_masked, 1, _has_native),
    Mechanism(plant_rules.systemd_wants, 6),
    Mechanism(plant_rules.sysctl_rule, 1),
    Mechanism(plant_rules.virtual_functions, 30, _is_igb),
    Mechanism(plant_modprobe.parameter, 10, _has_native),
    Mechanism(plant_modprobe.of_all_modules, 3, _has_native),
    Mechanism(plant_modprobe.taker_parameter, 5),
    Mechanism(plant_modprobe.blacklist, 5, _has_native),
    Mechanism(plant_modprobe.own_alias, 3),
    Mechanism(plant_modprobe.hidden, 3, _has_native),
    Mechanism(plant_modprobe.load_list, 5),
    Mechanism(plant_modprobe.initcall, 2, _has_native),
    Mechanism(plant_modprobe.early_words, 4),
    Mechanism(plant_files.tmpfiles, 7),
    Mechanism(plant_files.sysctl, 2),
    Mechanism(plant_files.driverctl, 5),
    Mechanism(plant_files.credential, 4),
    Mechanism(plant_files.words_of_systemd, 4),
    Mechanism(plant_files.extension, 3),
    Mechanism(plant_files.inert, 3),
)
#: Those that concern every function, and so hide what others do: in few hosts, and with few others beside them.
FOR_ALL = (Mechanism(plant_files.everything, 3), Mechanism(plant_files.modules_disabled, 3))
_SHARE_FOR_ALL = 0.09
_SHARE_MIXED = 0.25
_ALWAYS = ("0000:00:02.0", "0000:00:0a.0", "0000:02:00.0")


def draw(seed: int, series: t.Sequence[str] = SERIES, *, unified: bool = False) -> World:
    """The host that a seed stands for, also as one that boots a unified kernel image.  The kernels take turns."""
    choice = random.Random(f"world {seed}")  # noqa: S311 - a repeatable draw is wanted
    b = HostBuilder(choice, series[seed % len(series)], f"{'unified' if unified else 'world'}-{seed}", unified=unified)
    b.flow = choice.choices((INITRAMFS_TOOLS, DRACUT, NO_COLDPLUG), (66, 16, 18))[0]
    b.compression = choice.choices(COMPRESSIONS, (60, 10, 10, 10, 10))[0]
    present = set(_ALWAYS)
    if b.maybe(_SHARE_MIXED):
        present |= _mixed(b, seed)
    if b.maybe(0.5):
        b.pack("vfio_pci")
    if b.maybe(0.85):
        b.missing_modules.append(targets.RIVAL)
    if b.maybe(_SHARE_FOR_ALL):
        mechanism = choice.choices(FOR_ALL, [one.weight for one in FOR_ALL])[0]
        mechanism.plant(b, CARDS[0])
        count = 4
    else:
        count = choice.choice((3, 8, 10, 12))
    present |= _plant(b, count)
    return b.finished(_absent(b, present))


def draw_many(first: int, count: int, series: t.Sequence[str] = SERIES, *, unified: bool = False) -> list[World]:
    return [draw(seed, series, unified=unified) for seed in range(first, first + count)]


def _plant(b: HostBuilder, count: int) -> set[str]:
    """Mechanisms on so many functions; the functions that have to be there for them."""
    chosen = b.choice.sample(CARDS, count)
    for card in chosen:
        fitting = [one for one in MECHANISMS if one.fits(card)]
        for _again in range(b.choice.choice((1, 1, 1, 2))):
            b.choice.choices(fitting, [one.weight for one in fitting])[0].plant(b, card)
    present = {card.address for card in chosen}
    return present | {other.address for card in chosen for other in like(card) if b.maybe(0.6)}


def _mixed(b: HostBuilder, seed: int) -> set[str]:
    """A configuration of the other generator as the ground; its virtual functions stay out, as nothing of it makes them."""
    case = generator.draw(seed + 100_000, (b.series,))
    old = case.configuration
    b.flow, b.compression = old.flow, old.compression
    b.cmdline += old.cmdline
    b.image_modules += old.image_modules
    b.missing_modules += old.missing_modules
    b.root |= {_merged(path): Entry(text) for path, text in old.root_files.items()}
    b.image |= {path: Entry(text) for path, text in old.image_files.items()}
    for directive in case.directives:
        b.note(f"other generator: {directive}")
    return {function.address for function in machine.FUNCTIONS}


def _merged(path: str) -> str:
    return f"/usr{path}" if path.startswith(("/lib/", "/bin/", "/sbin/")) else path


def _absent(b: HostBuilder, present: set[str]) -> list[str]:
    """Functions that nothing is about are there at times, seldom those whose drivers are costly to load."""
    share = {card.address: 0.06 if card.model in COSTLY else 0.45 for card in CARDS}
    return [card.address for card in CARDS if card.address not in present and not b.maybe(share[card.address])]
