# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu of extlinux and syslinux, and of U-Boot, which reads the same file.  (syslinux: doc/syslinux.txt; U-Boot: doc/README.pxe)"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles

NAME = "extlinux"
NAMES = ("extlinux.conf", "syslinux.cfg")
"""In each folder the first that is there is read (core/fs/lib/loadconfig.c)."""
OF_EFI = ("syslx64.cfg", "syslia32.cfg", "syslinux.cfg")
CONFIGS = (
    *(f"{folder}/{name}" for folder in ("/boot/extlinux", "/extlinux", "/boot/syslinux", "/boot") for name in NAMES),
    *(f"{partition}/EFI/syslinux/{name}" for partition in ("/boot/efi", "/efi") for name in OF_EFI),
)
MOST_FILES = 16
OF_LABELS = ("append", "initrd", "linux", "kernel")
ENDING = ("menu separator", "menu begin", "menu end")


class _Label:
    def __init__(self, name: str, append: str, source: str) -> None:
        self.name = name
        self.title = name
        self.append = append
        self.kernel: str | None = None
        self.source = source
        self.initrds: tuple[str, ...] = ()


def menu(files: BootFiles) -> Menu | None:
    """The menu of the first configuration that exists; None if none does."""
    configs = [place for place in CONFIGS if files.host.is_file(place)]
    if not configs:
        return None
    config = configs[0]
    reader = _Reader(files, config)
    reader.read(config)
    items = tuple(_item(label, posixpath.dirname(config)) for label in reader.labels)
    if not any(item.kernel for item in items):
        return None
    doubts = list(reader.doubts)
    texts = {files.text(place) for place in configs}
    if len(texts) > 1:
        doubts.append(f"{' and '.join(configs)} differ; which of them the loader reads cannot be determined.")
    # A default that is a menu's program shows the menu, which has a default of its own.
    given = (reader.on_timeout, *reader.menu_defaults[:1], reader.default)
    wanted = [label for label in given if label and not label.split()[0].endswith(".c32")]
    named = {item.id: item for item in items}
    known = [label for label in wanted if label in named]
    if len(set(known)) > 1:
        doubts.append(f"{config} sets several defaults ({', '.join(dict.fromkeys(known))}); which one counts depends on the loader.")
    doubts += [
        f"{config}: the default is `{label}`, which is not an entry: what the loader boots in its place depends on the loader."
        for label in dict.fromkeys(wanted)
        if label not in named
    ]
    doubts += _of_menu_program(reader, named)
    if known:
        default, why = named[known[0]], f"{config}: the default is {known[0]}"
    else:
        default, why = items[0], f"{config}: no default is set, so the first entry is the default"
    return Menu(NAME, config, items, default, why, tuple(doubts))


def _of_menu_program(reader: _Reader, named: t.Mapping[str, MenuItem]) -> t.Iterator[str]:
    """What the menu's program and U-Boot take differently."""
    if len(named) < len(reader.labels):
        yield f"{reader.config} has several entries of one name; which one counts depends on the loader."
    if len(reader.menu_defaults) > 1:
        yield f"{reader.config} sets `menu default` in several entries; which one counts depends on the loader."
    if reader.saves is not None:
        yield f"{reader.saves} has the menu save which entry was booted last, and it keeps that to itself."
    if reader.opens_submenu and reader.default is None and not reader.menu_defaults:
        yield f"{reader.config}: the menu begins with another menu, so which entry is the default depends on the loader."


def _item(label: _Label, folder: str) -> MenuItem:
    embedded = [word[len("initrd=") :] for word in label.append.split() if word.startswith("initrd=")]
    initrds = label.initrds or tuple(path for paths in embedded for path in paths.split(",") if path)
    return MenuItem(
        title=label.title,
        id=label.name,
        source=label.source,
        kernel=None if label.kernel is None else _absolute(label.kernel, folder),
        arguments=label.append,
        initrds=tuple(_absolute(path, folder) for path in initrds),
    )


def _absolute(path: str, folder: str) -> str:
    """Paths are relative to the directory of the configuration."""
    return posixpath.normpath(path if path.startswith("/") else f"{folder}/{path}")


class _Reader:
    def __init__(self, files: BootFiles, config: str) -> None:
        self._files = files
        self.config = config
        self._left = MOST_FILES
        self._append = ""
        self.labels: list[_Label] = []
        self.default: str | None = None
        self.menu_defaults: tuple[str, ...] = ()
        self.saves: str | None = None
        """The file and line that has the menu save the last entry."""
        self.opens_submenu = False
        self._is_behind = False
        """Whether the last entry has ended for syslinux, which U-Boot does not know."""
        self.on_timeout: str | None = None
        self.doubts: list[str] = []

    def read(self, place: str) -> None:
        text = self._files.text(place)
        self._left -= 1
        if text is None or self._left < 0:
            self.doubts.append(f"{place} cannot be read, or is included too many times.")
            return
        for number, line in enumerate(text.splitlines(), 1):
            key, _blank, value = line.strip().replace("\t", " ").partition(" ")
            key, value = key.lower(), value.strip()
            if key == "menu":
                first, _blank, rest = value.partition(" ")
                key, value = f"menu {first.lower()}", rest.strip()
            self._take(key, value, f"{place}:{number}")

    def _take(self, key: str, value: str, here: str) -> None:
        label = self.labels[-1] if self.labels else None
        if label is not None and self._is_behind and key in OF_LABELS:
            self.doubts.append(f"{here} sets {key} behind a part of the menu; whether it is the entry's own depends on the loader.")
        self._is_behind = (self._is_behind or key in ENDING) and key != "label"
        if key == "label":
            self.labels.append(_Label(value, self._append, here))
        elif key == "default":
            self.default = value
        elif key == "ontimeout":
            self.on_timeout = value
        elif key == "menu save":
            self.saves = here
        elif key == "menu begin":
            self.opens_submenu = self.opens_submenu or not self.labels
        elif key in ("include", "menu include"):
            self._include(value.partition(" ")[0], here)
        elif key == "append" and label is None:
            self._append = value
        elif label is not None:
            self._take_of_label(label, key, value, here)

    def _take_of_label(self, label: _Label, key: str, value: str, here: str) -> None:
        if key in ("linux", "kernel") and not value.endswith((".c32", ".0", ".bin", ".bss", ".com")):
            label.kernel, label.source = value, here
        elif key == "initrd":
            label.initrds = tuple(path for path in value.replace(",", " ").split() if path)
        elif key == "append":
            label.append = "" if value == "-" else value
        elif key == "menu label":
            label.title = value.replace("^", "")
        elif key == "menu default":
            self.menu_defaults = (*self.menu_defaults, label.name)

    def _include(self, path: str, here: str) -> None:
        folder = posixpath.dirname(here.rpartition(":")[0])
        place = self._files.find(_absolute(path, folder)) if path else None
        if place is not None:
            self.read(place)
        elif not path.endswith("stdmenu.cfg"):
            self.doubts.append(f"{here} includes {path}, which does not exist.")
