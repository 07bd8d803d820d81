# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For the documentation: how often the answer is unknown by what a host has, and how each of that is followed."""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import world_comparison
from world_comparison import BAD, Judged, JudgedHost
from world_configuration import World

from ansible_collections.vfio.variants.tests import marked_page

BEGIN = "<!-- mechanisms: written by tests/world/run --replay --table -->"
END = "<!-- end of mechanisms -->"
COLUMNS = ("hosts", "functions", "certain", "race", "unknown", "wrong")
NOTHING, OLD, ALL = "nothing", "other generator: ", "for all: "
MODELLED, NOTICED = "modelled", "noticed"


@dataclass(frozen=True)
class Group:
    """Mechanisms whose names begin so, whether they are modelled or noticed, and by what those that are noticed are bounded."""

    title: str
    names: tuple[str, ...]
    how: str


_TEXT = f"{NOTICED}, bounded by the addresses, IDs, modules and drivers in its programs' text"
GROUPS = (
    Group("matches of udev rules", ("rule's match", "GOTO", "broken rule", "hidden rules file", "a link to a file"), MODELLED),
    Group("attributes that udev rules write", ("rule's ATTR", "rule's SYSCTL"), MODELLED),
    Group(
        "environment and lists of udev rules", ("rule's environment", "RUN's operators", "IMPORT of kmod", "rules of a package"), MODELLED
    ),
    Group("programs of udev rules", ("PROGRAM", "RUN of a program"), f"{MODELLED} up to the program; that is {_TEXT}"),
    Group(
        "udev rules for other subsystems",
        ("rule of another subsystem",),
        f"{MODELLED} for modules and drivers; others are noticed, bounded by what they ask of the devices above",
    ),
    Group("units that udev rules ask for", ("SYSTEMD_WANTS", "masked unit of a rule"), _TEXT),
    Group(
        "virtual functions",
        ("virtual functions",),
        f"{MODELLED} where a rule of the card's own events creates them; what else may is {NOTICED}",
    ),
    Group("parameters of modules", ("parameter", "driver_async_probe", "nomodeset"), MODELLED),
    Group(
        "blacklists, aliases and load lists",
        (
            "blacklist",
            "module_blacklist",
            "alias off",
            "own alias",
            "load list",
            "masked load list",
            "hidden modprobe file",
            "initcall_blacklist",
            "kernel's words",
        ),
        MODELLED,
    ),
    Group("install lines", ("install line",), f"{MODELLED} where modprobe alone is run; other programs are {_TEXT}"),
    Group("several initrds", ("second initrd",), MODELLED),
    Group("scripts in the initramfs", ("initramfs-tools", "dracut hook"), _TEXT),
    Group(
        "services, and what pulls them in",
        (
            "service",
            "template",
            "drop-in",
            "alias",
            "linked unit",
            "unit of a unit",
            "default target",
            "command line of a unit",
            "program without",
        ),
        _TEXT,
    ),
    Group("timers, sockets and paths", ("timer", "socket unit", "path unit"), f"{_TEXT}; when they start is not followed"),
    Group(
        "generators",
        ("generator", "masked generator"),
        f"{NOTICED}, bounded by the text of its units; where that is from elsewhere, not bounded",
    ),
    Group("masked and disabled units", ("masked service",), MODELLED),
    Group("cron, at, rc.local and System V", ("cron", "at", "rc.local", "sysv script", "masked sysv script"), _TEXT),
    Group("tmpfiles.d", ("tmpfiles.d", "masked tmpfiles"), f"{NOTICED}, bounded by the paths and values"),
    Group("sysctl.d", ("sysctl without effect", "kernel.modules_disabled", "masked sysctl"), f"{NOTICED}; it concerns every function"),
    Group("driverctl", ("driverctl",), MODELLED),
    Group("credentials", ("credential",), f"{NOTICED}, bounded by the text of their rules, units and settings"),
    Group("extensions of the root", ("sysext", "confext"), f"{NOTICED}, bounded by the text of their files"),
    Group("words for systemd and init=", ("systemd.", "rd.systemd.", "init="), _TEXT),
    Group("what does nothing", ("something that does nothing",), MODELLED),
    Group("all functions at once", (ALL,), f"{MODELLED} (nomodule) or {NOTICED}"),
    Group("a configuration of the other generator", (OLD,), MODELLED),
)


def group_of(mechanism: str) -> Group | None:
    """The group with the longest name that the mechanism's begins with."""
    fitting = [(len(name), number) for number, group in enumerate(GROUPS) for name in group.names if mechanism.startswith(name)]
    return GROUPS[max(fitting)[1]] if fitting else None


def concerned(world: World, address: str) -> frozenset[str]:
    """The titles of what is planted on a function; of all that is about every function only what switches drivers off."""
    titles = set()
    for one in world.planted:
        if one.address == address or (not one.address and one.mechanism.startswith(ALL)):
            group = group_of(one.mechanism)
            titles.add(one.mechanism if group is None else group.title)
    return frozenset(titles)


def counted(hosts: Sequence[JudgedHost]) -> dict[str, Counter[str]]:
    """By title, as the columns say; a function on which nothing is planted counts under `NOTHING`."""
    found: dict[str, Counter[str]] = {}
    for host in hosts:
        seen: set[str] = set()
        for one in host.functions:
            for title in concerned(host.world, one.address) or (NOTHING,):
                count = found.setdefault(title, Counter())
                count["hosts"] += title not in seen
                seen.add(title)
                count.update(_columns(one))
    return found


def _columns(one: Judged) -> t.Iterator[str]:
    yield "functions"
    if one.result in BAD:
        yield "wrong"
    if one.certainty == world_comparison.UNKNOWN:
        yield "unknown"
    else:
        yield "certain" if one.certainty == world_comparison.CERTAIN else "race"


def rendered(hosts: Sequence[JudgedHost]) -> str:
    found = counted(hosts)
    lines = [f"| planted on a function | {' | '.join(COLUMNS)} | how |", f"|---|{'---:|' * len(COLUMNS)}---|"]
    order = (*(group.title for group in GROUPS), NOTHING)
    how = {group.title: group.how for group in GROUPS}
    lines += [_row(title, found[title], how.get(title, "")) for title in order if title in found]
    whole = Counter(column for host in hosts for one in host.functions for column in _columns(one))
    whole["hosts"] = len(hosts)
    lines.append(_row("all", whole, ""))
    return "".join(f"{line}\n" for line in lines)


def _row(title: str, count: Counter[str], how: str) -> str:
    share = f"{count['unknown']} ({count['unknown'] / max(count['functions'], 1):.0%})"
    values = [share if column == "unknown" else str(count[column]) for column in COLUMNS]
    return f"| {title} | {' | '.join(values)} | {how} |"


def write(path: Path, hosts: Sequence[JudgedHost]) -> None:
    """Put the table between the marks of a page.  Raises ValueError without them."""
    marked_page.rewrite(path, BEGIN, END, f"\n{rendered(hosts)}")
