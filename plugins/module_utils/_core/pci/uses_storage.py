# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks, pools and servers the entries of a host depend on, and whether a device's disks are among them."""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import end_of_links
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.listed_disks import TAGS, ListedDisks
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import Below, TreeNode

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_mounts import MountUse

MOST_LAYERS = 8
LONGEST_PATH = 4096
"""PATH_MAX: nothing can be mounted at a longer one."""
TAG = re.compile(r"(UUID|LABEL|PARTUUID|PARTLABEL|ID)=\"?([^\"]*)\"?")
REMOTE = re.compile(
    r"nfs\d*|cifs|smb\d*|smbfs|ceph|afs|9p|glusterfs|lustre|beegfs.*|gpfs|orangefs|pvfs2|ocfs2|gfs2|coda|davfs2?|wekafs|panfs"
    r"|fuse\.(?:glusterfs|ceph.*|sshfs|s3fs|rclone|juicefs|mfs.*|moosefs|lizardfs|mountpoint-s3|s3ql|gcsfuse|goofys|geesefs|blobfuse2?"
    r"|seaweedfs|weed|curlftpfs|davfs2?|ossfs|cosfs|dfuse|quobyte|hdfs|fuse_dfs|alluxio.*|cvmfs2?|smbnetfs|nfs|http.*)"
)
OF_FUSE = re.compile(r"[\w.-]+#|[a-z]\w*://|[^/@]*@[^/:]+:|cvmfs2$")
"""Sources of a file system `fuse` on a server: `sshfs#me@nas:/x` (mount.fuse(8)), an address, a folder of another host."""
LAYERED = ("overlay", "aufs", "unionfs", "fuse.unionfs", "fuse.mergerfs", "fuse.overlayfs", "fuse-overlayfs")
PATH_OPTIONS = ("lowerdir", "upperdir", "workdir", "br", "dirs", "lowerdir+", "datadir+")
LUSTRE = re.compile(r"([^:,/@\s]+)@(?:tcp|o2ib|kfi|gni)\d*")
"""The servers in the source of a mount (mount.lustre(8))."""
MAPPED_SERVER = re.compile(r"(?:^|[\s,])([\w.-]+|\[[0-9a-fA-F:]+\])(?:\(\d+\))?:/")
MAPPED_DISK = re.compile(r"(?<=\s):((?:/dev/|UUID=|LABEL=|PARTUUID=|PARTLABEL=)\S+)")
"""A disk of this host in a map of autofs(5)."""
TRADDR = re.compile(r"(?:traddr|host_traddr)=([^,\s]+)")
FC_PORT = re.compile(r"host_traddr=[^,\s]*pn-(0x[0-9a-f]+)", re.IGNORECASE)
ANY_PORT = ""
ANY_POOL = "AUTO"
FOLDER = re.compile(r"(?:virtiofs|9p):")
"""A shared folder of the hypervisor, as the kernel's arguments name it."""
OF_CXL = "/nvdimm-bridge"
"""In the place in sysfs of a disk that is memory on CXL's cards (drivers/cxl/core/pmem.c)."""
_NUMBER = re.compile(r"\d+:\d+")
NEIGHBOUR = "/PARTNROFF="
"""Behind a PARTUUID: so many partitions further on the same disk (block/early-lookup.c)."""
# Disks without a device that have none below them either; every other one is a program's, a server's or a file's.
_OF_MEMORY = re.compile(r"(?:ram|zram|nullb|md|dm-|loop|zd|bcache)\d")
HOST_INTERFACE = re.compile(r"host_iface=([^,\s]+)")
# What udev leaves as it is in the names of its links (encode_devnode_name() in systemd); a blank is `\x20`.
_ENCODED = re.compile(r"[^\w#+\-.:=@\\]|\\(?!x[0-9a-fA-F]{2})")
_OF_SEVERAL_DISKS = ("btrfs", "bcachefs")
_ANY_KIND = ("", "auto")
_PARTS_OF_LAYERS = re.compile(r"(?!zfs_|VMFS_).*_member|crypto_LUKS|BitLocker|cs_fvault2|bcache|drbd.*|stratis|vdo|DM_\w+")
"""What udev calls disks of which others are made once somebody asks for them (superblocks of libblkid, multipath's rules)."""
JOURNALS = "/proc/fs/jbd2"
_FCOE = re.compile(r"/virtual/net/([^/]+)/ctlr_\d+/host\d+/")
"""The VLAN that a disk is below in sysfs which is reached by Fibre Channel over Ethernet (fcoe_sysfs.c)."""
UBI = "/sys/class/ubi"
_OF_FLASH = ("ubifs", "jffs2")
_IN_FLASH = re.compile(r"(?:/dev/)?(?:ubi(?P<ubi>\d*)[:_!]|mtd(?P<mtd>\d+)$|mtd:)")
"""How the two name it: `ubi0:NAME`, `ubi0_1`, `ubi:NAME` of the first, `mtd0`, `mtd:NAME`."""


@dataclasses.dataclass
class Backing:
    """What an entry depends on.  ``unknown``: on something that cannot be determined."""

    names: set[str] = dataclasses.field(default_factory=set)
    numbers: set[str] = dataclasses.field(default_factory=set)
    pools: set[str] = dataclasses.field(default_factory=set)
    servers: set[str] = dataclasses.field(default_factory=set)
    interfaces: set[str] = dataclasses.field(default_factory=set)
    any_interface: bool = False
    """It is on a server whose address cannot be determined."""
    tags: set[str] = dataclasses.field(default_factory=set)
    """The tags of virtiofs and 9p."""
    ports: set[str] = dataclasses.field(default_factory=set)
    """The names of Fibre Channel's ports on this host over which it is reached by NVMe; `ANY_PORT` if they cannot be determined."""
    any_flash: bool = False
    """It is on flash memory (MTD), of which it does not say which."""
    unknown: bool = False

    def may_be_over(self, ports: t.Collection[str]) -> bool:
        """Whether it is reached, or may be, over one of these ports of Fibre Channel."""
        return bool(ports) and (ANY_PORT in self.ports or not self.ports.isdisjoint(ports))


def is_remote(entry: MountUse) -> bool:
    """Whether it is on a server."""
    if entry.kind == "fuse":
        return OF_FUSE.match(entry.source) is not None
    return REMOTE.fullmatch(entry.kind) is not None and not entry.source.startswith("/dev/")


def tag_of(entry: MountUse) -> str | None:
    """The tag of a shared folder of the hypervisor; None if it is none."""
    if FOLDER.match(entry.source):
        return entry.source.partition(":")[2]
    return entry.source if entry.kind == "virtiofs" or (entry.kind == "9p" and entry.option("trans") in (None, "virtio")) else None


def _depended_on(entry: MountUse) -> t.Hashable:
    """What of an entry says what it depends on: a table can have the same line thousands of times."""
    return (entry.source, entry.kind, entry.options, entry.number, entry.place, entry.is_mounted)


class Storage:
    """The storage of a host, each part read when it is first needed."""

    def __init__(self, host: Host, entries: t.Sequence[MountUse]) -> None:
        self._host = host
        self.entries = entries
        self._placed: dict[str, list[MountUse]] = {}
        # What is mounted now comes first, then what will be at boot.
        for entry in sorted(entries, key=lambda entry: entry.is_mounted, reverse=True):
            if entry.place and (entry.source or entry.is_mounted):
                self._placed.setdefault(entry.place.rstrip("/"), []).append(entry)
        self._known: dict[t.Hashable, Backing] = {}
        self._absent: dict[t.Hashable, bool] = {}
        self._listed = ListedDisks(host)

    def backing(self, entry: MountUse) -> Backing:
        key = _depended_on(entry)
        if key not in self._known:
            self._known[key] = Backing()
            self._collect(entry, self._known[key], 0)
        return self._known[key]

    def holds(self, entry: MountUse, below: Below) -> TreeNode | None:
        """The disk of a device that an entry depends on, or may depend on, if there is one."""
        backing = self.backing(entry)
        for node in (*below.disks, *below.flash):
            if node.name in backing.names or (node.number is not None and node.is_block and node.number in backing.numbers):
                return node
        if backing.any_flash and below.flash:
            return below.flash[0]
        for node in below.disks if backing.pools else ():
            if self._may_be_in_a_pool(node, backing.pools, below):
                return node
        if not backing.unknown and self._is_not_there(entry, backing):
            return next((node for node in below.disks if self._may_become_a_layer(node)), None)
        return next(iter(below.disks), None) if backing.unknown else None

    def is_on_cxl(self, entry: MountUse) -> bool:
        """Whether it is on persistent memory, of which nothing says on which cards of CXL it is."""
        names = (lowest for name in self.backing(entry).names for lowest in self._lowest(posixpath.basename(name), 0))
        return any(OF_CXL in (self._host.link(f"/sys/class/block/{name}") or "") for name in names)

    def _is_not_there(self, entry: MountUse, backing: Backing) -> bool:
        """Whether data that the next boot needs is on a disk that is made of others, and that is not active."""
        if entry.is_mounted or entry.guard != "data_mounts" or backing.numbers or not entry.source.startswith("/dev/"):
            return False
        key = _depended_on(entry)
        if key not in self._absent:
            self._absent[key] = not any(map(self._is_there, backing.names))
        return self._absent[key]

    def _is_there(self, disk: str) -> bool:
        return posixpath.basename(disk) in self._listed.disks

    def _may_become_a_layer(self, node: TreeNode) -> bool:
        known = self.udev(node)
        return (
            known is not None
            and _PARTS_OF_LAYERS.fullmatch(known.get("ID_FS_TYPE", "")) is not None
            and not names_if_any(self._host, f"{node.folder}/holders")
        )

    def udev(self, node: TreeNode) -> t.Mapping[str, str] | None:
        """What udev knows about a disk; None if it knows nothing at all."""
        return None if node.number is None else self._listed.udev(node.number)

    def _may_be_in_a_pool(self, node: TreeNode, pools: t.Collection[str], below: Below) -> bool:
        known = self.udev(node)
        if known is None:
            # Of a disk with partitions that udev knows, it is the partitions that count.
            parts = [other for other in below.disks if other.folder.startswith(f"{node.folder}/")]
            return not parts
        label = known.get("ID_FS_LABEL")
        return known.get("ID_FS_TYPE") == "zfs_member" and (label is None or label in pools or "" in pools)

    # -- what an entry depends on

    def _collect(self, entry: MountUse, backing: Backing, layer: int) -> None:
        if layer > MOST_LAYERS:
            backing.unknown = True
            return
        if entry.number is not None and not entry.number.startswith("0:"):
            backing.numbers.add(entry.number)
        if entry.kind == "zfs" or entry.source.startswith("ZFS="):
            pool = entry.source[len("ZFS=") :] if entry.source.startswith("ZFS=") else entry.source
            backing.pools.add("" if pool == ANY_POOL else pool.partition("/")[0])
        elif entry.kind == "autofs":
            self._collect_automount(entry, backing)
        elif entry.kind in LAYERED:
            self._collect_layers(entry, backing, layer)
        elif tag_of(entry) is not None:
            backing.tags.add(tag_of(entry) or "")
        elif entry.kind in _OF_FLASH or _IN_FLASH.match(entry.source):
            self._collect_flash(entry.source, backing)
        elif is_remote(entry):
            self._collect_server(entry, backing)
        else:
            self._collect_disks(entry, backing, layer)

    def _collect_automount(self, entry: MountUse, backing: Backing) -> None:
        if entry.source:
            self._collect_map(entry.source, backing)
        else:
            backing.unknown = not any(other.source for other in self._placed.get(entry.place.rstrip("/"), ()) if other != entry)

    def _collect_flash(self, source: str, backing: Backing) -> None:
        """The flash memory by its number, or by that of the UBI device that is on it (get_tree_mtd(), open_ubi() in fs/ubifs/super.c)."""
        found = _IN_FLASH.match(source)
        number = None if found is None else found["mtd"]
        if found is not None and found["ubi"] is not None:
            number = self._host.text_or_none(f"{UBI}/ubi{found['ubi'] or '0'}/mtd_num")
        if number is None:
            backing.any_flash = True
        else:
            backing.names.add(f"/dev/mtd{number}")

    def _collect_server(self, entry: MountUse, backing: Backing) -> None:
        if entry.kind == "lustre" and LUSTRE.search(entry.source):
            backing.servers |= set(LUSTRE.findall(entry.source))
            return
        named = entry.option("addr") or entry.option("mon_addr")
        source = entry.source.partition("#")[2] or entry.source if entry.kind == "fuse" else entry.source
        source = source.partition("://")[2].partition("/")[0] or source
        # ceph separates several monitors by commas or slashes.
        text = named or source.partition("@")[2] or source
        text = text[2:].partition("/")[0] if text.startswith("//") else text
        several = re.split(r"[,/]", text if named else text.partition(":/")[0]) if entry.kind == "ceph" else [text]
        found = [match for one in several for match in (re.match(r"\[([^\]]+)\]|([^:/,]+)", one),) if match is not None]
        if not found or (named is None and entry.source.startswith("/") and not entry.source.startswith("//")):
            backing.any_interface = True
        else:
            backing.servers |= {match[1] or match[2] for match in found}

    def _collect_map(self, path: str, backing: Backing) -> None:
        """The servers and disks in a map of autofs(5); one that is a program, or elsewhere, does not say them."""
        text = self._host.text_or_none(path) if path.startswith("/") else None
        if text is None or text.startswith("#!"):
            backing.any_interface = True
        else:
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
            backing.servers |= {server.strip("[]") for line in lines for server in MAPPED_SERVER.findall(line)}
            for disk in (found for line in lines for found in MAPPED_DISK.findall(line)):
                self._collect_disk(disk, backing)

    def _collect_layers(self, entry: MountUse, backing: Backing, layer: int) -> None:
        """A file system of layers depends on those that its directories are in; mergerfs has these as its source."""
        listed = [entry.source if entry.source.startswith("/") else ""]
        listed += [value for name, _equals, value in (option.partition("=") for option in entry.options) if name in PATH_OPTIONS]
        # Many folders are in one file system, which can be such a one itself.
        below: dict[MountUse, None] = {}
        for value in listed:
            for path in value.split(":") if value else ():
                # Docker's are relative to the folder of the mount point's.
                whole = path if path.startswith("/") else posixpath.join(posixpath.dirname(entry.place), path)
                mount = self._mount_of(whole.partition("=")[0], entry)
                below.update({mount: None} if mount is not None else {})
        for mount in below:
            self._collect(mount, backing, layer + 1)
        found = any(mount.kind not in ("tmpfs", "ramfs", "rootfs") for mount in below)
        backing.unknown = backing.unknown or not found

    def _mount_of(self, path: str, without: MountUse | None = None) -> MountUse | None:
        """The mount that a path is in, now or at boot."""
        if not path.startswith("/") or len(path) > LONGEST_PATH:
            return None
        at: str | None = path.rstrip("/")
        while at is not None:
            found = next((entry for entry in self._placed.get(at, ()) if entry != without), None)
            if found is not None:
                return found
            at = at.rpartition("/")[0] if at else None
        return None

    def _collect_disks(self, entry: MountUse, backing: Backing, layer: int) -> None:
        known = frozenset(backing.names)
        written = [entry.source, *(value for option in entry.options for value in (option.partition("=")[2],))]
        for text in written:
            for part in self._disks_in(text) if text.startswith("/dev/") else (text,) if text is entry.source else ():
                self._collect_disk(part, backing)
        if entry.number is not None and not entry.number.startswith("0:"):
            name = self._host.link_name(f"/sys/dev/block/{entry.number}")
            self._collect_disk(f"/dev/{name}" if name else "", backing)
        alike = [members for members in self._members if any(posixpath.basename(name) in members for name in backing.names)]
        backing.names |= {f"/dev/{name}" for members in alike for name in members}
        if entry.kind in (*_OF_SEVERAL_DISKS, *_ANY_KIND) and not alike:
            self._collect_members(entry.kind, backing)
        if entry.kind in ("ext3", "ext4") and entry.is_mounted:
            backing.names |= self._journals_of(backing.names)
        if "_netdev" in entry.options and not (backing.numbers or any(self._is_there(name) for name in backing.names)):
            # Nobody has logged in to its server yet.
            backing.any_interface = True
        self._collect_beneath(entry, sorted(backing.names - known), backing, layer)

    def _disks_in(self, text: str) -> t.Sequence[str]:
        """Several disks of one file system are separated by colons, which the names of links to one may have, too."""
        return (text,) if text.startswith("/dev/disk/by-") and ":/dev/" not in text else text.split(":")

    def _collect_members(self, kind: str, backing: Backing) -> None:
        """The members by what udev knows: mountinfo and links name only one of them."""
        known = [(number, found) for number, found in self._listed.udev_database if found.get("ID_FS_TYPE") in _OF_SEVERAL_DISKS]
        numbers = {self._host.text_or_none(f"/sys/class/block/{posixpath.basename(name)}/dev") for name in backing.names}
        ids = {found.get("ID_FS_UUID") for number, found in known if number in numbers | backing.numbers} - {None}
        backing.numbers |= {number for number, found in known if found.get("ID_FS_UUID") in ids}
        backing.unknown = backing.unknown or (kind == "btrfs" and not ids)

    def _journals_of(self, disks: t.Collection[str]) -> set[str]:
        """The disks of all journals that are outside of their file systems, if that of the file system on ``disks`` may be among them.

        A journal inside is called after its disk and its inode, one outside after its disk (jbd2_journal_init_dev() in fs/jbd2).
        """
        names = [name.replace("!", "/") for name in names_if_any(self._host, JOURNALS)]
        outside = {f"/dev/{name}" for name in names if self._host.exists(f"/sys/class/block/{name.replace('/', '!')}")}
        bases = {posixpath.basename(disk) for disk in disks}
        is_inside = any(name.rpartition("-")[0] in bases for name in names if f"/dev/{name}" not in outside)
        return set() if is_inside else outside

    def _collect_disk(self, source: str, backing: Backing) -> None:
        tag = TAG.fullmatch(source)
        if tag is not None:
            self._collect_tagged(tag[1], tag[2], backing)
        elif source.startswith("/dev/"):
            backing.names |= {source, end_of_links(source, self._host.link)}
        elif _NUMBER.fullmatch(source):
            backing.numbers.add(source)
            name = self._host.link_name(f"/sys/dev/block/{source}")
            backing.names |= {f"/dev/{name}"} if name else set()

    def _collect_tagged(self, tag: str, value: str, backing: Backing) -> None:
        folder, keys = TAGS[tag]
        value, is_neighbour, _distance = value.partition(NEIGHBOUR)
        encoded = _ENCODED.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode("utf-8", "surrogateescape")), value)
        # The UUID of a file system or a partition means the same in other letters, which the link has.
        spelt = (encoded, encoded.lower(), encoded.upper()) if tag.endswith("UUID") else (encoded,)
        for path in (f"/dev/disk/{folder}/{one}" for one in spelt if self._listed.has_link(folder, one)):
            target = end_of_links(path, self._host.link)
            if target != path:
                backing.names.add(self._whole_disk(target) if is_neighbour else target)
                return
        # All parts of an array have the same.
        numbers = {number for key in keys for one in (value, encoded) for number in self._listed.numbers(key, one)}
        backing.numbers |= numbers
        if numbers:
            return
        # Without these, nothing says which disk has the tag; with them, none has.
        backing.unknown = bool(is_neighbour) or (not self._host.is_dir(f"/dev/disk/{folder}") and not self._listed.udev_database)

    def _whole_disk(self, partition: str) -> str:
        folder = posixpath.dirname(self._host.link(f"/sys/class/block/{posixpath.basename(partition)}") or "")
        return f"/dev/{posixpath.basename(folder)}"

    def _collect_beneath(self, entry: MountUse, names: t.Iterable[str], backing: Backing, layer: int) -> None:
        """What disks without a PCI function depend on: files, pools, servers."""
        for base in dict.fromkeys(lowest for name in names for lowest in self._lowest(posixpath.basename(name), 0)):
            here = f"/sys/class/block/{base}"
            if base.startswith("loop"):
                file = self._host.text_or_none(f"{here}/loop/backing_file")
                mount = None if file is None else self._mount_of(file, entry)
                if mount is not None:
                    self._collect(mount, backing, layer + 1)
                elif self._host.exists(here):
                    backing.unknown = True
            elif base.startswith("zd") and base[2:3].isdigit():
                backing.pools.add("")
            elif base.startswith("zram"):
                # What does not fit into memory, or is idle, is written there (drivers/block/zram).
                self._collect_disk(self._host.text_or_none(f"{here}/backing_dev") or "", backing)
            else:
                self._collect_transport(base, entry, backing, layer)
        # A swap file, a file that is mounted, as a loop device or as it is (EROFS), a folder that a program or eCryptfs shows elsewhere.
        has_no_disk = not entry.is_mounted or (entry.number or "").startswith("0:")
        if has_no_disk and entry.source.startswith("/") and not entry.source.startswith("/dev/"):
            mount = self._mount_of(entry.source, entry)
            if mount is not None:
                self._collect(mount, backing, layer + 1)

    def _collect_transport(self, base: str, entry: MountUse, backing: Backing, layer: int) -> None:
        """The servers of a disk that is reached over a network."""
        path = (self._host.link(f"/sys/class/block/{base}") or "") if base in self._listed.disks else ""
        session = re.search(r"(?:^|/)devices/(.*?/session\d+)/", path)
        if session is not None:
            self._collect_iscsi(f"/sys/devices/{session[1]}", backing)
        elif base.startswith("nvme"):
            self._collect_nvme(base, path, backing)
        elif base.startswith("nbd"):
            backing.any_interface = True
            self._collect_served(base, entry, backing, layer)
        elif base.startswith("rbd"):
            found = self._host.text_or_none(f"/sys/bus/rbd/devices/{base[3:].partition('p')[0]}/client_addr") or ""
            self._collect_local(found, backing)
        elif _FCOE.search(path):
            backing.interfaces |= set(_FCOE.findall(path))
        elif base.startswith("etherd"):
            backing.interfaces |= set((self._host.text_or_none(f"/sys/class/block/{base}/netif") or "").replace(",", " ").split())
        elif "/virtual/" in path and not _OF_MEMORY.match(base):
            # ublk, DRBD without a disk, rnbd: of a program or a server.
            backing.unknown = backing.any_interface = True

    def _collect_served(self, base: str, entry: MountUse, backing: Backing, layer: int) -> None:
        """The files and disks that a server on this host, such as qemu-nbd, has open."""
        process = self._host.text_or_none(f"/sys/class/block/{base}/pid") or ""
        if not process.isdecimal():
            return
        for handle in names_if_any(self._host, f"/proc/{process}/fd"):
            path = self._host.link(f"/proc/{process}/fd/{handle}") or ""
            mount = None if path.startswith(("/dev/", "/proc/", "/sys/")) else self._mount_of(path, entry)
            if mount is not None:
                self._collect(mount, backing, layer + 1)
            elif path.startswith("/dev/"):
                backing.names.add(path)

    def _collect_local(self, address: str, backing: Backing) -> None:
        match = re.match(r"\[?([0-9a-f.:]+?)\]?:\d+", address)
        if match is None:
            backing.any_interface = True
        else:
            backing.servers.add(match[1])

    def _collect_iscsi(self, session: str, backing: Backing) -> None:
        for connection in names_if_any(self._host, session):
            if not connection.startswith("connection"):
                continue
            here = f"/sys/class/iscsi_connection/{connection}"
            address = self._host.text_or_none(f"{here}/address") or self._host.text_or_none(f"{here}/persistent_address")
            if address:
                backing.servers.add(address)
                return
        # A session of an adapter that speaks iSCSI itself is below that adapter.
        backing.any_interface = backing.any_interface or "/devices/pci" not in session

    def _collect_nvme(self, disk: str, path: str, backing: Backing) -> None:
        found = re.match(r"(nvme\d+)", disk)
        controllers = [found[1]] if found else []
        subsystem = re.search(r"(nvme-subsys\d+)/", path)
        if subsystem is not None:
            names = names_if_any(self._host, f"/sys/class/nvme-subsystem/{subsystem[1]}")
            controllers = [name for name in names if re.fullmatch(r"nvme\d+", name)]
        for controller in controllers:
            here = f"/sys/class/nvme/{controller}"
            transport = self._host.text_or_none(f"{here}/transport")
            if transport in (None, "pcie", "loop"):
                continue
            address = self._host.text_or_none(f"{here}/address") or ""
            if transport == "fc":
                backing.ports |= {port.lower() for port in FC_PORT.findall(address)} or {ANY_PORT}
                continue
            backing.interfaces |= set(HOST_INTERFACE.findall(address))
            backing.servers |= set(TRADDR.findall(address))
            backing.any_interface = backing.any_interface or not TRADDR.search(address)

    def _lowest(self, disk: str, layer: int) -> t.Iterator[str]:
        """The disks that a stacked one is made of, or itself."""
        is_stacked = layer < MOST_LAYERS and disk in self._listed.disks
        slaves = names_if_any(self._host, f"/sys/class/block/{disk}/slaves") if is_stacked else ()
        if not slaves:
            yield disk
        for slave in slaves:
            yield from self._lowest(slave, layer + 1)

    @functools.cached_property
    def _members(self) -> tuple[frozenset[str], ...]:
        """The disks of each file system that can have several: btrfs and bcachefs."""
        found = [names_if_any(self._host, f"/sys/fs/btrfs/{one}/devices") for one in names_if_any(self._host, "/sys/fs/btrfs")]
        for one in names_if_any(self._host, "/sys/fs/bcachefs"):
            here = f"/sys/fs/bcachefs/{one}"
            disks = (self._host.link_name(f"{here}/{name}/block") for name in names_if_any(self._host, here) if name.startswith("dev-"))
            found.append(tuple(disk for disk in disks if disk is not None))
        return tuple(frozenset(disks) for disks in found)
