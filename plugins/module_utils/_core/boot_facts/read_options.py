# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that stand beside a module in a list: `modprobe` passes them on behind all that modprobe.d says."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import comparable
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig, Source

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import Step
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel


def with_listed_options(config: ModprobeConfig, steps: tuple[Step, ...], kernel: Kernel) -> tuple[ModprobeConfig, tuple[str, ...]]:
    """The configuration with these options, and the modules that may have been loaded without them."""
    entries = [entry for step in steps for work in step if isinstance(work, LoadList) for entry in work.modules if entry.options]
    directives = tuple(Directive(_place(entry.source), "options", (entry.name, *entry.options.split())) for entry in entries)
    brought = {comparable(word) for line in config.directives if line.command == "softdep" for word in line.arguments[1:]}
    early = brought | kernel.index.modules("pci")
    doubts = tuple(
        f"{entry.source} gives {entry.name} options that it does not get where something else loads it before."
        for entry in entries
        if entry.name in early
    )
    return ModprobeConfig((*config.directives, *directives)), doubts


def _place(source: str) -> Source:
    path, _colon, line = source.rpartition(":")
    return Source(path, int(line)) if line.isdecimal() else Source(source, 0)
