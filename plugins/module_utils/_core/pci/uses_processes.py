# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes have which device nodes open."""

from __future__ import annotations

import functools
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import TreeNode

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

NVIDIA = "/proc/driver/nvidia/gpus"
NVIDIA_CAPABILITIES = "/proc/driver/nvidia/capabilities"
MINOR = re.compile(r"^Device Minor:\s*(\d+)", re.MULTILINE)
PERSISTENCE_DAEMON = "nvidia-persiste"
"""nvidia-persistenced, as the kernel cuts its name off."""
SMI_TIMEOUT = 20
TUN, PPP = "/dev/net/tun", "/dev/ppp"
INTERFACE = re.compile(r"^iff:\s*(\S+)", re.MULTILINE)
"""The interface of an open /dev/net/tun in fdinfo (tun_chr_show_fdinfo() in drivers/net/tun.c)."""
RESOURCE = re.compile(r"/([0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/(?:resource\d+(?:_wc)?|config|rom)")
MAPPED = re.compile(r" (/(?:dev|sys/devices/pci|proc/bus/pci)\S*)$", re.MULTILINE)
DEV, DEVTMPFS, DELETED = "dev/", "devtmpfs", " (deleted)"
MOUNT_ID = re.compile(r"^mnt_id:\s*(\d+)", re.MULTILINE)
FUNCTIONS = "/sys/bus/pci/devices"
ALL_MEMORY = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ ([0-9a-f]{1,16}) \S+ \S+ +/dev/mem$", re.MULTILINE)
"""A part of the machine's memory that a program has, with its place."""
RANGE = re.compile(r"0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16}) ")
LARGEST_MAPS = 8 << 20
GUESTS = re.compile(r"qemu(?!-(?:ga|img|nbd|io|pr|storage|bridge))|kvm|cloud-hyper|firecracker|crosvm|libvirt|bhyve|vmx|xen")


class Open(t.NamedTuple):
    """An open file of a process, or one that it has closed and still has in its memory.

    ``number`` is that of a device node, ``address`` the function whose memory it is.
    """

    process: str
    command: str
    path: str
    number: str | None
    address: str | None
    way: t.Literal["open", "mapped"] = "open"
    node: str | None = None
    """The host's own name of a device node that the process has under another path."""

    @property
    def _who(self) -> str:
        guest = "a guest, " if GUESTS.match(self.command) else ""
        return f"process {self.process} ({guest}{self.command})"

    @property
    def what(self) -> str:
        return f"{self._who} has {self.path} {self.way}"

    @property
    def which_has(self) -> str:
        return f"{self._who}, which has {self.path} {self.way}"


class Processes:
    """The processes of a host, read when they are first needed."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def using(self, nodes: t.Iterable[TreeNode], addresses: t.Collection[str] = ()) -> t.Iterator[str]:
        """A clause for each process and device node, by name or number, that it has open."""
        names, numbers = _names_and_numbers(nodes)
        yield from (found.what for found in self._opened_of(names, numbers, addresses))
        if self._unreadable and (names or addresses):
            need = "" if self._host.is_root else " without root (`become: true`)"
            yield f"which files {self._unreadable} processes have open cannot be read{need}, so whether they use it cannot be determined"

    def having(self, names: t.Iterable[str]) -> t.Iterator[Open]:
        """Each open file that is one of these nodes, also under another name in a container."""
        nodes = [TreeNode(name, self._host.device_number(name)) for name in names]
        return self._opened_of(*_names_and_numbers(nodes), ())

    def driving(self, address: str) -> t.Iterator[str]:
        """A clause for each process that has memory or the configuration of a function, by its files in sysfs."""
        return (found.what for found in self._opened_of((), (), (address,)))

    def with_socket(self, inode: str) -> tuple[str, str] | None:
        """A process that has a socket open, and its command; None if none can be seen."""
        process = self._sockets.get(f"socket:[{inode}]")
        return None if process is None else (process, self._host.text_or_none(f"/proc/{process}/comm") or "?")

    @functools.cached_property
    def _sockets(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for process in filter(str.isdecimal, self._host.names("/proc")):
            try:
                handles = self._host.names(f"/proc/{process}/fd")
            except HostError:
                continue
            links = (self._host.link(f"/proc/{process}/fd/{handle}") or "" for handle in handles)
            found.update((link, process) for link in links if link.startswith("socket:"))
        return found

    def of(self, process: str) -> t.Iterator[Open]:
        """The open files of a process."""
        return (found for found in self._opened if found.process == process)

    def have_open(self, nodes: t.Iterable[TreeNode], addresses: t.Collection[str]) -> bool:
        """Whether any process has a device's node open."""
        return next(self._opened_of(*_names_and_numbers(nodes), addresses), None) is not None

    def making(self, interfaces: t.Collection[str], nodes: t.Iterable[TreeNode], addresses: t.Collection[str]) -> t.Iterator[str]:
        """A clause for each process that has made one of these virtual interfaces, or may have, and has a device's node open."""
        for found in self._opened_of(*_names_and_numbers(nodes), addresses):
            if self._makes(found.process, interfaces):
                yield found.which_has

    def _makes(self, process: str, interfaces: t.Collection[str]) -> bool:
        for handle in self._host.names(f"/proc/{process}/fd"):
            path = self._host.link(f"/proc/{process}/fd/{handle}")
            # Of PPP nothing says which interface it is.
            if path == PPP:
                return True
            if path == TUN:
                named = INTERFACE.search(self._host.text_or_none(f"/proc/{process}/fdinfo/{handle}") or "")
                if named is None or named[1] in interfaces:
                    return True
        return False

    def _opened_of(self, names: t.Container[str], numbers: t.Container[str], addresses: t.Container[str]) -> t.Iterator[Open]:
        for found in self._opened:
            if found.path in names or found.node in names or found.number in numbers or found.address in addresses:
                yield found

    def has_persistence_daemon(self) -> bool:
        return PERSISTENCE_DAEMON in self._commands

    @property
    def _opened(self) -> tuple[Open, ...]:
        return self._found[0]

    @property
    def _unreadable(self) -> int:
        return self._found[1]

    @property
    def _commands(self) -> frozenset[str]:
        return self._found[2]

    @functools.cached_property
    def _found(self) -> tuple[tuple[Open, ...], int, frozenset[str]]:
        opened: list[Open] = []
        unreadable, commands = 0, set()
        for process in self._host.names("/proc"):
            if not process.isdecimal() or int(process) == self._host.process_id:
                continue
            command = self._host.text_or_none(f"/proc/{process}/comm") or "?"
            commands.add(command)
            try:
                handles = self._host.names(f"/proc/{process}/fd")
            except HostError:
                unreadable += 1
                continue
            files = list(self._files(process, command, handles))
            opened += [*files, *self._mapped(process, command, {found.path for found in files})]
        return tuple(opened), unreadable, frozenset(commands)

    def _files(self, process: str, command: str, handles: t.Iterable[str]) -> t.Iterator[Open]:
        seen: set[str] = set()
        for handle in handles:
            path = self._host.link(f"/proc/{process}/fd/{handle}")
            node = None if path is None else self._node_elsewhere(process, handle, path)
            if path is None or path in seen or not (node or path.startswith(("/dev/", "/sys/", "/proc/bus/pci/"))):
                continue
            seen.add(path)
            resource = RESOURCE.search(path)
            # A container may have the node under another name.
            number = self._host.device_number(f"/proc/{process}/fd/{handle}") if path.startswith("/dev/") else None
            yield Open(process, command, path, number, resource[1] if resource else None, node=node)

    def _node_elsewhere(self, process: str, handle: str, path: str) -> str | None:
        """The host's name of a node that has another path, as where a container has /dev as /host/dev: of devtmpfs there is one alone."""
        if path.startswith("/dev/") and path.endswith(DELETED):
            return path[: -len(DELETED)]
        if path.startswith("/dev/") or DEV not in path or not path.startswith("/"):
            return None
        mount = MOUNT_ID.search(self._host.text_or_none(f"/proc/{process}/fdinfo/{handle}") or "")
        if mount is None:
            return None
        # Few programs have a node by another path.
        from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import mounted

        for one in mounted(self._host, process, LARGEST_MAPS):
            place = f"{one.place.rstrip('/')}/"
            if one.kind == DEVTMPFS and one.mount == mount[1] and place in path:
                return f"/dev{one.folder.rstrip('/')}/{path.rpartition(place)[2]}"
        return None

    def _mapped(self, process: str, command: str, opened: t.Container[str]) -> t.Iterator[Open]:
        text = head_text(self._host, f"/proc/{process}/maps", LARGEST_MAPS)
        for place in dict.fromkeys(ALL_MEMORY.findall(text)):
            yield from (Open(process, command, "/dev/mem", None, address, "mapped") for address in self._at(int(place, 16)))
        for path in dict.fromkeys(MAPPED.findall(text)):
            if path not in opened:
                resource = RESOURCE.search(path)
                yield Open(process, command, path, None, resource[1] if resource else None, "mapped")

    def _at(self, place: int) -> t.Iterator[str]:
        """The PCI functions whose memory is at a place of the machine's, by its first byte."""
        for address in self._host.names(FUNCTIONS):
            for line in (self._host.text_or_none(f"{FUNCTIONS}/{address}/resource") or "").splitlines():
                found = RANGE.match(line)
                if found is not None and 0 < int(found[1], 16) <= place <= int(found[2], 16):
                    yield address


def _names_and_numbers(nodes: t.Iterable[TreeNode]) -> tuple[set[str], set[str]]:
    names, numbers = set(), set()
    for node in nodes:
        names.add(node.name)
        # A file system's own disk and a device node may have the same number.
        numbers |= {node.number} if node.number is not None and not node.is_block else set()
    return names, numbers


def nvidia_nodes(host: Host, address: str) -> tuple[str, ...] | None:
    """The nodes of a GPU of the proprietary driver, which are not below it in sysfs; None if they cannot be determined."""
    found = MINOR.search(host.text_or_none(f"{NVIDIA}/{address}/information") or "")
    return None if found is None else (f"/dev/nvidia{found[1]}",)


def nvidia_instances(host: Host, address: str) -> int:
    """How many instances a GPU is divided into (MIG), which it loses with its driver; their folders name it by its minor number."""
    nodes = nvidia_nodes(host, address)
    folder = f"{NVIDIA_CAPABILITIES}/gpu{nodes[0][len('/dev/nvidia') :]}/mig" if nodes else None
    return 0 if folder is None else sum(name.startswith("gi") for name in host.names(folder))


def nvidia_persistence(host: Host, address: str, processes: Processes) -> str | None:
    """A clause if persistence mode keeps a GPU in use, which it does without any open file."""
    if processes.has_persistence_daemon():
        return "nvidia-persistenced keeps it in use (persistence mode)"
    command = host.which("nvidia-smi")
    if command is None:
        return None
    words = [posixpath.basename(command), "--query-gpu=persistence_mode", "--format=csv,noheader", f"--id={address}"]
    try:
        answer = host.run(words, SMI_TIMEOUT).stdout.strip()
    except HostError as error:
        return f"whether persistence mode keeps it in use cannot be determined: {error.msg.rstrip('.')}"
    return "persistence mode keeps it in use (`nvidia-smi -pm 0` ends that)" if answer.lower() == "enabled" else None
