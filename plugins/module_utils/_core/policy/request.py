# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user asks of a policy."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import ALL
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import DEFAULT_STRATEGY
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import DEFAULT_NAME

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim, Strategy
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


@dataclasses.dataclass(frozen=True)
class PolicyRequest:
    """The policy ``name`` for these claims on these kernels; without ``wanted`` it is to be removed.

    ``strategy`` is that of claims which name none.  With ``whole_groups`` the other devices of a claimed one's IOMMU group
    come along.  ``natives`` take the place of those that are found.  ``pending`` are modules that another task installs.  With
    ``require_certain`` a policy is refused of which it cannot be determined whether it wins.
    """

    name: str = DEFAULT_NAME
    wanted: bool = True
    claims: tuple[Claim, ...] = ()
    strategy: Strategy = DEFAULT_STRATEGY
    kernels: tuple[str, ...] = (ALL,)
    whole_groups: bool = True
    natives: tuple[str, ...] = ()
    allow_shared_native: bool = False
    require_certain: bool = False
    pending: tuple[PendingModule, ...] = ()
    pending_arguments: tuple[str, ...] = ()
    """Kernel arguments that another task of the play adds."""
    hardware: tuple[Device, ...] | None = None
    """The devices of the machines that an image is for."""
    allow_unsupported: bool = False
    """Whether it may be written on a distribution that this collection does not know to the end."""
