# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that something enables and something else masks: systemd does not start them, whatever they would do."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup import generators
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.read import judge_unit
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitFiles

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

LOCAL = ("/etc/systemd/system", "/usr/local/lib/systemd/system")
"""Where an administrator's links enable a unit; one that its package enables is masked on purpose."""
_PULLED_IN = (".wants", ".requires", ".upholds")


@dataclasses.dataclass(frozen=True)
class MaskedUnit:
    """A unit by its name, the link that enables it, what masks it, and what it would do to drivers."""

    name: str
    link: str
    mask: str
    acts: tuple[Influence, ...]


def read(host: Host, kernel: Kernel, inventory: Inventory, cmdline: Cmdline, source: str) -> tuple[MaskedUnit, ...]:
    """Those that would act on drivers."""
    files = UnitFiles(host)
    by_cmdline = generators.masked_by_word(host, cmdline)
    found: list[MaskedUnit] = []
    for name, link in _enabled(files):
        mask = next((path for path in files.paths(name)[:1] if files.is_mask(path)), None)
        if mask is None and name in by_cmdline:
            mask = f"{source}: systemd.mask={name}"
        if mask is not None:
            acts = judge_unit(host, name, link, kernel, inventory, cmdline, UnitFiles(host, despite_masks=True))
            found += [MaskedUnit(name, host.shown(link), host.shown(mask) if mask.startswith("/") else mask, acts)] if acts else []
    return tuple(found)


def _enabled(files: UnitFiles) -> t.Iterator[tuple[str, str]]:
    targets = {name.rpartition(".")[0] for name in files.names() if name.endswith(_PULLED_IN)}
    for target in sorted(targets):
        yield from ((name, link) for name, link in files.wanted_by(target) if link.startswith(LOCAL))
