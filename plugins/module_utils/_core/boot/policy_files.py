# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a host's policy, with their times: what the checks of the policy need in addition to the boots."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import masks, start_files
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT, ListedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.masks import NO_MASKS, Masks
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.start_files import NO_START_FILES, StartFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import FOLDER, SETTINGS
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution import programs
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import text_in
from ansible_collections.vfio.variants.plugins.module_utils._core.host.numbered_matches import numbered_matches
from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import Allowance, fitting, lines_of_lists
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name, other_names
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, PENDING
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import DIRECTORIES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Vendor, vendor_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

SITE = ("/etc/", "/run/", "/usr/local/")
"""Where an administrator configures things; /usr/lib belongs to the distribution."""
INITRAMFS_MODULES = "/etc/initramfs-tools/modules"
INITRAMFS_CONF, INITRAMFS_CONFS = "/etc/initramfs-tools/initramfs.conf", "/etc/initramfs-tools/conf.d"
INITRAMFS_LISTS = "/etc/initramfs-tools/modules.d"
"""A folder that no version of initramfs-tools reads."""
SITE_RULES = ("/etc/udev/rules.d", "/usr/local/lib/udev/rules.d")
SITE_LISTS = ("/etc/modules-load.d", "/usr/local/lib/modules-load.d")
READ_FOLDERS: t.Mapping[str, tuple[str, ...]] = {"/etc": ("modprobe.d", "modules-load.d", "driverctl.d"), "/etc/udev": ("rules.d",)}
LOOK_ALIKE: t.Mapping[str, tuple[str, ...]] = {
    "/etc": ("modprobe.conf.d", "modprobe.conf", "modules-load.conf", "modules.load.d", "modules-load", "driverctl.conf.d", "modules.d"),
    "/etc/udev": ("rules", "rules.conf.d", "rule.d"),
}
"""Names that are taken for those of directories that are read."""
NEIGHBOURS = ("modules", "modulefiles")
"""Of other programs."""
MOST_FILES, LARGEST_FILE, LARGEST_TOGETHER = 1000, 1 << 20, 3 << 20
DRACUT = ("/etc/dracut.conf", "/etc/dracut.conf.d")
MKINITCPIO = ("/etc/mkinitcpio.conf", "/etc/mkinitcpio.conf.d")
TMPFILES = "/etc/tmpfiles.d"
IMAGES = ("/boot/initrd.img-{0}", "/boot/initramfs-{0}.img", "/boot/initrd-{0}")
# An array, or a string, of which it makes one.
_MKINITCPIO_MODULES = re.compile(r"^[ \t]*MODULES\+?=(?:\(([^()#]*)\)|[\"']([^\"'#\n]*))", re.MULTILINE)
_DRACUT_MODULES = re.compile(r"^[ \t]*(?:add_drivers|force_drivers)\+?=([\"'][^\"'#\n]*|[^\s\"'#]*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class PolicyFile:
    """A file of the policy.  ``text`` is None if it is not a regular file, such as a link to /dev/null."""

    path: str
    text: str | None

    @property
    def directory(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """A kernel's initramfs, without its contents."""

    path: str
    mtime: float


@dataclasses.dataclass(frozen=True)
class PolicyFiles:
    """The result of `read_policy_files()`.  The defaults stand for a host about which nothing else is known."""

    modprobe: tuple[PolicyFile, ...] = ()
    """All files in modprobe.d's directories, in the directories' order, including those that kmod does not read."""
    rules: tuple[PolicyFile, ...] = ()
    """All files in the administrator's directories of udev rules, including those that udev does not read."""
    lists: tuple[PolicyFile, ...] = ()
    """All files in the administrator's modules-load.d, /etc/modules and /etc/initramfs-tools/modules."""
    saved: tuple[PolicyFile, ...] = ()
    """All files in /etc/driverctl.d."""
    settings: tuple[PolicyFile, ...] = ()
    """Those of dracut, mkinitcpio and initramfs-tools, and /etc/tmpfiles.d."""
    strays: tuple[PolicyFile, ...] = ()
    """Files in directories of /etc and /etc/udev whose names resemble those that are read, and are not."""
    for_image: tuple[ListedModule, ...] = ()
    """The modules that the initramfs generator is configured to include and load."""
    mtimes: t.Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The mtimes of files that are copied into an initramfs."""
    images: t.Mapping[str, ImageFile] = dataclasses.field(default_factory=dict)
    """By release."""
    initramfs_tools: bool = False
    dracut: bool = False
    mkinitcpio: bool = False
    rebuilding: str = "Rebuild that image."
    """How a person has an image built again, with {release} and {image} to be filled in."""
    packaged: frozenset[str] = frozenset()
    """Files below /etc that are unchanged since their package was installed: not a decision of this host's administrator."""
    synonyms: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """The modules that a name in the policy is an alias of, for names that are not modules."""
    grub: tuple[PolicyFile, ...] = ()
    """The settings of grub-mkconfig, in the order in which it reads them, and other files in their folder."""
    start: StartFiles = NO_START_FILES
    masks: Masks = NO_MASKS
    """What is in the policy and switched off."""
    vendor: Vendor = "other"
    """Who has made the processor."""
    absent: frozenset[tuple[str, str]] = frozenset()
    """Release and name of VFIO modules that modules.dep lists and whose files do not exist."""


NOTHING_READ = PolicyFiles()


def read_policy_files(host: Host, boots: t.Sequence[Boot], kernels: t.Sequence[Kernel], inventory: Inventory) -> PolicyFiles:
    """Read the files that the checks need.  Raises HostError if one cannot be read."""
    reader = _Reader(host)
    modprobe = tuple(reader.modprobe())
    for_image = tuple(_generator_lists(host))
    rules = {rule.path for boot in boots for stage in boot.stages if stage.name == ROOT for rule in stage.rules.rules}
    copied = {file.path for file in modprobe if file.text is not None} | rules | {INITRAMFS_MODULES}
    rules_files = tuple(reader.of(SITE_RULES))
    return PolicyFiles(
        modprobe=modprobe,
        rules=rules_files,
        lists=(*reader.of(SITE_LISTS), *reader.files(("/etc/modules", INITRAMFS_MODULES))),
        saved=tuple(reader.of(("/etc/driverctl.d",))),
        settings=(
            *reader.files((DRACUT[0], MKINITCPIO[0], INITRAMFS_CONF)),
            *reader.of((DRACUT[1], MKINITCPIO[1], INITRAMFS_CONFS, INITRAMFS_LISTS, TMPFILES)),
        ),
        strays=tuple(_strays(host, reader)),
        for_image=for_image,
        mtimes={path: stat.st_mtime for path in sorted(copied) for stat in (host.stat(path),) if stat is not None},
        images={kernel.release: image for kernel in kernels for image in (_image(host, kernel.release),) if image is not None},
        initramfs_tools=host.is_dir("/etc/initramfs-tools") and host.which("mkinitramfs") is not None,
        dracut=host.which("dracut") is not None,
        mkinitcpio=host.which("mkinitcpio") is not None,
        rebuilding=programs.rebuilding(host),
        packaged=_packaged(host, (*modprobe, *rules_files)),
        grub=(*reader.files((SETTINGS,)), *reader.of((FOLDER,))),
        start=start_files.read(host, (file.text or "" for file in rules_files)),
        masks=masks.read(host, boots, inventory),
        vendor=vendor_of(host),
        synonyms=_synonyms(host, _unknown_words(boots, kernels, for_image), kernels),
        absent=frozenset(
            (kernel.release, module)
            for kernel in kernels
            for module in kernel.vfio_modules
            for path in (kernel.modules.get(module, PENDING),)
            if path != PENDING and not host.is_file(f"{MODULES}/{kernel.release}/{path}")
        ),
    )


class _Reader:
    """Reads files of sizes that a person writes, alone and all together."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._allowance = Allowance(LARGEST_TOGETHER)

    def modprobe(self) -> t.Iterator[PolicyFile]:
        seen: set[tuple[int, int]] = set()
        for directory in DIRECTORIES:
            stat = self._host.stat(directory)
            # With a merged /usr, /lib/modprobe.d is /usr/lib/modprobe.d.
            if stat is None or (stat.st_dev, stat.st_ino) in seen:
                continue
            seen.add((stat.st_dev, stat.st_ino))
            for name in sorted(self._host.names(directory)):
                path = f"{directory}/{name}"
                if self._host.is_file(path):
                    yield from self.files((path,), largest=LARGEST_TOGETHER)
                elif not self._host.is_dir(path):
                    yield PolicyFile(path, None)

    def of(self, directories: t.Sequence[str]) -> t.Iterator[PolicyFile]:
        for directory in directories:
            yield from self.files(f"{directory}/{name}" for name in sorted(self._host.names(directory))[:MOST_FILES])

    def files(self, paths: t.Iterable[str], largest: int = LARGEST_FILE) -> t.Iterator[PolicyFile]:
        return itertools.starmap(PolicyFile, fitting(self._host, paths, largest, self._allowance))


def _strays(host: Host, reader: _Reader) -> t.Iterator[PolicyFile]:
    for parent, known in READ_FOLDERS.items():
        for name in sorted(host.names(parent)):
            path = f"{parent}/{name}"
            if name in known or name in NEIGHBOURS or not difflib.get_close_matches(name, (*known, *LOOK_ALIKE.get(parent, ())), 1, 0.8):
                continue
            yield from reader.of((path,)) if host.is_dir(path) else reader.files((path,))
        # Nothing reads folders below those, nor rules beside theirs.
        yield from reader.of([f"{parent}/{one}/{name}" for one in known for name in _folders(host, f"{parent}/{one}")])
    yield from reader.files(f"/etc/udev/{name}" for name in sorted(host.names("/etc/udev")) if name.endswith(".rules"))


def _folders(host: Host, place: str) -> t.Iterator[str]:
    return (name for name in sorted(host.names(place))[:MOST_FILES] if host.is_dir(f"{place}/{name}"))


def _generator_lists(host: Host) -> t.Iterator[ListedModule]:
    """initramfs-tools' modules, one per line, with options; dracut's add_drivers and force_drivers; mkinitcpio's MODULES.

    What is there for a generator that the host does not have is in none of its images.
    """
    there = [one for one in programs.SERVED if one.is_installed(host)] or programs.SERVED
    if programs.INITRAMFS_TOOLS in there and host.is_file(INITRAMFS_MODULES):
        for _path, number, line in lines_of_lists(host, (INITRAMFS_MODULES,)):
            words = line.split("#", 1)[0].split()
            if words:
                yield ListedModule(words[0], f"{INITRAMFS_MODULES}:{number}")
    kinds = ((programs.DRACUT, DRACUT, _DRACUT_MODULES), (programs.MKINITCPIO, MKINITCPIO, _MKINITCPIO_MODULES))
    for (single, directory), pattern in ((places, pattern) for program, places, pattern in kinds if program in there):
        found = [single, *(f"{directory}/{name}" for name in sorted(host.names(directory)) if name.endswith(".conf"))]
        for path in found:
            text = text_in(host, path)
            for line_number, match in numbered_matches(pattern, text):
                words = [word.strip("\"'") for word in match[match.lastindex or 1].split()]
                place = f"{path}:{line_number}"
                yield from (_listed(word, place, single) for word in words if word and not word.startswith(("=", "$")))


def is_read_by(places: tuple[str, str], path: str) -> bool:
    """Whether a generator with this file and folder reads it."""
    return path == places[0] or (path.rpartition("/")[0] == places[1] and path.endswith(".conf"))


def _listed(word: str, place: str, generator: str) -> ListedModule:
    """To mkinitcpio, `name?` is a module that a kernel may lack."""
    is_optional = generator == MKINITCPIO[0] and word.endswith("?")
    return ListedModule(word[:-1], place, written=word) if is_optional else ListedModule(word, place)


def _image(host: Host, release: str) -> ImageFile | None:
    for pattern in IMAGES:
        path = pattern.format(release)
        stat = host.stat(path)
        if stat is not None:
            return ImageFile(path, stat.st_mtime)
    return None


def _packaged(host: Host, files: t.Sequence[PolicyFile]) -> frozenset[str]:
    ownership = Ownership.of(host)
    return frozenset(
        file.path for file in files if file.text is not None and file.path.startswith("/etc/") and ownership.is_intact(file.path)
    )


def _unknown_words(boots: t.Sequence[Boot], kernels: t.Sequence[Kernel], for_image: t.Sequence[ListedModule]) -> frozenset[str]:
    """The names in the policy that are not a module of any kernel."""
    stages = [stage for boot in boots for stage in boot.stages if stage.name == ROOT]
    # The distribution's and depmod's files are not checked: they name hundreds of crypto algorithms.
    directives = [
        entry for stage in stages for entry in stage.config.directives if entry.source.path.startswith(SITE) or not entry.source.line
    ]
    words = {normalize_module_name(word) for entry in directives for word in named_modules(entry.command, entry.arguments)}
    words |= {
        normalize_module_name(one.name) for stage in stages for step in stage.steps for work in step for one in getattr(work, "modules", ())
    }
    words |= {normalize_module_name(one.name) for one in for_image}
    return frozenset(word for word in words if not any(kernel.has(word) for kernel in kernels))


def named_modules(command: str, arguments: t.Sequence[str]) -> tuple[str, ...]:
    """The modules that a directive refers to."""
    if command == "alias":
        return tuple(arguments[1:2])
    if command == "softdep":
        return (arguments[0], *(word for word in arguments[1:] if not word.endswith(":")))
    return tuple(arguments[:1]) if command in ("blacklist", "options", "install") else ()


def _synonyms(host: Host, words: frozenset[str], kernels: t.Sequence[Kernel]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for kernel in kernels if words else ():
        here = f"{MODULES}/{kernel.release}"
        for pattern, module in other_names(text_in(host, f"{here}/modules.alias"), text_in(host, f"{here}/modules.builtin.modinfo")):
            for word in words:
                if matches(word, normalize_module_name(pattern)):
                    found.setdefault(word, set()).add(normalize_module_name(module))
    return {word: frozenset(modules) for word, modules in found.items()}
