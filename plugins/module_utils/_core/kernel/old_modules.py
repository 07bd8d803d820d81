# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFIO drivers of which the running kernel has loaded another version than is installed for it."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import is_other, loaded_source
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import module_path

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel


def old_in_use(host: Host, kernels: t.Iterable[Kernel]) -> tuple[str, ...]:
    """The VFIO drivers of which the running kernel has loaded another version than is installed."""
    running = host.text_or_none(OSRELEASE)
    kernel = next((kernel for kernel in kernels if kernel.release == running), None)
    if kernel is None:
        return ()
    loaded = [name for name in sorted(kernel.vfio_modules) if loaded_source(host, name) is not None]
    return tuple(name for name in loaded if is_other(host, name, _installed_source(host, kernel, name)))


def warning_of(name: str) -> str:
    """What a person is told of one of them."""
    return (
        f"The running kernel has loaded another version of {name} than is installed: the installed one is used once the module is "
        "loaded again, or after a reboot."
    )


def _installed_source(host: Host, kernel: Kernel, name: str) -> str | None:
    path = module_path(kernel, name)
    try:
        return ModuleInfo.read(host, path).srcversion if path and host.is_file(path) else None
    except HostError:
        return None
