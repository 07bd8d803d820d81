# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a host's policy that assign one device to different drivers."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import DRIVERCTL, IDS, RULE, Finding, pinned_address

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy, PolicyClaim


def overrides_that_disagree(host: HostPolicy) -> t.Iterator[Finding]:
    """Two rules, or a rule and driverctl, or a rule and `ids=`, that assign one device to different drivers."""
    for boot, root in host.roots:
        by_device: dict[str, list[PolicyClaim]] = {}
        for claim in host.claims(boot, root):
            by_device.setdefault(claim.device.address, []).append(claim)
        for address, claims in by_device.items():
            rules, saved, ids = ([claim for claim in claims if claim.by == kind] for kind in (RULE, DRIVERCTL, IDS))
            if rules:
                pinned = {str(rule) for rule, _driver in host.setting_overrides(root) if pinned_address(rule) == address}
                yield from _rules_disagree(address, rules, pinned)
            if saved and rules and saved[-1].driver != rules[-1].driver:
                yield _driverctl_disagrees(address, rules[-1], saved[-1])
            for final in (saved or rules)[-1:]:
                yield from (_ids_disagree(address, claim, final) for claim in ids if claim.driver != final.driver)


def _rules_disagree(address: str, rules: list[PolicyClaim], pinned: t.Collection[str]) -> t.Iterator[Finding]:
    """Rules in the same file are not reported: a rule for one device after one for many is how exceptions are written.

    Two that are both for that one address, those in ``pinned``, are.
    """
    last = rules[-1]
    for claim in rules[:-1]:
        one_file = claim.source.rpartition(":")[0] == last.source.rpartition(":")[0]
        if claim.driver != last.driver and not (one_file and not {claim.source, last.source} <= {*pinned}):
            said = (
                f"{claim.source} sets driver_override={claim.driver} for {address}, and {last.source} after it {last.driver}, which counts."
            )
            yield Finding("rules-disagree", claim.source, f"{said} Remove one of them.", (address,))


def _driverctl_disagrees(address: str, rule: PolicyClaim, saved: PolicyClaim) -> Finding:
    """driverctl's unit runs after the device's event, unbinds the device and binds it to driverctl's choice (05-driverctl.rules)."""
    said = f"{saved.source} assigns {address} to {saved.driver}, and {rule.source} to {rule.driver}: driverctl runs later and wins."
    return Finding(
        "driverctl-against-rule", saved.source, f"{said} Run `driverctl unset-override {address}`, or remove the rule.", (address,)
    )


def _ids_disagree(address: str, ids: PolicyClaim, final: PolicyClaim) -> Finding:
    """With an override only the named driver matches; dynamic IDs do not count (pci_match_device())."""
    said = (
        f"{ids.source} names {ids.device.id} in ids= for {ids.driver}, and {final.source} assigns {address} to {final.driver}, which wins:"
    )
    return Finding("ids-against-override", ids.source, f"{said} ids= has no effect on {address}. Remove one of the two.", (address,))
