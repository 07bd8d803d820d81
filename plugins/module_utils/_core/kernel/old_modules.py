# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFIO drivers of which the running kernel has loaded another version than is installed for it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import loaded_source
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import module_path

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel


@dataclasses.dataclass(frozen=True)
class OldModule:
    """A module that is loaded from other sources than it is installed from, and the checksums of both.

    ``installed`` is None, and ``path`` the file that there is now, if any, where the module is still to be built.
    """

    name: str
    loaded: str
    installed: str | None
    path: str
    """The installed file."""


def old_in_use(host: Host, kernels: t.Iterable[Kernel]) -> tuple[str, ...]:
    """The VFIO drivers of which the running kernel has loaded another version than is installed."""
    running = host.text_or_none(OSRELEASE)
    kernel = next((kernel for kernel in kernels if kernel.release == running), None)
    return () if kernel is None else tuple(old.name for old in old_of(host, kernel, sorted(kernel.vfio_modules)))


def old_of(host: Host, kernel: Kernel, names: t.Iterable[str]) -> tuple[OldModule, ...]:
    """Those of the modules, by their normalized names, of which ``kernel``, which runs, has loaded another version than is installed.

    Modules that another task of the play is still to install are taken as installed.
    """
    found = []
    for name in names:
        loaded, path = loaded_source(host, name), module_path(kernel, name)
        if loaded is not None and name in kernel.replaced:
            found.append(OldModule(name, loaded, None, path if path is not None and host.is_file(path) else ""))
            continue
        installed = None if loaded is None or path is None else _source_of(host, path)
        if loaded is not None and path is not None and installed is not None and loaded != installed:
            found.append(OldModule(name, loaded, installed, path))
    return tuple(found)


def _source_of(host: Host, path: str) -> str | None:
    try:
        return ModuleInfo.read(host, path).srcversion if host.is_file(path) else None
    except HostError:
        return None
