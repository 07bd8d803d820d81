# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of an initramfs image: names, links, configuration files and modules, read from the image itself.

An image consists of one or more cpio archives, each uncompressed or inside a compressed stream, with zero bytes between them.
Microcode comes first and uncompressed, as do the modules with newer initramfs-tools; the rest is compressed.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.compression import LARGEST_STREAM, FileReader, unpacked
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.links import without_links
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.archive import (
    MAGICS,
    ArchiveMember,
    Reader,
    members,
    skip_padding,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_file import opened
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import index_file
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.fingerprint import Fingerprint
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_file import digest_of, module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


# The files whose content decides which driver a device is bound to.  Of all others only the names are kept.
KEPT = re.compile(
    r"(?:etc|run|lib|usr/lib|usr/local/lib)/(?:modprobe\.d|udev/rules\.d|modules-load\.d|tmpfiles\.d|sysctl\.d)/[^/]+"
    r"|etc/(?:modules|cmdline|(?:cmdline|conf)\.d/[^/]+)"
    r"|conf/(?:modules|initramfs\.conf|arch\.conf|param\.conf|conf\.d/[^/]+)"
    r"|scripts/.+|hooks/[^/]+|config|usr/lib/modules/booster\.alias|etc/booster\.init\.yaml"
    r"|(?:(?:usr/|var/)?lib|etc)/dracut/hooks/.+|(?:usr/)?bin/dracut-pre-udev"
    r"|(?:etc|usr/lib|lib|usr/local/lib)/systemd/system(?:/[^/]+(?:\.d/[^/]+)?|\.conf|\.conf\.d/[^/]+)"
    r"|(?:usr/)?lib/modules/[^/]+/modules\.(?:alias|builtin|builtin\.modinfo|dep|order|softdep|weakdep|(?:alias|dep|builtin)\.bin)"
)
# Any script is kept as well: what runs in an image can be anywhere in it.
SCRIPT = b"#!"
LARGEST_SCRIPT = 256 << 10
LARGEST_KEPT = 8 << 20
LONGEST_LINK = 4096
LARGEST_NAMES = 96 << 20
"""Bytes of memory for all names, folders and links; an image with every driver and all firmware needs a fifth."""
LARGEST_TEXTS = 16 << 20
"""Bytes of all configuration and scripts that are kept of an image, of which many times their size is made; depmod's files are four MiB."""
LARGEST_MODULES = 96 << 20
"""Bytes of all modules that are compared with the host's."""
COST_OF_NAME, COST_OF_FOLDER, COPIES = 400, 150, 3
"""Bytes that a name and a folder cost besides their own, and how often a name is in memory, with its links resolved and for the cache."""
NAMES, TEXTS, MODULES = "its names need", "its configuration has", "the modules that are compared have"
WIDEST = 4
"""Bytes of a character of a text that has any but ASCII."""
PIECE = 1 << 20
SMALLEST_MODULE = 64
"""The header of an ELF file (elf(5)): what is shorter stands for a module, as an empty file does in the copy of an image for a report."""
# dracut's squash modules put the whole tree into one of these.
NESTED = ("squash-root.img", "squashfs-root.img", "erofs-root.img")


@dataclasses.dataclass(frozen=True)
class Image:
    """A kernel's initramfs.  Names are without a leading slash, and links in their directories are resolved."""

    path: str
    release: str
    names: frozenset[str]
    links: t.Mapping[str, str]
    texts: t.Mapping[str, bytes]
    modules: t.Mapping[str, str]
    """The path in the image of the file that depmod would choose for each module, by normalized name."""
    fingerprints: t.Mapping[str, Fingerprint]
    """The fingerprints of the modules that the caller asked for, by name."""
    boot_config: str = ""
    """The boot configuration behind the archives, from which the kernel may take arguments."""
    digests: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What identifies each module's file as it is in the image, by name; what is too short for a module is left out."""
    folders: frozenset[str] = frozenset()
    """Those of the names that are directories."""

    @classmethod
    def read(cls, host: Host, path: str, release: str, fingerprint: t.Collection[str] = (), more: t.Sequence[str] = ()) -> Image:
        """Read an image; ``fingerprint`` has the normalized names of modules whose content is to be compared.

        ``more`` are images that are unpacked over it, in order.  Of a unified kernel image its own initramfs is read.
        Raises CorruptFileError if it is corrupt, HostError if this host lacks what is needed to read it.
        """
        for one in (path, *more):
            host.note_image(one, fingerprint)
        tree, boot_config = _read_files(host, (path, *more), fingerprint)
        name = joined(path, more)
        nested = next((found for found in NESTED if found in tree.names), None)
        if nested is not None:
            raise _hidden_error(name, nested)
        try:
            return dataclasses.replace(tree.image(host, name, release), boot_config=boot_config)
        except CorruptFileError as error:
            raise CorruptFileError(f"{name} cannot be read: {error.msg.rstrip('.')}.") from error

    def text(self, path: str) -> bytes | None:
        """The content of a configuration file; None if the image does not have it."""
        return self.texts.get(resolved(path.lstrip("/"), self.links))

    def files(self, directory: str) -> t.Iterator[tuple[str, bytes]]:
        """The base name and content of each configuration file in a directory, sorted."""
        real = resolved(directory.strip("/"), self.links)
        for name in sorted(self.names):
            head, _unused, tail = name.rpartition("/")
            content = self.text(name) if head == real else None
            if content is not None:
                yield tail, content


def _hidden_error(path: str, nested: str) -> HostError:
    return HostError(
        f"{path} keeps its files in {nested}, which cannot be read.",
        'Omit dracut\'s squash modules (`omit_dracutmodules+=" squash squash-squashfs squash-erofs "` in /etc/dracut.conf.d)'
        " and rebuild the initramfs once.",
    )


class _Tree:
    """Collects an image's contents while it is read."""

    def __init__(self, fingerprint: frozenset[str], led_to: frozenset[str] = frozenset()) -> None:
        """``led_to`` are the names of further files that are kept."""
        self.names: set[str] = set()
        self.links: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self._fingerprint = fingerprint
        self._led_to = led_to
        self._made: set[str] = set()
        self._folders: set[str] = set()
        self._left = {NAMES: LARGEST_NAMES, TEXTS: LARGEST_TEXTS, MODULES: LARGEST_MODULES}
        self._most = dict(self._left)

    def add_archive(self, reader: Reader) -> None:
        # Of a file's hard links, only the last one has the content.
        waiting: dict[tuple[int, int, int], list[str]] = {}
        for member in members(reader):
            if not member.name or member.name == ".":
                continue
            self._take_name(member.name)
            self.names.add(member.name)
            # What comes later replaces what is there.
            self.links.pop(member.name, None)
            self.contents.pop(member.name, None)
            self.digests.pop(member.name, None)
            self._made.discard(member.name)
            if member.is_folder:
                self._made.add(member.name)
            elif member.is_link:
                target = self._content(reader, min(member.size, LONGEST_LINK), NAMES).rstrip(b"\0").decode("utf-8", "surrogateescape")
                self._take(NAMES, COST_OF_NAME + COPIES * _memory(target))
                self.links[member.name] = target
            elif member.is_file:
                self._add_file(reader, member, waiting)

    def _add_file(self, reader: Reader, member: ArchiveMember, waiting: dict[tuple[int, int, int], list[str]]) -> None:
        module = module_name(member.name)
        kept = [member.name] if self._is_kept(member) or self._is_script(reader, member) else []
        if member.size == 0 and member.links > 1:
            if kept or module is not None:
                waiting.setdefault(member.inode, []).append(member.name)
            return
        linked = waiting.pop(member.inode, []) if member.links > 1 else []
        kept += [name for name in linked if module_name(name) is None or module_name(name) in self._fingerprint]
        same = [name for name in (member.name, *linked) if module_name(name) is not None] if member.size >= SMALLEST_MODULE else []
        if kept:
            is_module = module in self._fingerprint
            content = self._content(reader, member.size, MODULES if is_module else TEXTS)
            self.contents.update((name, content) for name in kept)
            self.digests.update((name, digest_of((content,))) for name in same)
        elif same:
            digest = digest_of(_pieces(reader, member.size))
            self.digests.update((name, digest) for name in same)

    def _is_kept(self, member: ArchiveMember) -> bool:
        if module_name(member.name) in self._fingerprint:
            return True
        return member.size <= LARGEST_KEPT and (KEPT.fullmatch(member.name) is not None or member.name in self._led_to)

    def led_to(self) -> frozenset[str]:
        """What configuration leads to by links, of which nothing but the names was kept: Debian's alternatives in modprobe.d."""
        links = [name for name in self.links if KEPT.fullmatch(name)]
        if not links:
            return frozenset()
        files = self.names - self.links.keys() - self._folders
        real = {place: name for name, place in _real_names(files, self.links).items()}
        found = (real.get(resolved(name, self.links)) for name in links)
        return frozenset(name for name in found if name is not None and name not in self.contents and not name.startswith("dev/"))

    @staticmethod
    def _is_script(reader: Reader, member: ArchiveMember) -> bool:
        return 0 < member.size <= LARGEST_SCRIPT and reader.peek(len(SCRIPT)) == SCRIPT

    def _take(self, what: str, size: int) -> None:
        self._left[what] -= size
        if self._left[what] < 0:
            raise CorruptFileError(f"{what} more than {self._most[what] >> 20} MiB")

    def _take_name(self, name: str) -> None:
        self._take(NAMES, COST_OF_NAME + COPIES * _memory(name))
        folder = name.rpartition("/")[0]
        # A deep path names as many folders, each by its own path; an archive need not have entries for them.
        while folder and folder not in self._folders:
            self._take(NAMES, COST_OF_FOLDER + COPIES * _memory(folder))
            self._folders.add(folder)
            folder = folder.rpartition("/")[0]

    def _content(self, reader: Reader, size: int, what: str) -> bytes:
        self._take(what, size)
        content = reader.read(size)
        if len(content) < size:
            raise CorruptFileError("it ends in the middle of a file")
        return content

    def image(self, host: Host, path: str, release: str) -> Image:
        real = _real_names(self.names, self.links)
        modules = _modules(real.values(), release)
        contents = {real[name]: content for name, content in self.contents.items()}
        chosen = {name: contents[place] for name, place in modules.items() if name in self._fingerprint and place in contents}
        return Image(
            path=path,
            release=release,
            names=frozenset(real.values()),
            links={real[name]: target for name, target in self.links.items()},
            texts=_with_texts_of_indexes({name: content for name, content in contents.items() if module_name(name) is None}),
            modules=modules,
            fingerprints={name: Fingerprint.of(host, content, modules[name]) for name, content in chosen.items()},
            digests=self._digests(real, modules),
            folders=frozenset(real[name] for name in self._made),
        )

    def _digests(self, real: t.Mapping[str, str], modules: t.Mapping[str, str]) -> dict[str, str]:
        found = {real[name]: digest for name, digest in self.digests.items()}
        return {name: found[place] for name, place in modules.items() if place in found}

    def of_modules(self, release: str) -> dict[str, bytes]:
        """The contents of the modules that were asked for."""
        real = _real_names(self.names, self.links)
        contents = {real[name]: content for name, content in self.contents.items()}
        modules = _modules(real.values(), release)
        return {name: contents[place] for name, place in modules.items() if name in self._fingerprint and place in contents}


def _pieces(reader: Reader, size: int) -> t.Iterator[bytes]:
    while size:
        piece = reader.read(min(size, PIECE))
        if not piece:
            raise CorruptFileError("it ends in the middle of a file")
        size -= len(piece)
        yield piece


def _memory(text: str) -> int:
    return len(text) * (1 if text.isascii() else WIDEST)


class Kept(t.NamedTuple):
    """Of one file, what `Image.read()` keeps: the names as they are written, and the contents of those that matter."""

    names: t.Collection[str]
    links: t.Mapping[str, str]
    contents: t.Mapping[str, bytes]
    boot_config: str


def kept_of(host: Host, path: str, fingerprint: t.Collection[str]) -> Kept:
    """What is kept of one image file; ``fingerprint`` as in `Image.read()`, which raises the same."""
    tree, boot_config = _read_files(host, (path,), fingerprint)
    return Kept(tree.names, tree.links, tree.contents, boot_config)


def module_contents(host: Host, paths: t.Sequence[str], release: str, names: t.Collection[str]) -> dict[str, bytes]:
    """The files of these modules, by normalized name, as they are in an initramfs, of which ``paths`` are the images.

    Raises what `Image.read()` does.
    """
    tree = _Tree(frozenset(names))
    for path in paths:
        host.note_image(path, names)
        _read_file(host, path, tree)
    return tree.of_modules(release)


def _with_texts_of_indexes(texts: t.Mapping[str, bytes]) -> dict[str, bytes]:
    """mkinitcpio keeps of what depmod makes only the indexes that kmod reads."""
    found = {name: content for name, content in texts.items() if not name.endswith(".bin")}
    for name in texts.keys() - found.keys():
        plain = name[: -len(".bin")]
        text = index_file.text_of(name.rpartition("/")[2], texts[name]) if plain not in found else None
        if text is not None:
            found[plain] = text.encode("utf-8", "surrogateescape")
    return found


def joined(path: str, more: t.Sequence[str]) -> str:
    """How messages name several images that make one initramfs."""
    return "+".join((path, *more))


def _read_files(host: Host, paths: t.Sequence[str], fingerprint: t.Collection[str]) -> tuple[_Tree, str]:
    """What is kept of the images, and the text of the last one's boot configuration.

    A second time, if there is configuration whose file has a name by which nobody would know it; the link may come before or behind it.
    """
    led_to = frozenset[str]()
    for _time in range(2):
        tree = _Tree(frozenset(fingerprint), led_to)
        boot_config = [_read_file(host, one, tree) for one in paths][-1]
        led_to = tree.led_to()
        if not led_to:
            break
    return tree, boot_config


def _read_file(host: Host, path: str, tree: _Tree) -> str:
    """Adds a file's archives to the tree; the text of its boot configuration."""
    try:
        with opened(host, path) as (file, boot_config):
            _read_segments(host, file, tree)
    except CorruptFileError as error:
        raise CorruptFileError(f"{path} cannot be read: {error.msg}.") from error
    return boot_config


def _read_segments(host: Host, file: t.BinaryIO, tree: _Tree) -> None:
    found, left = False, LARGEST_STREAM
    while True:
        plain = FileReader(file)
        skip_padding(plain)
        start = plain.peek(len(MAGICS[0]))
        if not start:
            break
        found = True
        # The kernel aligns entries relative to the beginning of the segment.
        if start in MAGICS:
            tree.add_archive(FileReader(file))
            continue
        with unpacked(host, file, left, is_whole=False) as reader:
            _read_archives(reader, tree)
        left -= reader.position
    if not found:
        raise CorruptFileError("it is empty")


def _read_archives(reader: Reader, tree: _Tree) -> None:
    skip_padding(reader)
    while reader.peek(1):
        tree.add_archive(reader)
        skip_padding(reader)


def _modules(names: t.Iterable[str], release: str) -> dict[str, str]:
    homes = tuple(f"{home}/modules/{release}/" for home in ("lib", "usr/lib"))
    found: dict[str, str] = {}
    for name in sorted(names, key=_rank):
        module = module_name(name)
        if module is not None and name.startswith(homes):
            found.setdefault(module, name)
    return found


def _rank(name: str) -> tuple[bool, str]:
    # depmod's default search order: updates before the kernel's own modules.
    return "/updates/" not in name, name


def _real_names(names: t.Iterable[str], links: t.Mapping[str, str]) -> dict[str, str]:
    """Each name with the links in its directories resolved; an image has ten files or more in a directory."""
    folders: dict[str, str] = {}
    found: dict[str, str] = {}
    for name in names:
        folder, _slash, last = name.rpartition("/")
        if folder not in folders:
            folders[folder] = resolved(folder, links)
        found[name] = posixpath.join(folders[folder], last)
    return found


def resolved(name: str, links: t.Mapping[str, str], follow_last: bool = True) -> str:
    """A name with the symbolic links in its directories resolved, and with ``follow_last`` its own."""
    if follow_last:
        return (without_links(name, lambda path: links.get(path[1:])) or f"/{name}")[1:]
    folder, _slash, last = name.rpartition("/")
    return posixpath.join(resolved(folder, links), last)
