# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kernel is given when it boots, as far as it decides whether there will be an IOMMU."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.iommu import arguments_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import NextBoot
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.iommu import BootArguments
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


def boot_arguments(host: Host, loader: NextBoot, every: bool = False) -> tuple[BootArguments, ...]:
    """Those of the kernel that boots next, or with ``every`` those of each; the running one's where no entry is known."""
    running = host.text_or_none(OSRELEASE)
    found = [
        arguments_of(host, release, entry.cmdline, entry.cmdline_source, entry.hypervisor)
        for release, entry in loader.entries.items()
        if every or loader.release in (None, release)
    ]
    if not found and running is not None:
        found.append(arguments_of(host, running, Cmdline.read(host), CMDLINE))
    return tuple(found)


def with_pending(loader: NextBoot, words: t.Sequence[str]) -> NextBoot:
    """The entries as they will be when another task of the play has added these arguments."""
    if not words:
        return loader
    change = ArgumentChange.parse(words, wanted=True)
    entries = {
        release: dataclasses.replace(entry, cmdline=Cmdline.parse(change.edited(" ".join(entry.cmdline.arguments))))
        for release, entry in loader.entries.items()
    }
    return dataclasses.replace(loader, entries=entries)
