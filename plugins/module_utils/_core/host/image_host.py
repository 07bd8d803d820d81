# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that is being baked: its files are below another root, and its own programs are run in it."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import PATH, as_given
from ansible_collections.vfio.variants.plugins.module_utils._core.host.durable import LARGE, scratch
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.image_mounts import mounted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.lock import LOCK_DIRECTORY, LOCK_TIMEOUT, locked

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import Completed, ModuleLike, Runner

NOT_RUN = (126, 127)
"""Exit codes of chroot(1) for a program that cannot be started: another architecture's, or none that is there."""
BOUND = 3
"""How many words `run_bounded()` puts in front."""


class ImageHost(Host):
    """A mounted image, or a tree that becomes one.  Nothing of the running kernel is the image's."""

    is_image = True

    def __init__(self, root: str, runner: Runner) -> None:
        super().__init__(root, InImage(root, runner))
        self._own_runner = runner
        if not self.is_dir("/etc") or not self.is_dir("/usr"):
            raise HostError(f"root: {cut(self.root)} is not the root of a system.", "Give the directory that the image is mounted on.")
        shown = next((path for path in ("/proc/self", "/sys/bus", "/run/udev/control") if self.exists(path)), None)
        if shown is not None:
            raise HostError(
                f"root: {self.root}{shown} is this machine's, and would be taken for the image's.",
                "Unmount what is there; what the image's programs need is mounted while they run.",
            )

    def argument(self, path: str) -> str:
        return path

    def read_sent(self, path: str) -> bytes:
        return Host().read_large(path)

    @contextlib.contextmanager
    def lock(self, timeout: float = LOCK_TIMEOUT) -> t.Iterator[None]:
        """This machine's, as the runs that could meet in the image are here."""
        with locked(LOCK_DIRECTORY, timeout):
            yield

    @contextlib.contextmanager
    def directory_for_commands(self) -> t.Iterator[str]:
        # An image of few files may have neither of the usual ones.
        folder = next((place for place in (LARGE, "/tmp") if self.is_dir(place)), "/")  # noqa: S108 - only mkdtemp() writes there
        with scratch(self.whole(folder)) as directory:
            yield directory[len(self.root) :]

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
        """As `Host.run()`, in the image; says what to run there where that is impossible."""
        if here:
            return super().run(argv, timeout, ok, stdin, env, largest_file, here)
        try:
            done = super().run(argv, timeout, ok, stdin, {"PATH": PATH, **(env or {})}, largest_file)
        except HostError as error:
            raise HostError(f"In {self.root}: {error.msg}", error.hint or _advice(argv), error.facts) from error
        if done.rc in NOT_RUN and done.stderr.startswith("chroot: "):
            raise HostError(f"In {self.root}: {done.stderr.strip().splitlines()[-1].rstrip('.')}.", _advice(argv))
        return done


def _advice(argv: t.Sequence[str]) -> str:
    return f"Run `{' '.join(argv)}` in the image's own system, such as a virtual machine that boots it, and then this task there."


class InImage:
    """A runner that starts programs below another root."""

    def __init__(self, root: str, runner: Runner) -> None:
        self._root = root
        self._runner = runner

    def __call__(
        self, args: list[str], *, data: bytes | None, binary_data: bool, environ_update: dict[str, str] | None
    ) -> tuple[int, str, str]:
        bounded = [*args[:BOUND], "chroot", self._root, *args[BOUND:]]
        with mounted(self._root):
            return self._runner(bounded, data=data, binary_data=binary_data, environ_update=environ_update)


def host_of(module: ModuleLike, root: str) -> Host:
    """The running host, or below another root than `/` the image there."""
    return Host.from_module(module) if root == "/" else ImageHost(root, as_given(module.run_command))
