# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether built and installed modules are what a package promises, judged by the files themselves."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import Places, installed_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import comparable
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host


@dataclasses.dataclass(frozen=True)
class Promise:
    """A module that a package brings, and the aliases that it has to carry."""

    name: str
    aliases: tuple[str, ...] = ()


def parse_manifest(text: str, where: str) -> tuple[Promise, ...]:
    """The promises in a package's modules.json: ``{"modules": [{"name": …, "aliases": […]}]}``."""
    try:
        data = json.loads(text)
        modules = [(module["name"], module.get("aliases", [])) for module in data["modules"]]
        if not all(isinstance(part, str) for name, aliases in modules for part in (name, *aliases)):
            raise TypeError("names and aliases are texts")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HostError(
            f"{where} is no list of modules: {error}.", 'It has to read {"modules": [{"name": "…", "aliases": ["…"]}]}.'
        ) from error
    return tuple(Promise(name, tuple(aliases)) for name, aliases in modules)


def judge_build(host: Host, release: str, modules: t.Mapping[str, str], promises: t.Sequence[Promise]) -> dict[str, ModuleInfo]:
    """What each built module says.  Raises HostError when one is for another kernel, or lacks a promised alias."""
    found = {name: ModuleInfo.read(host, path) for name, path in modules.items()}
    for name, info in found.items():
        if not info.fits(release):
            raise HostError(
                f"{modules[name]} is built for '{info.vermagic or 'no kernel'}', not for kernel {release}.",
                f"Check what /lib/modules/{release}/build leads to.",
            )
    known = {comparable(name): info for name, info in found.items()}
    for promise in promises:
        built = known.get(comparable(promise.name))
        if built is None:
            raise HostError(
                f"The package brings no module {promise.name} for kernel {release}; it brings {', '.join(found) or 'none'}.",
                "Check BUILT_MODULE_NAME in its dkms.conf, and the option modules or its modules.json.",
            )
        lacking = sorted(set(promise.aliases) - set(built.aliases))
        if lacking:
            raise HostError(
                f"Module {promise.name} for kernel {release} lacks the alias {lacking[0]}.",
                f"It carries {', '.join(built.aliases) or 'none'}. Check its device table, and modules or the package's modules.json.",
            )
    return found


def judge_installation(
    host: Host, places: Places, release: str, modules: t.Mapping[str, str], found: t.Mapping[str, ModuleInfo]
) -> dict[str, str]:
    """The file that the kernel will load for each module: as built, known to depmod with its aliases.  HostError when not."""
    paths = installed_modules(host, places, release, modules)
    for name, built in modules.items():
        path = paths.get(name)
        if path is None or not host.is_file(path):
            raise HostError(
                f"DKMS did not install module {name} for kernel {release}.", "Run the module again with -vvv to see what DKMS said."
            )
        if host.read_bytes(path) != host.read_bytes(built):
            raise HostError(
                f"Kernel {release} would load {path}, which is not the module {name} that DKMS built ({built}).",
                "Another package brings a module of that name. Remove it, or change depmod's search order in /etc/depmod.d.",
            )
    known = b"\n" + host.read_bytes(f"{places.install}/{release}/modules.alias")
    for name, info in found.items():
        for alias in info.aliases:
            line = f"\nalias {alias} {comparable(name)}\n".encode("utf-8", "surrogateescape")
            if line not in known:
                raise HostError(
                    f"{places.install}/{release}/modules.alias does not give {alias} to module {name}.", f"Run `depmod {release}`."
                )
    return paths
