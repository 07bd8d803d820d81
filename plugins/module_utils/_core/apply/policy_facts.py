# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from the host what a policy is decided from."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.driverctl import Driverctl
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_transaction import read_state
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent, NoModuleError, module_path
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import OtherConfig, PolicyFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import PolicyPaths


def read_facts(
    host: Host,
    paths: PolicyPaths,
    inventory: Inventory,
    kernels: tuple[Kernel, ...],
    running: str | None,
    ids_candidates: t.Collection[str],
) -> PolicyFacts:
    """Read the host.  ``ids_candidates`` are the modules to look into for an `ids` parameter."""
    return PolicyFacts(
        inventory=inventory,
        kernels=kernels,
        running=running,
        foreign=read_foreign(host, kernels, paths.all),
        existing={path: read_state(host, path) for path in paths.all},
        hidden={path: other for path in paths.all for other in reversed(paths.hidden_by(path)) if host.exists(other)},
        rules_name=posixpath.basename(paths.rules),
        initramfs_tools=host.is_dir("/etc/initramfs-tools") and host.which("mkinitramfs") is not None,
        dracut=host.which("dracut") is not None,
        ids_modules=frozenset(
            (kernel.release, module) for kernel in kernels for module in ids_candidates if _takes_ids(host, kernel, module)
        ),
    )


def read_foreign(host: Host, kernels: t.Sequence[Kernel], without: t.Container[str] = ()) -> OtherConfig:
    """What is configured on the host, leaving out the paths ``without``."""
    everything = ModprobeConfig.read(host).directives
    own = [f"{MODULES}/{kernel.release}/modules.softdep" for kernel in kernels]
    return OtherConfig(
        config=ModprobeConfig(tuple(directive for directive in everything if directive.source.path not in without)),
        own_softdeps=tuple(ModprobeConfig.parse(host.read_text(path), path) for path in own if host.is_file(path)),
        rules=Rules.read(host, (b"driver_override",), without=without),
        driverctl={address: saved.driver for address, saved in Driverctl.read(host).overrides.items()},
        cmdline=Cmdline.read(host),
    )


def _takes_ids(host: Host, kernel: Kernel, module: str) -> bool:
    """A file that cannot be read takes none: modprobe could not load it either."""
    path = module_path(kernel, normalize_module_name(module))
    try:
        return path is not None and "ids" in ModuleContent.read(host, path).info.parameters
    except NoModuleError:
        return False
