# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found in the policy of a host that a test describes."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.findings import find
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Driver, Inventory

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


def judged(
    *boots: Boot,
    devices: t.Sequence[Device] = (),
    files: PolicyFiles = PolicyFiles(),  # noqa: B008 - frozen
    drivers: t.Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Everything that is found; the installed kernels are those that boot.  ``drivers`` are registered now."""
    kernels = tuple(stage.kernel for boot in boots for stage in boot.stages if stage.name == ROOT)
    return find(boots, Inventory(tuple(devices), {name: Driver(name, name) for name in drivers}), kernels, files)


def kinds(*boots: Boot, **host: t.Any) -> list[str]:
    return [finding.kind for finding in judged(*boots, **host)]


def sentence(kind: str, *boots: Boot, **host: t.Any) -> str:
    """The one sentence of that kind; it begins with, or names, its source, and is one line."""
    (finding,) = (finding for finding in judged(*boots, **host) if finding.kind == kind)
    assert finding.source in finding.sentence
    assert "\n" not in finding.sentence
    assert finding.sentence.endswith((".", "?"))
    return finding.sentence
