# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs that were killed have left behind: files of a policy that changed in part, new initramfs images, temporary files."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import made_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.host.durable import settle
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileState, digest_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import (
    DIRECTORY,
    UNREADABLE,
    Journal,
    Record,
    remove_if_empty,
    texts,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.planned_host import PlannedHost

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

RecoveryOutcome = t.Literal["undone", "finished", "removed", "left"]
FILES, IMAGES = "boot_policy", "initramfs-"
SWEPT = (
    DIRECTORY,
    "/etc/modprobe.d",
    "/etc/udev/rules.d",
    "/etc/modules-load.d",
    "/etc/initramfs-tools/hooks",
    "/etc/dracut.conf.d",
    "/etc/mkinitcpio.conf.d",
    "/etc/security/limits.d",
    "/etc/default",
    "/etc/default/grub.d",
    "/etc/kernel",
    "/etc/cmdline.d",
)
"""The folders that files are written to, and so those in which temporary files can be left."""
SWEEP = "sweep"
"""In a journal: further ones, until its operation has ended."""


@dataclasses.dataclass(frozen=True)
class Recovered:
    """What was done about an operation that a killed run had begun; in check mode, what would be."""

    operation: str
    outcome: RecoveryOutcome
    what: tuple[str, ...]
    """Sentences, or for `removed` paths."""

    @property
    def warning(self) -> str | None:
        if self.outcome == "removed":
            return None
        begun = "has not ended" if self.outcome == "left" else "did not end"
        return f"An earlier run of {self.operation} {begun}; it is {self.outcome}: {' '.join(self.what)}"

    def result(self) -> dict[str, t.Any]:
        return {"operation": self.operation, "outcome": self.outcome, "what": list(self.what)}


@dataclasses.dataclass(frozen=True)
class Recovery:
    """What was found and done.  ``host`` is the host to go on with: in check mode, as it would be afterwards."""

    host: Host
    done: tuple[Recovered, ...] = ()

    @property
    def changed(self) -> bool:
        return any(item.outcome == "undone" and item.what for item in self.done)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(item.warning for item in self.done if item.warning is not None)

    def added_to(self, result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A module's result with this in it."""
        return {
            **result,
            "changed": bool(result["changed"]) or self.changed,
            "recovered": [item.result() for item in self.done],
            "warnings": [*self.warnings, *result.get("warnings", ())],
        }


def recover(host: Host, check_mode: bool) -> Recovery:
    """Undo or finish what can be, and remove what is left behind.  The lock is held, or it is check mode.

    Raises HostError if that is impossible; everything is kept for another try then.
    """
    undo = read_undo(host)
    done = () if undo is None else (undo.as_done(),)
    done = (*done, *_images(host, check_mode))
    if check_mode:
        left = leftovers(host)
        planned = host if undo is None or not undo.restores else PlannedHost(host, *undo.planned())
        return Recovery(planned, (*done, *_swept(left)))
    # First what would keep a folder from being empty.
    removed = host.sweep(swept(host))
    if undo is not None:
        undo.carry_out(host)
    made_folders.remove_empty(host)
    remove_if_empty(host, DIRECTORY)
    return Recovery(host, (*done, *_swept(removed)))


def swept(host: Host) -> tuple[str, ...]:
    """The folders in which temporary files can be left: those of the journals' files, too, wherever a boot loader has its entries."""
    records = (Journal(host, name[: -len(".json")]).read() or {} for name in _journal_names(host))
    return (*SWEPT, *(folder for record in records for folder in texts(record.get(SWEEP)) if folder not in SWEPT))


def leftovers(host: Host) -> tuple[str, ...]:
    """The temporary files that runs which were killed have left."""
    return tuple(path for folder in swept(host) for path in host.leftovers(folder))


def _swept(paths: tuple[str, ...]) -> tuple[Recovered, ...]:
    return (Recovered("temporary files", "removed", paths),) if paths else ()


# -- files of a policy


@dataclasses.dataclass(frozen=True)
class FilesUndo:
    """How to undo a change of several files: the former state of each, in the order to restore them."""

    restores: tuple[tuple[str, FileState | None], ...]
    foreign: tuple[str, ...]
    """Files that somebody else has changed since; they stay."""
    folders: tuple[str, ...]
    complete: bool
    """Whether all files had been written."""

    def as_done(self) -> Recovered:
        if self.complete:
            return Recovered(FILES, "finished", ("All of its files had been written.",))
        stay = tuple(f"{path} has been changed since, and stays as it is." for path in self.foreign)
        put_back = tuple(f"{path} was {'removed' if state is None else 'put back'}." for path, state in self.restores)
        return Recovered(FILES, "undone", (*put_back, *stay))

    def planned(self) -> tuple[dict[str, bytes | None], dict[str, int]]:
        contents = {path: None if state is None else state.content for path, state in self.restores}
        return contents, {path: state.mode for path, state in self.restores if state is not None}

    def carry_out(self, host: Host) -> None:
        with uninterrupted():
            for path, state in self.restores:
                if state is None:
                    host.remove(path)
                else:
                    host.write_atomic(path, state.content, state.mode)
            if self.complete and not made_folders.remember(host, reversed(self.folders)):
                return
            for folder in () if self.complete else self.folders:
                remove_if_empty(host, folder)
            Journal(host, FILES).close()


def read_undo(host: Host) -> FilesUndo | None:
    """What an unfinished change of a policy's files needs; None if there is none."""
    record = Journal(host, FILES).read()
    if record is None or record.get(UNREADABLE):
        return None
    entries = [entry for entry in record.get("files") or () if isinstance(entry, dict) and isinstance(entry.get("path"), str)]
    present = {entry["path"]: _present(host, entry["path"]) for entry in entries}
    complete = all(digest_of(present[entry["path"]]) == entry.get("after") for entry in entries)
    restores: list[tuple[str, FileState | None]] = []
    foreign: list[str] = []
    for entry in reversed([] if complete else entries):
        path, before = entry["path"], unrecorded(entry.get("before"))
        now = present[path]
        if _same(now, before):
            continue
        if now is None or digest_of(now) in texts(entry.get("written")):
            restores.append((path, before))
        else:
            foreign.append(path)
    return FilesUndo(tuple(restores), tuple(foreign), texts(record.get("folders")), complete)


def _present(host: Host, path: str) -> FileState | None:
    status = host.stat(path)
    return FileState(host.read_bytes(path), status.st_mode & 0o7777) if status is not None and host.is_file(path) else None


def _same(one: FileState | None, other: FileState | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.content, one.mode) == (other.content, other.mode)


def unrecorded(record: object) -> FileState | None:
    if not isinstance(record, dict):
        return None
    try:
        return FileState(base64.b64decode(str(record.get("content")), validate=True), int(record.get("mode", 0o644)) & 0o7777)
    except (binascii.Error, ValueError, TypeError) as error:
        raise HostError(
            f"{DIRECTORY}/{FILES}.json is not as this collection has written it.", "Remove it, and see to the policy."
        ) from error


def recorded(state: FileState | None) -> Record | None:
    """A file's state as the journal has it; `unrecorded()` is the way back."""
    return None if state is None else {"content": base64.b64encode(state.content).decode(), "mode": state.mode}


# -- initramfs images


def _images(host: Host, check_mode: bool) -> tuple[Recovered, ...]:
    """A new image that was not put in place is removed; one whose boot loader hooks have not run waits for `initramfs`."""
    found = []
    for journal, record in image_records(host):
        new = record.get("new")
        removed = (new,) if isinstance(new, str) and host.is_file(new) else ()
        waits = hooks_wait(host, record)
        if not check_mode:
            for path in removed:
                host.remove(path)
            if not waits:
                _settle(host, record)
                journal.close()
        if waits:
            found.append(Recovered("initramfs", "left", (waiting_image(record),)))
        elif removed:
            found.append(Recovered("initramfs", "undone", tuple(f"{path}, which was being built, was removed." for path in removed)))
        else:
            found.append(Recovered("initramfs", "finished", (f"{record.get('image')} is complete.",)))
    return tuple(found)


def _settle(host: Host, record: Record) -> None:
    """The run may have ended because the disk could not say that the image is there.  Raises HostError as long as it cannot."""
    image = record.get("image")
    if isinstance(image, str) and host.is_file(image):
        settle(host.whole(image), image)


def image_records(host: Host) -> list[tuple[Journal, Record]]:
    """The journals of images, each with its record."""
    journals = [Journal(host, name[: -len(".json")]) for name in _journal_names(host) if name.startswith(IMAGES)]
    read = ((journal, journal.read()) for journal in journals)
    return [(journal, record) for journal, record in read if record is not None and not record.get(UNREADABLE)]


def hooks_wait(host: Host, record: Record) -> bool:
    """Whether an image was put in place, and the boot loader's hooks have not run, or not all of them."""
    new, kept, image = (record.get(name) for name in ("new", "kept", "image"))
    if isinstance(kept, str) and host.is_file(kept):
        return True
    return bool(record.get("hooks")) and isinstance(new, str) and isinstance(image, str) and not host.is_file(new) and host.is_file(image)


def waiting_image(record: Record) -> str:
    return (
        f"{record.get('image')} was replaced, but the boot loader's hooks have not run since, so what boots may be the image before; "
        f"run the module initramfs for kernel {record.get('release')}."
    )


def _journal_names(host: Host) -> tuple[str, ...]:
    try:
        return tuple(name for name in host.names(DIRECTORY) if name.endswith(".json"))
    except HostError:
        return ()
