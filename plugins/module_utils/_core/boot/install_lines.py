# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of `install` lines that are more than `modprobe`: what they may do when their module is asked for."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import install_command
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import judge

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

MOST = 100
"""So many commands are judged; distributions have none, a host's guide one or two."""


def with_judged_commands(stage: Stage, tree: FileTree, inventory: Inventory | None = None) -> Stage:
    """The stage with what such commands may do, which run programs of ``tree``."""
    lines = [line for line in stage.config.directives if line.command == "install" and not _is_read(line.arguments)]
    found = {str(line.source): _judged(line.arguments[1].strip(), str(line.source), stage, tree, inventory) for line in lines[:MOST]}
    return dataclasses.replace(stage, install_commands=found) if found else stage


def _judged(command: str, source: str, stage: Stage, tree: FileTree, inventory: Inventory | None) -> tuple[Influence, ...]:
    program = command.split(maxsplit=1)[0].strip("\"'") if command else ""
    if program.startswith("/") and not tree.exists(program) and posixpath.basename(program) != "modprobe":
        # It is somewhere else at boot, as on a file system that is not mounted, or the line does nothing.
        return (Influence(source, f"runs {program}, which is not there to be read"),)
    return judge(tree, command, source, stage.kernel, inventory)


def _is_read(arguments: tuple[str, ...]) -> bool:
    steps = install_command.parse(arguments[1], arguments[0])
    return steps is not None and all(step.is_known for step in steps)
