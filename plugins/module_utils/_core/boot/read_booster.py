# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An initramfs of booster: its init, a program of its own, loads what it has for the devices' aliases, all at once, without udev and kmod.

As its init/module.go: no rule and no blacklist of modprobe.d counts, and nothing but modules of the image is loaded.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import AliasIndex, normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

MODULES = "/usr/lib/modules"
ALIASES = f"{MODULES}/booster.alias"
CONFIG = "/etc/booster.init.yaml"
_MODULE = re.compile(r"([\w-]+)\.ko(?:\.\w+)?")


def is_made_by(tree: FileTree) -> bool:
    """Whether booster built the image."""
    return tree.exists(CONFIG) and tree.exists(ALIASES)


def with_modules(tree: FileTree, kernel: Kernel) -> Kernel:
    """The kernel with the image's modules and what they are for."""
    names = {normalize_module_name(match[1]): name for name in tree.names(MODULES) if (match := _MODULE.fullmatch(name))}
    text = head_text(tree, ALIASES, 16 << 20)
    lines = "".join(f"alias {line}\n" for line in text.split("\n") if line.strip())
    return dataclasses.replace(kernel, modules=names, index=AliasIndex.parse(lines))


def influences(tree: FileTree, kernel: Kernel) -> tuple[Influence, ...]:
    """What its init may do: load any of the image's modules, with their options, in any order."""
    fact = "is booster's, which loads modules of this image for the devices that it finds, in no fixed order"
    named = frozenset(kernel.modules)
    return (
        Influence(tree.shown("/init"), fact, frozenset(("load",)), modules=named),
        # `modprobe.d` and the command line can give IDs to the VFIO modules among them.
        *((Influence(tree.shown("/init"), fact, frozenset(("new_id",)), drivers=frozenset(("vfio-pci",))),) if "vfio_pci" in named else ()),
    )
