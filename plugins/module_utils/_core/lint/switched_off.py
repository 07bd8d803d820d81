# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies of this collection that a word of the kernel's command line switches off."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import off_word
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy


def policies_that_are_switched_off(host: HostPolicy) -> t.Iterator[Finding]:
    """A boot that is to come with the word: what claims say does not hold in it."""
    for boot in host.boots:
        if not is_switched_off(boot):
            continue
        files = switchable_files(boot)
        if files:
            yield Finding("switched-off", boot.cmdline_source, next_boot_sentence(boot, files))


def next_boot_sentence(boot: Boot, files: t.Sequence[str]) -> str:
    said = f"{boot.cmdline_source}: `{off_word.ARGUMENT}` switches off {' and '.join(files)} when kernel {boot.release} boots."
    return f"{said} Remove it, for the claims to hold."


def running_sentence(running: Cmdline, boots: t.Sequence[Boot]) -> str | None:
    """What to say of a host that runs without its policies; None where it has none, or where they hold."""
    if not _hears(running) or not any(map(switchable_files, boots)):
        return None
    return f"The running kernel was booted with `{off_word.ARGUMENT}`: the claims hold again after a boot without it."


def is_switched_off(boot: Boot) -> bool:
    return _hears(boot.cmdline)


def _hears(cmdline: Cmdline) -> bool:
    return off_word.is_heard_by_udev(cmdline) or off_word.is_heard_by_shell(cmdline)


def switchable_files(boot: Boot) -> tuple[str, ...]:
    """The names of the files that ask for the word."""
    return tuple(dict.fromkeys(name for stage in boot.stages for name in _asking(stage)))


def _asking(stage: Stage) -> t.Iterator[str]:
    for rule in stage.rules.rules:
        if any(key.name == "IMPORT" and key.attribute == "cmdline" and key.value == off_word.OFF_WORD for key in rule.keys):
            yield posixpath.basename(rule.path)
    for line in stage.config.directives:
        if line.command == "install" and off_word.is_install_command(line.arguments[1], line.arguments[0]):
            yield posixpath.basename(line.source.path)
