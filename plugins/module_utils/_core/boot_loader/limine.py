# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limine's menu.  (Limine: CONFIG.md)"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import LIMINE
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles

FOLDERS = ("", "limine/", "boot/", "boot/limine/", "EFI/limine/", "EFI/BOOT/")
ENTRY = re.compile(r"^(/+)(\+?)\s*(.*)$")
# A definition counts for the whole file, of several the last one; a name that has none stands for nothing.  (init_config())
MACRO = re.compile(r"^\$\{([^}]*)\}=(.*)$")
USED_MACRO = re.compile(r"\$\{([^}]*)\}")
ARCH = "ARCH"
OPTION = re.compile(r"^([A-Za-z_][\w.]*):[ \t]*(.*)$")
# `boot():/vmlinuz`, with a checksum behind `#`.  Other volumes than the one of the configuration are named otherwise.
PLACE = re.compile(r"^boot\(\):/([^#]*)(?:#[0-9a-fA-F]*)?$")
HIDING = ("if_fw_type", "if_arch", "if_loader_arch")
FOR_ALL = ("default_entry", "remember_last_entry")
ONE_SHOT, DEFAULT = "LoaderEntryOneShot", "LoaderEntryDefault"
LONGEST_NUMBER = 6
PROTOCOLS = ("linux", "limine-linux")
OF_EFI = ("efi", "efi_chainload", "uefi")


class _Entry:
    def __init__(self, depth: int, is_open: bool, title: str, source: str) -> None:
        self.depth = depth
        self.is_open = is_open
        self.title = title
        self.source = source
        self.given: dict[str, str] = {}
        self.modules: list[str] = []


def configurations(partitions: t.Sequence[str]) -> dict[str, str]:
    """Where a configuration may be, in the order in which Limine looks there, each with its partition."""
    return {f"{partition}/{folder}limine.conf": partition for partition in partitions for folder in FOLDERS}


def menu(files: BootFiles) -> Menu | None:
    """The menu of the configuration that exists; None if none does, or if it has no entry that boots Linux."""
    places = configurations(files.partitions)
    configs = [place for place in places if files.host.is_file(place)]
    if not configs:
        return None
    config, partition = configs[0], places[configs[0]]
    reader = _Reader(config)
    reader.read(files.text(config) or "")
    doubts = reader.doubts
    if len({files.text(place) for place in configs}) > 1:
        doubts.append(f"{' and '.join(configs)} differ; which of them Limine reads cannot be determined.")
    items = tuple(_item(files, entry, partition) for entry in _bootable(reader.entries))
    if not any(item.kernel for item in items):
        return None
    if reader.settings.get("remember_last_entry", "no").lower() == "yes":
        why = f"{config}: Limine boots the entry that was booted last, which it keeps to itself."
        return Menu(LIMINE, config, items, None, why, (*doubts, why))
    asked = _asked_by_variables(files, "default_entry" in reader.settings)
    if asked is not None:
        return Menu(LIMINE, config, items, None, asked, (*doubts, asked))
    wanted = reader.settings.get("default_entry", "1")
    chosen = _chosen(items, reader.entries, wanted)
    if chosen is None:
        why = f"{config}: the default entry, {wanted}, is none that boots a system."
        return Menu(LIMINE, config, items, None, why, (*doubts, why))
    hiding = next((entry for entry in reader.entries for name in HIDING if name in entry.given), None)
    if hiding is not None:
        doubts.append(
            f"{hiding.source}: Limine hides this entry on some machines, so which one it counts as {wanted} cannot be determined."
        )
    return Menu(LIMINE, config, items, chosen, f"{config}: the default entry is {wanted}", tuple(doubts))


def _asked_by_variables(files: BootFiles, has_default: bool) -> str | None:
    """What the Boot Loader Interface's variables ask for, which newer versions of Limine obey."""
    for name in (ONE_SHOT, *(() if has_default else (DEFAULT,))):
        value = efi_variables.text(files.host, name)
        if value:
            return f"The EFI variable {name} asks for {value}, which newer versions of Limine boot."
    return None


def _chosen(items: t.Sequence[MenuItem], entries: t.Sequence[_Entry], wanted: str) -> MenuItem | None:
    """By its path of titles, by title, or by number: those count that are shown at first, with the folders that they are in."""
    paths = dict(_paths(entries))
    named = next((item for item in items if wanted in (paths.get(item.source), item.title)), None)
    # The entries are counted from 1, and 0 is the first one as well.
    number = max(int(wanted), 1) if wanted.isdecimal() and len(wanted) < LONGEST_NUMBER else 0
    shown = list(_shown(entries))
    counted = shown[number - 1] if 0 < number <= len(shown) else None
    return named or next((item for item in items if counted is not None and item.source == counted.source), None)


def _paths(entries: t.Sequence[_Entry]) -> t.Iterator[tuple[str, str]]:
    """Each entry's file and line, and its title behind those of the folders that it is in."""
    titles: list[str] = []
    for entry in entries:
        titles = [*titles[: entry.depth - 1], re.sub(r"([/\\#])", r"\\\1", entry.title)]
        yield entry.source, "/".join(titles)


def _shown(entries: t.Sequence[_Entry]) -> t.Iterator[_Entry]:
    """Those that are in no folder that is closed."""
    closed: int | None = None
    for entry in entries:
        if closed is not None and entry.depth > closed:
            continue
        closed = None if entry.is_open else entry.depth
        yield entry


class _Reader:
    """Goes through the lines of a configuration."""

    def __init__(self, config: str) -> None:
        self._config = config
        self._macros: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.entries: list[_Entry] = []
        self.doubts: list[str] = []

    def read(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()]
        self._macros = {macro[1]: macro[2] for macro in map(MACRO.match, lines) if macro is not None}
        for number, line in enumerate(lines, 1):
            if MACRO.match(line) is None:
                self._line(line, f"{self._config}:{number}")

    def _line(self, written: str, here: str) -> None:
        if ARCH not in self._macros and f"${{{ARCH}}}" in written:
            self.doubts.append(f"{here} has a macro that is known only to Limine.")
        line = USED_MACRO.sub(lambda match: self._macros.get(match[1], match[0] if match[1] == ARCH else ""), written)
        found = ENTRY.match(line)
        if found is not None:
            self.entries.append(_Entry(len(found[1]), bool(found[2]), found[3], here))
            return
        option = OPTION.match(line)
        if option is not None:
            self._option(option[1].lower(), option[2], here)

    def _option(self, key: str, value: str, here: str) -> None:
        # Of options that are for all entries the first one of the file counts, wherever it stands (config_get_value()).
        is_first = key not in self.settings
        self.settings.setdefault(key, value)
        if not self.entries:
            return
        if is_first and key in FOR_ALL:
            self.doubts.append(f"{here} sets {key} behind the first entry, which some versions of Limine do not read.")
        if key in ("module_path", "initrd"):
            self.entries[-1].modules.append(value)
        else:
            self.entries[-1].given.setdefault(key, value)


def _bootable(entries: t.Sequence[_Entry]) -> t.Iterator[_Entry]:
    """Those that are no folder."""
    for at, entry in enumerate(entries):
        after = entries[at + 1] if at + 1 < len(entries) else None
        if after is None or after.depth <= entry.depth:
            yield entry


def _item(files: BootFiles, entry: _Entry, partition: str) -> MenuItem:
    given = entry.given
    kernel = given.get("path") or given.get("kernel_path") or given.get("image_path")
    protocol = given.get("protocol", "").lower()
    if protocol in OF_EFI and kernel is not None:
        return _program(files, entry, kernel, partition)
    if protocol not in PROTOCOLS or kernel is None:
        return MenuItem(entry.title, entry.title, entry.source)
    doubts: list[str] = []
    paths = [_place(value, partition, entry.source, doubts) for value in (kernel, *entry.modules)]
    return MenuItem(
        title=entry.title,
        id=entry.title,
        source=entry.source,
        kernel=paths[0],
        arguments=_arguments(entry),
        initrds=tuple(paths[1:]),
        doubts=tuple(doubts),
    )


def _program(files: BootFiles, entry: _Entry, path: str, partition: str) -> MenuItem:
    """What the firmware starts for Limine: Linux if it is a unified image, which is given the arguments of the entry."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import unified_entry

    doubts: list[str] = []
    place = files.find_on("", _place(path, partition, entry.source, doubts))
    image = None if place is None or doubts else kernel_image.read(files.host, place)
    if place is None or image is None:
        return MenuItem(entry.title, entry.title, entry.source)
    found = unified_entry.item(files, image, entry.title, place, _arguments(entry))
    return dataclasses.replace(found, title=entry.title, source=entry.source)


def _arguments(entry: _Entry) -> str:
    return entry.given.get("kernel_cmdline", entry.given.get("cmdline", ""))


def _place(value: str, partition: str, source: str, doubts: list[str]) -> str:
    found = PLACE.match(value.strip())
    if found is None:
        doubts.append(f"{source} names {value}, on another volume or by no path, which cannot be determined.")
        return value
    return f"{partition}/{found[1].strip()}"
