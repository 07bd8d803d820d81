# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy is decided from: the devices, the kernels, and what others have configured on the host."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileState
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules


@dataclasses.dataclass(frozen=True)
class OtherConfig:
    """What others than this policy have configured."""

    config: ModprobeConfig
    own_softdeps: tuple[ModprobeConfig, ...]
    """The softdep lines that the modules of each chosen kernel bring themselves."""
    rules: Rules
    """Those of files that mention driver_override."""
    driverctl: t.Mapping[str, str]
    """Drivers by address, as driverctl keeps them."""
    cmdline: Cmdline


@dataclasses.dataclass(frozen=True)
class PolicyFacts:
    """All facts that planning a policy needs."""

    inventory: Inventory
    kernels: tuple[Kernel, ...]
    running: str | None
    foreign: OtherConfig
    existing: t.Mapping[str, FileState | None]
    hidden: t.Mapping[str, str]
    """Files of the system that one of ours would hide, by our path."""
    rules_name: str
    """The base name of the policy's own rules file."""
    initramfs_tools: bool
    dracut: bool
    ids_modules: frozenset[tuple[str, str]]
    """Release and name of the modules that take an `ids` parameter, among those looked into."""
