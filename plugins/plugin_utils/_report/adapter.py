# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what `device_info` and `claim_info` return. No other file of the report knows the names of their fields."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import (
    CERTAIN,
    UNKNOWN,
    BootOutcome,
    ClaimResult,
    DeviceData,
    HostData,
)

Result = Mapping[str, t.Any]

DEVICE_INFO: dict[str, t.Any] = {"detail": "full"}
"""The options with which `device_info` says everything that the report shows."""


def host_data(name: str, examined_at: int, device_info: Result, claim_info: Result | None = None) -> HostData:
    """From the results of the modules; without `claim_info` the claims are those of the host's own policy."""
    checked = None if claim_info is None else {found["address"]: found for found in _dicts(claim_info.get("devices"))}
    kernels = _dicts(device_info.get("kernels"))
    next_boot = device_info.get("next_boot") or {}
    return HostData(
        name=name,
        examined_at=examined_at,
        devices=tuple(_device(found, checked) for found in _dicts(device_info.get("devices"))),
        kernels=tuple(str(kernel["release"]) for kernel in kernels),
        running=next((str(kernel["release"]) for kernel in kernels if kernel.get("running")), None),
        next_release=_text(next_boot.get("release")),
        next_reason=_text(next_boot.get("reason")) or "",
        warnings=(*_texts(device_info.get("policy_warnings")), *_texts(device_info.get("warnings"))),
        failures=_texts((claim_info or {}).get("failures")),
        old_in_use=_texts(device_info.get("old_in_use")),
    )


def _device(found: Result, checked: Mapping[str, Result] | None) -> DeviceData:
    next_boot = found.get("next_boot")
    outcome = None if next_boot is None else _outcome(next_boot)
    driver = _text(found.get("driver"))
    return DeviceData(
        address=str(found["address"]),
        id=str(found["id"]),
        class_code=str(found["class"]),
        name=_text(found.get("name")),
        driver=driver,
        iommu_group=found.get("iommu_group"),
        parent=_text(found.get("parent")),
        is_bridge=bool(found.get("bridge")),
        physical_function=_text(found.get("physical_function")),
        variant=_text((found.get("variant") or {}).get("driver")),
        nodes=_texts(found.get("nodes")),
        warnings=_texts(found.get("warnings")),
        outcomes={str(release): _outcome(kernel) for release, kernel in (found.get("kernels") or {}).items() if "winner" in kernel},
        next_boot=outcome,
        claim=_own_claim(driver, outcome) if checked is None else _checked_claim(checked.get(str(found["address"]))),
    )


def _outcome(found: Result) -> BootOutcome:
    return BootOutcome(
        driver=_text(found.get("winner")),
        certainty=_text(found.get("certainty")) or UNKNOWN,
        stage=_text(found.get("stage")),
        because=_texts(found.get("because")),
        possible=tuple(None if name is None else str(name) for name in found.get("outcomes") or ()),
        claimed=_text(found.get("claimed")),
        would_change=_text(found.get("would_change")),
    )


def _own_claim(driver: str | None, outcome: BootOutcome | None) -> ClaimResult | None:
    if outcome is None or outcome.claimed is None:
        return None
    will = outcome.driver == outcome.claimed and outcome.certainty == CERTAIN
    return ClaimResult(outcome.claimed, driver == outcome.claimed, will)


def _checked_claim(found: Result | None) -> ClaimResult | None:
    if found is None:
        return None
    return ClaimResult(_text(found.get("claimed")), found.get("satisfied"), found.get("will_be_satisfied"))


def _dicts(value: t.Any) -> list[Result]:
    return [item for item in value or () if isinstance(item, Mapping)]


def _text(value: t.Any) -> str | None:
    return None if value is None else str(value)


def _texts(value: t.Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value or ())
