# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers of claimed devices of which another version is loaded than is installed: which are loaded again, and which wait for a reboot."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.old_modules import OldModule

UNBUILT = "known once it is built"


@dataclasses.dataclass(frozen=True)
class Reloads:
    """What becomes of each such module: ``again`` are loaded again, ``kept`` wait for a reboot, each with a clause that says why."""

    again: tuple[OldModule, ...] = ()
    kept: tuple[tuple[OldModule, str], ...] = ()

    def applied(self, bindings: t.Sequence[Binding]) -> tuple[Binding, ...]:
        """The bindings, with the modules that are loaded again; every function of theirs is bound again."""
        names = {old.name for old in self.again}
        return tuple(binding.reloaded() if names.intersection(binding.modules) else binding for binding in bindings)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"The running kernel has loaded another version of {old.name} than is installed, and it is not loaded again now, as {because}: "
            "the host uses the installed one after a reboot."
            for old, because in self.kept
        )

    def result(self) -> dict[str, t.Any]:
        """What a module returns of it."""
        found: dict[str, t.Any] = {"reboot_required": bool(self.kept)}
        if self.again:
            found["reloaded"] = [{"module": old.name, "before": old.loaded, "after": old.installed} for old in self.again]
        if self.kept:
            found["old_in_use"] = [old.name for old, _because in self.kept]
        return found

    def lines(self, after: bool) -> str:
        """For a diff."""
        return "".join(f"{old.name} srcversion={(old.installed or UNBUILT) if after else old.loaded}\n" for old in self.again)
