# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy comes to: the forecast of the host with the planned files, and what to say where a claimed driver does not win."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, KERNEL, UNKNOWN
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.matching import UNSERVED_ADVICE, unserved, why_off
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.reasons import LONGEST_REASON, be_bound
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.disagreeing_claims import overrides_that_disagree
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy, listed
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import natives_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Winner
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.boot_change import BootChange
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.plan import PolicyPlan

CERTAIN_ADVICE = "Take away what stands in the way, or accept that the next boot is not certain: require_certain: false."
OFFERED_ADVICE = "Claim {0} with `vfs`, or let what creates them write 0 to its sriov_drivers_autoprobe before."
CLAIMED_ADVICE = "Let {0} match no claim but one with `vfs`: the driver that creates the virtual functions is its native one."
IOMMU_ADVICE = "Switch the IOMMU on, in the firmware and on the kernel's command line."


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Who will have a claimed device on one kernel.

    ``winner`` is the forecast from all that is known of the boot, and ``doubts`` say what is not known of it.
    """

    decision: Decision
    driver: str
    boot: Boot
    winner: Winner
    doubts: tuple[str, ...]

    @property
    def device(self) -> Device:
        return self.decision.device

    @property
    def wins(self) -> bool:
        return (self.winner.driver, self.winner.certainty) == (self.driver, CERTAIN)

    @property
    def is_built_in(self) -> bool:
        """Whether another driver has the device before any file is read."""
        return self.winner.stage == KERNEL and self.winner.driver != self.driver

    @property
    def complaint(self) -> str:
        """What happens in place of what is claimed, as the end of a sentence."""
        others = [be_bound(driver) for driver in self.winner.outcomes if driver != self.driver]
        # A race that the claimed driver takes no part in is as good as lost.
        return f"{'may' if self.driver in self.winner.outcomes else 'will'} {' or '.join(others)}"

    def reasons(self, own: t.Sequence[str]) -> str:
        """The facts that decide, but for lines of the files ``own`` and what speaks for the claimed driver."""
        mine = (f"or {self.driver}: ", *(f"{path}:" for path in own))
        known = [str(because) for because in self.winner.because]
        return "; ".join([fact for fact in known if not fact.startswith(mine)][:LONGEST_REASON])


def outcomes(decisions: t.Sequence[Decision], boots: t.Sequence[Boot], facts: PolicyFacts) -> tuple[Outcome, ...]:
    """The forecast for each claimed device on each kernel that has its module."""
    found: list[Outcome] = []
    for boot in boots:
        chosen = {
            decision.device: (decision, choice.driver)
            for decision in decisions
            for choice in decision.choices
            if choice.release == boot.release and not choice.missing
        }
        winners = forecast(facts.inventory.devices, _without_doubts(boot), only=chosen)
        doubtful = forecast(facts.inventory.devices, boot, only=chosen) if _has_doubts(boot) else winners
        for device, (decision, driver) in chosen.items():
            found.append(Outcome(decision, driver, boot, winners[device.address], doubtful[device.address].doubts))
    return tuple(found)


def check(plan: PolicyPlan, boots: t.Sequence[Boot], facts: PolicyFacts, require_certain: bool = False) -> tuple[str, ...]:
    """What the user should know.  Raises HostError where a claimed driver will not win, or only by chance.

    ``boots`` are those of the host with the plan's files in place of the present ones.  With ``require_certain`` what would be a
    warning about a device that another driver may have at the next boot is an error.
    """
    found = outcomes(plan.decisions, boots, facts)
    lost = [outcome for outcome in found if _is_lost(outcome, plan, facts)]
    if lost:
        raise _refusal(lost, plan, facts)
    unsure = (*_built_in(found), *_unclear(found))
    if unsure and require_certain:
        raise HostError(unsure[0], CERTAIN_ADVICE)
    return tuple(dict.fromkeys((*unsure, *_overruled(plan, boots, facts))))


def _without_doubts(boot: Boot) -> Boot:
    """What is not known of a boot as a whole makes nothing win that loses by what is known."""
    stages = tuple(dataclasses.replace(stage, doubts=()) for stage in boot.stages)
    return dataclasses.replace(
        boot, stages=stages, doubts=(), iommu_doubt=None, later=dataclasses.replace(boot.later, doubts=(), unmade={})
    )


def _has_doubts(boot: Boot) -> bool:
    return bool(boot.doubts or boot.iommu_doubt or boot.later.doubts or boot.later.unmade or any(stage.doubts for stage in boot.stages))


# -- refusals


def _is_lost(outcome: Outcome, plan: PolicyPlan, facts: PolicyFacts) -> bool:
    """Whether files decide against the claim, or leave it to chance."""
    if outcome.wins or outcome.is_built_in:
        return False
    if outcome.winner.certainty != UNKNOWN:
        return True
    # Whatever the unknown comes to, a line that keeps the driver out is one.
    return outcome.driver not in outcome.winner.outcomes and _to_blame(outcome, plan, facts) is not None


def _refusal(lost: t.Sequence[Outcome], plan: PolicyPlan, facts: PolicyFacts) -> HostError:
    """One sentence about the first, and about all others that are lost for the same reason."""
    own = plan.policy.paths.all
    first = lost[0]
    same = [outcome for outcome in lost if _key(outcome, own) == _key(first, own)]
    devices = listed([f"{device.address} ({device.id})" for device in dict.fromkeys(outcome.device for outcome in same)])
    releases = listed(list(dict.fromkeys(outcome.boot.release for outcome in same)))
    change = _to_blame(first, plan, facts)
    why = (first.reasons(own) if change is None else change.line).rstrip(".")
    they = "it" if len({outcome.device for outcome in same}) == 1 else "they"
    said = f"{first.decision.claim.option('driver')} gives {devices} to {first.driver}, but on kernel {releases} {they} {first.complaint}"
    return HostError(f"{said}{f': {why}' if why else ''}.", _advice(first, change, plan, facts))


def _key(outcome: Outcome, own: t.Sequence[str]) -> tuple[str, ...]:
    said = f"{outcome.complaint}: {outcome.reasons(own)}".replace(outcome.device.address, "\0").replace(outcome.boot.release, "\1")
    return outcome.decision.claim.option("driver"), outcome.driver, said


def _advice(lost: Outcome, change: BootChange | None, plan: PolicyPlan, facts: PolicyFacts) -> str:
    saved = lost.boot.later.driverctl.get(lost.device.address)
    if change is not None and saved is not None and change.line.startswith(f"{saved.source}:"):
        return f"Run `driverctl --nosave unset-override {lost.device.address}` and remove {saved.source}, or drop the claim."
    if change is not None:
        return f"{change.sentence.rstrip('.')}, or drop the claim."
    if why_off(facts.inventory.devices, lost.boot) is not None:
        return IOMMU_ADVICE
    if lost.device.address in unserved(facts.inventory.devices, lost.boot):
        return UNSERVED_ADVICE
    if lost.device.is_virtual:
        physical = lost.device.physical_function
        is_claimed = any(decision.device.address == physical for decision in plan.decisions)
        return (CLAIMED_ADVICE if is_claimed else OFFERED_ADVICE).format(physical)
    return "Take away what stands in the way, or let no claim match that device."


def _to_blame(lost: Outcome, plan: PolicyPlan, facts: PolicyFacts) -> BootChange | None:
    """The first line of somebody else without which the driver wins, as far as that can be seen."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.boot_change import removals

    boot = _without_doubts(lost.boot)
    # An override that came to nothing does not explain who has the device in the end.
    overrides = boot.stages[-1].rules.overrides(lost.device, boot.release, boot.cmdline)
    also = {str(found.rule): f"driver_override={found.driver}" for found in overrides if found.driver not in (None, lost.driver)}
    for change in removals(boot, lost.winner, also, plan.policy.paths.all):
        after = forecast(facts.inventory.devices, change.boot, only=(lost.device,))[lost.device.address]
        if after.driver == lost.driver and after.certainty in (CERTAIN, lost.winner.certainty):
            return change
    return None


# -- warnings


def _built_in(found: t.Iterable[Outcome]) -> t.Iterator[str]:
    for outcome in found:
        if outcome.is_built_in:
            yield (
                f"{outcome.winner.driver} is built into kernel {outcome.boot.release} and takes {outcome.device.address} before any file "
                "of this policy is read. device_claim moves the device once the host is up; `initcall_blacklist=` on the kernel command "
                "line keeps the driver out."
            )


def _unclear(found: t.Iterable[Outcome]) -> t.Iterator[str]:
    """One sentence for all that cannot be determined for the same reason."""
    alike: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in found:
        if outcome.doubts and not outcome.is_built_in:
            why = " ".join(outcome.doubts).replace(outcome.device.address, "\0").replace(outcome.boot.release, "\1")
            alike.setdefault((outcome.driver, why), []).append(outcome)
    for (driver, _why), same in alike.items():
        devices = listed(list(dict.fromkeys(outcome.device.address for outcome in same)))
        releases = listed(list(dict.fromkeys(outcome.boot.release for outcome in same)))
        why = " ".join(f"{doubt.rstrip('.')}." for doubt in same[0].doubts)
        yield f"Whether {devices} will be bound to {driver} on kernel {releases} cannot be determined: {why}"


def _overruled(plan: PolicyPlan, boots: t.Sequence[Boot], facts: PolicyFacts) -> t.Iterator[str]:
    """Lines of others about the claimed devices and their natives that have no effect beside this policy."""
    host = HostPolicy(tuple(boots), facts.inventory, facts.kernels)
    claimed = {decision.device.address for decision in plan.decisions}
    yield from (finding.sentence for finding in overrides_that_disagree(host) if claimed.intersection(finding.devices))
    natives = {native for decision in plan.decisions for native in natives_of(decision, facts)}
    installs = {str(line.source) for config in facts.configs.values() for native in natives for line in config.installs(native)}
    if installs:
        from ansible_collections.vfio.variants.plugins.module_utils._core.lint.ignored_lines import installs_beside_softdeps

        yield from (finding.sentence for finding in installs_beside_softdeps(host) if finding.source in installs)
