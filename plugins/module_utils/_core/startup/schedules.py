# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cron, anacron and at run when the host starts, and the scripts of sysvinit (crontab(5), anacrontab(5), at(1), init.d(7))."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.systemd_variables import OF_PAM, of_file

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

CRON_UNITS = (
    "cron.service",
    "crond.service",
    "cronie.service",
    "fcron.service",
    "vixie-cron.service",
    "bcron.service",
    "systemd-cron.service",
    "cron.target",
)
TABLES = ("/var/spool/cron/crontabs", "/var/spool/cron", "/var/spool/cron/tabs")
CRON_FOLDER = "/etc/cron.d"
SYSTEM_TABLES = ("/etc/crontab", CRON_FOLDER)
ANACRON = "/etc/anacrontab"
JOBS = ("/var/spool/cron/atjobs", "/var/spool/at")
RUN_LEVELS = tuple(
    f"/etc/{folder}" for folder in ("rcS.d", "rc2.d", "rc3.d", "rc4.d", "rc5.d", "rc.d/rc3.d", "rc.d/rc5.d", "rcB.d", "boot.d")
)
RC_LOCAL = (
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/boot.local",
    "/etc/rc.d/boot.local",
    "/etc/boot.d/boot.local",
    "/etc/init.d/after.local",
)
LARGEST = 256 << 10
DEBIAN_CRON, CRON_OPTIONS = "/var/lib/dpkg/info/cron.list", "/etc/default/cron"
_NAMED_FOR_CRON = re.compile(r"[A-Za-z0-9_-]+")
_LSB_NAMES = re.compile(r"^[ \t]*EXTRA_OPTS=[\"']?[^#\"'\n]*-\w*l", re.MULTILINE)
# Its hour is any.
_WITHIN_THE_HOUR = re.compile(r"\S+\s+(?:\*|\*/1|0-23)\s+\S+\s+\S+\s+\S+$")
_VARIABLE = re.compile(r"^\s*[A-Za-z_]\w*\s*=")


@dataclasses.dataclass(frozen=True)
class ScheduledJob:
    """A command and the file and line that it is from.  ``user`` is empty if it runs as root."""

    command: str
    source: str
    user: str = ""
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The variables that its table sets; a shell runs it, which can set others."""


def at_reboot(host: Host) -> t.Iterator[ScheduledJob]:
    """The lines of crontabs that run at the start of cron, `@reboot`, or within the hour after it; with a user in the system's tables."""
    skips_dots = cron_skips_dots(host)
    for folder in SYSTEM_TABLES:
        for path in _files(host, folder):
            if path.startswith(f"{CRON_FOLDER}/") and skips_dots and not is_named_for_cron(path):
                continue
            yield from _lines(host, path, with_user=True)
    for folder in TABLES:
        for path in _files(host, folder):
            user = path.rpartition("/")[2]
            for job in _lines(host, path, with_user=False):
                yield dataclasses.replace(job, user="" if user == "root" else user)


def cron_skips_dots(host: Host) -> bool:
    """Whether it is Debian's cron, which leaves out files of other names, as it does not without `-l` (cron(8)); cronie reads them."""
    return host.is_file(DEBIAN_CRON) and _LSB_NAMES.search(_text(host, CRON_OPTIONS)) is None


def is_named_for_cron(path: str) -> bool:
    return _NAMED_FOR_CRON.fullmatch(path.rpartition("/")[2]) is not None


def _lines(host: Host, path: str, with_user: bool) -> t.Iterator[ScheduledJob]:
    environment: dict[str, str] = {"HOME": "/root", **dict(of_file(host, OF_PAM))}
    for number, line in enumerate(_text(host, path).split("\n"), 1):
        if _VARIABLE.match(line):
            name, _equals, value = line.partition("=")
            environment[name.strip()] = value.strip().strip("\"'")
            continue
        if line.lstrip().startswith("#"):
            continue
        times = 1 if line.lstrip().startswith(("@", "%")) else 5
        fields = line.split(None, times + with_user)
        words = [" ".join(fields[:times]), *fields[times:]]
        if not (words[0] in ("@reboot", "%reboot", "@hourly", "%hourly") or _WITHIN_THE_HOUR.match(words[0])):
            continue
        user = words[1] if with_user and len(words) > 2 and words[1] != "root" else ""
        if len(words) > 1 + with_user:
            yield ScheduledJob(_with_input(words[-1]), f"{path}:{number}", user, dict(environment))


def _with_input(command: str) -> str:
    """A command with what stands behind the first `%`, which is its input, as a here-document (crontab(5))."""
    first, *lines = re.split(r"(?<!\\)%", command)
    text = "; ".join(lines).replace("\\%", "%")
    return f"{first.strip()} -c '{text}'" if lines and re.search(r"(?:^|/)(?:ba|da)?sh$", first.strip()) else first.replace("\\%", "%")


def of_anacron(host: Host) -> t.Iterator[ScheduledJob]:
    """anacron's jobs, which it runs soon after the start where their time has passed."""
    for number, line in enumerate(_text(host, ANACRON).split("\n"), 1):
        words = line.split(None, 3)
        if len(words) == 4 and not line.lstrip().startswith("#") and not _VARIABLE.match(line):
            yield ScheduledJob(words[3], f"{ANACRON}:{number}")


def of_at(host: Host) -> t.Iterator[ScheduledJob]:
    """Jobs of at whose time may have come."""
    for folder in JOBS:
        for path in _files(host, folder):
            if not path.rpartition("/")[2].startswith("."):
                yield ScheduledJob(_text(host, path), path)


def init_scripts(host: Host) -> t.Iterator[ScheduledJob]:
    """The scripts that links of run levels start."""
    for folder in RUN_LEVELS:
        for name in host.names(folder) if host.is_dir(folder) else ():
            path = f"{folder}/{name}"
            if name.startswith("S") and is_executable(host, path):
                yield ScheduledJob(f"{path} start", path)


def local_scripts(host: Host) -> t.Iterator[ScheduledJob]:
    """rc.local and its like, where they can be run."""
    seen: set[str] = set()
    for path in RC_LOCAL:
        if is_executable(host, path) and (host.link(path) or path) not in seen:
            seen.add(host.link(path) or path)
            yield ScheduledJob(path, path)


def is_executable(host: Host, path: str) -> bool:
    """Whether there is a file that somebody may run."""
    status = host.stat(path) if host.is_file(path) else None
    return status is not None and status.st_mode & 0o111 != 0


def _files(host: Host, place: str) -> t.Iterator[str]:
    if host.is_file(place):
        yield place
    elif host.is_dir(place):
        yield from (f"{place}/{name}" for name in host.names(place) if host.is_file(f"{place}/{name}"))


def _text(host: Host, path: str) -> str:
    content = host.head(path, LARGEST)
    return "" if content is None else content.decode("utf-8", "surrogateescape")
