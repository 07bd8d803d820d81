# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What files were before kernel arguments were added to them: by it they become what they were when the last one is taken away."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import made_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState, digest_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_transaction import read_state
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import UNREADABLE, Journal, remove_if_empty, texts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import SWEEP, recorded, unrecorded

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Record
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange

OPERATION = "kernel_cmdline"


@dataclasses.dataclass(frozen=True)
class CmdlineRecord:
    """``words`` were added.  ``files`` has the state of each file before that, and its digest afterwards.

    ``is_pending``: a run has not come to its end, so that the entries may not be as the settings say.
    """

    words: tuple[str, ...] = ()
    files: t.Mapping[str, tuple[FileState | None, str]] = dataclasses.field(default_factory=dict)
    folders: tuple[str, ...] = ()
    is_pending: bool = False
    iommu: tuple[str, ...] = ()
    """Those of the words that were added for the IOMMU."""
    asked: tuple[str, ...] = ()
    """The words of the run that has not come to its end."""
    touched: t.Mapping[str, FileState | None] = dataclasses.field(default_factory=dict)
    """Before that run, the state of files that its program may have changed in its own way."""
    sweep: tuple[str, ...] = ()
    """The folders in which that run has written files."""
    made: Record = dataclasses.field(default_factory=dict)
    """What boots once that run has come to its end, as `unfinished_arguments.recorded_boot()` makes it."""
    commands: tuple[tuple[str, ...], ...] = ()
    """By which that run has made them again."""

    @classmethod
    def read(cls, host: Host) -> CmdlineRecord:
        """Empty if there is none, or if it is not ours."""
        record = Journal(host, OPERATION).read() or {}
        if record.get(UNREADABLE):
            return cls()
        entries = record.get("files")
        files = {
            path: (unrecorded(entry.get("before")), str(entry.get("after")))
            for path, entry in (entries.items() if isinstance(entries, dict) else ())
            if isinstance(entry, dict)
        }
        touched, commands = record.get("touched"), record.get("commands")
        return cls(
            texts(record.get("words")),
            files,
            texts(record.get("folders")),
            record.get("pending") is True,
            texts(record.get("iommu")),
            texts(record.get("asked")),
            {path: unrecorded(state) for path, state in (touched.items() if isinstance(touched, dict) else ())},
            texts(record.get(SWEEP)),
            made if isinstance(made := record.get("made"), dict) else {},
            tuple(map(texts, commands if isinstance(commands, list) else ())),
        )

    def base(self, host: Host, change: ArgumentChange) -> dict[str, FileState | None]:
        """The former state of files that nobody has changed since; empty if an argument of ours stays."""
        if change.wanted or not all(map(change.means, self.words)):
            return {}
        return {path: before for path, (before, after) in self.files.items() if _digest(host, path) == after}

    def begin(
        self,
        host: Host,
        change: ArgumentChange,
        changes: t.Sequence[FileChange],
        touched: t.Mapping[str, FileState | None],
        folders: t.Sequence[str],
        for_iommu: bool = False,
        remake: tuple[Record, t.Sequence[tuple[str, ...]]] | None = None,
    ) -> None:
        """What is going to be done, on disk before it is; ``folders`` are those that will be made.

        ``remake`` is what boots then, and the commands that make the entries again from files of ours.
        """
        made, commands = remake or ({}, ())
        begun = dataclasses.replace(
            self,
            is_pending=True,
            asked=change.words,
            touched=touched,
            sweep=tuple(dict.fromkeys(posixpath.dirname(path) for path in (*(one.path for one in changes), *touched))),
            made=made,
            commands=tuple(commands),
            folders=tuple(dict.fromkeys((*self.folders, *folders))),
            iommu=self._of_iommu(change, for_iommu),
        )
        if change.wanted and not self.words:
            files = {one.path: (one.before, digest_of(one.after)) for one in changes}
            begun = dataclasses.replace(begun, words=change.words, files=files)
        begun.write(host)

    def finish(
        self,
        host: Host,
        change: ArgumentChange,
        before: t.Mapping[str, FileState | None],
        folders: t.Sequence[str],
        for_iommu: bool = False,
    ) -> None:
        """The change is made; ``before`` are the files that it may have touched."""
        words = tuple(dict.fromkeys((*self.words, *change.words))) if change.wanted else self._left(change, self.words)
        if not words:
            # While the record is there, the next run removes them.
            for folder in self.folders:
                remove_if_empty(host, folder)
            if made_folders.remember(host, [folder for folder in self.folders if host.is_dir(folder)]):
                Journal(host, OPERATION).close()
            return
        files = dict(self.files)
        for path, state in before.items():
            digest = _digest(host, path)
            if digest == digest_of(state):
                continue
            known = files.pop(path, None)
            if known is not None and digest_of(state) in (known[1], digest_of(known[0])):
                files[path] = (known[0], digest)
            elif known is None and (not self.words or self._is_begun_again(path)):
                files[path] = (state, digest)
        iommu = self._of_iommu(change, for_iommu) if change.wanted else self._left(change, self.iommu)
        CmdlineRecord(words, files, tuple(dict.fromkeys((*self.folders, *folders))), iommu=iommu).write(host)

    def _is_begun_again(self, path: str) -> bool:
        """Whether the run that has not come to its end was the first to add these words, and would have written the file."""
        return self.is_pending and path in self.touched and set(self.words) == set(self.asked)

    def _of_iommu(self, change: ArgumentChange, for_iommu: bool) -> tuple[str, ...]:
        added = (word for word in change.words if for_iommu and change.wanted and word not in self.words)
        return tuple(dict.fromkeys((*self.iommu, *added)))

    @staticmethod
    def _left(change: ArgumentChange, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(word for word in words if not change.means(word))

    def put_back(self, host: Host) -> None:
        """As if the change had not begun."""
        if self.words or self.is_pending:
            self.write(host)
        else:
            Journal(host, OPERATION).close()

    def write(self, host: Host) -> None:
        files = {path: {"before": recorded(before), "after": after} for path, (before, after) in self.files.items()}
        record = {
            "words": list(self.words),
            "files": files,
            "folders": list(self.folders),
            "pending": self.is_pending,
            "iommu": list(self.iommu),
            "asked": list(self.asked),
            SWEEP: list(self.sweep),
            "made": self.made,
            "commands": [list(command) for command in self.commands],
            "touched": {path: recorded(state) for path, state in self.touched.items()},
        }
        Journal(host, OPERATION).write(record)


def _digest(host: Host, path: str) -> str:
    return digest_of(read_state(host, path)) if host.link(path) is None else ""
