# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a function with its driver: one guard for each reason, and which of them a claim can switch off."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import (
    BY_NAME,
    GUARDS,
    IGNORE,
    REFUSE,
    VITAL_GUARDS,
    Guard,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import Use

SHOWN = 3
STORAGE_CLASS, NETWORK_CLASS, BRIDGE_CLASS = 0x01, 0x02, 0x06


@dataclasses.dataclass(frozen=True)
class Loss:
    """A function that would lose its driver, and what that would take from the host.

    ``claim`` is the one that causes it, ``because`` a clause if it does not name the function.  ``place`` names what is not a PCI function.
    """

    device: Device | None
    claim: Claim
    uses: tuple[Use, ...] = ()
    because: str | None = None
    companion_of: Device | None = None
    place: str = ""

    @property
    def subject(self) -> str:
        return self.place if self.device is None else f"{self.device.address} ({self.device.id})"

    @property
    def address(self) -> str | None:
        return None if self.device is None else self.device.address


@dataclasses.dataclass(frozen=True)
class GuardFinding:
    """A guard with a reason to refuse a loss; ``action`` is `refuse`, `warn`, or `ignore` where the claim says so."""

    loss: Loss
    guard: Guard
    what: str
    action: str

    def result(self) -> dict[str, t.Any]:
        return {"guard": self.guard.name, "what": self.what, "action": self.action, "can_be_ignored": self.guard.optional}


def judge(losses: t.Sequence[Loss]) -> tuple[GuardFinding, ...]:
    """All findings about the losses, in their order, those that nothing overrides first."""
    return tuple(finding for loss in losses for guard in GUARDS for finding in _found(loss, guard))


def _found(loss: Loss, guard: Guard) -> t.Iterator[GuardFinding]:
    action = IGNORE if guard.optional and loss.claim.guards.get(guard.name) == IGNORE else REFUSE
    yield from (GuardFinding(loss, guard, use.what, action) for use in loss.uses if use.guard == guard.name)
    device, other = loss.device, loss.companion_of
    if guard.name == "companions" and device is not None and other is not None and _matters(device, other, loss):
        what = f"it would lose its driver {device.driver}, as it is in IOMMU group {device.iommu_group} of {other.address}"
        yield GuardFinding(loss, guard, what, action)


def _matters(device: Device, other: Device, loss: Loss) -> bool:
    """Whether a companion is more than another function of the claimed card: another card, a disk, an interface, a bridge, or in use."""
    is_other_card = device.address.rpartition(".")[0] != other.address.rpartition(".")[0]
    return is_other_card or device.class_code >> 16 in (STORAGE_CLASS, NETWORK_CLASS, BRIDGE_CLASS) or bool(loss.uses)


def identical(device: Device, claim: Claim, others: t.Sequence[tuple[Device, tuple[Use, ...]]]) -> tuple[GuardFinding, ...]:
    """Findings about a function that a rule finds by its address: another card with the same IDs may have that address one day."""
    guard, loss = BY_NAME["identical"], Loss(device, claim)
    is_ignored = claim.guards.get(guard.name) == IGNORE
    findings = []
    for other, uses in others:
        vital = next((use.what for use in uses if use.guard in VITAL_GUARDS), None)
        action = IGNORE if is_ignored else REFUSE if vital else "warn"
        needs = f", which keeps this host running ({vital})" if vital else ""
        what = f"{other.address} has the same IDs{needs}, and the rule for {device.address} would take it if addresses change"
        findings.append(GuardFinding(loss, guard, what, action))
    return tuple(findings)


def refuse(findings: t.Sequence[GuardFinding]) -> None:
    """Raise HostError for the first function that a guard keeps with its driver."""
    refused = [finding for finding in findings if finding.action == REFUSE]
    if not refused:
        return
    loss = refused[0].loss
    own = [finding for finding in refused if finding.loss.subject == loss.subject]
    clauses: dict[str, list[str]] = {}
    for finding in own:
        clauses.setdefault(finding.guard.says, []).append(finding.what)
    which = f", {loss.because}," if loss.because else ""
    subject = f"{loss.subject}{which}"
    sentences = [f"{subject if number == 0 else 'It'} {says}: {_listed(whats)}." for number, (says, whats) in enumerate(clauses.items())]
    others = len({finding.loss.subject for finding in refused}) - 1
    sentences += [f"{others} other device{'s are' if others > 1 else ' is'} refused as well."] if others else []
    raise HostError(" ".join(sentences), _hint(own))


def warnings(findings: t.Sequence[GuardFinding]) -> tuple[str, ...]:
    warned = (finding for finding in findings if finding.action == "warn")
    return tuple(f"{finding.loss.subject} {finding.guard.says}: {finding.what}." for finding in warned)


def _hint(findings: t.Sequence[GuardFinding]) -> str:
    fixed = [finding for finding in findings if not finding.guard.optional]
    if fixed:
        return "Nothing overrides this; let no claim match that device."
    names = ", ".join(f"{name}: {IGNORE}" for name in dict.fromkeys(finding.guard.name for finding in findings))
    return f"Release it, or take it anyway with `{findings[0].loss.claim.option('guards')}: {{{names}}}`."


def _listed(clauses: t.Sequence[str]) -> str:
    more = f"; and {len(clauses) - SHOWN} more" if len(clauses) > SHOWN else ""
    return "; ".join(clauses[:SHOWN]) + more
