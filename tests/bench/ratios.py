# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured beside something else, and how many times as much it may take; and pages, by bytes and seconds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

#: The most that is allowed, by what is measured.
LIMITS = {
    "1000 functions by device_info, everything cached, in reading their attributes and all files once": 1.5,
    "each of 5000 functions, everything cached, in one of 1000": 1.2,
    "each of 5000 functions, nothing cached, in one of 1000": 1.2,
    "a run with nothing to do, in plays of one module that does nothing": 1.3,
    "bytes that a run with nothing to do sends beyond a module that does nothing": 60_000.0,
    "imports of a run with nothing to do, in those of ansible.module_utils.basic": 0.5,
    "dkms_package that builds and installs, in dkms install": 1.1,
    "bytes of the page of 1000 hosts": 5_000_000.0,
    "seconds to open the page of 1000 hosts": 2.0,
    "opening the page of 1000 hosts, in that of a page of as many bytes of text": 5.0,
}
#: The least that is allowed: peers do the same job in the same minute, and take longer.
LEAST = {
    "five hand-written tasks with nothing to do, in runs of the role with nothing to do": 1.0,
    "the steps of lae.proxmox with nothing to do, in runs of the role with nothing to do": 1.0,
}
#: What is aimed at and not reached yet: shown, and no failure.
AIMS = {
    "1000 functions by device_info, nothing cached, in reading their attributes and all files once": 2.0,
    "imports of the largest module, in those of ansible.module_utils.basic": 2.0,
}
#: What `tests/bench/fleet` measures, at most and at least.
FLEET_LIMITS = {
    "100 hosts with nothing to do, in a role that does nothing on each": 1.2,
    "seconds for 1000 hosts with nothing to do": 600.0,
    "one of 1000 hosts, in one of 100": 1.2,
    "MiB of the controller's memory for 1000 hosts": 1024.0,
    "first to last write for 64 functions, in a loop of bare writes": 1.3,
    "a first run with nothing to build, in the commands that it must run": 1.2,
}
FLEET_LEAST = {f"64 functions by {peer}, in runs of device_claim": 1.0 for peer in ("driverctl", "virsh", "dpdk-devbind")}
FLEET_AIMS = {"100 hosts with nothing to do, in ping on each": 1.6}
OF_BENCH, OF_FLEETS = LIMITS.keys() | LEAST.keys(), FLEET_LIMITS.keys() | FLEET_LEAST.keys()


@dataclass(frozen=True)
class Ratio:
    """``name`` is that of its limit, ``how`` says how it was measured; ``processor`` counts, ``wall`` is the same by the clock."""

    name: str
    how: str
    processor: float
    wall: float | None = None

    @property
    def is_missed(self) -> bool:
        value, word = bound(self.name)
        return self.processor < value if word == "least" else word == "limit" and self.processor > value

    def __str__(self) -> str:
        value, word = bound(self.name)
        limit = f"{'at least' if word == 'least' else word} {value:g}"
        wall = "" if self.wall is None else f", {self.wall:.2f} by clock"
        return f"{self.name}, {self.how}: {self.processor:.2f} ({limit}){wall}"


def bound(name: str) -> tuple[float, str]:
    """What is allowed, and whether that is a limit, the least, or an aim."""
    for word, several in (("limit", (LIMITS, FLEET_LIMITS)), ("least", (LEAST, FLEET_LEAST)), ("aim", (AIMS, FLEET_AIMS))):
        values = next((one for one in several if name in one), None)
        if values is not None:
            return values[name], word
    raise KeyError(name)


def missed(ratios: list[Ratio], wanted: Collection[str] = OF_BENCH) -> list[str]:
    """Each limit that was not kept, and each for which nothing was measured."""
    unmeasured = set(wanted) - {ratio.name for ratio in ratios}
    return [*(str(ratio) for ratio in ratios if ratio.is_missed), *(f"nothing was measured of {name}" for name in sorted(unmeasured))]
