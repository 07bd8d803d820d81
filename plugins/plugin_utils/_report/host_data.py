# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report shows of a host: its devices, and what each installed kernel makes of them at boot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CERTAIN, RACE, UNKNOWN = "certain", "race", "unknown"


@dataclass(frozen=True)
class BootOutcome:
    """The driver of a device after a boot of one kernel; None if it has none, or if that cannot be determined."""

    driver: str | None
    certainty: str = UNKNOWN
    stage: str | None = None
    because: tuple[str, ...] = ()
    possible: tuple[str | None, ...] = ()
    claimed: str | None = None
    would_change: str | None = None


@dataclass(frozen=True)
class ClaimResult:
    """The driver that a device is claimed for; ``satisfied`` is None if no kernel runs, as in an image."""

    driver: str | None
    satisfied: bool | None
    will_be_satisfied: bool | None


@dataclass(frozen=True)
class DeviceData:
    """A PCI function, with its outcome by kernel; ``next_boot`` is that of the kernel that boots by default."""

    address: str
    id: str
    class_code: str
    name: str | None = None
    driver: str | None = None
    iommu_group: int | None = None
    parent: str | None = None
    is_bridge: bool = False
    physical_function: str | None = None
    variant: str | None = None
    nodes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    outcomes: Mapping[str, BootOutcome] = field(default_factory=dict)
    next_boot: BootOutcome | None = None
    claim: ClaimResult | None = None

    @property
    def changes(self) -> bool:
        """Whether it is certain to have another driver after the next boot than now."""
        return self.next_boot is not None and self.next_boot.certainty == CERTAIN and self.next_boot.driver != self.driver


@dataclass(frozen=True)
class HostData:
    """A host as it was at a time in seconds since the epoch."""

    name: str
    examined_at: int
    devices: tuple[DeviceData, ...] = ()
    kernels: tuple[str, ...] = ()
    running: str | None = None
    next_release: str | None = None
    next_reason: str = ""
    warnings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    """One sentence for each device that is not, or will not be, bound as claimed."""
    old_in_use: tuple[str, ...] = ()
    """VFIO drivers of which another version is loaded than is installed."""
