# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH connection that this process has been started through: by its parents, or by the login session that it is in."""

from __future__ import annotations

import ipaddress
import re
import sys
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

ConnectionEnds = tuple[str, str]
"""The client's and this host's address."""
MOST_PARENTS = 64
SSH = re.compile(r"(?:\A|\0)SSH_CONNECTION=([^\0]*)")
NO_SESSION = str(0xFFFFFFFF)
"""What /proc/N/sessionid has for processes that nobody has logged in for."""
SOCKET = re.compile(r"socket:\[(\d+)\]")
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def ssh_connection(host: Host) -> ConnectionEnds | None:
    """Parents are searched because sudo drops the variable, the session because a task in the background has lost its parents."""
    process = "self"
    for _step in range(MOST_PARENTS):
        found = _of_environment(host, process)
        if found is not None:
            fields = found.split()
            return (fields[0], fields[2]) if len(fields) == 4 else None
        fields = (host.text_or_none(f"/proc/{process}/stat") or "").rpartition(")")[2].split()
        if len(fields) < 2 or fields[1] in ("0", "1"):
            return _of_session(host)
        process = fields[1]
    return None


def _of_environment(host: Host, process: str) -> str | None:
    found = SSH.search(host.text_or_none(f"/proc/{process}/environ") or "")
    return None if found is None else found[1]


def _of_session(host: Host) -> ConnectionEnds | None:
    """By the audit session, which the kernel hands down to all descendants of a login, also to those that have left it."""
    session = host.text_or_none("/proc/self/sessionid")
    if session in (None, "", NO_SESSION):
        return None
    # The first of sshd's has nothing but the connection itself; what is forwarded belongs to its child.
    processes = sorted((name for name in host.names("/proc") if name.isdecimal()), key=int)
    alike = [process for process in processes if host.text_or_none(f"/proc/{process}/sessionid") == session]
    for process in alike:
        fields = (_of_environment(host, process) or "").split()
        if len(fields) == 4:
            return fields[0], fields[2]
    servers = (process for process in alike if (host.text_or_none(f"/proc/{process}/comm") or "").startswith("sshd"))
    return next((found for process in servers for found in (_of_sockets(host, process),) if found is not None), None)


def _of_sockets(host: Host, process: str) -> ConnectionEnds | None:
    """The first TCP connection that a process has: sshd has no environment that names it."""
    try:
        handles = host.names(f"/proc/{process}/fd")
    except HostError:
        return None
    links = (SOCKET.fullmatch(host.link(f"/proc/{process}/fd/{handle}") or "") for handle in handles)
    sockets = {found[1] for found in links if found is not None}
    for table in TABLES:
        for line in (host.text_or_none(table) or "").splitlines()[1:]:
            fields = line.split()
            ends = [_address(field) for field in fields[1:3]] if len(fields) > 9 and fields[9] in sockets else []
            # What listens has no other end.
            if len(ends) == 2 and not any(end is None or end.is_unspecified for end in ends):
                return str(ends[1]), str(ends[0])
    return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address of these tables, whose words are numbers in the kernel's own byte order."""
    digits = text.partition(":")[0]
    try:
        words = [int(digits[place : place + 8], 16).to_bytes(4, sys.byteorder) for place in range(0, len(digits), 8)]
        return ipaddress.ip_address(b"".join(words))
    except ValueError:
        return None
