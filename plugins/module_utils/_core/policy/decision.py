# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the claims come to: for each device the strategy, and the driver on each kernel that may boot."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim import claims as claim_facts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Assignment, Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts

DEFAULT_STRATEGY: t.Final = "override"

NETWORK_CLASS, USB_CLASS = 0x02, 0x0C03


@dataclasses.dataclass(frozen=True)
class DriverChoice:
    """The driver of a device on one kernel; ``missing`` where that kernel does not have its module."""

    release: str
    module: str
    driver: str
    missing: bool = False


@dataclasses.dataclass(frozen=True)
class Decision:
    """A claimed device.  ``selectors`` are all that match it, of any claim: each stands for cards that may come later."""

    device: Device
    claim: Claim
    selectors: tuple[Selector, ...]
    strategy: str
    choices: tuple[DriverChoice, ...]

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(choice.module for choice in self.choices))

    @property
    def drivers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(choice.driver for choice in self.choices))

    @property
    def missing(self) -> frozenset[tuple[str, str]]:
        return frozenset((choice.module, choice.release) for choice in self.choices if choice.missing)

    @property
    def default(self) -> DriverChoice:
        """The newest kernel's choice, which is also the best guess for kernels to come."""
        present = [choice for choice in self.choices if not choice.missing]
        return (present or list(self.choices))[-1]


def supplemented(claims: t.Sequence[Claim], kernels: t.Sequence[Kernel]) -> tuple[Kernel, ...]:
    """The kernels, each with the claimed modules that only another of them has: the policy is one for all kernels."""
    names = {claim_facts.FALLBACK} | {normalize_module_name(claim.driver) for claim in claims if claim.driver not in claim_facts.KEYWORDS}
    known = sorted(name for name in names if any(kernel.has(name) for kernel in kernels))
    return tuple(kernel.with_pending([PendingModule(name) for name in known if not kernel.has(name)]) for kernel in kernels)


def needed_modules(claims: t.Sequence[Claim], inventory: Inventory, kernels: t.Sequence[Kernel]) -> frozenset[str]:
    """The modules that the claims need on any of the kernels.  Raises what `claims.assign()` raises."""
    return frozenset(module for kernel in supplemented(claims, kernels) for module in claim_facts.modules_of(claims, inventory, kernel))


def decide(
    claims: t.Sequence[Claim], inventory: Inventory, kernels: t.Sequence[Kernel], names: t.Mapping[str, str], strategy: str
) -> tuple[Decision, ...]:
    """What the claims come to on these kernels (oldest first).  ``strategy`` is that of claims which name none.

    Raises HostError where claims contradict each other or the host.
    """
    by_device: dict[str, list[tuple[Kernel, Assignment]]] = {}
    for kernel, whole in zip(kernels, supplemented(claims, kernels)):
        for assignment in claim_facts.assign(claims, inventory, whole, names):
            by_device.setdefault(assignment.device.address, []).append((kernel, assignment))
    decisions = []
    for assigned in by_device.values():
        first = assigned[0][1]
        matching = [claim for claim in claims if any(selector.matches(first.device) for selector in claim.selectors)]
        choices = tuple(
            DriverChoice(kernel.release, assignment.module, assignment.driver, not kernel.has(assignment.module))
            for kernel, assignment in assigned
        )
        selectors = tuple(selector for claim in matching for selector in claim.selectors if selector.matches(first.device))
        decisions.append(Decision(first.device, first.claim, selectors, _strategy(first.device, matching, strategy), choices))
    return tuple(decisions)


def named(decisions: t.Sequence[Decision], names: t.Mapping[str, str]) -> tuple[Decision, ...]:
    """The decisions with each module's driver by its name."""

    def with_names(decision: Decision) -> tuple[DriverChoice, ...]:
        return tuple(dataclasses.replace(choice, driver=names[choice.module]) for choice in decision.choices)

    return tuple(dataclasses.replace(decision, choices=with_names(decision)) for decision in decisions)


def may_have_interfaces(device: Device) -> bool:
    """Whether it is a network card, or a controller of USB, to which one may be connected."""
    return device.class_code >> 16 == NETWORK_CLASS or device.class_code >> 8 == USB_CLASS


def _strategy(device: Device, matching: t.Sequence[Claim], default: str) -> str:
    first = matching[0]
    for claim in matching[1:]:
        if (claim.strategy or default) != (first.strategy or default):
            raise HostError(
                f"{device.address} ({device.id}) gets the strategy {first.strategy or default} by {first.option('strategy')} "
                f"and {claim.strategy or default} by {claim.option('strategy')}.",
                "Let only one of them match the device, or give both the same strategy.",
            )
    return first.strategy or default


def natives_of(decision: Decision, facts: PolicyFacts) -> tuple[str, ...]:
    """The native modules that a device's own event loads on any kernel, by depmod's aliases and modprobe.d's."""
    modalias = decision.device.modalias
    found = [match.module for kernel in facts.kernels for match in kernel.natives(modalias)]
    # A configured alias takes the place of depmod's (kmod_module_new_from_lookup() asks the configuration first).
    found += [alias.arguments[1] for config in facts.configs.values() for alias in config.aliases(modalias)]
    known = (module for module in found if any(kernel.has(module) for kernel in facts.kernels))
    return tuple(module for module in dict.fromkeys(known) if module not in decision.modules)
