# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that build modules or images and were not started by this run: a package's hook, another administrator, a run that was killed.

Two of them at once break each other: dkms(8) keeps one build directory for each package and kernel, and the generators of images write
to the same temporary and final names.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

BUILDERS: t.Final = frozenset(
    (
        *("booster", "dkms", "dracut", "kernel-install", "mkinitcpio", "mkinitrd", "mkinitramfs"),
        *("proxmox-boot-tool", "sdbootutil", "ukify", "update-initramfs"),
    )
)
_INTERPRETERS: t.Final = frozenset(("bash", "busybox", "dash", "ksh", "perl", "python", "python3", "sh", "zsh"))
_PROCESSES: t.Final = "/proc"
_LONGEST_COMMAND: t.Final = 1 << 16
_POLL: t.Final = 0.2


@contextlib.contextmanager
def locked_for_building(host: Host, timeout: float) -> t.Iterator[None]:
    """Hold the host's lock, and begin once nothing else builds modules or images.

    Raises HostError as `Host.lock()` does, and if something else still builds after ``timeout`` seconds.
    """
    with host.lock():
        _wait(host, timeout)
        yield


def _wait(host: Host, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while (found := next(others(host), None)) is not None:
        number, command = found
        if time.monotonic() > deadline:
            raise HostError(
                f"`{cut(command)}` (process {number}) builds modules or images on this host, and has not ended for {timeout:g} s.",
                "Wait until it has ended, or end it, and run this again.",
            )
        time.sleep(_POLL)


def others(host: Host) -> t.Iterator[tuple[int, str]]:
    """The process IDs and command lines of such programs on this host; not those in containers, nor those that this process runs in."""
    root = _root_of(host, "self")
    ours = frozenset(_ancestors(host))
    for name in host.names(_PROCESSES):
        if not name.isdigit() or int(name) in ours:
            continue
        words = (host.text_or_none(f"{_PROCESSES}/{name}/cmdline", _LONGEST_COMMAND) or "").split("\0")
        if program_of(words) in BUILDERS and _root_of(host, name) in (None, root):
            yield int(name), " ".join(word for word in words if word)


def program_of(words: t.Sequence[str]) -> str:
    """The name of the program, or of the script, that a command line runs."""
    name = os.path.basename(words[0]) if words else ""
    if name not in _INTERPRETERS:
        return name
    return next((os.path.basename(word) for word in words[1:] if word and not word.startswith("-")), name)


def _ancestors(host: Host) -> t.Iterator[int]:
    number = os.getpid()
    while number > 0:
        yield number
        status = host.text_or_none(f"{_PROCESSES}/{number}/status") or ""
        number = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")), 0)


def _root_of(host: Host, process: str) -> tuple[int, int] | None:
    """What a process has as its root directory; None if that is not shown, as for one that has just ended."""
    status = host.stat(f"{_PROCESSES}/{process}/root")
    return None if status is None else (status.st_dev, status.st_ino)
