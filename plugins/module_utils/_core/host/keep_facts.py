# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `KeptFacts` of what was read from a host, and refuses what could not be noticed if it changed."""

from __future__ import annotations

import os
import stat as stat_bits
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import mounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.kept_facts import (
    KeptFacts,
    content_digest,
    digest_of_names,
    identity_of,
    names_digest,
    status_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import (
    ATTRIBUTE,
    CONTENT,
    LINK,
    NAMES,
    SLOW_ATTRIBUTE,
    STATUS,
    TYPE,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.regular_file import LARGEST_FILE, access, identity

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import ReadLog

SETTLED = 2.0
"""Seconds.  With timestamps of one second, as some file systems have, a second change within them would go unnoticed."""
MOST_FACTS = 400_000
MOST_BYTES = 1 << 30
"""Of files that have to be read, because their status says too little."""
HONEST = frozenset("bcachefs btrfs erofs ext2 ext3 ext4 f2fs overlay ramfs squashfs tmpfs xfs zfs".split())
"""File systems on which every change of a file changes its ctime, which nobody can set.  On FAT it is the mtime, which everybody can."""
OF_THE_KERNEL = frozenset(
    "binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl mqueue proc pstore securityfs selinuxfs sysfs "
    "tracefs".split()
)
"""File systems whose files are made as they are read, so that their status says nothing about their content."""
FIXED = frozenset(("/proc/cpuinfo", "/proc/kallsyms"))
"""What is read of them, the processor's maker and flags and the functions that are built in, stays the same until the next boot.  The
processors' frequencies, which are beside those, change at any time; reading the functions takes a tenth of a second."""


class UnsettledError(Exception):
    """Something was changed just now; after ``seconds`` it can be read again, and its times relied on."""

    def __init__(self, seconds: float) -> None:
        super().__init__("Something was changed a moment ago.")
        self.seconds = seconds


class UnfitError(Exception):
    """What was read cannot be asked again; says why."""


def keep(host: Host, log: ReadLog, settled: float = SETTLED) -> KeptFacts:
    """The facts of ``log``.  Raises UnsettledError or UnfitError."""
    if not log.is_complete:
        raise UnfitError("Something changed while it was read, or a command was run.")
    if len(log.seen) > MOST_FACTS:
        raise UnfitError(f"More than {MOST_FACTS} facts were read.")
    keeper = _Keeper(host, settled)
    for question, path, answer in log.seen:
        keeper.add(question, path, answer)
    return keeper.facts


class _Keeper:
    def __init__(self, host: Host, settled: float) -> None:
        self._host = host
        self._settled = settled
        self._now = time.time()
        self._mounts = mounts.types()
        self._kinds: dict[str, str] = {}
        self._bytes = 0
        self.facts = KeptFacts()

    def add(self, question: str, path: str, answer: t.Any) -> None:
        facts = self.facts
        if question == LINK:
            facts.links[path] = answer
        elif question == TYPE:
            facts.types[path] = answer
        elif question == ATTRIBUTE:
            facts.attributes[path] = answer
        elif question == SLOW_ATTRIBUTE:
            facts.slow_attributes[path] = answer
        elif question == CONTENT:
            self._content(path, answer)
        elif question == NAMES:
            self._names(path, None if answer is None else digest_of_names(answer))
        elif question == STATUS:
            self._status(path, answer)
        else:
            raise UnfitError(f"{question} of {path} cannot be asked again.")

    def _content(self, path: str, digest: str | None) -> None:
        if path in FIXED:
            return
        self._keep_known(path, lambda: content_digest(self._host, path) == digest)
        self.facts.contents[path] = digest

    def _names(self, path: str, digest: str | None) -> None:
        self._keep_known(path, lambda: names_digest(self._host, path) == digest)
        self.facts.names[path] = digest

    def _keep_known(self, path: str, still_holds: t.Callable[[], bool]) -> None:
        """Note the identity that stands for what was read, if there is one; it is taken before and after reading again."""
        before = status_of(self._host, path)
        if not still_holds():
            raise UnfitError(f"{path} changed while it was read.")
        if before is None or path in self.facts.known_as:
            return
        if self._kind(path) in HONEST and self._age(before) >= self._settled and identity_of(self._host, path) == identity(before):
            self.facts.known_as[path] = identity(before)

    def _status(self, path: str, answer: t.Any) -> None:
        status = status_of(self._host, path)
        if (None if status is None else identity(status)) != answer and self._kind(path) not in OF_THE_KERNEL:
            raise UnfitError(f"{path} changed while it was read.")
        if status is None:
            self.facts.types[path] = 0
            return
        kind = self._kind(path)
        if kind not in HONEST:
            self._by_content(path, status)
        if kind in OF_THE_KERNEL:
            known = access(status)
            if answer is None or known != answer[: len(known)]:
                raise UnfitError(f"{path} changed while it was read.")
            self.facts.access[path] = known
            return
        self._refuse_unsettled(path, status)
        self.facts.identities[path] = identity(status)

    def _refuse_unsettled(self, path: str, status: os.stat_result) -> None:
        age = self._age(status)
        if age < 0:
            raise UnfitError(f"{path} was changed in the future.")
        if age < self._settled:
            raise UnsettledError(self._settled - age)

    def _by_content(self, path: str, status: os.stat_result) -> None:
        if stat_bits.S_ISDIR(status.st_mode):
            self.facts.names[path] = names_digest(self._host, path)
        elif stat_bits.S_ISREG(status.st_mode) and path not in FIXED:
            self._bytes += status.st_size
            if status.st_size > LARGEST_FILE or self._bytes > MOST_BYTES:
                raise UnfitError(f"{path} is too large to be read each time.")
            self.facts.contents[path] = content_digest(self._host, path)

    def _age(self, status: os.stat_result) -> float:
        return self._now - status.st_ctime_ns / 1e9

    def _kind(self, path: str) -> str:
        """The type of the file system that a path leads to."""
        try:
            place = os.path.realpath(self._host.whole(path))
        except (HostError, OSError):
            return ""
        found = self._kinds.get(os.path.dirname(place))
        # What lies in a directory may be a mount point itself.
        return self._mounts[place] if place in self._mounts else found if found is not None else self._kind_below(place)

    def _kind_below(self, place: str) -> str:
        above = folder = os.path.dirname(place)
        while above not in self._mounts and above != "/":
            above = os.path.dirname(above)
        return self._kinds.setdefault(folder, self._mounts.get(above, ""))
