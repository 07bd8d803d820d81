# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a whole run of the role vfio_host: in which order they are done, and what each of them is asked for."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import bind, boot_policy, image_sync, iommu
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import untold

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Tell
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest

DRIVERS, IOMMU, POLICY, IMAGES, BINDING, CHECK = "dkms_package", "iommu", "boot_policy", "initramfs", "device_claim", "claim_info"
"""The parts, by the modules that do them alone."""
_PRESENT = (IOMMU, POLICY, IMAGES, BINDING)
_ABSENT = (POLICY, IMAGES, BINDING, IOMMU)


def asked_for(request: WholeRequest) -> tuple[str, ...]:
    """In the order in which they are done; drivers come before all, and are removed after all."""
    return tuple(part for part in (_PRESENT if request.is_wanted else _ABSENT) if request.iommu or part != IOMMU)


def applied(
    host: Host,
    request: WholeRequest,
    part: str,
    results: t.Mapping[str, Result],
    check_mode: bool,
    pending: tuple[PendingModule, ...] = (),
    tell: Tell = untold,
) -> Result:
    """What the module of the part returns.  ``results`` are those of the parts before it, ``pending`` modules to be built before."""
    if part == IOMMU:
        return iommu.apply(host, request.of_iommu(), check_mode)
    if part == POLICY:
        return boot_policy.apply(host, request.of_policy(pending), check_mode)
    if part == IMAGES:
        return image_sync.sync_images(host, request.of_images(results[POLICY]["policy"], pending), check_mode).result()
    return bind.ensure(host, request.of_binding(pending), check_mode, tell).result()


def returned_by_the_next_boot(host: Host, request: WholeRequest) -> Result:
    """What there is to say of devices that the running kernel keeps, and the next boot returns."""
    return bind.ensure(host, request.of_waiting(), check_mode=True).result()


def has_to_do(result: Result) -> bool:
    """Whether a part that was predicted is not done with."""
    return bool(result["changed"] or result.get("recovered"))
