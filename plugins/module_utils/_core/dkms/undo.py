# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that undo the change of a package, as they are written to the journal before the change, so that the next run can take them."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.paths import OPERATION, DkmsPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.stale_modules import module_files
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.tree import SECONDS, DkmsCommand, built_modules, run_depmod
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import UNREADABLE, Journal, remove_if_empty
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import is_same_file

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

UndoKind = t.Literal["move", "depmod", "install", "uninstall", "remove_tree", "remove", "remove_empty", "forget"]


@dataclasses.dataclass(frozen=True)
class UndoStep:
    """One step back.

    ``move``: from the place ``one`` to ``two``.  ``depmod``: for kernel ``one``.  ``install`` and ``uninstall``: version ``one`` for
    kernel ``two``.  ``remove_tree``, ``remove``: the path ``one``, ``remove_empty`` only if it is a folder that holds nothing.
    ``forget``: the version's folder ``one`` in DKMS's tree.
    """

    kind: UndoKind
    one: str
    two: str = ""


@dataclasses.dataclass(frozen=True)
class Undo:
    """What knows how to take the steps of a package."""

    host: Host
    paths: DkmsPaths
    name: str
    arch: str

    def take(self, step: UndoStep) -> None:
        """Take one step; one that was taken before, or that has nothing to undo, changes nothing.  Raises HostError."""
        actions: dict[UndoKind, t.Callable[[], None]] = {
            "move": lambda: self._move(step.one, step.two),
            "depmod": lambda: self._depmod(step.one),
            "install": lambda: self._install(step.one, step.two),
            "uninstall": lambda: self._uninstall(step.one, step.two),
            "remove_tree": lambda: self.host.remove_tree(step.one),
            "remove": lambda: self.host.remove(step.one),
            "remove_empty": lambda: remove_if_empty(self.host, step.one),
            "forget": lambda: forget(self.host, step.one),
        }
        actions[step.kind]()

    def take_all(self, steps: t.Sequence[UndoStep]) -> tuple[str, ...]:
        """Take all steps, the last one first, even if some fail; returns the errors of those."""
        with uninterrupted():
            outcomes = [self._outcome(step) for step in reversed(steps)]
        return tuple(outcome for outcome in outcomes if outcome is not None)

    def synchronize(self) -> None:
        """Have the disk store what DKMS, compilers and depmod have written.  Raises HostError.

        None of them synchronizes anything: without this a power failure soon afterwards leaves empty modules, which no journal names.
        """
        folders = dict.fromkeys((self.paths.tree, self.paths.source, self.paths.install))
        there = [self.host.argument(folder) for folder in folders if self.host.is_dir(folder)]
        if there:
            self.host.run(["sync", "--file-system", *there], SECONDS)

    def _outcome(self, step: UndoStep) -> str | None:
        try:
            self.take(step)
        except HostError as error:
            return error.msg
        return None

    def _move(self, source: str, target: str) -> None:
        if not self.host.exists(source) and self.host.link(source) is None:
            return  # it had not been moved yet
        self.host.make_directory(target.rsplit("/", 1)[0])
        if self.host.is_dir(target) and self.host.link(target) is None:
            # What a step that was killed has begun to put there.
            self.host.remove_tree(target)
        self.host.rename(source, target)

    def _depmod(self, release: str) -> None:
        if self.host.is_file(f"{self.paths.install}/{release}/modules.dep"):
            run_depmod(self.host, release)

    def _install(self, version: str, release: str) -> None:
        if self._active(release) == version and self._is_there(version, release):
            built = self._built(version, release)
            files = self._files(release, built)
            if all(self._is_one_of(module, files) for module in built.values()):
                return
            # DKMS was killed after it had removed a module, and before the record that says that it is installed.
            self._dkms(version).uninstall(release, self.arch)
        self._dkms(version).install(release, self.arch)

    def _uninstall(self, version: str, release: str) -> None:
        if self._is_there(version, release) and self.host.link(f"{self.paths.version(self.name, version)}/source") is not None:
            if not self._active(release):
                self._record(version, release)
            self._dkms(version).uninstall(release, self.arch)

    def _record(self, version: str, release: str) -> None:
        """Note that a version is installed, as DKMS does at the end: if it was killed before, it would leave its files where they are."""
        built = self._built(version, release)
        files = self._files(release, built)
        for path in files:
            if not self._is_one_of(path, built.values()):
                # It knows what it has copied as a whole.
                self.host.remove(path)
        if files or self.host.is_dir(f"{self.paths.tree}/{self.name}/original_module/{release}/{self.arch}"):
            link = self.host.argument(self._link(release))
            self.host.run(["ln", "-s", "--", f"{version}/{release}/{self.arch}", link], SECONDS)

    def _built(self, version: str, release: str) -> dict[str, str]:
        return built_modules(self.host, f"{self.paths.version(self.name, version)}/{release}/{self.arch}")

    def _files(self, release: str, modules: t.Iterable[str]) -> tuple[str, ...]:
        return module_files(self.host, self.paths, self.name, release, modules)

    def _is_one_of(self, path: str, others: t.Iterable[str]) -> bool:
        return any(is_same_file(self.host, path, other) for other in others)

    def _active(self, release: str) -> str:
        return (self.host.link(self._link(release)) or "").split("/")[0]

    def _link(self, release: str) -> str:
        return f"{self.paths.tree}/{self.name}/kernel-{release}-{self.arch}"

    def _is_there(self, version: str, release: str) -> bool:
        return self.host.is_dir(f"{self.paths.version(self.name, version)}/{release}/{self.arch}")

    def _dkms(self, version: str) -> DkmsCommand:
        return DkmsCommand(self.host, self.paths, self.name, version)


def forget(host: Host, version_folder: str) -> None:
    """Remove a version's folder from DKMS's tree, and the package's when that was the last one."""
    host.remove_tree(version_folder)
    package = version_folder.rsplit("/", 1)[0]
    if not host.names(package):
        host.remove_tree(package)


class Rollback:
    """Undoes the steps taken so far.  Each is in the journal before what it undoes is done."""

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._journal = Journal(undo.host, OPERATION)
        self._steps: list[UndoStep] = []

    def add(self, step: UndoStep) -> None:
        self._steps.append(step)
        self._write("undo", ())

    def undo(self) -> tuple[str, ...]:
        """Undo all steps, the last one first, even if some cannot be undone; returns the errors of those."""
        stuck = self._undo.take_all(self._steps)
        if self._steps and not stuck:
            stuck = self._synchronized()
        if self._steps and not stuck:
            self._journal.close()
        self._steps = []
        return stuck

    def _synchronized(self) -> tuple[str, ...]:
        try:
            self._undo.synchronize()
        except HostError as error:
            return (error.msg,)
        return ()

    def commit(self, removes: t.Sequence[str]) -> None:
        """What was done stays; these versions are going to be removed, and the next run finishes that."""
        self._steps = []
        self._write("finish", removes)

    def close(self) -> None:
        if self._journal.read() is not None:
            self._journal.close()

    def _write(self, phase: str, removes: t.Sequence[str]) -> None:
        steps = [dataclasses.asdict(step) for step in self._steps]
        package = {"name": self._undo.name, "arch": self._undo.arch, "paths": dataclasses.asdict(self._undo.paths)}
        self._journal.write({**package, "phase": phase, "steps": steps, "removes": list(removes)})


@dataclasses.dataclass(frozen=True)
class InterruptedChange:
    """A change of a package that a killed run has begun: it is undone, or once the new version is complete, finished."""

    undo: Undo
    steps: tuple[UndoStep, ...]
    removes: tuple[str, ...]
    finishes: bool

    @classmethod
    def read(cls, host: Host) -> InterruptedChange | None:
        record = Journal(host, OPERATION).read()
        if record is None or record.get(UNREADABLE):
            return None
        try:
            undo = Undo(host, DkmsPaths(**record["paths"]), record["name"], record["arch"])
            steps = tuple(UndoStep(**step) for step in record["steps"])
            return cls(undo, steps, tuple(map(str, record["removes"])), record["phase"] == "finish")
        except (KeyError, TypeError) as error:
            raise HostError(
                f"{Journal(host, OPERATION).path} is not as this collection has written it.", "Remove it, and see `dkms status`."
            ) from error

    @property
    def sentence(self) -> str:
        if self.finishes:
            return f"{self.undo.name}: {', '.join(self.removes) or 'no version'} is to be removed."
        return f"{self.undo.name}: {len(self.steps)} steps back to what was installed before."
