# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules can change what a PCI device is bound to when they are loaded by name."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import ANY_DEVICE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import DIRECTORIES, ModprobeConfig

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

# PCI drivers without an alias for devices: they bind to what options, new_id or an override name.
WITHOUT_ALIAS = ANY_DEVICE | {"bbswitch", "acpi_call", "vfio_pci"}
DEEPEST = 8


@dataclasses.dataclass(frozen=True)
class Loadable:
    """The modules of a kernel, with what modprobe.d makes of their names."""

    kernel: Kernel
    config: ModprobeConfig

    @classmethod
    def of(cls, tree: FileTree, kernel: Kernel) -> Loadable:
        folders = tuple(folder for folder in DIRECTORIES if not folder.startswith("/run/"))
        config = ModprobeConfig.read(tree, folders, None, Cmdline.parse("")) if kernel.modules else ModprobeConfig(())
        return cls(kernel, config)

    def acting(self, word: str, asks_blacklist: bool = False) -> tuple[str, ...]:
        """The modules that `modprobe` of a word loads directly and that matter; empty if it cannot affect a PCI device.

        ``asks_blacklist`` for `modprobe -b`, which leaves out what is blacklisted, and not what that needs.
        """
        name = normalize_module_name(word.rpartition("/")[2].partition(".ko")[0])
        direct = [entry.arguments[1] for entry in self.config.aliases(name)] or self._of_kernel(name)
        if asks_blacklist:
            direct = [left for one in direct for left in self._not_blacklisted(one)]
        return tuple(one for one in dict.fromkeys(direct) if self._matters(one, DEEPEST))

    def _not_blacklisted(self, name: str) -> tuple[str, ...]:
        every = (name, *self.kernel.dependencies(name)) if name in self.kernel.modules else (name,)
        return every[:1] if not self.config.blacklists(name) else tuple(one for one in every if not self.config.blacklists(one))

    def _of_kernel(self, name: str) -> list[str]:
        """A name of modprobe.d or of a module, or what the kernel's aliases make of another one."""
        found = [] if name in self.kernel.modules or self.config.installs(name) else self.kernel.aliased(name)
        return [module for _alias, module in found] or [name]

    def _matters(self, name: str, deepest: int) -> bool:
        if self.config.installs(name):
            return True
        if name not in self.kernel.modules or deepest == 0:
            return False
        if not self._of_pci.isdisjoint((name, *self.kernel.dependencies(name))):
            return True
        words = [
            normalize_module_name(word) for line in self.config.softdeps(name)[:1] for word in line.arguments[1:] if not word.endswith(":")
        ]
        return any(self._matters(word, deepest - 1) for word in words)

    @functools.cached_property
    def _of_pci(self) -> frozenset[str]:
        index = self.kernel.index
        return index.modules("pci") | index.modules("vfio_pci") | WITHOUT_ALIAS
