# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a person writes to have something run when the host starts, whether or not anything runs them."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import Allowance, fitting
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import cron_skips_dots, is_executable

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

CRON, UNITS, RC_LOCAL, IMAGE_SCRIPTS = "/etc/cron.d", "/etc/systemd/system", "/etc/rc.local", "/etc/initramfs-tools/scripts"
HOOKS = "/etc/initramfs-tools/hooks"
BESIDE_UNITS, OF_RED_HAT, RC_MODULES = "/etc/systemd", "/etc/sysconfig/modules", "/etc/rc.modules"
"""Where a unit is not read, and where scripts are that only initscripts of Red Hat runs, by a unit of its own."""
_RUN_THERE = ("/usr/lib/systemd/system/rhel-loadmodules.service", "/usr/lib/systemd/system/loadmodules.service")
MOST, LARGEST, LARGEST_TOGETHER = 500, 64 << 10, 1 << 20
OF_SITE = ("/etc/", "/home/", "/opt/", "/root/", "/srv/", "/usr/local/")
"""Where administrators keep programs of their own."""
ASKED = re.compile(
    r"^(?:[ \t]*Exec(?:Start|StartPre|StartPost)[ \t]*=[ \t]*[-@:+!|]*|[^#\n]*?\b(?:RUN(?:\{program\})?[ \t]*[+:]?=|PROGRAM[ \t]*[=!+:]?="
    r"|IMPORT\{program\}[ \t]*[=!+:]?=)[ \t]*\")(?P<path>/[^\s\"'\\$%]+)(?=[\s\"]|$)",
    re.MULTILINE,
)
"""A program that a unit, or a rule of udev, has run."""


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
    programs: t.Mapping[str, StartFile | None] = dataclasses.field(default_factory=dict)
    """Scripts of the administrator's that these files and rules have run; None where there is no such file."""


NO_START_FILES = StartFiles()


def read(host: Host, rules: t.Iterable[str] = ()) -> StartFiles:
    """The administrator's files, of a folder no more than is usual; ``rules`` are the texts of rules of udev."""
    allowance = Allowance(LARGEST_TOGETHER)
    paths = [path for path in _paths(host) if host.is_file(path) and host.link(path) is None]
    texts = [(path, text) for path, text in fitting(host, paths, LARGEST, allowance) if text]
    asking = (*rules, *(text for path, text in texts if path.startswith(f"{UNITS}/")))
    asked = dict.fromkeys(found["path"] for text in asking for found in ASKED.finditer(text) if found["path"].startswith(OF_SITE))
    return StartFiles(
        tuple(StartFile(path, text, is_executable(host, path)) for path, text in texts),
        cron_skips_dots(host),
        dict(_programs(host, list(asked)[:MOST], allowance)),
    )


def _programs(host: Host, paths: t.Sequence[str], allowance: Allowance) -> t.Iterator[tuple[str, StartFile | None]]:
    yield from ((path, None) for path in paths if not host.exists(path))
    for path, text in fitting(host, [path for path in paths if host.is_file(path)], LARGEST, allowance):
        if text is not None:
            yield path, StartFile(path, text, is_executable(host, path))


def _paths(host: Host) -> t.Iterator[str]:
    yield RC_LOCAL
    if host.is_dir(BESIDE_UNITS):
        yield from (f"{BESIDE_UNITS}/{name}" for name in sorted(host.names(BESIDE_UNITS))[:MOST] if name.endswith((".service", ".timer")))
    if not any(map(host.exists, _RUN_THERE)):
        yield RC_MODULES
        yield from (f"{OF_RED_HAT}/{name}" for name in (sorted(host.names(OF_RED_HAT))[:MOST] if host.is_dir(OF_RED_HAT) else ()))
    folders = (CRON, UNITS, HOOKS, *(f"{IMAGE_SCRIPTS}/{name}" for name in host.names(IMAGE_SCRIPTS)))
    for folder in folders:
        if host.is_dir(folder):
            yield from (f"{folder}/{name}" for name in sorted(host.names(folder))[:MOST])
