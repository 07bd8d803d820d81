# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `request`, which is all options of the role vfio_host, and what the modules that have it make of it."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import CLAIM_FIELDS
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, SentSources

REQUEST: dict[str, dict[str, t.Any]] = {
    "claims": {"type": "list", "elements": "dict", "required": True, "options": CLAIM_FIELDS},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "strategy": {"type": "str", "choices": ["override", "ids", "blacklist"], "default": "override"},
    "kernels": {"type": "list", "elements": "str", "default": ["all"]},
    "group": {"type": "str", "choices": ["claim", "ignore"], "default": "claim"},
    "live": {"type": "bool", "default": True},
    "check_winner": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 60},
    "iommu": {"type": "bool", "default": True},
    "iommu_passthrough": {"type": "bool", "default": False},
    "drivers": {"type": "bool", "default": True},
    "drivers_sources": {"type": "list", "elements": "str", "default": ["vfio-variants"]},
    "drivers_variants": {"type": "list", "elements": "str", "default": []},
    "drivers_kernel_sources": {"type": "list", "elements": "path", "default": []},
    "drivers_kernels": {"type": "list", "elements": "str"},
    "drivers_timeout": {"type": "int", "default": 900},
    "drivers_dependencies": {"type": "bool", "default": True},
}
PACKAGE: dict[str, dict[str, t.Any]] = {
    "source": {"type": "str", "required": True},
    "digest": {"type": "str"},
    "conf": {"type": "str"},
    "manifest": {"type": "str"},
}
REQUEST_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "request": {"type": "dict", "required": True, "options": REQUEST},
    "_run": {
        "type": "dict",
        "options": {"key": {"type": "str", "no_log": False}, "packages": {"type": "list", "elements": "dict", "options": PACKAGE}},
    },
}


def request_of(options: t.Mapping[str, t.Any], module: str) -> tuple[WholeRequest, str]:
    """What the role was asked for, and what stands for that.  Raises HostError without the action plugin, which alone knows both."""
    wanted, run = options["request"], options["_run"] or {}
    if not run.get("key"):
        raise HostError(
            "request: only the module's action plugin knows the collection's code and the drivers' sources.",
            f"Call the module by its full name vfio.variants.{module}.",
        )
    return (
        WholeRequest(
            claims=tuple(wanted["claims"]),
            state=wanted["state"],
            strategy=wanted["strategy"],
            kernels=tuple(wanted["kernels"]),
            group=wanted["group"],
            live=wanted["live"],
            check_winner=wanted["check_winner"],
            timeout=wanted["timeout"],
            iommu=wanted["iommu"],
            iommu_passthrough=wanted["iommu_passthrough"],
            packages=tuple(_packages(wanted, run)) if wanted["drivers"] else (),
            packages_kernels=tuple(wanted["drivers_kernels"] or wanted["kernels"]),
            packages_sources=tuple(wanted["drivers_kernel_sources"]),
            packages_timeout=wanted["drivers_timeout"],
            needs_dependencies=wanted["drivers_dependencies"],
        ),
        run["key"],
    )


def _packages(wanted: t.Mapping[str, t.Any], run: t.Mapping[str, t.Any]) -> t.Iterator[SentSources | KernelVariant]:
    # As where a whole request makes those of its packages.
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, SentSources

    for one in run.get("packages") or ():
        yield SentSources(one["source"], one["digest"], one["conf"], one["manifest"])
    yield from map(KernelVariant, wanted["drivers_variants"])
