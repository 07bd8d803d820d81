# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH connection that this process has been started through: by its parents, or by the login session that it is in.

One that comes from this host itself comes through a tunnel's end, a program whose own connections are looked at.
"""

from __future__ import annotations

import ipaddress
import re
import sys
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


class ConnectionEnds(t.NamedTuple):
    """The client's and this host's address, and the client's port."""

    client: str
    local: str
    port: int = 0


MOST_PARENTS = 64
SSH = re.compile(r"(?:\A|\0)SSH_CONNECTION=([^\0]*)")
NO_SESSION = str(0xFFFFFFFF)
"""What /proc/N/sessionid has for processes that nobody has logged in for."""
SOCKET = re.compile(r"socket:\[(\d+)\]")
TABLES, TABLES_OF_UDP = ("/proc/net/tcp", "/proc/net/tcp6"), ("/proc/net/udp", "/proc/net/udp6")
ESTABLISHED = "01"
SHORT = re.compile("[0-9]{1,5}")
PORT = re.compile("[0-9A-F]{4}")


def ssh_connection(host: Host, process: str = "self") -> ConnectionEnds | None:
    """Parents are searched because sudo drops the variable, the session because a task in the background has lost its parents."""
    begin = process
    for _step in range(MOST_PARENTS):
        found = _of_environment(host, process)
        if found is not None:
            return _ends(found)
        fields = (host.text_or_none(f"/proc/{process}/stat") or "").rpartition(")")[2].split()
        if len(fields) < 2 or fields[1] in ("0", "1"):
            return _of_session(host) if begin == "self" else None
        process = fields[1]
    return None


def behind_tunnel(host: Host, ends: ConnectionEnds) -> tuple[ConnectionEnds, ...] | None:
    """The connections to elsewhere of the program that has the client's end on this host, or the SSH connection that it was started by.

    None if they cannot be determined; empty if a person at this host has started it.
    """
    owners = _owners(host, {line.inode for line in _lines(host, TABLES) if line.local_port == ends.port and line.is_inside})
    if not owners:
        return None
    inodes = {inode for process in owners for inode in _sockets(host, process)}
    found = [line.ends for line in _lines(host, TABLES) if line.inode in inodes and line.state == ESTABLISHED and not line.is_inside]
    if found:
        return tuple(found)
    if any(line.inode in inodes and not line.is_inside for line in _lines(host, TABLES_OF_UDP)):
        return None
    earlier = (ssh_connection(host, process) for process in owners)
    return tuple(one for one in earlier if one is not None and not _is_loopback(one.local))


def _ends(variable: str) -> ConnectionEnds | None:
    """Of `SSH_CONNECTION`: client, its port, this host, its port."""
    fields = variable.split()
    return ConnectionEnds(fields[0], fields[2], int(fields[1]) if SHORT.fullmatch(fields[1]) else 0) if len(fields) == 4 else None


class _Line(t.NamedTuple):
    """A socket of one of the kernel's tables."""

    local: str
    local_port: int
    remote: str
    remote_port: int
    state: str
    inode: str

    @property
    def is_inside(self) -> bool:
        return _is_loopback(self.local) or _is_loopback(self.remote)

    @property
    def ends(self) -> ConnectionEnds:
        return ConnectionEnds(self.remote, self.local, self.remote_port)

    @property
    def has_another_end(self) -> bool:
        """What listens has none."""
        return not any(ipaddress.ip_address(one).is_unspecified for one in (self.local, self.remote))


def _lines(host: Host, tables: t.Iterable[str]) -> t.Iterator[_Line]:
    for table in tables:
        for text in (host.text_or_none(table) or "").splitlines()[1:]:
            fields = text.split()
            if len(fields) < 10:
                continue
            local, remote = _address(fields[1]), _address(fields[2])
            ports = [int(port, 16) for port in (field.rpartition(":")[2] for field in fields[1:3]) if PORT.fullmatch(port)]
            if local is not None and remote is not None and len(ports) == 2:
                yield _Line(str(local), ports[0], str(remote), ports[1], fields[3], fields[9])


def _is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _sockets(host: Host, process: str) -> t.Iterator[str]:
    try:
        handles = host.names(f"/proc/{process}/fd")
    except HostError:
        return
    links = (SOCKET.fullmatch(host.link(f"/proc/{process}/fd/{handle}") or "") for handle in handles)
    yield from (found[1] for found in links if found is not None)


def _owners(host: Host, inodes: t.Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in host.names("/proc") if name.isdecimal() and not set(_sockets(host, name)).isdisjoint(inodes))


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
        ends = _ends(_of_environment(host, process) or "")
        if ends is not None:
            return ends
    servers = (process for process in alike if (host.text_or_none(f"/proc/{process}/comm") or "").startswith("sshd"))
    return next((found for process in servers for found in (_of_sockets(host, process),) if found is not None), None)


def _of_sockets(host: Host, process: str) -> ConnectionEnds | None:
    """The first TCP connection that a process has: sshd has no environment that names it."""
    inodes = set(_sockets(host, process))
    return next((line.ends for line in _lines(host, TABLES) if line.inode in inodes and line.has_another_end), None)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address of these tables, whose words are numbers in the kernel's own byte order."""
    digits = text.partition(":")[0]
    try:
        words = [int(digits[place : place + 8], 16).to_bytes(4, sys.byteorder) for place in range(0, len(digits), 8)]
        return ipaddress.ip_address(b"".join(words))
    except ValueError:
        return None
