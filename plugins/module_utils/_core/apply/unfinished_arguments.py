# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that was killed had done to kernel arguments by a program that changes files in its own way: it is undone by the next."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.cmdline_record import OPERATION
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import cmdline_way
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import MenuItem
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import KERNEL_INSTALL as LINE
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import SETTINGS, VARIABLES
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_transaction import read_state
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import texts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.planned_host import PlannedHost
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovered
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import name_and_value

ITEM = ("title", "id", "source", "kernel", "arguments", "release")
"""What is recorded of an entry of the menu."""

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.cmdline_record import CmdlineRecord
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_way import Way
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileState
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Record


def make_again(host: Host, record: CmdlineRecord, timeout: float) -> None:
    """Have the programs make the entries again if they were killed while they wrote one: without it nothing would name its kernel.

    The settings that they read are whole, since they are replaced as one.
    """
    if will_make_again(host, record) is not None:
        for argv in record.commands:
            with contextlib.suppress(HostError):
                host.run(argv, timeout)


def will_make_again(host: Host, record: CmdlineRecord) -> tuple[Way, list[t.Any]] | None:
    """What boots once they have: the way, and what `recorded_boot()` was given of entries; None if no entry is missing."""
    if not (record.is_pending and record.commands):
        return None
    with contextlib.suppress(KeyError, TypeError):
        way = record.made["way"]
        items = tuple(MenuItem(**item) for item in way["items"])
        if {item.id for item in items} <= _entries(host):
            return None
        return cmdline_way.Way(way["loader"], way["method"], way["config"], items, texts(way["doubts"])), record.made["entries"]
    return None


def recorded_boot(way: Way, items: t.Iterable[MenuItem], entries: t.Sequence[t.Any]) -> Record:
    """The way with the items as they are going to be, and these entries, as the journal has them."""
    named = [{name: getattr(item, name) for name in ITEM} for item in items]
    return {
        "way": {"loader": way.loader, "method": way.method, "config": way.config, "items": named, "doubts": way.doubts},
        "entries": entries,
    }


def _entries(host: Host) -> set[str]:
    """None where what boots cannot be read, as after a kill in the only one."""
    try:
        return {item.id for item in cmdline_way.find(host).items}
    except HostError:
        return set()


def before_unfinished(host: Host, record: CmdlineRecord, check_mode: bool) -> tuple[Host, tuple[Recovered, ...]]:
    """The host with the files as they were before the run, in check mode as it would be then, and what is done about that run.

    A file that somebody else has changed since stays as it is.
    """
    states = ((path, before, read_state(host, path)) for path, before in record.touched.items() if host.link(path) is None)
    restores = {path: before for path, before, now in states if now != before and is_by_run(path, before, now, record.asked)}
    done = (_as_done(record, restores),) if record.is_pending else ()
    if check_mode and restores:
        contents = {path: None if state is None else state.content for path, state in restores.items()}
        return PlannedHost(host, contents, {path: state.mode for path, state in restores.items() if state is not None}), done
    for path, state in restores.items():
        put(host, path, state)
    return host, done


def _as_done(record: CmdlineRecord, restores: t.Mapping[str, FileState | None]) -> Recovered:
    """Settings are written again in any case; a program's own changes are undone before that."""
    put_back = tuple(f"{path} was {'removed' if state is None else 'put back'}." for path, state in restores.items())
    now = f"Its arguments ({', '.join(record.asked)}) are now as this run asks." if record.asked else "It is done as this run asks."
    return Recovered(OPERATION, "undone" if put_back else "finished", (*put_back, now))


def is_by_run(path: str, before: FileState | None, now: FileState | None, asked: t.Sequence[str]) -> bool:
    """Whether a file is other than before only by what these arguments change in it: grubby joins words by single blanks."""
    if path == LINE and now is not None and not now.content.strip():
        # grubby writes into the file that is there, and was killed before it had.
        return True
    if path == LINE and (before is None or now is None):
        return now is None or any(word in now.content.decode("utf-8", "surrogateescape") for word in asked)
    if before is None or now is None:
        return False
    names = {name_and_value(word)[0] for word in asked}
    return _left(path, before, names) == _left(path, now, names)


def _left(path: str, state: FileState, names: t.Collection[str]) -> list[list[str]]:
    """The words of each line without the arguments; without the whole lines that grubby replaces."""
    lines = state.content.decode("utf-8", "surrogateescape").splitlines()
    kept = [line for line in lines if path != SETTINGS or not line.startswith(VARIABLES[0])]
    return [[word for word in line.split() if name_and_value(word)[0] not in names] for line in kept]


def put(host: Host, path: str, state: FileState | None) -> None:
    """A file as it was."""
    if read_state(host, path) == state:
        return
    if state is None:
        host.remove(path)
    else:
        host.write_atomic(path, state.content, state.mode)
