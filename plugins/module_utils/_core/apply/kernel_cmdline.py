# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives kernels arguments, or takes them away, by the way that this host's boot loader has for it, and looks at the outcome."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.cmdline_record import OPERATION, CmdlineRecord
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.recovery import recover
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished_arguments import (
    before_unfinished,
    make_again,
    put,
    recorded_boot,
    will_make_again,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import cmdline_settings, cmdline_way, grubby, next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import GRUB
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_loading import as_argument
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import KERNEL_INSTALL as LINE
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import SETTINGS
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import ENTRIES, GRUBBY, SDBOOTUTIL
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import refuse
from ansible_collections.vfio.variants.plugins.module_utils._core.host import file_transaction
from ansible_collections.vfio.variants.plugins.module_utils._core.host.builders import locked_for_building
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState, diff, digest_of, needed
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Journal, remove_if_empty
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline, cut_off, name_and_value

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_way import Way
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_transaction import Applied
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Record
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange

PUT_BACK = "Everything was put back."
STUCK = "Not everything could be put back; run this again, which does that first."


@dataclasses.dataclass(frozen=True)
class CmdlineRequest:
    """What shall hold, and how long each program may take in seconds; ``allow_unsupported`` as in `refusals.refuse()`."""

    change: ArgumentChange
    timeout: int
    allow_unsupported: bool = False
    for_iommu: bool = False
    """Whether the arguments are added for the IOMMU, and taken away with it."""


@dataclasses.dataclass(frozen=True)
class BootEntryCmdline:
    """What the boot loader gives a kernel.  ``name`` is the kernel's release, or the entry's ID where that is not known."""

    name: str
    source: str
    cmdline: Cmdline
    is_default: bool


@dataclasses.dataclass(frozen=True)
class ArgumentPlan:
    """What is to be done: files first, then the commands; ``leave`` are files that are removed when these have run."""

    way: Way
    entries: tuple[BootEntryCmdline, ...]
    changes: tuple[FileChange, ...]
    commands: tuple[tuple[str, ...], ...]
    leave: tuple[str, ...]
    is_needed: bool
    written: tuple[str, ...] = ()
    """Further files that the commands are known to write."""
    settings: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """What GRUB's settings give to the entries before and after; None if that is not known."""


def apply(host: Host, request: CmdlineRequest, check_mode: bool) -> Result:
    """Make it hold and return the module's result; with ``check_mode`` only predict it.

    Raises HostError where the way is not certain, and after everything was put back because a step failed.
    """
    checked_timeout(request.timeout)
    if not host.is_root:
        raise HostError("Changing kernel arguments, or predicting it, requires root.", "Set `become: true`.")
    refuse(host, "arguments", request.allow_unsupported)
    with contextlib.nullcontext() if check_mode else locked_for_building(host, request.timeout):
        recovery, record = recover(host, check_mode), CmdlineRecord.read(host)
        if not check_mode:
            make_again(host, record, request.timeout)
        before, done = before_unfinished(recovery.host, record, check_mode)
        recovery = dataclasses.replace(recovery, host=before, done=(*recovery.done, *done))
        return recovery.added_to(_apply(before, request, record, check_mode))


def _apply(host: Host, request: CmdlineRequest, record: CmdlineRecord, check_mode: bool) -> Result:
    change = request.change
    plan = _plan(host, change, record, _boots(host, record, check_mode))
    paths = (*(one.path for one in needed(plan.changes)), *_to_be_written(plan, change))
    after = tuple(_predicted(entry, plan, change) for entry in plan.entries)
    if plan.is_needed and change.wanted:
        _refuse_too_long(host, after)
    if plan.is_needed and not check_mode:
        written, after = _carry_out(host, request, plan, record, after)
        paths = (*(one.path for one in needed(plan.changes)), *written)
    return _result(host, change, plan, after, paths)


def _boots(host: Host, record: CmdlineRecord, check_mode: bool) -> tuple[Way, tuple[BootEntryCmdline, ...]]:
    """By which way this host boots, and its entries; in check mode with those that a run would first make again."""
    made = will_make_again(host, record) if check_mode else None
    if made is not None:
        return made[0], tuple(BootEntryCmdline(name, source, Cmdline(tuple(words)), one) for name, source, words, one in made[1])
    way = cmdline_way.find(host)
    return way, _entries(host, way)


def _plan(host: Host, change: ArgumentChange, record: CmdlineRecord, boots: tuple[Way, tuple[BootEntryCmdline, ...]]) -> ArgumentPlan:
    way, entries = boots
    default = next((entry for entry in entries if entry.is_default), entries[0] if entries else None)
    given = default.cmdline if default is not None else Cmdline.read(host)
    changes = cmdline_settings.changes(host, way, change, given, record.base(host, change))
    wrong = tuple(entry for entry in entries if not change.holds(entry.cmdline))
    set_by_grubby = SETTINGS if way.method == GRUBBY else None
    if change.wanted and not way.is_hidden and not wrong:
        # What is made again from the running kernel's arguments has them already, and grubby has nothing to do.
        changes = tuple(one for one in changes if (one.before is not None or one.path != LINE) and one.path != set_by_grubby)
    is_needed = bool(needed(changes) or wrong or record.is_pending)
    covered = {one.path for one in needed(changes)} if way.method == GRUBBY else set()
    wrong = tuple(entry for entry in wrong if cmdline_way.place_of(entry.source) not in covered)
    words = dict.fromkeys(
        word for entry in wrong for word in (change.missing(entry.cmdline) if change.wanted else change.found(entry.cmdline))
    )
    if way.method == GRUBBY and not change.wanted:
        words.update(dict.fromkeys(grubby.found(host, way, change, covered)))
        is_needed = is_needed or bool(words)
    if way.method == GRUBBY and change.wanted and words:
        _refuse_loss(entries, change, tuple(words))
    releases = tuple(entry.name for entry in entries)
    commands = cmdline_settings.commands(host, way, change, tuple(words), releases) if is_needed else ()
    leave = tuple(one.path for one in changes if one.path == LINE and one.before is not None and one.after is None)
    changes = tuple(_kept(one, change) if one.path in leave else one for one in changes)
    written = cmdline_settings.written_places(host, way, change, tuple(words)) if is_needed else ()
    settings = cmdline_settings.words_of_settings(host, way, needed(changes)) if needed(changes) else None
    return ArgumentPlan(way, entries, changes, commands, leave, is_needed, written, settings)


def _refuse_loss(entries: t.Iterable[BootEntryCmdline], change: ArgumentChange, words: tuple[str, ...]) -> None:
    """Raises HostError where grubby would take out what others have set: it keeps one argument of a name."""
    for entry in entries:
        lost = grubby.lost(" ".join(entry.cmdline.arguments), words, change)
        if lost:
            raise HostError(
                f"{entry.source} has {' '.join(lost)}, which grubby would replace by {' '.join(words)}: it keeps one argument of a name.",
                "Take that out first, with state=absent.",
            )


def _kept(one: FileChange, change: ArgumentChange) -> FileChange:
    """Without the file the program takes the running kernel's arguments, which may still have these: it is removed afterwards."""
    before = t.cast("FileState", one.before)
    text = change.edited(before.content.decode("utf-8", "surrogateescape"))
    return dataclasses.replace(one, after=dataclasses.replace(before, content=text.encode("utf-8", "surrogateescape")))


def _entries(host: Host, way: Way) -> tuple[BootEntryCmdline, ...]:
    """One of each kernel: that which boots by default, or else the first."""
    found = next_boot.read(host)
    sources = {item.source for item in way.items}
    known = tuple(
        BootEntryCmdline(release, entry.source, entry.cmdline, release == found.release)
        for release, entry in found.entries.items()
        if entry.source in sources
    )
    if known:
        return known
    return tuple(BootEntryCmdline(item.id, item.source, Cmdline.parse(item.arguments), False) for item in way.items)


def _to_be_written(plan: ArgumentPlan, change: ArgumentChange) -> tuple[str, ...]:
    """The text files of entries that are not as they shall be, which the way's program writes."""
    if plan.way.method == GRUBBY:
        return plan.written
    found = [entry.source for entry in plan.entries if not change.holds(entry.cmdline)]
    # A kernel may have several entries, of snapshots or with another image.
    found += [item.source for item in plan.way.items if not change.holds(Cmdline.parse(item.arguments))]
    places = dict.fromkeys(map(cmdline_way.place_of, found))
    return tuple(place for place in places if not place.lower().endswith(".efi"))


def _predicted(entry: BootEntryCmdline, plan: ArgumentPlan, change: ArgumentChange) -> BootEntryCmdline:
    words = _in_place(entry.cmdline.arguments, plan) or Cmdline.parse(change.edited(" ".join(entry.cmdline.arguments))).arguments
    if plan.way.loader == GRUB and plan.way.method != SDBOOTUTIL:
        words = tuple(_by_grub(word) if '"' in word and word not in entry.cmdline.arguments else word for word in words)
    return dataclasses.replace(entry, cmdline=Cmdline(words))


def _in_place(words: tuple[str, ...], plan: ArgumentPlan) -> tuple[str, ...] | None:
    """An entry with what the settings give after the changes in the place of what they gave before; None if that is not in it."""
    if plan.settings is None:
        return None
    before, after = (tuple(_by_grub(word) if '"' in word else word for word in given) for given in plan.settings)
    places = range(len(words) - len(before), -1, -1) if before else ()
    place = next((place for place in places if words[place : place + len(before)] == before), None)
    if place is not None and after[: len(before)] == before and words[place : place + len(after)] == after:
        # Made of what a run that was killed has taken from the settings, or a person.
        return words
    return None if place is None else (*words[:place], *after, *words[place + len(before) :])


def _by_grub(word: str) -> str:
    """It takes a word's quotes away, and writes others around the whole."""
    return as_argument(word.replace('"', ""))


def _refuse_too_long(host: Host, after: t.Iterable[BootEntryCmdline]) -> None:
    """Raises HostError where the kernel would not read a line to its end, for which no loader fails."""
    running = cmdline_way.running_arguments(host) or ()
    added = [word for word in running if name_and_value(word)[0] in cmdline_settings.ADDED]
    for entry in after:
        cut = cut_off(host.machine, (*added, *entry.cmdline.arguments))
        if cut is not None:
            raise HostError(
                f"arguments: with them {entry.source} would have {cut[0]} bytes, of which a kernel of {host.machine} reads {cut[1]}.",
                "Remove other arguments first.",
            )


# -- doing


def _carry_out(
    host: Host, request: CmdlineRequest, plan: ArgumentPlan, record: CmdlineRecord, predicted: t.Sequence[BootEntryCmdline]
) -> tuple[tuple[str, ...], tuple[BootEntryCmdline, ...]]:
    """The text files that the programs have written, and the entries afterwards."""
    snapshot = _snapshot(host, plan)
    folders = tuple(one.path.rpartition("/")[0] for one in plan.changes if one.before is None and one.after is not None)
    folders = tuple(folder for folder in folders if not host.exists(folder))
    touched = {path: state for path, state in snapshot.items() if path not in grubby.ENVIRONMENTS} if plan.way.method == GRUBBY else {}
    remake = None if plan.way.method == GRUBBY else (_then(plan, request.change, predicted), plan.commands)
    applied: Applied | None = None
    try:
        record.begin(host, request.change, needed(plan.changes), touched, folders, request.for_iommu, remake)
        applied = file_transaction.apply(host, plan.changes)
        for argv in plan.commands:
            host.run(argv, request.timeout)
        _write_again(host, plan, request.change, snapshot)
        after = _verified(host, plan, request.change)
        for path in plan.leave:
            host.remove(path)
        before = {**snapshot, **{one.path: one.before for one in plan.changes}}
        record.finish(host, request.change, _exact(plan, before), folders, request.for_iommu)
    except BaseException as error:
        ended = PUT_BACK if _is_undone(host, request, plan, applied, snapshot, record, folders) else STUCK
        if isinstance(error, HostError):
            raise HostError(error.msg, ended if error.hint is None else f"{error.hint} {ended}", error.facts) from error
        raise
    return tuple(path for path, state in snapshot.items() if file_transaction.read_state(host, path) != state), after


def _then(plan: ArgumentPlan, change: ArgumentChange, predicted: t.Iterable[BootEntryCmdline]) -> Record:
    """What boots once the plan is carried out, for the journal."""
    items = [dataclasses.replace(item, arguments=change.edited(item.arguments)) for item in plan.way.items]
    return recorded_boot(plan.way, items, [(one.name, one.source, one.cmdline.arguments, one.is_default) for one in predicted])


def _write_again(host: Host, plan: ArgumentPlan, change: ArgumentChange, snapshot: t.Mapping[str, FileState | None]) -> None:
    """grubby changes every entry and its blanks, also those that have their former content by now, and settings that agree already."""
    if plan.way.method != GRUBBY or not plan.commands:
        return
    for one in needed(plan.changes):
        put(host, one.path, one.after)
    settings = snapshot.get(SETTINGS)
    if settings is not None and cmdline_settings.common_holds(settings.content.decode("utf-8", "surrogateescape"), change):
        put(host, SETTINGS, settings)


def _exact(plan: ArgumentPlan, before: t.Mapping[str, FileState | None]) -> dict[str, FileState | None]:
    """The former state of files that get it back byte for byte; what a program generates, it generates again."""
    settings = {one.path for one in needed(plan.changes)}
    return {path: state for path, state in before.items() if path in settings or (plan.way.method == GRUBBY and "grubenv" not in path)}


def _snapshot(host: Host, plan: ArgumentPlan) -> dict[str, FileState | None]:
    places = cmdline_settings.snapshot_places(host, plan.way)
    return {place: file_transaction.read_state(host, place) for place in places if host.link(place) is None}


def _verified(host: Host, plan: ArgumentPlan, change: ArgumentChange) -> tuple[BootEntryCmdline, ...]:
    """The entries as they are now.  Raises HostError if one is not as it shall be, or if foreign arguments are lost."""
    if plan.way.is_hidden:
        return ()
    entries = _entries(host, cmdline_way.find(host))
    ran = " and ".join(f"`{' '.join(argv)}`" for argv in plan.commands) or "the change"
    former = {entry.name: entry for entry in plan.entries}
    for entry in entries:
        if not change.holds(entry.cmdline):
            words = change.missing(entry.cmdline) if change.wanted else change.found(entry.cmdline)
            raise HostError(f"After {ran}, {entry.source} {'lacks' if change.wanted else 'still has'} {' '.join(words)}.")
        if host.is_image and entry.name in former:
            _refuse_other_root(former[entry.name], entry, ran)
        if plan.way.method in (GRUBBY, ENTRIES) and entry.name in former:
            lost = _lost(change.foreign(former[entry.name].cmdline), change.foreign(entry.cmdline))
            if lost:
                raise HostError(f"After {ran}, {entry.source} has lost {' '.join(lost)}.")
    missing = former.keys() - {entry.name for entry in entries}
    if missing:
        raise HostError(f"After {ran}, there is no entry any more of {', '.join(sorted(missing))}.")
    return entries


def _refuse_other_root(before: BootEntryCmdline, after: BootEntryCmdline, ran: str) -> None:
    """A program that finds no name of the root that holds everywhere takes the one that it has on the machine that bakes the image."""
    former, now = (entry.cmdline.last("root") for entry in (before, after))
    if former != now:
        raise HostError(
            f"After {ran}, {after.source} has {now} in place of {former}, which the machines of the image may not have.",
            "Mount the image where udev runs, so that /dev/disk/by-uuid has its partition.",
        )


def _lost(before: t.Sequence[str], after: t.Sequence[str]) -> list[str]:
    left = list(after)
    lost = []
    for word in before:
        if word in left:
            del left[: left.index(word) + 1]
        else:
            lost.append(word)
    return lost


def _is_undone(
    host: Host,
    request: CmdlineRequest,
    plan: ArgumentPlan,
    applied: Applied | None,
    snapshot: t.Mapping[str, FileState | None],
    record: CmdlineRecord,
    folders: t.Iterable[str],
) -> bool:
    """Settings first; then the program makes its entries from them again; then text files that it had changed.

    Whether all is as before: if not, the record stays, for the next run and for those who ask.
    """
    with uninterrupted():
        if applied is None:
            # A signal can come between the last of them and the end of the call that makes them.
            for one in reversed(needed(plan.changes)):
                with contextlib.suppress(HostError):
                    put(host, one.path, one.before)
            for folder in folders:
                remove_if_empty(host, folder)
        else:
            applied.undo()
            for argv in plan.commands if plan.way.method != GRUBBY else ():
                with contextlib.suppress(HostError):
                    host.run(argv, request.timeout)
            for place, state in snapshot.items():
                with contextlib.suppress(HostError):
                    put(host, place, state)
        is_undone = False
        with contextlib.suppress(HostError):
            is_undone = _is_as_before(host, plan, snapshot)
        with contextlib.suppress(HostError):
            # A signal can come once the record is closed, with which the folder that a file was in may have gone.
            if is_undone or Journal(host, OPERATION).read() is None:
                record.put_back(host)
            return is_undone
    return False


def _is_as_before(host: Host, plan: ArgumentPlan, snapshot: t.Mapping[str, FileState | None]) -> bool:
    """Raises HostError where that can no longer be read."""
    before = {**snapshot, **{one.path: one.before for one in needed(plan.changes)}}
    if any(digest_of(file_transaction.read_state(host, path)) != digest_of(state) for path, state in before.items()):
        return False
    now = () if plan.way.is_hidden else _entries(host, cmdline_way.find(host))
    return plan.way.is_hidden or {(one.name, one.cmdline) for one in now} == {(one.name, one.cmdline) for one in plan.entries}


# -- the answer


def _result(host: Host, change: ArgumentChange, plan: ArgumentPlan, after: t.Sequence[BootEntryCmdline], paths: t.Sequence[str]) -> Result:
    running = cmdline_way.running_arguments(host)
    later = {entry.name: entry for entry in after}
    return {
        "changed": plan.is_needed,
        "diff": [*diff(plan.changes), *_diff_of_entries(plan, later)] if plan.is_needed else [],
        "loader": plan.way.loader,
        "method": plan.way.method,
        "files": sorted({*paths, *plan.leave}),
        "commands": [list(argv) for argv in plan.commands],
        "entries": {
            entry.name: {
                "source": entry.source,
                "before": list(entry.cmdline.arguments),
                "after": list(later.get(entry.name, entry).cmdline.arguments),
            }
            for entry in plan.entries
        },
        "running": None if running is None else list(running),
        "reboot_required": running is not None and not change.holds(Cmdline(running)),
        "warnings": list(_warnings(change, plan, later)),
    }


def _diff_of_entries(plan: ArgumentPlan, later: t.Mapping[str, BootEntryCmdline]) -> t.Iterator[dict[str, str]]:
    for entry in plan.entries if plan.way.method != ENTRIES else ():
        now, then = (" ".join(one.cmdline.arguments) for one in (entry, later.get(entry.name, entry)))
        if now != then:
            header = f"arguments of {entry.name}"
            yield {"before_header": header, "before": f"{now}\n", "after_header": header, "after": f"{then}\n"}


def _warnings(change: ArgumentChange, plan: ArgumentPlan, later: t.Mapping[str, BootEntryCmdline]) -> t.Iterator[str]:
    if plan.way.is_hidden:
        yield (
            f"{plan.way.config}: the entries are on partitions that are not mounted, so only the settings and the exit status of "
            f"{plan.way.method} show that the arguments are {'there' if change.wanted else 'gone'}."
        )
    yield from (doubt for doubt in plan.way.doubts if not plan.way.is_hidden)
    for entry in plan.entries if plan.is_needed else ():
        other = later.get(entry.name, entry)
        before, after = change.foreign(entry.cmdline), change.foreign(other.cmdline)
        if before != after:
            words = " ".join(word for word in (*before, *after) if (word in before) != (word in after))
            yield f"{other.source}: the settings had been changed before, and have now come into effect as well: {words or 'their order'}."
