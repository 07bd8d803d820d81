# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs that did not come to their end have left on a host, for those who only ask."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind_journal import OPERATION, UnfinishedBindings
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.cmdline_record import OPERATION as CMDLINE
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.cmdline_record import CmdlineRecord
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.number_journal import UnfinishedNumbers
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import recovery as packages
from ansible_collections.vfio.variants.plugins.module_utils._core.host import made_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import (
    FILES,
    hooks_wait,
    image_records,
    leftovers,
    read_undo,
    waiting_image,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory


@dataclasses.dataclass(frozen=True)
class UnfinishedWork:
    """An operation that was begun; ``what`` are sentences on the state that it has left."""

    operation: str
    what: tuple[str, ...]

    def result(self) -> Result:
        return {"operation": self.operation, "what": list(self.what)}


def unfinished_work(host: Host, inventory: Inventory) -> tuple[UnfinishedWork, ...]:
    """As far as this user can read it; nothing is changed."""
    found = (
        UnfinishedWork(FILES, _files(host)),
        UnfinishedWork(CMDLINE, _arguments(host)),
        UnfinishedWork("initramfs", _images(host)),
        UnfinishedWork("dkms_package", packages.unfinished(host)),
        UnfinishedWork(OPERATION, _bindings(host, inventory)),
        UnfinishedWork("temporary files", _temporary(host)),
    )
    return tuple(work for work in found if work.what)


def _arguments(host: Host) -> tuple[str, ...]:
    if not CmdlineRecord.read(host).is_pending:
        return ()
    return ("A change of kernel arguments was interrupted, so the boot loader's entries may not be as its settings say; run it again.",)


def _files(host: Host) -> tuple[str, ...]:
    try:
        undo = read_undo(host)
    except HostError as error:
        return (str(error),)
    if undo is None or undo.complete:
        empty = made_folders.empty(host)
        return (f"{', '.join(empty)}, made for a policy that is gone, stay empty; the next run removes that.",) if empty else ()
    changed = (path for path, _state in undo.restores)
    names = ", ".join(changed) or "none"
    return (f"A change of a policy was interrupted; of its files, these are changed: {names}. The next run undoes that.",)


def _images(host: Host) -> tuple[str, ...]:
    sentences = []
    for _journal, record in image_records(host):
        new = record.get("new")
        if hooks_wait(host, record):
            sentences.append(waiting_image(record))
        elif isinstance(new, str) and host.is_file(new):
            sentences.append(f"{new}, which was being built, is left; the next run removes it.")
        else:
            sentences.append(f"{record.get('image')} is complete; the next run sees to it that this survives a power failure.")
    return tuple(sentences)


def _bindings(host: Host, inventory: Inventory) -> tuple[str, ...]:
    bindings = tuple(sentence for item in UnfinishedBindings.read(host, inventory).as_left() for sentence in item.what)
    return (*UnfinishedNumbers.read(host, inventory).as_left(), *bindings)


def _temporary(host: Host) -> tuple[str, ...]:
    left = leftovers(host)
    return (f"{', '.join(left)} {'is' if len(left) == 1 else 'are'} left; the next run removes such files.",) if left else ()
