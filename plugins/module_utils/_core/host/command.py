# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the host, bounded in time and in the size of what they write."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import signal
import time
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import processes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, noticed, uninterrupted

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""For programs that call others by name, as DKMS does: a session without a login shell may lack the sbin folders."""
# GNU timeout's own exit codes: 124 after SIGTERM, 137 after SIGKILL
TIMED_OUT = (124, 137)
ANY_CODE = range(-signal.NSIG, 256)
"""Whatever a program ends with, a signal included, which is negative."""
# As Python and as a shell say that a signal ended it.
WROTE_TOO_MUCH = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)


class Completed(t.NamedTuple):
    """A finished command: exit code and decoded output."""

    rc: int
    stdout: str
    stderr: str


class Runner(t.Protocol):
    """Runs a command; `AnsibleModule.run_command` is one."""

    def __call__(
        self, args: list[str], *, data: bytes | None, binary_data: bool, environ_update: dict[str, str] | None
    ) -> tuple[int, str, str]: ...


def as_given(runner: t.Callable[..., tuple[int, str, str]]) -> Runner:
    """`AnsibleModule.run_command` as it is to be called: it would put values in the place of `$NAME` and `~` in every word."""
    return functools.partial(runner, expand_user_and_vars=False)


class ModuleLike(t.Protocol):
    """The part of `AnsibleModule` that a host needs."""

    @property
    def run_command(self) -> t.Callable[..., tuple[int, str, str]]: ...

    def set_default_selinux_context(self, path: str, changed: bool) -> bool: ...


def run_bounded(
    runner: Runner,
    argv: t.Sequence[str],
    timeout: float,
    ok: t.Container[int],
    stdin: bytes | None,
    env: dict[str, str] | None,
    largest_file: int | None,
) -> Completed:
    """See `Host.run()`."""
    bounded = ["timeout", "--kill-after=5", f"{timeout:g}", *argv]
    begun = time.monotonic()
    with _limited(largest_file), _ended_with_this_run(), noticed():
        rc, stdout, stderr = runner(bounded, data=stdin, binary_data=True, environ_update={"LC_ALL": "C", **(env or {})})
    if rc == -signal.SIGKILL and time.monotonic() - begun >= timeout:
        # timeout(1) sends the signal to its whole process group, and so to itself.
        rc = TIMED_OUT[1]
    if rc in TIMED_OUT and rc not in ok:
        raise HostError(f"`{' '.join(argv)}` did not end within {timeout:g} s.")
    if rc not in ok:
        last = (stderr or stdout).strip().splitlines()[-1:] or ["no output"]
        raise HostError(
            f"`{' '.join(argv)}` failed with exit code {rc}: {last[0].rstrip('.')}.", facts={"stdout": stdout, "stderr": stderr}
        )
    return Completed(rc, stdout, stderr)


@contextlib.contextmanager
def _ended_with_this_run() -> t.Iterator[None]:
    """A program that a signal finds running would go on by itself, and do again what is undone."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        with uninterrupted():
            started = _groups()
            processes.end(lambda: processes.having(processes.GROUP, started))
        raise


def _groups() -> set[int]:
    """Of the programs that were started here: timeout(1) leads a group of its own, in which are its program and what that starts.

    What writes an attribute that the kernel does not take has left this session, and cannot be ended.
    """
    found = {process: processes.stat_of(process) for process in processes.having(processes.PARENT, {os.getpid()})}
    own = str(os.getsid(0))
    return {
        process
        for process, fields in found.items()
        if fields and (fields[processes.GROUP], fields[processes.SESSION]) == (str(process), own)
    }


@contextlib.contextmanager
def _limited(largest_file: int | None) -> t.Iterator[None]:
    """Children that are started meanwhile cannot write a longer file; the lower limit is lifted afterwards, which needs no privilege."""
    if largest_file is None:
        yield
        return
    wanted = {resource.RLIMIT_FSIZE: largest_file, resource.RLIMIT_CORE: 0}
    before = {which: resource.getrlimit(which) for which in wanted}
    for which, (soft, hard) in before.items():
        allowed = [limit for limit in (wanted[which], soft, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(which, (min(allowed), hard))
    try:
        yield
    finally:
        for which, limits in before.items():
            resource.setrlimit(which, limits)
