# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module files that one kernel has for a set of names, with all that they depend on."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import BUILTIN_LINE, MODULES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import Fingerprint, module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host


@dataclasses.dataclass(frozen=True)
class InstalledModules:
    """By name (with underscores): where each file lies and what it is.  ``missing`` has neither a file nor a built-in."""

    paths: t.Mapping[str, str]
    fingerprints: t.Mapping[str, Fingerprint]
    missing: tuple[str, ...] = ()

    @classmethod
    def read(cls, host: Host, release: str, names: t.Iterable[str]) -> InstalledModules:
        """What kernel ``release`` has of these modules; a dependency is listed like the module that needs it."""
        here = f"{MODULES}/{release}"
        table = dict(_dependencies(host.read_text(f"{here}/modules.dep")))
        built_in = host.read_text(f"{here}/modules.builtin") if host.is_file(f"{here}/modules.builtin") else ""
        built_ins = {name.replace("-", "_") for name in BUILTIN_LINE.findall(built_in)}
        wanted = sorted(set(names))
        files = {path for name in wanted for path in table.get(name, ())}
        paths = {name: f"{here}/{path}" for path in sorted(files) for name in (module_name(path),) if name is not None}
        fingerprints = {name: Fingerprint.of(host, host.read_bytes(path)) for name, path in paths.items()}
        return cls(paths, fingerprints, tuple(name for name in wanted if name not in table and name not in built_ins))


def _dependencies(modules_dep: str) -> t.Iterator[tuple[str, tuple[str, ...]]]:
    # depmod lists each module's dependencies whole, those of its dependencies included.
    for line in modules_dep.splitlines():
        path, _colon, needed = line.partition(":")
        name = module_name(path)
        if name is not None:
            yield name, (path, *needed.split())
