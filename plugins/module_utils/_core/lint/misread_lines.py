# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of modprobe.d that kmod reads otherwise than their author meant: characters that are not seen, and words too many."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import TMPFILES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import name_and_value
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import WORDS, ignored_lines, is_configuration
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import WITHOUT_IDS, Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.ignored_lines import PUT_ASIDE
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_line import CURLY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

MARK = "\ufeff"
FIRST_SIGNS = 512
COMMAND = re.compile(rf"[ \t]*({'|'.join(sorted(WORDS))})(?![\w.=-])", re.IGNORECASE)
DASHES, BLANKS = "\u2010\u2011\u2012\u2013\u2014\u2212", "\u00a0\u2007\u202f"
UNSEEN = {
    **dict.fromkeys(BLANKS, "a no-break space"),
    "\u200b": "a zero-width space",
    **dict.fromkeys(DASHES, "a typographic dash"),
    **dict.fromkeys(CURLY, "a typographic quote"),
}
PLAIN = str.maketrans({**dict.fromkeys(BLANKS, " "), "\u200b": "", **dict.fromkeys(DASHES, "-"), **dict.fromkeys(CURLY, '"')})
IDENTIFIER = re.compile(
    r"(?:0x)?[0-9a-f]{4}:(?:0x)?[0-9a-f]{4}(?::[0-9a-fx:]*)?,?|(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7],?", re.IGNORECASE
)
MEANS_IDS = ("id", "pci_id", "device_id", "vfio_pci_id", "vfio-pci.id")

NumberedLine = tuple[str, int, str]


def line_ends(host: HostPolicy) -> t.Iterator[Finding]:
    """CR LF in files whose readers take the CR as a part of the last word: kmod, driverctl, and shells, as for GRUB's settings."""
    by_shell = (one for one in host.files.settings if one.directory != TMPFILES)
    lists = (one for one in host.files.lists if "/initramfs-tools/" in one.path)
    for file in (*_configurations(host), *lists, *host.files.saved, *by_shell, *host.files.grub):
        lines = (file.text or "").split("\n")
        number = next((place for place, line in enumerate(lines, 1) if line.endswith("\r") and line.strip() and line[0] != "#"), None)
        if number is not None and host.is_site(file.path):
            source = f"{file.path}:{number}"
            word = lines[number - 1].split()[-1] if lines[number - 1].split() else ""
            said = f"{source}: line ends in CR LF, so that the CR counts as a part of the last word, `{word}`."
            yield Finding("line-ends", source, f"{said} Write the file with the line ends of Unix (LF).")


def other_encodings(host: HostPolicy) -> t.Iterator[Finding]:
    """UTF-16, as editors of Windows write it: each second byte is a NUL, and no program reads a line of it."""
    files = host.files
    for file in (*files.modprobe, *files.rules, *host.lists, *files.saved, *files.settings, *files.grub):
        if "\0" in (file.text or "")[:FIRST_SIGNS] and host.is_site(file.path) and not PUT_ASIDE.search(file.name):
            said = f"{file.path} is written in UTF-16, or is not a text, so that nothing in it has an effect."
            yield Finding("encoding", file.path, f"{said} Write it in UTF-8, as by `iconv -f UTF-16 -t UTF-8`, or remove it.")
    for file in (*host.lists, *files.settings, *files.grub):
        if (file.text or "").startswith(MARK):
            said = f"{file.path}:1 begins with a byte order mark, which counts as a part of its first word."
            yield Finding("unseen-character", f"{file.path}:1", f"{said} Write the file without it.")


def unseen_characters(host: HostPolicy) -> t.Iterator[Finding]:
    """A byte order mark, and quotes, dashes and blanks that were copied from a web page."""
    for path, number, line in _lines(host):
        source = f"{path}:{number}"
        if line.startswith(MARK):
            said = f"{source} begins with a byte order mark, so kmod ignores its first line."
            yield Finding("unseen-character", source, f"{said} Write the file without it.")
            continue
        found = next((char for char in line if char in UNSEEN), None)
        if found is not None and COMMAND.match(line):
            said = f"{source}: `{line.strip()}` has {UNSEEN[found]} (U+{ord(found):04X}), which kmod takes as a part of the word."
            yield Finding("unseen-character", source, f"{said} Write `{line.strip().translate(PLAIN)}`.")


def words_too_many(host: HostPolicy) -> t.Iterator[Finding]:
    """`blacklist a b`: kmod reads the first name only (kmod_config_parse())."""
    for path, number, line in _lines(host):
        words = line.split()
        source, said = f"{path}:{number}", " ".join(words)
        if len(words) == 2 and words[0] == "blacklist" and re.fullmatch(r"[\w-]+(?:,[\w-]+)+", words[1]):
            lines = " and ".join(f"`blacklist {name}`" for name in words[1].split(","))
            yield Finding(
                "words-too-many", source, f"{source}: kmod takes all of `{said}` for one name. Write {lines} in lines of their own."
            )
        if len(words) > 2 and words[0] == "blacklist" and not words[2].startswith("#"):
            lines = " and ".join(f"`blacklist {name.strip(',')}`" for name in words[1:])
            yield Finding(
                "words-too-many",
                source,
                f"{source}: of `{said}` kmod reads `blacklist {words[1]}` only. Write {lines} in lines of their own.",
            )


def quoted_names(host: HostPolicy) -> t.Iterator[Finding]:
    """Quotes around a module's name belong to the name: kmod knows none."""
    for path, number, line in _lines(host):
        words = line.split()
        if len(words) > 1 and words[0] in ("blacklist", "options", "softdep", "install") and words[1].startswith(('"', "'")):
            source, bare = f"{path}:{number}", line.strip().replace('"', "").replace("'", "")
            said = f"{source}: the quotes in `{line.strip()}` count as a part of the name, so the line has no effect."
            yield Finding("quoted-name", source, f"{said} Write `{bare}`.")


def stray_identifiers(host: HostPolicy) -> t.Iterator[Finding]:
    """An ID that stands alone among options: after a blank it does not belong to ids=."""
    for path, number, line in _lines(host):
        words = line.split()
        if len(words) < 3 or words[0] != "options":
            continue
        stray = [word for word in words[2:] if IDENTIFIER.fullmatch(word)]
        if stray:
            source = f"{path}:{number}"
            said = f"{source}: `{stray[0]}` stands alone, so it is not a part of ids=, and has no effect."
            yield Finding("stray-id", source, f"{said} Write `{_joined(words)}`, without blanks in the list.")


def _joined(words: t.Sequence[str]) -> str:
    """The line with its stray IDs in the list of ids=."""
    stray = [part for word in words[2:] if IDENTIFIER.fullmatch(word) for part in word.split(",") if part]
    others = [word for word in words[2:] if not IDENTIFIER.fullmatch(word) and word != "=" and name_and_value(word)[0] != "ids"]
    return " ".join((*words[:2], f"ids={','.join((*_named(words), *stray))}", *others))


def _named(words: t.Sequence[str]) -> list[str]:
    """The entries of each ids= among the words of a line, which may be in quotes."""
    values = [value or "" for name, value in map(name_and_value, words[2:]) if name == "ids"]
    return [part for value in values for part in value.split(",") if part]


def options_of_another_module(host: HostPolicy) -> t.Iterator[Finding]:
    """`options vfio ids=…`, `options vfio-pci.ids=…`, `id=`: the module that is meant does not see it."""
    for path, number, line in _lines(host):
        words = line.split()
        if len(words) < 2 or words[0] != "options":
            continue
        source, name = f"{path}:{number}", normalize_module_name(words[1])
        module, dot, option = words[1].partition(".")
        if dot and "=" in option:
            said = f"{source}: `{line.strip()}` has a dot in place of a blank, so it is not about {module}."
            yield Finding("option-misplaced", source, f"{said} Write `options {module} {' '.join((option, *words[2:]))}`.")
        elif words[1].endswith((":", ",")) and normalize_module_name(words[1][:-1]) in host.modules:
            said = f"{source}: `{words[1]}` in `{line.strip()}` is not a module's name, so the line has no effect."
            yield Finding("option-misplaced", source, f"{said} Write `options {words[1][:-1]} {' '.join(words[2:])}`.")
        elif name in WITHOUT_IDS and _named(words):
            said = f"{source}: {words[1]} has no parameter ids, so `{line.strip()}` has no effect."
            yield Finding("option-misplaced", source, f"{said} Write `options {WITHOUT_IDS[name]} {' '.join(words[2:])}`.")
        elif name in host.vfio_modules:
            yield from _misspelt_ids(source, line, words)


def _misspelt_ids(source: str, line: str, words: t.Sequence[str]) -> t.Iterator[Finding]:
    for word in words[2:]:
        key, value = name_and_value(word)
        if value is None and key.startswith("ids:") and IDENTIFIER.match(key[4:]):
            said = f"{source}: `{word}` has a colon in place of the equals sign, so `{line.strip()}` names no device."
            yield Finding("option-misplaced", source, f"{said} Write `ids={key[4:]}`.")
        if value is not None and key != "ids" and key.lower().rstrip("s") in MEANS_IDS and ":" in value:
            said = f"{source}: `{key}` is not a parameter of {words[1]}, so `{line.strip()}` names no device."
            yield Finding("option-misplaced", source, f"{said} Write `ids={value}`.")


def softdeps_in_other_words(host: HostPolicy) -> t.Iterator[Finding]:
    """`pre :`, `pre:vfio-pci`, `pre vfio-pci`, and lists with commas: kmod splits at blanks and knows `pre:` and `post:` only."""
    for path, number, line in _lines(host):
        words = line.split()
        if len(words) < 3 or words[0] != "softdep":
            continue
        rest = " ".join(words[2:])
        meant = re.sub(r"\b(pre|post)\s*[:;.,=]?\s*(?=\S)", r"\1: ", rest, flags=re.IGNORECASE) if _has_wrong_place(rest) else rest
        meant = re.sub(r"\s*,\s*", " ", re.sub(r"\b(PRE|Pre|POST|Post):", lambda match: match[0].lower(), meant))
        if meant != rest and not line.rstrip().endswith("\\"):
            source = f"{path}:{number}"
            said = f"{source}: kmod reads `{line.strip()}` otherwise: it knows `pre:`, `post:` and names between blanks."
            yield Finding("softdep-misread", source, f"{said} Write `softdep {words[1]} {meant}`.")


def _has_wrong_place(rest: str) -> bool:
    return re.match(r"(?:pre|post)(?:\s+:|:(?=\S)|[;.,=]|\s+(?!:)\S)", rest, re.IGNORECASE) is not None


def words_behind_options(host: HostPolicy) -> t.Iterator[Finding]:
    """A second line's words behind `options`, or what lspci shows beside an ID: the module is given them, and ignores them."""
    for path, number, line in _lines(host):
        words = line.split()
        if len(words) < 3 or words[0] != "options" or "#" in line or normalize_module_name(words[1]) not in host.vfio_modules:
            continue
        source, others = f"{path}:{number}", list(enumerate(words[2:], 2))
        place, command = next(((place, word) for place, word in others if word in WORDS), (0, ""))
        stray = next((word for _place, word in others if word[0] in "([{" or word[-1] in ")]}"), None)
        if command:
            said = f"{source}: `{command}` in `{line.strip()}` begins another line, and kmod takes it for a parameter of {words[1]}."
            yield Finding("line-joined", source, f"{said} Write `{' '.join(words[place:])}` into a line of its own.")
        elif stray is not None:
            said = f"{source}: `{stray}` in `{line.strip()}` is not a parameter of {words[1]}, and has no effect."
            yield Finding("word-behind-options", source, f"{said} Remove it.")


def lines_of_another_file(host: HostPolicy) -> t.Iterator[Finding]:
    """A line for the kernel's command line, for a list of modules, or without its command: none is for modprobe.d."""
    for file in _configurations(host):
        for place, line in ignored_lines(file.text or "", file.path):
            found = _of_another_file(line.strip(), host)
            if found is not None:
                why, meant = found
                yield Finding("line-of-another-file", str(place), f"{place}: `{line.strip()}` {why}, and kmod ignores it here. {meant}.")


def _of_another_file(line: str, host: HostPolicy) -> tuple[str, str] | None:
    """What a line that kmod ignores is, and what to do about it; None where that is not known."""
    first, *others = line.split()
    parameter = re.fullmatch(r"([\w-]+)\.([\w-]+=\S*)", line)
    if parameter is not None:
        on_line = "is in the form of the kernel's command line"
        if parameter[1] in ("modprobe", "rd") and parameter[2].startswith("blacklist="):
            names = [name for name in parameter[2].partition("=")[2].split(",") if name]
            return on_line, f"Write {' and '.join(f'`blacklist {name}`' for name in names)}{' in lines of their own' * (len(names) > 1)}"
        return on_line, f"Write `options {parameter[1]} {parameter[2]}`"
    if first in ("//", ";", "--", "/*"):
        return "does not begin with `#`, as a comment does", f"Write `# {' '.join(others)}`"
    if normalize_module_name(first) in host.modules:
        if others and all("=" in word for word in others):
            return "has no command", f"Write `options {line}`"
        if not others:
            return "is a module's name alone, as in a list of modules", "Move it to a file in /etc/modules-load.d whose name ends in .conf"
    commands = [word for word in WORDS if others and f"{first}{others[0]}".lower() == word]
    return ("has its command in two words", f"Write `{commands[0]} {' '.join(others[1:])}`") if commands else None


def _configurations(host: HostPolicy) -> t.Iterator[PolicyFile]:
    return (file for file in host.files.modprobe if is_configuration(file.name) and host.is_site(file.path) and file.text)


def _lines(host: HostPolicy) -> t.Iterator[NumberedLine]:
    """The lines of the administrator's modprobe.d that are not comments, with their numbers; continuations stand alone."""
    for file in _configurations(host):
        for number, line in enumerate((file.text or "").split("\n"), 1):
            if line.strip() and not line.lstrip("\t ").startswith("#"):
                yield file.path, number, line.rstrip("\r")
