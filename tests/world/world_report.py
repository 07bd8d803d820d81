# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a comparison found, in lines."""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Sequence

import world_comparison
from world_comparison import BAD, JudgedHost, Result
from world_configuration import Entries, World


def shown(driver: str | None) -> str:
    return "no driver" if driver is None else driver


def summary(hosts: Sequence[JudgedHost]) -> t.Iterator[str]:
    counts = world_comparison.counts(hosts)
    total = sum(counts.values())
    unknown = sum(one.certainty == world_comparison.UNKNOWN for host in hosts for one in host.functions)
    series = Counter(host.world.series for host in hosts)
    yield f"{len(hosts)} hosts ({', '.join(f'{count} with Linux {name}' for name, count in sorted(series.items()))}), {total} functions"
    yield from (f"    {result.value}: {counts[result]}" for result in Result)
    yield f"    unknown in all: {unknown} ({unknown / max(total, 1):.1%})"
    yield from (f"FAILED: {host.world.name}: {host.error}" for host in hosts if host.error)


def mechanisms(hosts: Sequence[JudgedHost]) -> t.Iterator[str]:
    """A line for each, those first whose answers are the most often unknown."""
    found = world_comparison.by_mechanism(hosts)

    def share(count: Counter[str]) -> float:
        return count["unknown"] / max(count["functions"], 1)

    yield f"{'mechanism':44}{'hosts':>7}{'functions':>11}{'unknown':>9}{'several':>9}{'bad':>5}"
    for name, count in sorted(found.items(), key=lambda item: (-share(item[1]), item[0])):
        numbers = f"{count['hosts']:7}{count['functions']:11}{share(count):9.0%}{count['several']:9}{count['bad']:5}"
        yield f"{name:44}{numbers}"


def disagreements(host: JudgedHost) -> t.Iterator[str]:
    """What was said and seen of each function that an answer was bad for, and what the host has that may concern it."""
    for one in host.functions:
        if one.result in BAD:
            planted = ", ".join(each.mechanism for each in host.world.planted if each.address == one.address)
            said = " or ".join(map(shown, one.said)) or "nothing"
            yield f"{host.world.name} (Linux {host.world.series}) {one.address}: {one.result.value}"
            yield f"    predicted: {one.certainty} {said}; seen: {shown(one.seen)}"
            yield f"    planted on it: {planted or 'nothing'}"
            yield from (f"    {reason}" for reason in one.because[:6])


def as_files(world: World) -> t.Iterator[str]:
    """A host as what would have to be put where."""
    yield f"kernel {world.series}, initramfs {world.flow} ({world.compression})"
    yield f"command line: {' '.join(world.cmdline) or '(nothing)'}"
    yield f"modules in the initramfs: {' '.join(world.image_modules) or '(none)'}"
    yield f"modules that the root lacks: {' '.join(world.missing_modules) or '(none)'}"
    yield f"not plugged in: {' '.join(world.absent) or '(none)'}; virtual functions before: {world.virtual_functions}"
    yield from (f"planted: {one.mechanism} {one.address}" for one in world.planted)
    places: tuple[tuple[str, Entries], ...] = (("root", world.root), ("initramfs", world.image), ("second initrd", world.second))
    for place, entries in places:
        for path, entry in entries.items():
            yield f"--- {place}: {path}" + (f" -> {entry.link}" if entry.link else f" ({entry.permissions:o})")
            yield from (f"    {line}" for line in entry.text.splitlines())


def answers(hosts: Sequence[JudgedHost]) -> str:
    """What is predicted for each function of each host, a line each."""
    lines = (
        (host.world.name, one.address, one.certainty, " or ".join(sorted(map(shown, one.said))), shown(one.seen), one.result.value)
        for host in hosts
        for one in host.functions
    )
    return "".join(f"{chr(9).join(line)}\n" for line in lines)
