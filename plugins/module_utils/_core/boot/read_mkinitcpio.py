# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An initramfs of mkinitcpio: `init` runs the hooks that /config names and loads its MODULES; with the hook `systemd` that is the init.

As its `init`, `init_functions` and `hooks/udev`, and `parse_config()` of its `functions`, which writes /config.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_systemd
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, Flow, ListedModule, LoadList, Step
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

CONFIG = "/config"
HOOKS = "/hooks"
FUNCTIONS = "/init_functions"
BUILT_WITH = "/buildconfig"
UDEV = "udev"
_ASSIGNED = re.compile(r"^(MODULES|EARLYHOOKS|HOOKS|LATEHOOKS|CLEANUPHOOKS)=\"([^\"]*)\"", re.MULTILINE)
_BREAKS = frozenset(("y", "premount", "postmount"))


def is_made_by(tree: FileTree) -> bool:
    """Whether mkinitcpio built the image."""
    return tree.is_file(CONFIG) and (tree.exists(FUNCTIONS) or tree.exists(BUILT_WITH))


def has_systemd(tree: FileTree) -> bool:
    """Whether systemd is the image's init."""
    return (tree.link_name("/init") or "") == "systemd"


def flow(tree: FileTree, cmdline: Cmdline, source: str) -> Flow:
    """What the image's init does about drivers."""
    if has_systemd(tree):
        steps, doubts = read_systemd.steps(tree, cmdline, source, in_initrd=True)
        return Flow(steps, doubts=doubts)
    config = _config(tree)
    found: list[Step] = []
    modules = (*_named(cmdline, source), *_listed(tree, config))
    if modules:
        # `modprobe -qab`, one after the other.
        found.append((LoadList("MODULES", modules),))
    if {UDEV} <= _run(tree, config, cmdline, "EARLYHOOKS") & _run(tree, config, cmdline, "HOOKS"):
        found.append((Coldplug(),))
    return Flow(tuple(found), doubts=tuple(_stops(cmdline, source)))


def scripts(tree: FileTree, cmdline: Cmdline) -> tuple[str, ...]:
    """The hooks that run, which `init` sources."""
    config = _config(tree)
    lists = [_run(tree, config, cmdline, name) for name in config if name.endswith("HOOKS")]
    return tuple(f"{HOOKS}/{name}" for name in sorted(frozenset().union(*lists))) if not has_systemd(tree) else ()


def _config(tree: FileTree) -> dict[str, str]:
    return dict(_ASSIGNED.findall(tree.read_text(CONFIG)))


def _run(tree: FileTree, config: t.Mapping[str, str], cmdline: Cmdline, name: str) -> frozenset[str]:
    disabled = {hook for value in cmdline.values("disablehooks")[-1:] for hook in value.split(",")}
    return frozenset(hook for hook in config.get(name, "").split() if hook not in disabled and tree.exists(f"{HOOKS}/{hook}"))


def _named(cmdline: Cmdline, source: str) -> t.Iterator[ListedModule]:
    for value in cmdline.values("earlymodules")[-1:]:
        yield from (
            ListedModule(normalize_module_name(name), f"{source}: earlymodules=", written=name) for name in value.split(",") if name
        )


def _listed(tree: FileTree, config: t.Mapping[str, str]) -> t.Iterator[ListedModule]:
    for number, line in enumerate(tree.read_text(CONFIG).split("\n"), 1):
        if line.startswith("MODULES="):
            place = f"{tree.shown(CONFIG)}:{number}"
            yield from (ListedModule(normalize_module_name(name), place, written=name) for name in config.get("MODULES", "").split())


def _stops(cmdline: Cmdline, source: str) -> t.Iterator[str]:
    for value in cmdline.values("break")[-1:]:
        if value in _BREAKS:
            yield f"{source}: break={value} opens a shell in the initramfs, where anything may happen."
