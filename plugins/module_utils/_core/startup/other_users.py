# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users whose own manager runs from boot on, and which of their commands get root's rights.

Without those a user can load no module and write to no attribute of a device: what a user's manager runs (podman, syncthing, pipewire)
is left alone unless it asks for them.
"""

from __future__ import annotations

import re
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import USERS
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Unit

LINGERS = "/var/lib/systemd/linger"
"""Has a file for each user whose manager logind starts at boot (loginctl(1), enable-linger)."""
ROOT = "root"
MOST_USERS = 64
LARGEST_SCRIPT = 64 << 10
_ASKS_FOR_ROOT = re.compile(r"(?<![\w.-])(?:sudo|doas|pkexec|run0)\s")
_ASKS_SYSTEMD = re.compile(r"(?<![\w.-])systemctl\s+(?!(?:-\S+\s+)*--user\b)")
# What lets others than root start units, by folders and suffixes (polkit(8), pklocalauthority(8)).
_POLICIES: t.Mapping[str, str] = {
    **dict.fromkeys(("/etc/polkit-1/rules.d", "/usr/local/share/polkit-1/rules.d"), ".rules"),
    "/etc/polkit-1/localauthority/50-local.d": ".pkla",
}
_LETS_USERS = re.compile(rb"org\.freedesktop\.systemd1\.manage-units")
# What gives others than root the right to write to attributes, by folders and suffixes; and what a command of theirs writes to then.
_HANDING: t.Mapping[str, str] = {
    **dict.fromkeys(("/etc/udev/rules.d", "/usr/local/lib/udev/rules.d"), ".rules"),
    **dict.fromkeys(("/etc/tmpfiles.d", "/usr/local/lib/tmpfiles.d"), ".conf"),
}
_HANDS_OUT = re.compile(rb"^(?:[^#\n]*\b(?:chmod|chgrp|chown|setfacl)\b[^\n]*(?:/sys|\$sys|%S)|[zZmaA]\S*[ \t]+/sys/)", re.MULTILINE)
_WRITES = re.compile(r"/sys/(?:bus/pci|devices)/")
_LOGS_IN = re.compile(r"\bagetty\b.*\s(?:-a\s*|--autologin[=\s]\s*)([a-z_][\w.-]*)")


class Manager(t.NamedTuple):
    """A user's own manager, and what has it run."""

    user: str
    home: str
    by: str


def managers(host: Host, started: t.Iterable[Unit]) -> tuple[Manager, ...]:
    """Those of users who linger, or whom a started unit logs in by itself."""
    lingering = {name: f"{LINGERS}/{name}" for name in (host.names(LINGERS)[:MOST_USERS] if host.is_dir(LINGERS) else ())}
    homes = _homes(host)
    return tuple(Manager(name, homes[name], by) for name, by in {**logged_in(started), **lingering}.items() if name in homes)


def logged_in(started: t.Iterable[Unit]) -> dict[str, str]:
    """The users whom one of these units logs in by itself, with the line."""
    settings = (setting for unit in started for setting in unit.all("Service", "ExecStart"))
    found = ((_LOGS_IN.search(setting.value), setting.source) for setting in settings)
    return {match[1]: source for match, source in found if match is not None}


def _homes(host: Host) -> dict[str, str]:
    """By user; root's is the same everywhere."""
    fields = (line.split(":") for line in (host.text_or_none(USERS) or "").splitlines())
    return {ROOT: "/root", **{one[0]: one[5].rstrip("/") for one in fields if len(one) > 6 and re.match(r"/\w", one[5]) and one[0] != ROOT}}


def gets_root(tree: FileTree, text: str) -> bool:
    """Whether a command of another user asks a program for root's rights, has them, or needs none for what it writes to."""
    program = text.split(maxsplit=1)[0].strip("\"'") if text.strip() else ""
    script = head_text(tree, program, LARGEST_SCRIPT) if program.startswith("/") else ""
    texts = (text, script if script.startswith("#!") else "")
    if any(_ASKS_FOR_ROOT.search(one) for one in texts) or _is_root_s(tree, program):
        return True
    if any(_ASKS_SYSTEMD.search(one) for one in texts) and _is_in_a_file(tree, _POLICIES, _LETS_USERS):
        return True
    return any(_WRITES.search(one) for one in texts) and _is_in_a_file(tree, _HANDING, _HANDS_OUT)


def _is_root_s(tree: FileTree, program: str) -> bool:
    """Whether whoever runs the program is root then, whose also the root folder is, and no package has brought it."""
    top, status = (tree.stat(path) for path in ("/", program)) if isinstance(tree, Host) and program.startswith("/") else (None, None)
    if status is None or top is None or status.st_uid != top.st_uid or not status.st_mode & stat_bits.S_ISUID:
        return False
    ownership = Ownership.of(tree)
    real = ownership.resolved(program)
    return not ownership.is_trusted(real)


def _is_in_a_file(tree: FileTree, suffixes: t.Mapping[str, str], wanted: re.Pattern[bytes]) -> bool:
    """Whether a file has it; ``suffixes`` are by folder those of the names that count."""
    paths = (
        f"{folder}/{name}"
        for folder, suffix in suffixes.items()
        for name in (tree.names(folder) if tree.is_dir(folder) else ())
        if name.endswith(suffix)
    )
    return any(wanted.search(tree.head(path, LARGEST_SCRIPT) or b"") for path in paths)
