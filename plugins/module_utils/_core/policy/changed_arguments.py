# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot with other arguments of the kernel, and without the word that switches policies off."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import off_word
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive


def switched_on(boot: Boot) -> Boot:
    """The boot without the word that switches our policies off."""
    arguments = off_word.without(boot.cmdline)
    return boot if arguments == boot.cmdline.arguments else with_arguments(boot, arguments)


def with_arguments(boot: Boot, arguments: t.Sequence[str]) -> Boot:
    cmdline = Cmdline(tuple(arguments))

    def changed(stage: Stage) -> Stage:
        own = tuple(line for line in stage.config.directives if str(line.source) != boot.cmdline_source)
        given = (line for line in stage.config.directives if str(line.source) == boot.cmdline_source)
        # Those of the initramfs's programs are not read from the command line by kmod.
        kept = (line for line in given if line.command == "blacklist" and _still_asked_for(line, boot.cmdline, cmdline))
        return dataclasses.replace(stage, config=ModprobeConfig(own).with_cmdline(cmdline, boot.cmdline_source).with_more(kept))

    return dataclasses.replace(with_stages(boot, changed), cmdline=cmdline)


def _still_asked_for(line: Directive, before: Cmdline, after: Cmdline) -> bool:
    key = line.written.partition("=")[0]
    if line.written in {argument for _name, argument in before.blacklisting}:
        return False
    names = {normalize_module_name(name) for value in after.values(key) for name in value.replace(",", " ").split()}
    return line.arguments[0] in names


def with_stages(boot: Boot, change: t.Callable[[Stage], Stage]) -> Boot:
    return dataclasses.replace(boot, stages=tuple(change(stage) for stage in boot.stages))
