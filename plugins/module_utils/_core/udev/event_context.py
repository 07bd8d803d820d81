# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev finds around an event: files, the kernel's command line, its release and architecture."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import stat as stat_bits
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import Accounts, refused
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import without_links
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.architecture import NAMES, of_release, of_tree
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.virtual_machine import CONFIDENTIAL, MACHINES, NONE, is_virtual
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import hwdb
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.values import substitutions, taken

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Devices

CHANGING = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run")  # noqa: S108 - never opened
"""Folders whose contents are others after a boot."""
MOST_FOLDERS = 64
ACCOUNTS = ("OWNER", "GROUP")
_LINES_DROPPED_SINCE = 258
"""The first systemd whose udev drops a whole line for an account that it cannot find (rule_resolve_user() of 258 and later)."""
_FORMAT = re.compile(r"[$%]")
# What a function's name is, and the attributes that identify it.
_ADDRESS, _NUMBER = r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", r"0x[0-9a-f]{2,6}"
_OF_IDENTITY = ("vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision")
Properties = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Files:
    """What of a root rules ask for: names in the folders of TEST, and the properties in the files of IMPORT{file}."""

    folders: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    imported: t.Mapping[str, Properties | None] = dataclasses.field(default_factory=dict)
    """None where there is no such file."""
    patterns: frozenset[str] = frozenset()
    """Values of IMPORT{file} with a substitution in the file's name, of whose folder all files that it can name were read."""
    modes: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    """The permissions of files of which TEST asks for some."""
    architecture: str | None = None
    virtual: bool | None = None
    """Whether the machine is virtual, where a rule asks and it is known."""
    version: int | None = None
    """systemd's, if it is known."""
    unknown_accounts: frozenset[str] = frozenset()
    """Users and groups for which udev drops the line that names them, unless something makes them known before it starts."""
    from_hwdb: t.Mapping[str, tuple[tuple[str, str], ...]] = dataclasses.field(default_factory=dict)
    """By the name of a property, the values that the hardware database has for some devices, each with its file and line."""
    links: t.Mapping[str, bool | None] = dataclasses.field(default_factory=dict)
    """Of links that TEST asks for, whether they lead to something; None where they lead to a folder that is another after a boot."""

    @classmethod
    def read(cls, tree: FileTree, keys: t.Iterable[Key], version: int | None = None, made_on: FileTree | None = None) -> Files:
        """``made_on`` is the root that an image was made on, which shows the machine."""
        folders: dict[str, frozenset[str]] = {}
        imported: dict[str, Properties | None] = {}
        modes: dict[str, int] = {}
        patterns: set[str] = set()
        keys = tuple(keys)
        constants = {key.attribute for key in keys if key.name == "CONST"}
        for key in keys:
            path = key.value
            folder = posixpath.dirname(path)
            if not lasts(path) or _FORMAT.search(folder) or "*" in path:
                continue
            if key.name == "TEST" and folder not in folders and len(folders) < MOST_FOLDERS:
                folders[folder] = frozenset(tree.names(folder))
            if key.name == "TEST" and key.attribute and isinstance(tree, Host) and len(modes) < MOST_FOLDERS:
                status = None if _FORMAT.search(path) else tree.stat(path)
                modes.update({} if status is None else {path: stat_bits.S_IMODE(status.st_mode)})
            if key.name == "IMPORT" and key.attribute == "file" and path not in patterns:
                paths = _named(tree, path) if _FORMAT.search(path) else (path,)
                if paths is not None and len(imported) + len(paths) <= MOST_FOLDERS:
                    imported.update((one, _properties_of(tree, one)) for one in paths)
                    patterns.update((path,) if _FORMAT.search(path) else ())
        accounts = _unknown_accounts(tree, [key for key in keys if key.name in ACCOUNTS], version)
        architecture = of_tree(tree) if constants else None
        virtual = is_virtual(made_on or tree) if constants - {"arch"} else None
        links = _links(tree, folders, (key.value for key in keys if key.name == "TEST"))
        return cls(folders, imported, frozenset(patterns), modes, architecture, virtual, version, accounts, hwdb.read(tree), links)

    def imports(self, path: str, written: str) -> bool:
        """Whether it is known what is in a file that a rule, where it is written so, imports."""
        return path in self.imported or (written in self.patterns and posixpath.dirname(path) == posixpath.dirname(written))

    def has(self, path: str) -> bool | None:
        """Whether a path exists; None if that cannot be determined."""
        if path in self.links:
            return self.links[path]
        # A slash at the end, or two together, ask for more than a name.
        names = self.folders.get(posixpath.dirname(path)) if lasts(path) and posixpath.normpath(path) == path else None
        return None if names is None else posixpath.basename(path) in names

    def allows(self, path: str, mask: int) -> bool | None:
        """Whether a file that exists gives one of the permissions; None if that was not read."""
        return self.modes[path] & mask > 0 if path in self.modes else None


def lasts(path: str) -> bool:
    """Whether a path is that of a file that is the same after a boot."""
    return path.startswith("/") and not any(path == folder or path.startswith(f"{folder}/") for folder in CHANGING)


def _named(tree: FileTree, written: str) -> tuple[str, ...] | None:
    """The files that a path with substitutions in its last part can name for a PCI function; None if these may have any name."""
    folder, name = posixpath.split(taken(written))
    parts: list[str] = []
    position = 0
    for one in substitutions(name):
        known = _ADDRESS if one.letter in "kb" else _NUMBER if one.letter == "s" and one.attribute in _OF_IDENTITY else None
        if known is None:
            return None
        parts += (re.escape(name[position : one.start]), known)
        position = one.end
    pattern = re.compile("".join((*parts, re.escape(name[position:]))))
    return tuple(f"{folder}/{one}" for one in tree.names(folder) if pattern.fullmatch(one))


def _links(tree: FileTree, folders: t.Mapping[str, frozenset[str]], tested: t.Iterable[str]) -> dict[str, bool | None]:
    """TEST follows links.  Of a path with substitutions any name of its folder may be meant."""
    found: dict[str, bool | None] = {}
    for path in dict.fromkeys(tested):
        folder, name = posixpath.split(path)
        for one in folders.get(folder, ()) if _FORMAT.search(name) else (name,):
            link = f"{folder}/{one}"
            if folder in folders and tree.link(link) is not None:
                end = without_links(link, tree.link)
                # A circle of links leads nowhere.
                found[link] = False if end is None else tree.exists(end) if lasts(end) else None
    return found


def _unknown_accounts(tree: FileTree, named: t.Sequence[Key], version: int | None) -> frozenset[str]:
    if not named or (version is not None and version < _LINES_DROPPED_SINCE):
        return frozenset()
    accounts = Accounts.read(tree)
    found = set()
    for key in (key for key in named if _FORMAT.search(key.value) is None):
        known = accounts.users if key.name == "OWNER" else accounts.groups
        number = known.get(key.value) if not key.value.isdecimal() else next((one for one in known.values() if str(one) == key.value), None)
        if number is None or refused(number, version) is not False:
            found.add(key.value)
    return frozenset(found)


def _properties_of(tree: FileTree, path: str) -> Properties | None:
    if not tree.is_file(path):
        return None
    content = tree.read_bytes(path)
    found = map(_property, content.decode("utf-8", "surrogateescape").split("\n"))
    return tuple(one for one in found if one is not None)


def _property(line: str) -> tuple[str, str] | None:
    """As get_property_from_string(): one pair of quotes around the value is taken away."""
    name, equals, value = line.strip().partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name or not value or name.startswith("#"):
        return None
    if value[0] in "\"'":
        return (name, value[1:-1]) if len(value) > 1 and value[-1] == value[0] else None
    return name, value


@dataclasses.dataclass(frozen=True)
class EventContext:
    """``complete`` if all rules were read that could set a property or tag that these rules ask for; ``has_groups`` says whether devices
    are in IOMMU groups as they are now, None if that is not known."""

    release: str | None = None
    cmdline: Cmdline | None = None
    files: Files = dataclasses.field(default_factory=Files)
    others: Devices = dataclasses.field(default_factory=dict)
    in_initrd: bool = False
    complete: bool = False
    has_groups: bool | None = None
    endings: t.Mapping[str, bool | str] = dataclasses.field(default_factory=dict)
    """By command line, whether PROGRAM goes well, where that is known; what it writes, if it writes something."""
    is_first: bool = False
    """Whether no udev has processed the devices' events in an earlier stage."""

    def word(self, wanted: str) -> str | None:
        """What IMPORT{cmdline} takes from the command line (proc_cmdline_get_key()): `1` for a word without a value; None for no word."""
        found = None
        present = False
        for name, value in () if self.cmdline is None else self.cmdline.for_systemd:
            if name.startswith("rd.") and not self.in_initrd:
                continue
            if normalize_module_name(name) == normalize_module_name(wanted):
                present = True
                found = found if value is None else value
        return (found or "1") if present and found != "" else ("" if present else None)

    def sysctl(self, name: str) -> str | None:
        """A kernel parameter that is the same for the whole boot."""
        known = {"kernel/osrelease": self.release, "kernel/ostype": "Linux"}
        return known.get(name.replace(".", "/", 1) if "/" not in name else name)

    def constant(self, name: str) -> tuple[str, ...]:
        """What CONST may be here."""
        if name == "arch":
            found = self.files.architecture or of_release(self.release or "")
            return tuple(NAMES) if found is None else (found,)
        kinds = MACHINES if name == "virt" else CONFIDENTIAL
        # A virtual machine need not be a confidential one.
        if self.files.virtual and name == "virt":
            return kinds
        return (NONE,) if self.files.virtual is False else (NONE, *kinds)
