# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernel a host boots next, with which initramfs and arguments, determined from files only."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import (
    editable,
    in_charge,
    kernel_image,
    stale_settings,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles, candidates
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.other_loaders import MAY_BOOT_WITH
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import read_once
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline, cut_off
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

HIDDEN = "The boot loader's configuration cannot be read: the running kernel's arguments are assumed."


@dataclasses.dataclass(frozen=True)
class BootEntry:
    """What the boot loader passes to a kernel: the arguments, and the initramfs images in the order in which they are unpacked.

    ``source`` is the file and line that name the kernel, such as `/boot/grub/grub.cfg:132`; ``initrds`` are paths of the host.
    ``doubts`` say what cannot be determined about this entry.
    """

    release: str
    cmdline: Cmdline
    source: str
    initrds: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    """Files and lines that a person edits to change the arguments, if a program writes the entry."""
    hypervisor: str | None = None
    """What starts the kernel as its guest, if anything."""

    def doubted(self, doubts: t.Iterable[str]) -> BootEntry:
        """The same entry with further doubts before its own."""
        return dataclasses.replace(self, doubts=tuple(dict.fromkeys((*doubts, *self.doubts))))

    @property
    def cmdline_source(self) -> str:
        """Where the arguments come from, for messages."""
        return f"{self.source} (from {', '.join(self.edited)})" if self.edited else self.source


@dataclasses.dataclass(frozen=True)
class NextBoot:
    """The kernel that boots by default, and each kernel's entry.

    ``release`` is None if that cannot be determined; ``doubts`` say why.  ``entries`` has, by release, the first entry
    that is not a recovery entry, and for the default kernel the default entry.  ``doubts`` are those about the choice and about the
    default entry.
    """

    release: str | None
    why: str
    entries: t.Mapping[str, BootEntry]
    doubts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read(host: Host) -> NextBoot:
    """Never raises because of a boot loader's files: what cannot be interpreted is a doubt."""
    try:
        return read_once(host, "next boot", lambda: _read(host))
    except HostError as error:
        return _running(host, (error.msg,), True)


def _read(host: Host) -> NextBoot:
    files = BootFiles(host)
    menus, doubts, is_hidden = in_charge.read(files)
    answers = tuple(_answer(files, menu) for menu in menus)
    if not answers:
        return _running(host, doubts, is_hidden)
    answer = answers[0] if len(answers) == 1 else _agreed(menus, answers)
    # Another loader would give each kernel something else.
    entries = {release: entry.doubted(doubts) for release, entry in answer.entries.items()}
    return dataclasses.replace(answer, entries=entries, doubts=tuple(dict.fromkeys((*doubts, *answer.doubts))))


def _answer(files: BootFiles, menu: Menu) -> NextBoot:
    known: dict[str, str | None] = {}
    entries: dict[str, BootEntry] = {}
    for item in menu.kernels():
        entry = None if item.is_recovery else _entry(files, menu, item, known)
        if entry is not None:
            entries.setdefault(entry.release, entry)
    default = menu.default
    if default is None:
        return NextBoot(None, menu.why, entries, menu.doubts)
    chosen = _entry(files, menu, default, known)
    if chosen is None:
        what = "does not boot Linux" if default.kernel is None else f"boots {default.kernel}, whose release cannot be determined"
        return NextBoot(None, menu.why, entries, (*menu.doubts, f"{default.source}: the default entry '{default.title}' {what}."))
    # Whether this entry boots is part of the answer about its kernel.
    chosen = entries[chosen.release] = chosen.doubted(menu.doubts)
    warnings = stale_settings.warnings(files, menu, default)
    return NextBoot(chosen.release, menu.why, entries, chosen.doubts, warnings)


def _entry(files: BootFiles, menu: Menu, item: MenuItem, known: dict[str, str | None]) -> BootEntry | None:
    """None if the item does not boot Linux, or its kernel's release cannot be determined."""
    if item.kernel is None:
        return None
    doubts = list(item.doubts)
    if item.kernel not in known:
        place = files.find(item.kernel)
        name = posixpath.basename(item.kernel)
        known[item.kernel] = kernel_image.release(files.host, place) if place else kernel_image.name_release(files.host, name)
    release = item.release or known[item.kernel]
    if release is None:
        return None
    if not item.certain:
        doubts.append(f"{item.source}: whether this entry is in the menu cannot be determined without running the boot loader.")
    initrds: list[str] = []
    for path in (item.kernel, *item.initrds):
        place = files.find(path)
        if place is None:
            doubts.append(f"{item.source} names {path}, which does not exist.")
        initrds.append(place or candidates(path)[0])
    doubts += _cut_off(files.host, menu, item)
    edited = editable.lines(files, menu, item)
    return BootEntry(release, Cmdline.parse(item.arguments), item.source, tuple(initrds[1:]), tuple(doubts), edited, item.hypervisor)


def _cut_off(host: Host, menu: Menu, item: MenuItem) -> tuple[str, ...]:
    """What loaders do with a line that the kernel does not read to its end differs: they leave out words, or cut one in two."""
    if menu.source.endswith("grub.cfg"):
        added = [f"BOOT_IMAGE={item.kernel}"]
    else:
        added = [word for word in (f"initrd={path}" for path in item.initrds) if word not in item.arguments]
    cut = cut_off(host.machine, (*added, item.arguments))
    if cut is None:
        return ()
    return (f"{item.source}: its arguments have {cut[0]} bytes, of which a kernel of {host.machine} reads {cut[1]}.",)


def _agreed(menus: t.Sequence[Menu], answers: t.Sequence[NextBoot]) -> NextBoot:
    """What is the same for several loaders, of which any may be the active one."""
    first, others = answers[0], answers[1:]
    named = " and ".join(f"{menu.loader} ({menu.source})" for menu in menus)
    doubt = f"{named} are both installed; which one is active cannot be determined."
    entries: dict[str, BootEntry] = {}
    for answer in answers:
        for release, entry in answer.entries.items():
            alike = all(_boots_alike(entry, other.entries.get(release)) for other in answers)
            entries.setdefault(release, entry if alike else dataclasses.replace(entry, doubts=(*entry.doubts, doubt)))
    doubts = tuple(dict.fromkeys(sentence for answer in answers for sentence in answer.doubts))
    warnings = tuple(dict.fromkeys(sentence for answer in answers for sentence in answer.warnings))
    chosen = None if first.release is None else entries[first.release]
    if chosen is not None and doubt not in chosen.doubts and all(other.release == first.release for other in others):
        return NextBoot(first.release, f"{named} agree; {first.why}", entries, doubts, warnings)
    return NextBoot(None, doubt, entries, (doubt, *doubts), warnings)


def _boots_alike(one: BootEntry, other: BootEntry | None) -> bool:
    return other is not None and (one.cmdline, one.initrds) == (other.cmdline, other.initrds)


def _running(host: Host, doubts: tuple[str, ...], is_hidden: bool) -> NextBoot:
    """For a host without a boot loader's configuration: only what the running kernel was given is known.

    ``is_hidden``: there is one that cannot be read, so the kernel may be given something else when it boots again.
    """
    doubt = "No boot loader configuration was found, so which kernel boots next, and with which arguments, cannot be determined."
    release = host.text_or_none(OSRELEASE)
    about = (HIDDEN,) if is_hidden else ()
    entries = {release: BootEntry(release, Cmdline.read(host), CMDLINE, (), about)} if release and host.is_file(CMDLINE) else {}
    # Where another loader's files were found, that none was found would be wrong.
    named = next((one for one in doubts if MAY_BOOT_WITH in one), None)
    return NextBoot(None, named or doubt, entries, doubts if named else (doubt, *doubts))
