# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are read for one purpose and have one limit together: each may be small, and all of them fill memory.

What is read for one kernel has a limit, and what is read for all kernels of a run, `of_one_run()`, has one that is little larger: a host
can have many kernels, each with an image whose files are as large as they may be.
"""

from __future__ import annotations

import contextlib
import contextvars
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

T = t.TypeVar("T")

LARGEST_LISTS = 64 << 10
"""Bytes of all files that name modules to load, or arguments: a line each, of which a hundred times as much is made."""
FOR_ALL: t.Final = 5, 4
"""How much more the files of all kernels may have than those of one; distributions have a hundredth for each."""


class Allowance:
    """What is left of a limit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._left = most

    def takes(self, size: int) -> bool:
        """Whether so many bytes are left; they are taken."""
        if size > self._left:
            return False
        self._left -= size
        return True


class _RunContents:
    """What all kernels of a run have read of each kind.  A file that several kernels read counts once, and is parsed once."""

    def __init__(self) -> None:
        self._by_kind: dict[str, Allowance] = {}
        self._counted: set[tuple[str, str, int]] = set()
        self.made: dict[t.Hashable, t.Any] = {}

    def takes(self, kind: str, shown: str, size: int, most: int) -> bool:
        if (kind, shown, size) in self._counted:
            return True
        times, parts = FOR_ALL
        taken = self._by_kind.setdefault(kind, Allowance(most * times // parts)).takes(size)
        if taken:
            self._counted.add((kind, shown, size))
        return taken


_RUN: contextvars.ContextVar[_RunContents | None] = contextvars.ContextVar("_RUN", default=None)


@contextlib.contextmanager
def of_one_run() -> t.Iterator[None]:
    """What is read meanwhile, for however many kernels, has the limits of one run."""
    token = _RUN.set(_RUN.get() or _RunContents())
    try:
        yield
    finally:
        _RUN.reset(token)


def made_once(key: t.Hashable, make: t.Callable[[], T]) -> T:
    """What ``make`` returns; in one run the same for the same key."""
    run = _RUN.get()
    if run is None:
        return make()
    if key not in run.made:
        run.made[key] = make()
    made: T = run.made[key]
    return made


def takes(tree: FileTree, path: str, size: int, allowance: Allowance, kind: str, is_kept: bool = True) -> bool:
    """Whether a file of this size fits in what its purpose, and what its kind of all kernels, has left; raises as `contents()` if not."""
    run = _RUN.get() if is_kept else None
    if not allowance.takes(size):
        tree.leave_out(path, f"the {kind} have more than {allowance.most >> 10} KiB with it")
        return False
    if run is not None and not run.takes(kind, tree.shown(path), size, allowance.most):
        most = allowance.most * FOR_ALL[0] // FOR_ALL[1]
        tree.leave_out(path, f"the {kind} of all kernels have more than {most >> 10} KiB with it")
        return False
    return True


def contents(tree: FileTree, paths: t.Iterable[str], most: int, kind: str, is_kept: bool = True) -> t.Iterator[tuple[str, bytes]]:
    """Each file and its content, in the order of ``paths``, without those with which all of the kind have more than ``most`` bytes.

    Of files of which nothing ``is_kept`` once they are read, those of other kernels do not count.
    Raises HostError, naming the first of these, except in a tree that only notes what was not read.
    """
    allowance = Allowance(most)
    for path in paths:
        content = tree.read_bytes(path)
        if takes(tree, path, len(content), allowance, kind, is_kept):
            yield path, content


def lines_of_lists(tree: FileTree, paths: t.Iterable[str]) -> t.Iterator[tuple[str, int, str]]:
    """Path, number and text of each line of the files among ``paths`` that have `LARGEST_LISTS` together.  Raises as `contents()` does."""
    for path, content in contents(tree, (path for path in paths if tree.is_file(path)), LARGEST_LISTS, "lists of modules and arguments"):
        for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
            yield path, number, line


def fitting(host: Host, paths: t.Iterable[str], largest: int, allowance: Allowance) -> t.Iterator[tuple[str, str]]:
    """The texts of the regular files of at most ``largest`` bytes that fit, without a word about the others."""
    for path in paths:
        status = host.stat(path) if host.is_file(path) else None
        if status is not None and status.st_size <= largest and allowance.takes(status.st_size):
            yield path, host.read_text(path)
