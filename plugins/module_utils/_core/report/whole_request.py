# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role vfio_host is asked for, and what each of its parts is asked for by that."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind import BindRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_check import GivenPolicy
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import SyncRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.iommu import IommuRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import claims_of
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import DEFAULT_STRATEGY
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import ClaimCheckRequest

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim, ClaimState, Strategy
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, PackageRequest, SentSources
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import Required

IGNORED_IF_WAITING = {"in_use": "ignore", "data_mounts": "ignore", "companions": "ignore"}
"""What is in use now does not keep a device from its native driver at the next boot."""


@dataclasses.dataclass(frozen=True)
class WholeRequest:
    """The options of the role.  ``packages`` are the driver packages, none if the role is not to install any."""

    claims: tuple[t.Mapping[str, t.Any], ...]
    state: ClaimState = "present"
    strategy: Strategy = DEFAULT_STRATEGY
    kernels: tuple[str, ...] = ("all",)
    group: t.Literal["claim", "ignore"] = "claim"
    live: bool = True
    check_winner: bool = True
    timeout: int = 60
    iommu: bool = False
    iommu_passthrough: bool = False
    packages: tuple[SentSources | KernelVariant, ...] = ()
    packages_kernels: tuple[str, ...] = ("all",)
    packages_sources: tuple[str, ...] = ()
    """Where the sources of kernels are, () for /usr/src."""
    packages_timeout: int = 900
    needs_dependencies: bool = False
    """Whether DKMS and the kernels' headers have to be installed."""

    @property
    def is_wanted(self) -> bool:
        return self.state == "present"

    @functools.cached_property
    def parsed_claims(self) -> tuple[Claim, ...]:
        """Raises HostError where they are not valid claims."""
        return self.parse()

    def parse(self) -> tuple[Claim, ...]:
        return claims_of({"claims": [dict(claim) for claim in self.claims]})

    def of_packages(self) -> t.Iterator[PackageRequest]:
        if not self.packages:
            return
        # What is about packages takes a twentieth of a run's imports, and a host that has the kernel's own drivers needs nothing of it.
        from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, PackageRequest

        for source in self.packages:
            yield PackageRequest(
                state="present" if self.is_wanted else "absent",
                kernels=self.packages_kernels if self.is_wanted else ("all",),
                source=source,
                timeout=self.packages_timeout,
                kernel_sources=self.packages_sources if isinstance(source, KernelVariant) else (),
            )

    def of_iommu(self) -> IommuRequest:
        return IommuRequest(self.is_wanted, self.iommu_passthrough)

    def of_policy(self, pending: tuple[PendingModule, ...] = (), arguments: t.Sequence[str] = ()) -> PolicyRequest:
        """``pending`` and ``arguments`` are what is there by then, and not yet where it is only predicted."""
        if not self.is_wanted:
            return PolicyRequest(wanted=False)
        return PolicyRequest(
            claims=self.parsed_claims,
            strategy=self.strategy,
            kernels=self.kernels,
            whole_groups=self.group == "claim",
            require_certain=self.check_winner,
            pending=pending,
            pending_arguments=tuple(arguments),
        )

    def of_images(self, policy: Result, pending: tuple[PendingModule, ...] = ()) -> SyncRequest:
        """``policy`` is that of the boot policy's result."""
        given = GivenPolicy.parse(policy["files"], policy["modules"])
        return SyncRequest(kernels=self.kernels, policy=given, pending_modules=pending)

    def of_binding(self, pending: tuple[PendingModule, ...] = ()) -> BindRequest:
        return BindRequest(self.parsed_claims, pending, self.state, self.group, self.timeout)

    def of_waiting(self) -> BindRequest:
        """For what the next boot has to return."""
        claims = claims_of({"claims": [{**claim, "guards": IGNORED_IF_WAITING} for claim in self.claims]})
        return BindRequest(claims, (), self.state, self.group, self.timeout)

    def of_check(self, require: Required, pending: tuple[PendingModule, ...] = (), lints: bool = True) -> ClaimCheckRequest:
        return ClaimCheckRequest(self.parsed_claims, pending, require, self.kernels, self.group, lints=lints)
