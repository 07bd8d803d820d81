# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limine's menu.  (Limine: CONFIG.md)"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import LIMINE, PARTITIONS
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles

CONFIGS = tuple(
    f"{partition}/{folder}limine.conf"
    for partition in PARTITIONS
    for folder in ("", "limine/", "boot/", "boot/limine/", "EFI/limine/", "EFI/BOOT/")
)
ENTRY = re.compile(r"^(/+)(\+?)\s*(.*)$")
OPTION = re.compile(r"^([A-Za-z_][\w. ]*?)\s*:\s*(.*)$")
# `boot():/vmlinuz`, with a checksum behind `#`.  Other volumes than the one of the configuration are named otherwise.
PLACE = re.compile(r"^boot\(\):/?([^#]*)(?:#[0-9a-fA-F]*)?$")
PROTOCOLS = ("linux", "limine-linux")


class _Entry:
    def __init__(self, depth: int, title: str, source: str) -> None:
        self.depth = depth
        self.title = title
        self.source = source
        self.options: dict[str, str] = {}
        self.modules: list[str] = []


def menu(files: BootFiles) -> Menu | None:
    """The menu of the configuration that exists; None if none does, or if it has no entry that boots Linux."""
    configs = [place for place in CONFIGS if files.host.is_file(place)]
    if not configs:
        return None
    config = configs[0]
    settings, entries, doubts = _read(files.text(config) or "", config)
    if len({files.text(place) for place in configs}) > 1:
        doubts.append(f"{' and '.join(configs)} differ; which of them Limine reads cannot be determined.")
    partition = next(partition for partition in PARTITIONS if config.startswith(f"{partition}/"))
    items = tuple(_item(entry, partition) for entry in _bootable(entries))
    if not any(item.kernel for item in items):
        return None
    wanted = settings.get("default_entry", "1")
    if settings.get("remember_last_entry", "no") == "yes":
        return Menu(
            LIMINE, config, items, None, f"{config}: Limine boots the entry that was booted last, which it keeps to itself.", tuple(doubts)
        )
    named = next((item for item in items if wanted in (item.title, item.id)), None)
    number = int(wanted) if wanted.isdecimal() and len(wanted) < 6 else 0
    # Entries count with the folders that they are in.
    counted = entries[number - 1] if 0 < number <= len(entries) else None
    chosen = named or next((item for item in items if counted is not None and item.source == counted.source), None)
    if chosen is None:
        why = f"{config}: the default entry, {wanted}, is none that boots a system."
        return Menu(LIMINE, config, items, None, why, (*doubts, why))
    return Menu(LIMINE, config, items, chosen, f"{config}: the default entry is {wanted}", tuple(doubts))


def _read(text: str, config: str) -> tuple[dict[str, str], list[_Entry], list[str]]:
    settings: dict[str, str] = {}
    entries: list[_Entry] = []
    doubts: list[str] = []
    macros: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        macro = re.match(r"^\$\{(\w+)\}\s*=\s*(.*)$", line)
        if macro is not None:
            macros[macro[1]] = macro[2]
            continue
        line = re.sub(r"\$\{(\w+)\}", lambda match: macros.get(match[1], match[0]), line)
        found = ENTRY.match(line)
        if found is not None:
            entries.append(_Entry(len(found[1]), found[3], f"{config}:{number}"))
            continue
        option = OPTION.match(line)
        if option is None or line.startswith("#"):
            continue
        key, value = option[1].lower(), option[2]
        if "${" in value:
            doubts.append(f"{config}:{number} has a macro that is known only to Limine.")
        if not entries:
            settings[key] = value
        elif key in ("module_path", "initrd"):
            entries[-1].modules.append(value)
        else:
            entries[-1].options[key] = value
    return settings, entries, doubts


def _bootable(entries: t.Sequence[_Entry]) -> t.Iterator[_Entry]:
    """Those that are no folder."""
    for at, entry in enumerate(entries):
        after = entries[at + 1] if at + 1 < len(entries) else None
        if after is None or after.depth <= entry.depth:
            yield entry


def _item(entry: _Entry, partition: str) -> MenuItem:
    options = entry.options
    kernel = options.get("path") or options.get("kernel_path")
    if options.get("protocol", "").lower() not in PROTOCOLS or kernel is None:
        return MenuItem(entry.title, entry.title, entry.source)
    doubts: list[str] = []
    paths = [_place(value, partition, entry.source, doubts) for value in (kernel, *entry.modules)]
    return MenuItem(
        title=entry.title,
        id=entry.title,
        source=entry.source,
        kernel=paths[0],
        arguments=options.get("cmdline") or options.get("kernel_cmdline") or "",
        initrds=tuple(paths[1:]),
        doubts=tuple(doubts),
    )


def _place(value: str, partition: str, source: str, doubts: list[str]) -> str:
    found = PLACE.match(value.strip())
    if found is None:
        doubts.append(f"{source} names {value} on another volume, which cannot be determined.")
        return value
    return f"{partition}/{found[1].strip()}"
