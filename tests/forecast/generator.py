# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws boot configurations: one to three devices whose fate hangs on something, and noise around them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import line_variants
import modprobe_generator
import rule_generator
from config_builder import Case, ConfigBuilder
from configuration import COMPRESSIONS, DRACUT, INITRAMFS_TOOLS, NO_COLDPLUG, SERIES
from policy_generator import own_policy
from targets import NATIVES, RIVAL, TARGETS, Target

Generator = Callable[[ConfigBuilder, Target], None]
GENERATORS: tuple[tuple[Generator, int], ...] = (*modprobe_generator.GENERATORS, *rule_generator.GENERATORS, (own_policy, 12))
# How often each device is the one that matters: those that share a driver, and those whose driver really binds.
WEIGHTS = tuple(target.weight for target in TARGETS)

# Loading these takes a guest a quarter of its time: later seeds do without those that they say nothing about.
COSTLY = {"snd_hda_intel": "2668", "bochs": "1111", "xhci_pci": "000d"}
FIRST_LEAN = 1000


def draw(seed: int, series: Sequence[str] = SERIES) -> Case:
    """The configuration that a seed stands for.  The kernels take turns, so that every count has all of them."""
    choice = random.Random(seed)  # noqa: S311 - a repeatable draw is wanted
    builder = ConfigBuilder(
        choice,
        series[seed % len(series)],
        flow=choice.choices((INITRAMFS_TOOLS, DRACUT, NO_COLDPLUG), (58, 30, 12))[0],
        compression=choice.choices(COMPRESSIONS, (60, 10, 10, 10, 10))[0],
    )
    _noise(builder)
    targets = _targets(choice)
    for target in targets:
        choice.choices([generator for generator, _weight in GENERATORS], [weight for _generator, weight in GENERATORS])[0](builder, target)
    if not builder.virtual_functions and builder.maybe(0.1):
        builder.virtual_functions = 1
    if seed >= FIRST_LEAN:
        wanted = {native for target in targets for native in target.natives}
        builder.leave_out({module: device for module, device in COSTLY.items() if module not in wanted})
    return builder.finished(f"seed-{seed}")


def draw_many(first: int, count: int, series: Sequence[str] = SERIES) -> list[Case]:
    return [draw(seed, series) for seed in range(first, first + count)]


def _targets(choice: random.Random) -> list[Target]:
    wanted = choice.choices((1, 2, 3), (40, 40, 20))[0]
    found: list[Target] = []
    while len(found) < wanted:
        target = choice.choices(TARGETS, WEIGHTS)[0]
        if target not in found:
            found.append(target)
    return found


def _noise(builder: ConfigBuilder) -> None:
    """Lines that decide nothing, and an image with this and that in it."""
    modules = list(NATIVES)
    if builder.maybe(0.3):
        builder.modprobe(*line_variants.decoys(builder.choice, modules))
    if builder.maybe(0.15):
        builder.modprobe("blacklist no_such_module", "options no_such_module ids=8086:10d3", "softdep no_such_module pre: vfio_pci")
    if builder.maybe(0.1):
        builder.modprobe(f"options {builder.choice.choice(modules)} no_such_option=1")
    if builder.maybe(0.1):
        builder.rules("# nothing", 'ACTION=="add", SUBSYSTEM=="net", NAME="eth9"', 'SUBSYSTEM=="pci", ATTR{power/control}="on"')
    if builder.maybe(0.15):
        modprobe_generator.load_at_boot(builder, builder.choice.choice([*modules, "no_such_module", "vfio_pci"]))
    if builder.maybe(0.5):
        builder.pack(*builder.choice.sample(modules, builder.choice.randrange(len(modules))))
    # With the second native there, every identical card is a race with the event of another card.
    if builder.maybe(0.2):
        builder.note("two natives")
    else:
        builder.missing_modules.append(RIVAL)
    if builder.maybe(0.05):
        builder.cmdline.append("intel_iommu=off")
        builder.note("intel_iommu=off")
    if builder.maybe(0.2):
        builder.cmdline.append(builder.choice.choice(("quiet", "nosuchoption", "module_blacklist_not=vfio_pci", "modprobe.blacklist=")))
