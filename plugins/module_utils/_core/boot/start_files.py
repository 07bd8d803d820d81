# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a person writes to have something run when the host starts, whether or not anything runs them."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import Allowance, fitting
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import cron_skips_dots, is_executable

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

CRON, UNITS, RC_LOCAL, IMAGE_SCRIPTS = "/etc/cron.d", "/etc/systemd/system", "/etc/rc.local", "/etc/initramfs-tools/scripts"
HOOKS = "/etc/initramfs-tools/hooks"
MOST, LARGEST, LARGEST_TOGETHER = 500, 64 << 10, 1 << 20


@dataclasses.dataclass(frozen=True)
class StartFile:
    """A file, its text, and whether it may be run."""

    path: str
    text: str
    is_executable: bool

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class StartFiles:
    files: tuple[StartFile, ...] = ()
    cron_skips_dots: bool = False
    """Whether the host's cron leaves out files of /etc/cron.d with a dot in their names."""


NO_START_FILES = StartFiles()


def read(host: Host) -> StartFiles:
    """The administrator's files; of a folder no more than is usual."""
    allowance = Allowance(LARGEST_TOGETHER)
    paths = [path for path in _paths(host) if host.is_file(path) and host.link(path) is None]
    texts = [(path, text) for path, text in fitting(host, paths, LARGEST, allowance) if text]
    return StartFiles(tuple(StartFile(path, text, is_executable(host, path)) for path, text in texts), cron_skips_dots(host))


def _paths(host: Host) -> t.Iterator[str]:
    yield RC_LOCAL
    folders = (CRON, UNITS, HOOKS, *(f"{IMAGE_SCRIPTS}/{name}" for name in host.names(IMAGE_SCRIPTS)))
    for folder in folders:
        if host.is_dir(folder):
            yield from (f"{folder}/{name}" for name in sorted(host.names(folder))[:MOST])
