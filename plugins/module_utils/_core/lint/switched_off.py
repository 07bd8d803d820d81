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
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy


def policies_that_are_switched_off(host: HostPolicy) -> t.Iterator[Finding]:
    """A boot that is to come with the word: what claims say does not hold in it."""
    for boot in host.boots:
        if not is_switched_off(boot):
            continue
        files = dict.fromkeys(path for stage in boot.stages for path in switchable_files(stage))
        if files:
            said = f"{boot.cmdline_source}: `{off_word.ARGUMENT}` switches off {' and '.join(files)} when kernel {boot.release} boots."
            yield Finding("switched-off", boot.cmdline_source, f"{said} Remove it, for the claims to hold.")


def is_switched_off(boot: Boot) -> bool:
    return off_word.is_heard_by_udev(boot.cmdline) or off_word.is_heard_by_shell(boot.cmdline)


def switchable_files(stage: Stage) -> t.Iterator[str]:
    """The names of the files that ask for the word."""
    for rule in stage.rules.rules:
        if any(key.name == "IMPORT" and key.attribute == "cmdline" and key.value == off_word.WORD for key in rule.keys):
            yield posixpath.basename(rule.path)
    for line in stage.config.directives:
        if line.command == "install" and off_word.is_install_command(line.arguments[1], line.arguments[0]):
            yield posixpath.basename(line.source.path)
