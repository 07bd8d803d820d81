# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host's devices are and will be bound as claimed, in one line."""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import UNKNOWN
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.wording import counted
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import compare
from ansible_collections.vfio.variants.plugins.module_utils._core.report.summary import NO_DRIVER, alike, how_many

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import ClaimCheckRequest
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.summary import Alike


def answered(host: Host, request: ClaimCheckRequest, check_mode: bool) -> Result:
    """What `claim_info` returns.  Raises HostError, with that, if a device does not meet the requirement."""
    check = compare(host, request, check_mode)
    if request.detail == "full":
        return check.result()
    try:
        return in_one_line(check.result())
    except HostError as error:
        raise HostError(error.msg, error.hint, in_one_line(error.facts)) from None


def in_one_line(result: t.Mapping[str, t.Any]) -> Result:
    """The devices that are not, or not certain to be, bound as claimed, and how many are."""
    as_claimed: Counter[str] = Counter()
    others: Alike = {}
    for device in result["devices"]:
        if device["satisfied"] is not False and device["will_be_satisfied"]:
            as_claimed[device["claimed"]] += 1
        else:
            others.setdefault((device["id"], _said(device)), []).append(device["address"])
    parts = [*alike(others)]
    if as_claimed:
        parts.append(f"as claimed: {how_many(as_claimed)}")
    warnings = {*result["policy_warnings"], *(warning for device in result["devices"] for warning in device["warnings"])}
    for what, word in ((result["unfinished"], "unfinished run"), (warnings, "warning")):
        if what:
            parts.append(counted(len(what), word))
    said = f"{counted(len(result['devices']), 'claimed device')}, next boot {result['next_boot']['release'] or UNKNOWN}"
    return {"summary": ": ".join(filter(None, (said, "; ".join(parts))))}


def _said(device: t.Mapping[str, t.Any]) -> str:
    """The driver now, those after the boots, and the claimed one."""
    boots = device["kernels"].values()
    outcomes = dict.fromkeys(outcome or NO_DRIVER for boot in boots for outcome in boot["outcomes"])
    then = UNKNOWN if not boots or any(boot["certainty"] == UNKNOWN for boot in boots) else " or ".join(outcomes)
    return f"{device['driver'] or NO_DRIVER} -> {then}, claimed for {device['claimed'] or UNKNOWN}"
