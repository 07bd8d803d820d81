# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a device is bound as it is claimed, and whether it will be after a boot."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, NOT_KNOWN, RACE, UNKNOWN
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.reasons import LACKS, LONGEST_REASON, be_bound
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import NOT_SEARCHED, winner_result

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import UnfinishedWork
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import GuardFinding
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.boot_forecast import NextKernel


@dataclasses.dataclass(frozen=True)
class AfterBoot:
    """The claimed driver on one kernel, and the one that the device will be bound to."""

    release: str
    claimed: str
    winner: Winner
    would_change: str | None = None
    kind: str | None = None
    """Of the claimed driver: see `kind_of()`."""

    def result(self, assumes: bool = False) -> Result:
        return {"claimed": self.claimed, "kind": self.kind, **winner_result(self.winner, assumes), "would_change": self.would_change}

    @property
    def is_satisfied(self) -> bool:
        return (self.winner.driver, self.winner.certainty) == (self.claimed, CERTAIN)

    def complaint(self, subject: str, kernels: str) -> str:
        """What happens in place of the claim, as a clause; ``subject`` is the device, ``kernels`` those with the same complaint."""
        if self.winner.certainty == UNKNOWN:
            why = " ".join(_without_repeated(self.winner.doubts)).rstrip(".") or "nothing is known"
            possible = " or ".join(driver or "no driver" for driver in self.winner.outcomes)
            said = f"whether {subject} will be bound to {self.claimed} on kernel {kernels} cannot be determined"
            return f"{said} (possible: {possible}): {why}"
        others = " or ".join(be_bound(driver) for driver in self.winner.outcomes if driver != self.claimed)
        will = "may" if self.claimed in self.winner.outcomes else "will"
        race = ", in a race," if self.winner.certainty == RACE else ""
        return f"{subject} {will}{race} {others}, not {self.claimed}, on kernel {kernels}{self._reason()}"

    def _reason(self) -> str:
        # That there is no such driver says all, and stands in the remedy.
        if LACKS in (self.would_change or ""):
            return ""
        known = [str(because) for because in self.winner.because if because.source != NOT_KNOWN]
        return f" ({'; '.join(known[:LONGEST_REASON]).rstrip('.')})" if known else ""


@dataclasses.dataclass(frozen=True)
class ClaimStatus:
    """A claimed device now and after boots.  ``claimed_now`` is None if no kernel runs, or if it cannot be determined."""

    device: Device
    claimed_now: str | None
    boots: tuple[AfterBoot, ...]
    warnings: tuple[str, ...] = ()
    guards: tuple[GuardFinding, ...] | None = None
    """What keeps the device with its driver; None if it is not known, as of a device that is only described."""

    nodes: tuple[t.Mapping[str, str], ...] = ()
    """The device's nodes of VFIO that exist now, with owner and mode."""

    @property
    def drivers(self) -> frozenset[str]:
        """The drivers that the device is claimed for, now and after the boots."""
        return frozenset((*(boot.claimed for boot in self.boots), *([] if self.claimed_now is None else [self.claimed_now])))

    @property
    def satisfied(self) -> bool | None:
        return None if self.claimed_now is None else self.device.driver == self.claimed_now

    @property
    def will_be_satisfied(self) -> bool | None:
        return None if not self.boots else all(boot.is_satisfied for boot in self.boots)

    @property
    def claimed(self) -> str | None:
        """The driver that the device is claimed for, on the first of the kernels."""
        return self.boots[0].claimed if self.boots else self.claimed_now

    def result(self, assumes: bool = False) -> Result:
        return {
            "address": self.device.address,
            "id": self.device.id,
            "claimed": self.claimed,
            "driver": self.device.driver,
            "satisfied": self.satisfied,
            "will_be_satisfied": self.will_be_satisfied,
            "kernels": {boot.release: boot.result(assumes) for boot in self.boots},
            "warnings": list(self.warnings),
            "vfio_nodes": [dict(node) for node in self.nodes],
            "guards": None if self.guards is None else [finding.result() for finding in self.guards],
        }

    def owner_failure(self) -> str | None:
        """One sentence if the device is not bound as claimed now, and what to do."""
        if self.satisfied is not False:
            return None
        now = "has no driver, not" if self.device.driver is None else f"is bound to {self.device.driver}, not to"
        kept = next((finding.what for finding in self.guards or () if finding.action == "refuse"), None)
        remedy = f"device_claim binds it to {self.claimed_now}." if kept is None else f"device_claim would refuse to bind it: {kept}."
        return f"{self.device.address} ({self.device.id}) {now} {self.claimed_now} as claimed. {remedy}"

    def winner_failure(self) -> str | None:
        """One sentence if the device is not certain to be bound as claimed after each of the boots, and the changes that help."""
        alike: dict[str, list[AfterBoot]] = {}
        for boot in self.boots:
            if not boot.is_satisfied:
                alike.setdefault(boot.complaint("it", "").replace(boot.release, "{release}"), []).append(boot)
        clauses: list[str] = []
        for boots in alike.values():
            subject = "it" if clauses else f"{self.device.address} ({self.device.id})"
            clauses.append(boots[0].complaint(subject, " and ".join(boot.release for boot in boots)))
        text = "; ".join(clauses)
        remedies = dict.fromkeys(
            boot.would_change for boot in self.boots if not boot.is_satisfied and boot.would_change not in (None, NOT_SEARCHED)
        )
        return " ".join([f"{text[0].upper()}{text[1:]}.", *remedies]) if text else None


@dataclasses.dataclass(frozen=True)
class ClaimCheck:
    """The claimed devices, and one sentence for each that does not meet the requirement."""

    statuses: tuple[ClaimStatus, ...]
    next_kernel: NextKernel
    policy_warnings: tuple[str, ...]
    failures: tuple[str, ...]
    check_mode: bool
    assumes: bool = False
    """Whether the result says what each forecast takes for granted."""
    unfinished: tuple[UnfinishedWork, ...] = ()
    old_in_use: tuple[str, ...] = ()
    """VFIO drivers of which another version is loaded than is installed."""
    wrong: tuple[str, ...] | None = None
    """What an earlier prediction was wrong about; None if there is none to compare."""

    def result(self) -> Result:
        """Raises HostError, with the whole result, if a device does not meet the requirement."""
        result: Result = {
            "devices": [status.result(self.assumes) for status in self.statuses],
            "next_boot": self.next_kernel.result(),
            "policy_warnings": list(self.policy_warnings),
            "failures": list(self.failures),
            "unfinished": [work.result() for work in self.unfinished],
            "check_mode": self.check_mode,
            **({} if self.wrong is None else {"wrong_predictions": list(self.wrong)}),
            **({"old_in_use": list(self.old_in_use)} if self.old_in_use else {}),
        }
        if self.failures:
            raise HostError("\n".join(self.failures), None, result)
        return result


def old_of_claims(result: Result) -> tuple[str, ...]:
    """Of a result, the modules of claimed drivers of which another version is loaded than is installed."""
    claimed = {normalize_module_name(device["claimed"]) for device in result.get("devices", ()) if device["claimed"]}
    return tuple(name for name in result.get("old_in_use", ()) if name in claimed)


def _without_repeated(doubts: t.Sequence[str]) -> list[str]:
    """The doubts but for those with which another one begins, which says more."""
    begins = {doubt: tuple(f"{doubt.rstrip('.')}{more}" for more in (":", ",", ";", " ")) for doubt in doubts}
    return [doubt for doubt, begin in begins.items() if not any(other.startswith(begin) for other in begins)]
