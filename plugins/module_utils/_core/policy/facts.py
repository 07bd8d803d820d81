# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy is planned from: the devices, the kernels, and what others have told kmod."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileState
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory


@dataclasses.dataclass(frozen=True)
class PolicyFacts:
    """All facts that planning a policy needs."""

    inventory: Inventory
    kernels: tuple[Kernel, ...]
    configs: t.Mapping[str, ModprobeConfig]
    """By release: what kmod reads once that kernel has booted, without this policy."""
    existing: t.Mapping[str, FileState | None]
    hidden: t.Mapping[str, str]
    """Files of the system that one of ours would hide, by our path."""
    initramfs_tools: bool
    dracut: bool
    ids_modules: frozenset[tuple[str, str]]
    """Release and name of the modules that take an `ids` parameter, among those looked into."""
    mkinitcpio: bool = False
    renamed: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """By the name of a loaded module the name that its file has, where that is another one."""
    asked_for: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """By which name the kernel or a program asks for a module that drives no device, among those looked into."""
