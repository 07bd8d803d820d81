# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel images: the release of one, and unified kernel images, which hold a kernel, its arguments and its initramfs in a PE file.

(uapi-group.org/specifications/specs/unified_kernel_image)
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import image_header
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


NAME = re.compile(r"^(?:vmlinu[zx]|kernel|linux|[bz]?Image|uImage)(?:\.gz)?-(.+?)(?:\.efi)?(?:\.signed)?(?:\.gz)?$")
# A directory that kernel-install creates: /<machine ID or token>/<release>/linux.
FOLDER = re.compile(r"/([^/]+)/(?:linux|vmlinuz|kernel)(?:\.efi)?$")


def release(host: Host, path: str) -> str | None:
    """The release of the kernel image at ``path``; None if neither the image nor its name shows it."""
    try:
        with host.open(path) as file:
            own = x86_release(file.read(image_header.SETUP))
    except (HostError, OSError):
        own = None
    return own or name_release(host, posixpath.basename(path), path)


def x86_release(start: bytes) -> str | None:
    """The release in a bzImage's header (Documentation/arch/x86/boot.rst: kernel_version); None if there is none."""
    words = (image_header.version(start) or "").split()
    return words[0] if words else None


def name_release(host: Host, name: str, path: str = "") -> str | None:
    """The release in an image's name; if a link's own name has none, in its target's.  None if there is none."""
    found = NAME.match(name) or FOLDER.search(path)
    if found is not None and (found[1][:1].isdigit() or host.is_dir(f"{MODULES}/{found[1]}")):
        return found[1]
    target = host.link(path) if path else None
    return name_release(host, posixpath.basename(target)) if target else None


CONTROLS = dict.fromkeys((*range(0x20), 0x7F), " ")
MOST_SECTIONS = 96
MOST_PROFILES = 256
"""UNIFIED_PROFILES_MAX of systemd (src/fundamental/uki.h)."""
LONGEST_TEXT = 16 * 1024
"""More than any kernel reads of its arguments (COMMAND_LINE_SIZE), and than an os-release has."""
COFF_HEADER = 24
SECTION_HEADER = 40


@dataclasses.dataclass(frozen=True)
class UnifiedImage:
    """The parts of a unified kernel image.  ``initrd`` is the initramfs's (offset, size) in the file; None if there is none.

    ``os_release`` has the variables of .osrel.
    """

    cmdline: str
    release: str | None
    os_release: t.Mapping[str, str]
    initrd: tuple[int, int] | None
    profile: str = ""
    """The name, or the number, of the profile whose command line it is; empty for the first, which boots if none is asked for."""


@dataclasses.dataclass(frozen=True)
class Addon:
    """A file that adds arguments to those of a unified kernel image; ``release``: of the only kernel that it is for, if it says so."""

    cmdline: str
    release: str
    has_initrd: bool


def addon(host: Host, path: str) -> Addon | None:
    """None if the file is not a PE file, or cannot be read."""
    if not host.is_file(path):
        return None
    try:
        with host.open(path) as file:
            places = {name: (offset, size) for name, offset, size in sections(file)}
            if not places:
                return None
            cmdline, release = (_text(file, *places.get(name, (0, 0))) for name in (".cmdline", ".uname"))
            return Addon(_one_line(cmdline), release, ".initrd" in places)
    except (HostError, OSError, ValueError, struct.error):
        return None


def _text(file: t.BinaryIO, offset: int, size: int) -> str:
    file.seek(offset)
    return file.read(min(size, LONGEST_TEXT)).split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def _one_line(text: str) -> str:
    """Control characters become blanks, as the stub makes them.  (systemd: mangle_stub_cmdline())"""
    return text.translate(CONTROLS).strip()


def initrd_part(host: Host, path: str) -> tuple[int, int] | None:
    """The offset and size of a unified kernel image's own initramfs; None if the file has none."""
    image = read(host, path)
    return None if image is None else image.initrd


def read(host: Host, path: str) -> UnifiedImage | None:
    """What the image boots if none of its profiles is asked for; None if the file is not a PE file, or has no kernel in it."""
    return next(iter(profiles(host, path)), None)


def profiles(host: Host, path: str) -> tuple[UnifiedImage, ...]:
    """The image as each of its profiles boots it, the first one first; one if it has no profiles, none if it is another file."""
    if not host.is_file(path):
        return ()
    try:
        with host.open(path) as file:
            return tuple(_read(file))
    except (HostError, OSError, ValueError, struct.error):
        return ()


def _read(file: t.BinaryIO) -> t.Iterator[UnifiedImage]:
    """The sections before the first profile are the base of all, of which a profile replaces some by its own.

    (systemd: pe_locate_profile_sections() in src/boot/pe.c)
    """
    parts: list[dict[str, tuple[int, int]]] = [{}]
    for name, offset, size in sections(file):
        if name == ".profile":
            parts.append({})
        parts[-1].setdefault(name, (offset, size))
    base, own = parts[0], parts[1:]
    for number, part in enumerate(own[:MOST_PROFILES] or [base]):
        places = {**base, **part}
        if ".linux" in places:
            named = _variables(_text(file, *part.get(".profile", (0, 0)))).get("ID") or str(number)
            yield _image(file, places, named if number else "")


def _image(file: t.BinaryIO, places: t.Mapping[str, tuple[int, int]], profile: str) -> UnifiedImage:
    def text(name: str) -> str:
        return _text(file, *places.get(name, (0, 0)))

    return UnifiedImage(
        cmdline=_one_line(text(".cmdline")),
        release=text(".uname") or _own_release(file, *places[".linux"]),
        os_release=_variables(text(".osrel")),
        initrd=places.get(".initrd"),
        profile=profile,
    )


def _own_release(file: t.BinaryIO, offset: int, size: int) -> str | None:
    file.seek(offset)
    return x86_release(file.read(min(image_header.SETUP, size)))


def sections(file: t.BinaryIO) -> t.Iterator[tuple[str, int, int]]:
    """Name, offset and size of each section; none if the file is not a PE file.  (Microsoft's PE format: COFF header, section table)"""
    start = file.read(64)
    if start[:2] != b"MZ":
        return
    header = struct.unpack("<I", start[0x3C:0x40].ljust(4, b"\0"))[0]
    file.seek(header)
    coff = file.read(COFF_HEADER)
    if coff[:4] != b"PE\0\0" or len(coff) < COFF_HEADER:
        return
    count, optional = struct.unpack_from("<H", coff, 6)[0], struct.unpack_from("<H", coff, 20)[0]
    file.seek(header + COFF_HEADER + optional)
    table = file.read(SECTION_HEADER * min(count, MOST_SECTIONS))
    for at in range(0, len(table) - SECTION_HEADER + 1, SECTION_HEADER):
        name, size, _address, raw_size, offset = struct.unpack_from("<8sIIII", table, at)
        yield name.rstrip(b"\0").decode("ascii", "replace"), offset, min(size, raw_size) if size else raw_size


def _variables(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}
