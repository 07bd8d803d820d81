# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about modules that refuse and drivers that decline, each broken in turn."""

from __future__ import annotations

import typing as t

from mutation import Broken, Mutation, always, changed

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import RULES

_REFUSALS, _DECLINES, _TYPES = "kernel.refusals", "kernel.declines", "kernel.parameter_types"
_SETTINGS, _CMDLINE, _INSTALL = "forecast.settings:Settings", "kernel.cmdline:Cmdline", "kernel.install_command"


def _property(value: object) -> Broken:
    return lambda _right: property(lambda _self: value)


def _without_rule(*modules: str) -> Broken:
    """As if nothing were known of these modules."""
    return lambda _right: {name: rule for name, rule in RULES.items() if name not in modules}


def _behind_the_end(_right: t.Any) -> t.Any:
    """As if the kernel read what comes behind `--`."""
    return property(lambda self: self)


def _first_word_alone(right: t.Any) -> t.Any:
    """As if the shell never ran what follows `||`."""
    return lambda self, before: self.link != "||" and right(self, before)


def _without_alias(right: t.Any) -> t.Any:
    return lambda self, module, *_alias: right(self, module)


def _keeps_softdeps(right: t.Any) -> t.Any:
    """As if `modprobe -i` ran the install line of the module that it names."""
    return lambda self, found, *_ignores: right(self, found)


MODULE_MUTATIONS = (
    Mutation("a refused value keeps a module out", f"{_SETTINGS}._objection", always(None)),
    Mutation("a number has digits", f"{_TYPES}:parse_number", changed(lambda number: 0 if number is None else number)),
    Mutation("a number has bases", f"{_TYPES}:parse_number", lambda _right: lambda value: int(value) if value.isdecimal() else None),
    Mutation("a boolean is on or off", f"{_TYPES}:_of_boolean", always(None)),
    Mutation("an array has an end", f"{_TYPES}:_of_array", lambda right: lambda element, _limit, value: right(element, 1 << 16, value)),
    Mutation("a string has an end", f"{_TYPES}:_of_text", always(None)),
    Mutation("a value must be there", f"{_TYPES}:objection", lambda right: lambda kind, value: right(kind, value) if value else None),
    Mutation("nvme reads io_queue_depth itself", f"{_REFUSALS}:LARGEST_QUEUE", lambda _right: 1 << 20),
    Mutation("display drivers go by modeset and nomodeset", f"{_REFUSALS}:RULES", _without_rule("bochs")),
    Mutation("modeset=1 beats nomodeset", f"{_REFUSALS}:ModuleSettings.number", lambda _right: lambda _self, _name, default: default),
    Mutation("nousb turns USB off", f"{_REFUSALS}:RULES", _without_rule("xhci_pci")),
    Mutation("enable= is by card", f"{_DECLINES}:_alsa", always(None)),
    Mutation("nomodule forbids modules", f"{_CMDLINE}.refuses_all", _property(False)),
    Mutation("initcall_blacklist= leaves out what it names", f"{_CMDLINE}.refused_functions", _property(())),
    Mutation("the kernel stops at --", f"{_CMDLINE}.of_kernel", _behind_the_end),
    Mutation("options of an alias count", "kernel.modprobe:ModprobeConfig.options", _without_alias),
    Mutation("|| runs what follows a failure", f"{_INSTALL}:SimpleCommand.runs", _first_word_alone),
    Mutation("modprobe -i ignores install lines", "forecast.probing:Modprobe._insert", _keeps_softdeps),
    Mutation(
        "a command's end is its last one's",
        "forecast.probing:Modprobe._run_modprobe",
        changed(lambda _status: True),
    ),
)
