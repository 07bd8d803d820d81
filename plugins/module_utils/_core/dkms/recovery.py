# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every run that changes the host does first: it undoes, finishes or removes what runs that were killed have left behind."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import OPERATION, DkmsPaths, staged_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.host import recovery
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovered

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.undo import InterruptedChange
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovery


def recover(host: Host, check_mode: bool, staged: bool = False) -> Recovery:
    """See to what is left.  The lock is held, or it is check mode, which only predicts.  Raises HostError if something cannot be undone.

    Builds that are staged stay if ``staged``, as between the steps of one run of `dkms_package`; another run removes them.
    """
    interrupted = _interrupted(host)
    found = recovery.recover(host, check_mode)
    done: tuple[Recovered, ...] = ()
    if interrupted is not None:
        if not check_mode:
            _complete(host, interrupted)
        done = (Recovered(OPERATION, "finished" if interrupted.finishes else "undone", (interrupted.sentence,)),)
    left = () if staged or interrupted is not None else staged_folders(host, DkmsPaths.read(host))
    for folder in () if check_mode else left:
        host.remove_tree(folder)
    swept = (Recovered("staged builds", "removed", left),) if left else ()
    return dataclasses.replace(found, done=(*found.done, *done, *swept))


def _interrupted(host: Host) -> InterruptedChange | None:
    if Journal(host, OPERATION).read() is None:
        return None
    # Every run looks for one, and what changes packages takes longer to import than all else that binds a device.
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.undo import InterruptedChange

    return InterruptedChange.read(host)


def _complete(host: Host, interrupted: InterruptedChange) -> None:
    # As above.
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.change import remove_version

    with uninterrupted():
        if interrupted.finishes:
            for version in interrupted.removes:
                remove_version(interrupted.undo, version, None)
        else:
            stuck = interrupted.undo.take_all(interrupted.steps)
            if stuck:
                raise HostError(
                    f"What an earlier run of {OPERATION} has begun with {interrupted.undo.name} cannot be undone: {' '.join(stuck)}",
                    "See `dkms status`, and run this again.",
                )
        interrupted.undo.synchronize()
        # The old version lies in these, so they go last.
        for folder in staged_folders(host, interrupted.undo.paths):
            host.remove_tree(folder)
        Journal(host, OPERATION).close()


def unfinished(host: Host) -> tuple[str, ...]:
    """Sentences on a package that a run was changing when it was killed, and on staged builds."""
    try:
        interrupted = _interrupted(host)
        left = staged_folders(host, DkmsPaths.read(host))
    except HostError as error:
        return (str(error),)
    sentences = () if interrupted is None else (f"A change of a package was interrupted. {interrupted.sentence}",)
    return (*sentences, *(f"{folder} is left; the next run removes it." for folder in left))
