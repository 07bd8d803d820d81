# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu that a grub.cfg defines, and the entry that GRUB boots by default."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import bls
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_script import parse
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_shell import DEFAULT, FEATURES, MenuEntry, Shell
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles

EFI = "/sys/firmware/efi"
DEEPEST_MENU = 8
SEPARATOR = re.compile(r"(?<!>)>(?!>)")
# Whatever stands behind the digits (grub_strtoul() in get_entry_number()); what is too large is an error.
NUMBER = re.compile(r"\s*(0[xX][0-9a-fA-F]{1,8}|0[0-7]*|[1-9][0-9]{0,8})(?![0-9]{9})")
OF_BLS = "/loader/entries/"
FOLDER_OF_FEDORA = "/boot/grub2"


def menu(files: BootFiles, config: str) -> Menu | None:
    """GRUB's menu with ``config`` as its configuration; None if that cannot be read or yields no entries."""
    folder = posixpath.dirname(config)
    variables: dict[str, str | None] = dict.fromkeys(FEATURES, "y")
    variables.update(prefix=folder, config_directory=folder, config_file=config, root="device", grub_platform=_platform(files, folder))
    shell = Shell(files, config, variables, _bls_entries)
    if not shell.run_file(config):
        return None
    # A doubt about the whole file applies to each entry.
    items = tuple(_items(shell, tuple(shell.doubts)))
    if shell.left is not None:
        return _without_menu(shell, config, items)
    if not items:
        return None
    wanted = shell.value("default")
    if wanted is None:
        doubt = f"{config}: which entry is the default cannot be determined without running GRUB."
        return Menu("GRUB", config, items, None, doubt, (*shell.doubts, doubt))
    default, how, doubts = chosen(items, wanted, files.host.is_dir(FOLDER_OF_FEDORA))
    return Menu("GRUB", config, items, default, f"{config}: {how}", (*shell.doubts, *(f"{config}: {doubt}" for doubt in doubts)))


def _without_menu(shell: Shell, config: str, items: tuple[MenuItem, ...]) -> Menu:
    """Of a configuration that boots what it has loaded, or leaves GRUB, before there is a menu."""
    doubts = tuple(shell.doubts)
    if shell.left != "boot":
        doubt = f"{config} leaves GRUB by `{shell.left}`, so which boot comes cannot be determined."
        return Menu("GRUB", config, items, None, doubt, (*doubts, doubt))
    title = f"`boot` in {shell.place}"
    item = _item(MenuEntry(title, title, (), shell.place, False, True), shell, doubts, ())
    return Menu("GRUB", config, (item, *items), item, f"{config}: it boots what it has loaded", doubts)


def chosen(items: t.Sequence[MenuItem], wanted: str, may_be_fedoras: bool = False) -> tuple[MenuItem | None, str, tuple[str, ...]]:
    """The item that GRUB boots for this value of `default`, why, and doubts.

    The value is a number, a title or an ID; `>` separates a submenu from an item in it, `>>` is a `>` in a title.  If it names no
    item, or only a submenu, GRUB takes the first item (of the submenu).  Fedora's takes only what is a number as a whole for one.
    (GRUB: grub-core/normal/menu.c)
    """
    doubts: list[str] = []
    how = f'default="{wanted}"' if wanted else "no default is set"
    level: t.Sequence[MenuItem] = items
    rest: str | None = wanted
    while True:
        head, rest = _split(rest or "")
        at = _position(level, head)
        number = _number(head)
        if at is not None and number is not None and number != at and OF_BLS not in level[at].source:
            doubts.append(f"`{head}` begins with a number, which GRUB takes for a place in the menu, and Fedora's GRUB for a title or ID.")
        elif may_be_fedoras and at is not None and at == number and not head.isalnum():
            doubts.append(f"`{head}` begins with a number, which GRUB takes for a place in the menu, and Fedora's GRUB for no entry.")
        if at is None and head:
            how += f", but there is no entry {head}: GRUB takes the first"
        # Whatever stands before an entry that is chosen by its name, that one boots.
        first = 0 if at is None or at == number else at
        at = at or 0
        if not all(item.certain for item in level[first : at + 1]):
            doubts.append(f"which of the entries up to '{level[at].title}' are in the menu cannot be determined without running GRUB.")
        item = level[at]
        if not item.children:
            return item, f"{how}, '{item.title}'", tuple(doubts)
        level = item.children
        if item.own_default is not None:
            rest = item.own_default
            how += f", which sets default={rest}"


def _split(spec: str) -> tuple[str, str | None]:
    found = SEPARATOR.search(spec)
    return (spec, None) if found is None else (spec[: found.start()], spec[found.end() :])


def _position(level: t.Sequence[MenuItem], head: str) -> int | None:
    """A title or ID takes precedence over a number: IDs of BLS entries begin with digits."""
    name = head.replace(">>", ">")
    named = next((at for at, item in enumerate(level) if name and name in (item.title, item.id)), None)
    if named is not None:
        return named
    at = _number(head)
    return at if at is not None and at < len(level) else None


def _number(head: str) -> int | None:
    found = NUMBER.match(head)
    if found is None:
        return None
    return int(found[1], 16 if found[1][:2] in ("0x", "0X") else 8 if found[1].startswith("0") else 10)


def _items(shell: Shell, doubts: tuple[str, ...], depth: int = 0) -> t.Iterator[MenuItem]:
    for entry in shell.entries:
        inside = shell.inside(entry)
        if depth < DEEPEST_MENU:
            inside.run(entry.block)
        yield _item(entry, inside, doubts, tuple(_items(inside, doubts, depth + 1)) if entry.is_submenu else ())


def _item(entry: MenuEntry, inside: Shell, doubts: tuple[str, ...], children: tuple[MenuItem, ...]) -> MenuItem:
    loaded = inside.loading
    unified = _unified(entry, inside)
    sets_default = entry.is_submenu and DEFAULT in inside.assigned
    own_default = inside.value(DEFAULT) if sets_default else ""
    boots = not entry.is_submenu and inside.left in (None, "boot")
    return MenuItem(
        title=entry.title,
        id=entry.id,
        source=entry.source or loaded.source or entry.place,
        kernel=(loaded.kernel if unified is None else unified.kernel) if boots else None,
        arguments=loaded.command_line if unified is None else unified.arguments,
        initrds=loaded.initrds if unified is None else unified.initrds,
        children=children,
        release=None if unified is None else unified.release,
        # Whatever it may set, the path of the choice may lead elsewhere.
        certain=entry.certain and own_default is not None,
        doubts=(*doubts, *entry.doubts, *inside.doubts, *loaded.doubts, *(() if unified is None else unified.doubts)),
        hypervisor=loaded.hypervisor,
        own_default=own_default if sets_default else None,
    )


def _unified(entry: MenuEntry, inside: Shell) -> MenuItem | None:
    """What a unified image boots that the entry starts; None if it starts none."""
    place = None if inside.loading.chained is None else inside.files.find(inside.loading.chained)
    if place is None or not place.lower().endswith(".efi"):
        return None
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image, unified_entry

    image = kernel_image.read(inside.files.host, place)
    return None if image is None else unified_entry.item(inside.files, image, entry.id, place, inside.loading.command_line)


def _bls_entries(shell: Shell, command: str) -> t.Iterator[MenuEntry]:
    is_uki = command == "uki"
    for found in bls.read_unified(shell.files) if is_uki else bls.read_all(shell.files, bls.FOLDERS_OF_GRUB):
        if found.kernel is None:
            if found.efi is not None:
                # Older versions have no entry of it.
                block = parse(f"chainloader {found.efi}\n").block
                yield MenuEntry(found.title or found.id, found.id, block, shell.place, False, is_uki, found.source)
            continue
        doubts: list[str] = []
        options = _expanded(found.options[0] if found.options else "$default_kernelopts", shell, doubts, found.source)
        if len(found.options) > 1:
            doubts.append(f"{found.place} has several `options` lines: some versions of GRUB use the first, others all.")
        early = (shell.value("early_initrd") or "").split()
        folder = found.kernel.rpartition("/")[0]
        initrds = [f"{folder}/{name}" for name in early] + [path for line in found.initrds for path in line.split()]
        text = f"linux {found.kernel} {options}\ninitrd {' '.join(_expanded(path, shell, doubts, found.source) for path in initrds)}\n"
        title = found.title or found.id
        yield MenuEntry(title, found.id.removesuffix(".conf"), parse(text).block, shell.place, False, True, found.source, tuple(doubts))


def _expanded(text: str, shell: Shell, doubts: list[str], source: str) -> str:
    """blscfg expands variables itself, before the script that it makes of an entry runs.  (grub-core/commands/blscfg.c)"""

    def value(match: re.Match[str]) -> str:
        found = shell.value(match[1])
        if found is None:
            doubts.append(f"{source}: the value of ${match[1]} is unknown.")
        # blscfg appends a space, which separates the two values of "$kernelopts$tuned_params".
        return f"{found or ''} "

    return re.sub(r"\$(\w+)", value, text).strip()


def _platform(files: BootFiles, folder: str) -> str | None:
    if files.host.is_dir(EFI):
        return "efi"
    return "pc" if files.host.is_file(OSRELEASE) and files.host.is_dir(f"{folder}/i386-pc") else None
