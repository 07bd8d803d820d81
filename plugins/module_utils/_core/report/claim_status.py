# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a device is owned as it is claimed, and whether it will be after a boot."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, NOT_KNOWN, RACE
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import winner_result

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import NextKernel

LONGEST_REASON = 3
"""How many of the deciding facts a sentence names."""


@dataclasses.dataclass(frozen=True)
class AfterBoot:
    """What the claim means on one kernel, and who will own the device there."""

    release: str
    claimed: str
    winner: Winner
    would_change: str | None = None

    def result(self) -> Result:
        return {"claimed": self.claimed, **winner_result(self.winner), "would_change": self.would_change}

    @property
    def is_satisfied(self) -> bool:
        return (self.winner.driver, self.winner.certainty) == (self.claimed, CERTAIN)

    def complaint(self) -> str:
        """Why the device does not certainly go to the claimed driver, as the end of a sentence."""
        if self.winner.certainty == RACE:
            outcomes = " and ".join(_name(driver) for driver in self.winner.outcomes)
            return f"it is a race between {outcomes}{self._reason()}"
        if self.winner.certainty != CERTAIN:
            return f"who will own it cannot be told: {' '.join(self.winner.doubts).rstrip('.') or 'nothing is known'}"
        return f"{_name(self.winner.driver)} will own it{self._reason()}"

    def _reason(self) -> str:
        known = [str(because) for because in self.winner.because if because.source != NOT_KNOWN]
        return f" ({'; '.join(known[:LONGEST_REASON]).rstrip('.')})" if known else ""


@dataclasses.dataclass(frozen=True)
class ClaimStatus:
    """What has become of a claim on one device, and what will.  ``claimed_now`` is None where no kernel runs that is installed."""

    device: Device
    claimed_now: str | None
    boots: tuple[AfterBoot, ...]
    warnings: tuple[str, ...] = ()

    @property
    def satisfied(self) -> bool | None:
        return None if self.claimed_now is None else self.device.driver == self.claimed_now

    @property
    def will_be_satisfied(self) -> bool:
        return all(boot.is_satisfied for boot in self.boots)

    @property
    def claimed(self) -> str | None:
        """The driver that the device is claimed for, on the first of the kernels."""
        return self.boots[0].claimed if self.boots else self.claimed_now

    def result(self) -> Result:
        return {
            "address": self.device.address,
            "id": self.device.id,
            "claimed": self.claimed,
            "driver": self.device.driver,
            "satisfied": self.satisfied,
            "will_be_satisfied": self.will_be_satisfied,
            "kernels": {boot.release: boot.result() for boot in self.boots},
            "warnings": list(self.warnings),
        }

    def owner_failure(self) -> str | None:
        """One sentence where the device is not owned as claimed now."""
        if self.satisfied is not False:
            return None
        return f"{self.device.address} ({self.device.id}) belongs to {_name(self.device.driver)} now, not to {self.claimed_now} as claimed."

    def winner_failure(self) -> str | None:
        """One sentence where the device will not certainly be owned as claimed after each of the boots."""
        wrong = [boot for boot in self.boots if not boot.is_satisfied]
        if not wrong:
            return None
        alike: dict[tuple[str, str], list[str]] = {}
        for boot in wrong:
            alike.setdefault((boot.claimed, boot.complaint().replace(boot.release, "{release}")), []).append(boot.release)
        parts = [
            f"{claimed} on kernel {' and '.join(releases)}: {complaint.replace('{release}', releases[0])}"
            for (claimed, complaint), releases in alike.items()
        ]
        return f"{self.device.address} ({self.device.id}) will not certainly belong to {'; nor to '.join(parts)}."


@dataclasses.dataclass(frozen=True)
class ClaimCheck:
    """Each claimed device, and a sentence for each that is not, or will not be, as it was expected."""

    statuses: tuple[ClaimStatus, ...]
    next_kernel: NextKernel
    policy_warnings: tuple[str, ...]
    failures: tuple[str, ...]
    check_mode: bool

    def result(self) -> Result:
        """Raises HostError, with all that would be returned, where what is expected does not hold."""
        result: Result = {
            "devices": [status.result() for status in self.statuses],
            "next_boot": self.next_kernel.result(),
            "policy_warnings": list(self.policy_warnings),
            "failures": list(self.failures),
            "check_mode": self.check_mode,
        }
        if self.failures:
            raise HostError("\n".join(self.failures), None, result)
        return result


def _name(driver: str | None) -> str:
    return driver or "no driver"
