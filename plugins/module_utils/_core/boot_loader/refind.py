# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu of rEFInd: kernels that it finds by itself, with the arguments that are beside them, and those of its own configuration.

It looks at all partitions, also those that are not mounted, so of what it boots only its memory of the last boot tells something.
(rEFInd: refind/scan.c, refind/linux.c, refind/config.c)
"""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image, refind_settings, unified_entry
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import (
    PARTITIONS,
    UNIFIED_IMAGES,
    BootFiles,
    partition_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import REFIND
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.refind_settings import RefindSettings, numbers, shared, tokens

OPTIONS = ("refind_linux.conf", "refind-linux.conf")
IMAGES = ("init", "booster")
RESCUE = "vmlinuz-0-rescue"
INITRD, VERSION = "initrd=", "%v"
NOT_SCANNED = ("tools", "memtest", "memtest86")


def menu(files: BootFiles, program: str | None) -> Menu | None:
    """``program`` is the place of rEFInd itself, if it is known.  None if no configuration, and no kernel, of it was found."""
    settings = refind_settings.read(files, program)
    groups = [group for group in (tuple(_found(files, folder, settings)) for folder in _folders(files, settings)) if group]
    items = [*(item for group in groups for item in group), *_of_stanzas(files, settings), *_unified(files)]
    is_there = program is not None or settings.place is not None or any(item.source.rpartition(":")[0].endswith(OPTIONS) for item in items)
    if not items or not is_there:
        return None
    default, why = _default(groups, settings)
    source = settings.place or items[0].source.rpartition(":")[0]
    doubts = () if default is not None else (f"{source}: {why}",)
    return Menu(REFIND, source, tuple(_told_apart(items, default)), default, f"{source}: {why}", doubts)


def _folders(files: BootFiles, settings: RefindSettings) -> tuple[str, ...]:
    """Where it looks for kernels, on each partition that is mounted."""
    found: dict[str, None] = {}
    for partition in (*PARTITIONS, ""):
        found.update({partition: None} if partition else {})
        below = (name for name in files.names(f"{partition}/EFI") if partition and name.lower() not in NOT_SCANNED)
        found.update(dict.fromkeys(f"{partition}/EFI/{name}" for name in below if name[:1] != "."))
        found.update(dict.fromkeys(f"{partition}/{folder}" for folder in settings.folders))
    left_out = tuple(f"/{folder}".lower() for folder in settings.folders_left_out)
    return tuple(folder for folder in found if not (left_out and folder.lower().endswith(left_out)))


def _found(files: BootFiles, folder: str, settings: RefindSettings) -> t.Iterator[MenuItem]:
    """The kernels of a folder, the newest first, but one of a rescue system last."""
    names = files.names(folder)
    kernels = [name for name in names if name.lower().startswith(settings.prefixes) and _is_kernel(files, f"{folder}/{name}", settings)]
    kernels.sort(key=lambda name: (RESCUE in name.lower(), -_changed(files, f"{folder}/{name}")))
    for name in kernels:
        place, doubts = f"{folder}/{name}", []
        source, line, options = _options(files, folder)
        if source is None:
            doubts.append(f"{folder} has no refind_linux.conf, so rEFInd makes the arguments of {place} up by /etc/fstab or partitions.")
        image = _image(names, name, settings)
        arguments = _with_image(options, _inside(files, folder), image, settings)
        yield MenuItem(
            title=f"{_inside(files, folder)}{name}".lstrip("\\"),
            id=place,
            source=f"{source}:{line}" if source else place,
            kernel=place,
            arguments=arguments,
            initrds=_initrds(files, arguments, folder),
            release=kernel_image.release(files.host, place),
            doubts=tuple(doubts),
        )


def _is_kernel(files: BootFiles, place: str, settings: RefindSettings) -> bool:
    """It takes no links, and no kernel of which a signed copy is beside it."""
    is_left_out = posixpath.basename(place).lower() in settings.files_left_out or files.host.is_file(f"{place}.efi.signed")
    is_link = not settings.follows_links and files.host.link(place) is not None
    return files.host.is_file(place) and not is_left_out and not is_link


def _changed(files: BootFiles, place: str) -> float:
    status = files.host.stat(place)
    return 0.0 if status is None else status.st_mtime


def _options(files: BootFiles, folder: str) -> tuple[str | None, int, str]:
    """The file, the line and the text of the first options beside a kernel."""
    for place in (f"{folder}/{name}" for name in OPTIONS):
        text = files.text(place)
        if text is not None:
            lines = ((number, tokens(line)) for number, line in enumerate(text.splitlines(), 1))
            number, found = next(((number, words) for number, words in lines if words), (1, []))
            return place, number, found[1] if len(found) > 1 else ""
    return None, 0, ""


def _image(names: t.Iterable[str], kernel: str, settings: RefindSettings) -> str | None:
    """The image beside a kernel that has the same version in its name: that with more in common behind it, else with the shorter name."""
    version = numbers(kernel, settings.versions)
    own = (version or "").lower()
    images = [name for name in names if name.lower().startswith(IMAGES)]
    fitting = [name for name in images if (numbers(name, settings.versions) or "").lower() == own]
    return min(fitting, key=lambda name: (-shared(kernel, name, version), len(name)), default=None)


def _inside(files: BootFiles, folder: str) -> str:
    """The folder as rEFInd calls it on its volume, with a stroke behind it."""
    partition = partition_of(f"{folder}/", files.mounts)
    inside = folder[len(partition) :].strip("/").replace("/", "\\")
    return f"{inside}\\"


def _with_image(options: str, folder: str, image: str | None, settings: RefindSettings) -> str:
    if image is None:
        return options
    version = numbers(f"{folder}{image}", settings.versions)
    if VERSION in options and version:
        options = options.replace(VERSION, version)
    return options if INITRD in options.lower() else f"{options} {INITRD}{folder}{image}".strip()


def _initrds(files: BootFiles, arguments: str, folder: str) -> tuple[str, ...]:
    """The images that the arguments name, by the host's paths: on the kernel's own partition."""
    partition = partition_of(f"{folder}/")
    found = []
    for word in arguments.split():
        if word.startswith(INITRD):
            path = word[len(INITRD) :].replace("\\", "/").lstrip("/")
            own = f"{partition}/{path}"
            found.append(own if files.host.is_file(own) else files.find(f"/{path}") or own)
    return tuple(found)


def _of_stanzas(files: BootFiles, settings: RefindSettings) -> t.Iterator[MenuItem]:
    for stanza in settings.stanzas:
        path = stanza.loader.replace("\\", "/")
        place = files.find(path)
        if place is None or not posixpath.basename(path).lower().startswith(settings.prefixes):
            continue
        arguments = " ".join(filter(None, (stanza.options, f"{INITRD}{stanza.initrd}" if stanza.initrd else "")))
        initrds = _initrds(files, arguments, posixpath.dirname(place))
        release = kernel_image.release(files.host, place)
        yield MenuItem(stanza.title, stanza.title, stanza.source, place, arguments, initrds, release=release)


def _unified(files: BootFiles) -> t.Iterator[MenuItem]:
    for folder in (f"{partition}/{UNIFIED_IMAGES}" for partition in PARTITIONS):
        for name in files.names(folder):
            image = kernel_image.read(files.host, f"{folder}/{name}") if name.lower().endswith(".efi") else None
            if image is not None:
                yield unified_entry.item(files, image, name, f"{folder}/{name}")


def _told_apart(items: t.Sequence[MenuItem], default: MenuItem | None) -> t.Iterator[MenuItem]:
    """With a doubt about each kernel that several entries boot otherwise, but for the default."""
    first: dict[str, MenuItem] = {}
    others: dict[str, MenuItem] = {}
    for item in items:
        known = first.setdefault(item.release or "", item)
        if (known.arguments, known.initrds) != (item.arguments, item.initrds):
            others.setdefault(item.release or "", item)
    for item in items:
        other = others.get(item.release or "")
        if other is None or item == default:
            yield item
        else:
            doubt = f"rEFInd has entries for this kernel that differ ({first[item.release or ''].source}, {other.source})."
            yield dataclasses.replace(item, doubts=(*item.doubts, doubt))


def _default(groups: t.Sequence[tuple[MenuItem, ...]], settings: RefindSettings) -> tuple[MenuItem | None, str]:
    """What was booted last, if rEFInd is to boot that and it still is an entry of the main menu."""
    if settings.default != "+":
        return None, f"`default_selection {settings.default}` may be the entry of any partition."
    if settings.last is None:
        return None, "which entry it booted last, and boots again, is not known."
    shown = [item for group in groups for item in (group[:1] if settings.folds else group)]
    fitting = [item for item in shown if settings.last.lower() == item.title.lower()]
    if len(fitting) != 1:
        return None, f"it booted {settings.last} last, which its main menu does not have, or has several times."
    return fitting[0], f"it booted {settings.last} last, and boots that again"
