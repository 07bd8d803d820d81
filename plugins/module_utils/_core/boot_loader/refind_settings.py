# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rEFInd's configuration, and what it remembers of the last boot.  (rEFInd: refind/config.c, refind/mystrings.c, refind/lib.c)"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import PARTITIONS, BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables

VENDOR = "36d08fa7-cf0b-42f5-8f14-68df73ed3740"
"""Of its variables (REFIND_GUID_VALUE in refind/global.h)."""
LAST, LAST_IN_A_FILE = "PreviousBoot", "vars/PreviousBoot"
LONGEST_NAME = 4096
NAMED = re.compile(r"^Boot (.+) from [^\\]*$")
SUBVOLUME = re.compile(r"^@[^\\]*\\(?=.*\\)")
PREFIXES = {"aarch64": ("vmlinuz", "image", "kernel")}
OFF = ("0", "false", "off")


@dataclasses.dataclass(frozen=True)
class Stanza:
    """An entry of the configuration itself."""

    title: str
    source: str
    loader: str
    options: str
    initrd: str


@dataclasses.dataclass(frozen=True)
class RefindSettings:
    """What decides which kernels are in the menu; ``place`` is the file, None if there is none.  ``last`` is what was booted last."""

    place: str | None
    prefixes: tuple[str, ...]
    versions: tuple[str, ...]
    folders: tuple[str, ...]
    folders_left_out: tuple[str, ...]
    files_left_out: tuple[str, ...]
    default: str
    folds: bool
    follows_links: bool
    stanzas: tuple[Stanza, ...]
    last: str | None


def tokens(line: str) -> list[str]:
    """The words of a line: blanks, commas and equals signs separate, quotes join, and two of them are one.  (ReadTokenLine())"""
    found: list[str] = []
    at, is_quoted = 0, False
    while True:
        while at < len(line) and line[at] in " \t=," and not is_quoted:
            at += 1
        if at >= len(line) or line[at] == "#":
            return found
        if line[at] == '"':
            is_quoted, at = not is_quoted, at + 1
        word, at, is_quoted = _word(line, at, is_quoted)
        found.append(word)
        if at >= len(line) or line[at] == "#":
            return found
        at += 1


def _word(line: str, at: int, is_quoted: bool) -> tuple[str, int, bool]:
    """As KeepReading() goes on: the word, where it ends, and whether a quote is open then."""
    word = ""
    while at < len(line):
        sign = line[at]
        if sign == '"' and line[at + 1 : at + 2] == '"':
            word, at = word + sign, at + 2
            continue
        if sign == '"':
            return word, at, not is_quoted
        if sign in " \t=#," and not is_quoted:
            break
        word += "\\" if sign == "/" and not is_quoted else sign
        at += 1
    return word, at, is_quoted


def numbers(name: str, extra: t.Iterable[str]) -> str | None:
    """The version in a name: from its first digit, or one of the strings that are set for that, to its last.  (FindNumbers())"""
    found = next(((name.index(one), name.index(one) + len(one)) for one in extra if one in name), None)
    digits = [at for at, sign in enumerate(name) if "0" <= sign <= "9"]
    starts = ([found[0]] if found else []) + digits[:1]
    ends = ([found[1]] if found else []) + [at + 1 for at in digits[-1:]]
    return name[min(starts) : max(ends)] if starts and max(ends) > 1 else None


def shared(kernel: str, image: str, version: str | None) -> int:
    """How many signs both have in common from their version on."""
    if version is None or version not in kernel or version not in image:
        return 0
    return len(posixpath.commonprefix((kernel[kernel.index(version) :], image[image.index(version) :])))


def read(files: BootFiles, program: str | None) -> RefindSettings:
    """``program`` is the place of rEFInd itself, beside which its configuration is; without it the usual places are searched."""
    folders = [f"{partition}/EFI/{name}" for partition in PARTITIONS for name in ("refind", "BOOT")]
    folders = [posixpath.dirname(program)] if program else folders
    place = next((f"{folder}/refind.conf" for folder in folders if files.host.is_file(f"{folder}/refind.conf")), None)
    lines = () if place is None else tuple(_lines(files, place))
    given = {words[0].lower(): words[1:] for _source, words in lines}
    prefixes = PREFIXES.get(files.host.machine, ("vmlinuz", "bzimage", "kernel"))
    also = _listed(given.get("also_scan_dirs"), ("boot", "@/boot"))
    default = ",".join(given.get("default_selection") or ["+"])
    return RefindSettings(
        place=place,
        prefixes=_listed(given.get("linux_prefixes"), prefixes),
        versions=tuple(given.get("extra_kernel_version_strings", ())),
        folders=also,
        folders_left_out=_listed(given.get("dont_scan_dirs") or given.get("don't_scan_dirs"), ()),
        files_left_out=_listed(given.get("dont_scan_files") or given.get("don't_scan_files"), ()),
        default=default,
        folds=_is_on(given.get("fold_linux_kernels"), True),
        follows_links=_is_on(given.get("follow_symlinks"), False),
        stanzas=tuple(_stanzas(lines)),
        last=_last(files, None if place is None else posixpath.dirname(place), _is_on(given.get("use_nvram"), True)),
    )


def _lines(files: BootFiles, place: str, may_include: bool = True) -> t.Iterator[tuple[str, list[str]]]:
    """Where a line is, and its words; those of a file that the main one includes stand in its place."""
    for number, line in enumerate((files.text(place) or "").splitlines(), 1):
        words = tokens(line)
        if words and words[0].lower() == "include" and len(words) == 2 and may_include:
            yield from _lines(files, f"{posixpath.dirname(place)}/{words[1].replace(chr(92), '/')}", False)
        elif words:
            yield f"{place}:{number}", words


def _listed(given: t.Sequence[str] | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    """A list, which begins with a plus where it adds to the usual one; of a folder on a volume that is named the folder alone."""
    if not given:
        return usual
    names = tuple(name.rpartition(":")[2].replace("\\", "/").strip("/").lower() for name in given if name != "+")
    return (*usual, *names) if given[0] == "+" else names


def _is_on(given: t.Sequence[str] | None, usual: bool) -> bool:
    return usual if given is None else not (given and given[0].lower() in OFF)


def _stanzas(lines: t.Iterable[tuple[str, list[str]]]) -> t.Iterator[Stanza]:
    """The entries that are not disabled; what is in a submenu of one is none that boots by itself."""
    title, source, depth = "", "", 0
    given: dict[str, str] = {}
    for place, words in lines:
        key = words[0].lower()
        if key == "menuentry" and len(words) > 1 and not depth:
            title, source, given, depth = words[1], place, {}, 1
        elif key == "submenuentry" and depth:
            depth += 1
        elif key == "}" and depth:
            depth -= 1
            if not depth and "disabled" not in given and given.get("loader"):
                yield Stanza(title, source, given["loader"], given.get("options", ""), given.get("initrd", ""))
        elif depth == 1:
            given[key] = words[1] if len(words) > 1 else ""


def _last(files: BootFiles, folder: str | None, is_in_firmware: bool) -> str | None:
    """The path, on its volume, of what rEFInd has started last (StoreLoaderName() in refind/main.c)."""
    if is_in_firmware or folder is None:
        content = efi_variables.value(files.host, LAST, VENDOR)
    else:
        try:
            content = files.host.head(f"{folder}/{LAST_IN_A_FILE}", LONGEST_NAME)
        except HostError:
            content = None
    text = (content or b"").decode("utf-16-le", "replace").partition("\0")[0].strip()
    found = NAMED.match(text)
    return None if found is None else SUBVOLUME.sub("", found[1])
