# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a policy does what it was planned for: judged by what kmod and udev find on the host once it is written."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import every_ids, given_to, parse_ids

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import OtherConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.plan import PolicyPlan


def mismatches(plan: PolicyPlan, whole: OtherConfig) -> tuple[str, ...]:
    """What is not as planned; ``whole`` is all configuration of the host, the policy's own included."""
    found = [*_softdep_flaws(plan, whole)]
    found += [f"{native} is not blacklisted" for native in plan.blacklisted if not whole.config.blacklisted(native)]
    for decision in plan.decisions:
        found += _ids_flaws(decision, whole) if decision.strategy == "ids" else _override_flaws(decision, whole)
        found += [f"{module} is blacklisted" for module in decision.modules if whole.config.blacklisted(module)]
    return tuple(dict.fromkeys(found))


def _softdep_flaws(plan: PolicyPlan, whole: OtherConfig) -> t.Iterator[str]:
    for wanted in plan.softdeps:
        for own in whole.own_softdeps or (ModprobeConfig(()),):
            lines = [*whole.config.softdeps(wanted.module), *own.softdeps(wanted.module)]
            lines.sort(key=lambda line: posixpath.basename(line.source.path))
            if not lines or not set(wanted.pre) <= set(map(normalize_module_name, lines[0].arguments)):
                yield f"kmod does not heed the softdep of {wanted.module}"


def _ids_flaws(decision: Decision, whole: OtherConfig) -> t.Iterator[str]:
    module, device = decision.default.module, decision.device
    given = every_ids(given_to(whole.config, module))
    if not any(entry.matches(device) for one in given[-1:] for entry in parse_ids(one.value or "")):
        yield f"{module} does not get the ids of {device.address}"


def _override_flaws(decision: Decision, whole: OtherConfig) -> t.Iterator[str]:
    for choice in decision.choices:
        certain = [found for found in whole.rules.overrides(decision.device, choice.release) if found.certain]
        if not certain or certain[-1].driver != choice.driver:
            yield f"udev does not set driver_override={choice.driver} for {decision.device.address} on {choice.release}"
