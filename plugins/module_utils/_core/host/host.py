# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only access to the managed host: every file, command and write of the core goes through a `Host`."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat as stat_bits
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.attribute_writer import AttributeWriter, write_all
from ansible_collections.vfio.variants.plugins.module_utils._core.host.block_device import exclusively_open
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache_dir import CacheDirectory, opened_private
from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import Completed, ModuleLike, Runner, as_given, run_bounded
from ansible_collections.vfio.variants.plugins.module_utils._core.host.durable import (
    is_leftover,
    move,
    remove_file,
    remove_scratch,
    replace_file,
    scratch,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.lock import LOCK_DIRECTORY, LOCK_TIMEOUT, locked
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import (
    ATTRIBUTE,
    CONTENT,
    LINK,
    NAMES,
    SLOW_ATTRIBUTE,
    STATUS,
    TYPE,
    LoggedReads,
    ReadLog,
    file_version,
    paused,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recorded_directory import opened
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import (
    LARGEST_FILE,
    LARGEST_TEXT,
    open_regular,
    read_regular,
    refuse_impossible,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import Root
from ansible_collections.vfio.variants.plugins.module_utils._core.host.sysfs import (
    DirectoryHandle,
    read_attributes,
    start_time,
)

T = t.TypeVar("T")
MISSING = (errno.ENOENT, errno.ENOTDIR)
# Seconds: between two polls of what the kernel or another process does, and until an attribute is shown.
POLL, ATTRIBUTE_TIMEOUT = 0.05, 5.0


class Host(Root):
    """A machine whose files are below ``root``: ``/``, a mounted image, or a test tree.

    Paths are those of that machine (``/etc/modprobe.d``).  Below another root, absolute symbolic links are resolved
    relative to the root, so an image's links never lead to this machine.  Commands always run on this machine.
    """

    def __init__(self, root: str = "/", runner: Runner | None = None, relabel: t.Callable[[str], object] | None = None) -> None:
        super().__init__(root)
        self._runner = self._own_runner = runner
        self._relabel = relabel
        self._read_log: ReadLog | None = None
        self._read_once: dict[tuple[str, ...], tuple[object, t.Any]] = {}
        self._writer: AttributeWriter | None = None

    @classmethod
    def from_module(cls, module: ModuleLike, root: str = "/") -> Host:
        """The host that an Ansible module runs on."""
        return cls(root, as_given(module.run_command), lambda path: module.set_default_selinux_context(path, False))

    @contextlib.contextmanager
    def recorded(self) -> t.Iterator[ReadLog]:
        """Records every read inside the `with` statement, except those of `cache_directory()`; a log that was open gets them, too."""
        before, self._read_log = self._read_log, ReadLog(self._read_log)
        try:
            yield self._read_log
        finally:
            self._read_log = before

    @property
    def read_log(self) -> ReadLog | None:
        return self._read_log

    def still_answers(self, seen: LoggedReads) -> bool:
        """Whether every recorded read still gives the same answer; stops at the first that does not."""
        ask: t.Mapping[str, t.Callable[[str], object]] = {
            CONTENT: self.text_or_none,
            LINK: self.link,
            NAMES: self.names,
            STATUS: self.stat,
            TYPE: self.exists,
            ATTRIBUTE: self.attribute,
            SLOW_ATTRIBUTE: lambda path: self.attributes([path], ATTRIBUTE_TIMEOUT),
        }
        with self.recorded() as log:
            for question, path, answer in seen:
                with contextlib.suppress(HostError):
                    ask[question](path)
                if not log.agrees(question, path, answer):
                    return False
        return True

    def once(self, what: str, paths: t.Sequence[str], make: t.Callable[[], T]) -> T:
        """The result of ``make``, which reads ``paths``; called again only if one of them has changed.  Only their status is recorded.

        ``what`` distinguishes results that are read from the same files.
        """
        found = (self.stat(path) for path in paths)
        version = tuple(status and file_version(status) for status in found)
        key = (what, *paths)
        known = self._read_once.get(key)
        if known is None or known[0] != version:
            with paused(self._read_log):
                known = self._read_once[key] = (version, make())
        value: T = known[1]
        return value

    def shown(self, path: str) -> str:
        """How messages name a file: by its path on that machine."""
        return path

    def leave_out(self, path: str, why: str) -> None:
        """Raises HostError: the file exists and is not read."""
        raise HostError(f"{path} cannot be read: {why}.")

    # -- reading

    def read_bytes(self, path: str, most: int = LARGEST_TEXT) -> bytes:
        """The content of a regular file of at most ``most`` bytes.  Raises HostError if it cannot be read, or is none."""
        try:
            return self._content(path, most)
        except OSError as error:
            raise HostError(f"{path} cannot be read: {error.strerror}.") from error

    def _content(self, path: str, most: int) -> bytes:
        content: bytes | None = None
        try:
            content = read_regular(self.whole(path), path, most)
            return content
        finally:
            if self._read_log is not None:
                self._read_log.record_content(path, content)

    def read_large(self, path: str) -> bytes:
        """As `read_bytes()`, of a file that may be as large as a kernel module."""
        return self.read_bytes(path, LARGEST_FILE)

    def read_text(self, path: str) -> str:
        """The content of a text file; bytes that are not UTF-8 become surrogates.  Raises HostError if it cannot be read."""
        return self.read_bytes(path).decode("utf-8", "surrogateescape")

    def text_or_none(self, path: str, most: int = LARGEST_TEXT) -> str | None:
        """The stripped content of a file or attribute of at most ``most`` bytes; None if it does not exist or cannot be read.

        Raises UnfitFileError where something else is in the file's place: to take it for missing would be to guess.
        """
        try:
            return self._content(path, most).decode("utf-8", "surrogateescape").strip()
        except OSError:
            return None

    def head(self, path: str, most: int) -> bytes | None:
        """At most the first ``most`` bytes of a regular file; None if it is not one, or cannot be read.  Only its status is recorded."""
        if not self.is_file(path):
            return None
        try:
            with self.open(path) as file:
                content = file.read(most)
        except (HostError, OSError):
            return None
        if self._read_log is not None and path.startswith(("/proc/", "/sys/")):
            # Made by the kernel as it is read, so that its status says nothing.
            self._read_log.record_content(path, content)
        return content

    @contextlib.contextmanager
    def open(self, path: str, most: int | None = None) -> t.Iterator[t.BinaryIO]:
        """Open a regular file, of at most ``most`` bytes, to read it in pieces.  Raises HostError if it cannot be opened."""
        if self._read_log is not None:
            self.stat(path)
        try:
            handle = open_regular(self.whole(path), path, most)
        except OSError as error:
            raise HostError(f"{path} cannot be read: {error.strerror}.") from error
        with os.fdopen(handle, "rb") as file:
            yield file

    def open_directory(self, path: str) -> DirectoryHandle:
        """Open a directory to read many small files in it, in a `with` statement.  Raises HostError if it cannot be opened."""
        try:
            handle = self._open_directory(path)
        except OSError as error:
            if self._read_log is not None:
                self._read_log.record(NAMES, path, [] if error.errno in MISSING else None)
            raise HostError(f"{path} cannot be listed: {error.strerror}.") from error
        return opened(handle, path, self._read_log, is_trusted=self.root == "/")

    def attribute(self, path: str) -> str | None:
        """The stripped content of an attribute of sysfs that the kernel shows at once; None if there is none.  A link is not followed."""
        folder, _slash, name = path.rpartition("/")
        try:
            with self.open_directory(folder) as directory:
                return directory.attribute(name)
        except (HostError, FileNotFoundError):
            return None

    def attributes(self, paths: t.Sequence[str], timeout: float) -> dict[str, str]:
        """The stripped contents of sysfs attributes, by path; one that the kernel does not show within ``timeout`` seconds is missing."""
        # In a child process, whose records would be lost.
        with paused(log := self._read_log):
            found = read_attributes(paths, timeout, self.attribute, self.path) if paths else {}
        if log is not None:
            log.record_all(SLOW_ATTRIBUTE, {path: found.get(path) for path in paths})
        return found

    def cache_directory(self, path: str, create: bool = False) -> contextlib.AbstractContextManager[CacheDirectory | None]:
        """A directory that only this process's user can write to; None if there is none, or if others could have written to it.

        Raises OSError if it cannot be created.
        """
        return opened_private(self.path(path), create)

    def _open_directory(self, path: str) -> int:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
        refuse_impossible(path)
        if self.root != "/":
            # The kernel resolves links much faster than _follow() does; the result counts only if it is inside the root.
            with contextlib.suppress(OSError):
                handle = os.open(self.root + path, flags)
                try:
                    inside = os.readlink(f"/proc/self/fd/{handle}").startswith(f"{self.root}/")
                except OSError:
                    inside = False
                if inside:
                    return handle
                os.close(handle)
        return os.open(self.whole(path), flags)

    def names(self, path: str) -> tuple[str, ...]:
        """The sorted names in a directory; empty if it does not exist.  Raises HostError if it cannot be listed."""
        try:
            found = tuple(sorted(os.listdir(self.whole(path))))
        except OSError as error:
            if error.errno not in MISSING:
                if self._read_log is not None:
                    self._read_log.record(NAMES, path, None)
                raise HostError(f"{path} cannot be listed: {error.strerror}.") from error
            found = ()
        if self._read_log is not None:
            self._read_log.record(NAMES, path, list(found))
        return found

    def files_below(self, path: str) -> t.Iterator[str]:
        """The path of each file below a directory, sorted; links to directories are not followed."""
        for name in self.names(path):
            below = f"{path.rstrip('/')}/{name}"
            if self.is_dir(below) and self.link(below) is None:
                yield from self.files_below(below)
            else:
                yield below

    def stat(self, path: str) -> os.stat_result | None:
        """The status of the file that ``path`` resolves to; None if there is none."""
        status = self._status(path)
        if self._read_log is not None:
            self._read_log.record_status(path, status)
        return status

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(self.whole(path))
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        return self._type(path) != 0

    def is_file(self, path: str) -> bool:
        return stat_bits.S_ISREG(self._type(path))

    def is_dir(self, path: str) -> bool:
        return stat_bits.S_ISDIR(self._type(path))

    def _type(self, path: str) -> int:
        """The type (S_IFMT) of the file that ``path`` resolves to; 0 if there is none."""
        status = self._status(path)
        kind = 0 if status is None else stat_bits.S_IFMT(status.st_mode)
        if self._read_log is not None:
            self._read_log.record(TYPE, path, kind)
        return kind

    def link(self, path: str) -> str | None:
        """The target of a symbolic link; None if ``path`` is not one."""
        try:
            target: str | None = os.readlink(self.path(path))
        except OSError:
            target = None
        if self._read_log is not None:
            self._read_log.record(LINK, path, target)
        return target

    def link_name(self, path: str) -> str | None:
        """The base name of a symbolic link's target: how sysfs names a driver, a group, a module.  None if it is not a link."""
        target = self.link(path)
        return None if target is None else os.path.basename(target)

    def device_number(self, path: str) -> str | None:
        """The `major:minor` of the device node that ``path`` resolves to; None if it is not one."""
        status = self.stat(path)
        if status is None or not (stat_bits.S_ISCHR(status.st_mode) or stat_bits.S_ISBLK(status.st_mode)):
            return None
        return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"

    def is_held(self, node: str, number: str | None, timeout: float) -> bool:
        """Whether the kernel has a disk open exclusively, as for a mounted file system, or that cannot be determined in time.

        Below another root than `/` a node is not one of the running kernel's, and nothing has it open.
        """
        if self.root != "/" or number is None or self.device_number(node) != number:
            return False
        if self._read_log is not None:
            # As with a command: only another attempt to open it would show whether it still is.
            self._read_log.record_command()
        return exclusively_open(node, timeout) is not False

    @property
    def is_root(self) -> bool:
        return os.geteuid() == 0

    def which(self, command: str) -> str | None:
        """The path of a command; None if this host does not have it."""
        for folder in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
            status = self.stat(f"{folder}/{command}")
            if status is not None and stat_bits.S_ISREG(status.st_mode) and status.st_mode & 0o111:
                return f"{folder}/{command}"
        return None

    @property
    def machine(self) -> str:
        """The kernel's name of this machine's architecture, as `uname -m` says it."""
        return os.uname().machine

    # -- for a host that keeps what is read

    def note_image(self, path: str, modules: t.Collection[str] = ()) -> None:
        """That a file is read as an initramfs, of which the contents of these modules are compared."""

    def note_whole(self, path: str) -> None:
        """That a file is read by others than this class."""

    # -- commands

    def directory_for_commands(self) -> contextlib.AbstractContextManager[str]:
        """A `scratch_directory()` that the host's commands can reach by that path."""
        return self.scratch_directory()

    def read_sent(self, path: str) -> bytes:
        """A file that the controller has sent for this run."""
        return self.read_large(path)

    def run(
        self,
        argv: t.Sequence[str],
        timeout: float,
        ok: t.Container[int] = (0,),
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        largest_file: int | None = None,
        here: bool = False,
    ) -> Completed:
        """Run a command for ``timeout`` seconds at most; it cannot write a file of more than ``largest_file`` bytes.

        ``here`` is on this machine also where the host is an image, whose programs are run in it.  Raises HostError if it cannot
        start, does not end in time, or ends with a code that is not in ``ok``.
        """
        runner = self._own_runner if here else self._runner
        if runner is None:
            raise HostError(f"{argv[0]} cannot be run: this host is read-only.")
        if self._read_log is not None:
            self._read_log.record_command()
        return run_bounded(runner, argv, timeout, ok, stdin, env, largest_file)

    # -- writing

    def write_atomic(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Replace a file atomically: after a crash it has the old content or the new.  Raises HostError."""
        place = self.whole(path)
        replace_file(place, path, data, mode)
        if self._relabel is not None:
            self._relabel(place)

    @property
    def process_id(self) -> int:
        """This process's ID, as in /proc."""
        return os.getpid()

    @staticmethod
    def start_time(process: int) -> str:
        """When a process of this machine started, in clock ticks since boot; empty if it has ended."""
        return start_time(process)

    @staticmethod
    def wait_until(holds: t.Callable[[], bool], seconds: float) -> bool:
        """Poll until ``holds()`` is true, for ``seconds`` at most; returns whether it became true."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL)
        return True

    def make_directory(self, path: str, mode: int = 0o755) -> None:
        """Create a directory and its missing parents.  Raises HostError."""
        try:
            os.makedirs(self.whole(path), mode=mode, exist_ok=True)
        except OSError as error:
            raise HostError(f"{path} cannot be created: {error.strerror}.") from error

    def remove(self, path: str) -> None:
        """Remove a file or link if it exists.  Raises HostError."""
        remove_file(self.path(path), path)

    def remove_tree(self, path: str) -> None:
        """Remove a directory and its contents if it exists.  Raises HostError."""
        try:
            shutil.rmtree(self.path(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise HostError(f"{path} cannot be removed: {error.strerror}.") from error

    def rename(self, source: str, target: str) -> None:
        """Move a file or directory within one file system, replacing a file of that name.  Raises HostError."""
        move(self.path(source), self.path(target), (source, target))

    def write_attribute(self, path: str, value: str, timeout: float) -> None:
        """Write a sysfs attribute, for ``timeout`` seconds at most.

        A driver's remove() can wait forever for a user of the device, and a process in uninterruptible sleep cannot be
        killed.  So a child process does the write, and this one goes on without it.  Raises HostError, with ``facts["errno"]``.
        """
        self.write_attributes([(path, value)], timeout)

    def write_attributes(self, writes: t.Sequence[tuple[str, str]], timeout: float) -> None:
        """Write several in this order, as `write_attribute()` does each.  Raises WriteError for the first that fails."""
        write_all(self._writer, [(self.whole(path), path, value) for path, value in writes], timeout)

    @contextlib.contextmanager
    def lock(self, timeout: float = LOCK_TIMEOUT) -> t.Iterator[int | None]:
        """Lock this host against other runs of the collection; one child process writes all attributes meanwhile.

        Yields the turn's number (see `locked()`), within itself None: it is held already.  Raises HostError without root, and if another
        run holds it for more than ``timeout`` seconds.
        """
        if self._writer is not None:
            yield None
            return
        with locked(self.path(LOCK_DIRECTORY), timeout) as turn, contextlib.closing(AttributeWriter()) as writer:
            self._writer = writer
            try:
                yield turn
            finally:
                self._writer = None

    def scratch_directory(self) -> contextlib.AbstractContextManager[str]:
        """A temporary directory on this machine's disk for what a command unpacks; removed afterwards.

        Only this process's user can enter it.  Check mode may use it: it is not part of the host's state.
        """
        return scratch()

    def sweep(self, folders: t.Iterable[str]) -> tuple[str, ...]:
        """Remove the temporary files in these folders that runs which were killed have left, and their scratch directories.

        Returns the files' paths.  Only while the lock is held, since nothing else distinguishes them from those of another run.
        """
        found = tuple(path for folder in dict.fromkeys(folders) for path in self.leftovers(folder))
        for path in found:
            self.remove(path)
        remove_scratch()
        return found

    def leftovers(self, folder: str) -> tuple[str, ...]:
        """The temporary files in a folder that a run which was killed has left, if no other run is writing there now."""
        with contextlib.suppress(HostError, OSError):
            return tuple(f"{folder}/{name}" for name in self.names(folder) if is_leftover(self.path(f"{folder}/{name}")))
        return ()
