# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of `install` lines that are more than `modprobe`: what they may do when their module is asked for."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import end_of_links
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import install_command
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import modprobe_path
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.made_at_boot import may_be_made
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import judge
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.read import units_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

_BOTH_OUTPUTS = re.compile(r"&>>?[ \t]*/dev/null(?![\w./-])")
_PROGRAM = re.compile(r"(?:(?<=[;&|({\"'])|(?<=\bexec)|^)(\s*)(/[\w./+-]+)(?![\w./+-])")
"""What stands where a command begins."""
MOST = 100
"""So many commands are judged; distributions have none, a host's guide one or two."""


def with_judged_commands(stage: Stage, tree: FileTree, inventory: Inventory | None = None, cmdline: Cmdline | None = None) -> Stage:
    """The stage with what such commands may do, which run programs of ``tree``."""
    stage = _with_wrong_paths(stage, tree)
    lines = [line for line in stage.config.directives if line.command == "install" and not _is_read(line.arguments)]
    found = {str(line.source): _judged(_unread(line.arguments), str(line.source), stage, tree, inventory, cmdline) for line in lines[:MOST]}
    return dataclasses.replace(stage, install_commands=found) if found else stage


def _with_wrong_paths(stage: Stage, tree: FileTree) -> Stage:
    """The stage with `false` in place of a program that is not where a line seeks it: to the shell one is as good as the other.

    Where the shell is bash, `&>` is written in the way of every shell.
    """
    is_bash = posixpath.basename(end_of_links("/bin/sh", tree.link)) == "bash"

    def corrected(line: Directive) -> Directive:
        if line.command != "install":
            return line
        text = _PROGRAM.sub(lambda found: f"{found[1]}false" if modprobe_path.is_missing(tree, found[2]) else found[0], line.arguments[1])
        text = _BOTH_OUTPUTS.sub(">/dev/null 2>&1", text) if is_bash else text
        return line if text == line.arguments[1] else dataclasses.replace(line, arguments=(line.arguments[0], text))

    directives = tuple(map(corrected, stage.config.directives))
    changed = directives != stage.config.directives
    return dataclasses.replace(stage, config=dataclasses.replace(stage.config, directives=directives)) if changed else stage


def _judged(
    command: str, source: str, stage: Stage, tree: FileTree, inventory: Inventory | None, cmdline: Cmdline | None
) -> tuple[Influence, ...]:
    program = command.split(maxsplit=1)[0].rstrip(";&|").strip("\"'") if command else ""
    if isinstance(tree, Host) and program.startswith("/") and not tree.exists(program) and may_be_made(tree, program):
        # It may be there at boot; else the shell does not find it, and goes on.
        return (Influence(source, f"runs {program}, which is not there to be read"),)
    return judge(tree, command, source, stage.kernel, inventory, unit=units_of(tree, stage.kernel, inventory, cmdline))


def _is_read(arguments: tuple[str, ...]) -> bool:
    """Whether a command loads or does nothing, all of which is simulated."""
    steps = install_command.parse(arguments[1], arguments[0])
    return steps is not None and all(step.is_known and not step.removes for step in install_command.every(steps))


def _unread(arguments: tuple[str, ...]) -> str:
    """What of a command is to be judged: all of it, or the modules that it removes, where the rest is simulated."""
    removed = install_command.removed_by(install_command.parse(arguments[1], arguments[0]))
    return f"/sbin/modprobe -r {' '.join(removed)}" if removed else arguments[1].strip()
