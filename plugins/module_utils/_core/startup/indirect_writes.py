# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes to attributes whose paths stand nowhere in one piece, and programs that are made while the host runs.

Files that are copied into a folder of sysfs; names and paths in strings of languages other than the shell; what is run from /tmp.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.tokens import WrittenAct, acting

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Variables

_WRITING: t.Final[tuple[Act, ...]] = ("bind", "new_id", "override", "remove", "unbind")
ANYTHING: t.Final[tuple[Act, ...]] = (*_WRITING, "load", "refuse")
"""What a script may do that is not known."""
_COPIES = re.compile(r"(?:^|[;&|({`\s])((?:cp|install|rsync|mv|tar|cpio|unzip|scp)\s[^\n;|&]*)")
_INTO = re.compile(r"(?:\s-t\s*|--target-directory[=\s]\s*|\s-C\s*|--directory[=\s]\s*|\s-d\s+|\s-D\s+)(\S+)")
# The folders of a function, a driver and the bus.
_FOLDER = re.compile(
    r"/sys/(?:bus/pci(?:/drivers/[^/]+|/devices/[^/]+(?:/driver)?)?|devices/(?:\S+/)?[0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?:/driver)?)/*(?:\.)?"
)
_SLASH = re.compile(r"/sys/(?:bus/pci|devices)/\S*/")
_NAME = re.compile(r"[\"'/](?:un)?bind[\"']|[\"'/](?:remove|rescan|reset|reset_method|reset_subordinate|uevent)[\"']")
_ACTS_OF: t.Mapping[str, tuple[Act, ...]] = {"bind": ("bind",), "unbind": ("unbind",), "rescan": ("rescan",), "uevent": ("replay",)}
_ABOUT_FUNCTIONS = re.compile(r"/sys\b|sysfs")
_PCI = re.compile(r"\bpci|[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
_IN_DATA = re.compile(r"/sys/[^\s\"'=,;:]*(?::[^\s\"'=,;]*)?")
_WRITES_FILES = re.compile(r"\bopen\b|write|print|puts|File\b|echo")
_CHANGES_ANYTHING = re.compile(
    r"writ|[\"'][rb]*[wax+]+[bt+]*[\"']|O_WRONLY|O_RDWR|>|\b(?:subprocess|system|popen|exec|spawn|shutil|puts|truncate|symlink|link|copy|ctypes)|File\b|`"
    r"|\bprintf?\s*[{$A-Z]|\bimport\s+(?!os\b|sys\b|re\b|glob\b|json\b|time\b|datetime\b|math\b|argparse\b|pathlib\b|collections\b)"
    r"|\bfrom\s+(?!pathlib\b|glob\b|collections\b|datetime\b|typing\b|__future__\b)\w|\brequire\b|\buse\s+(?!strict|warnings)",
    re.IGNORECASE,
)
_OTHER_LANGUAGE = re.compile(r"\b(?:python[0-9.]*|perl|ruby|[gmn]?awk|node|lua[0-9.]*|php|tclsh)\b")
# The path that is written to: open(PATH, "w"), File.write(PATH, …), PATH.write_text(…).
_OPENED = re.compile(
    r"(?<![\w.])(?:io\.|os\.|codecs\.|File\.)?open\(\s*((?:[^,()]|\([^()]*\))+),\s*(?:mode\s*=\s*)?(?:[\"'][^\"']*[wax+][^\"']*[\"']|os\.O_(?:WRONLY|RDWR))"
    r"|\bFile\.write\(\s*((?:[^,()]|\([^()]*\))+),|([\w.()\[\]/'\" +-]+)\.(?:write_(?:text|bytes)\(|open\(\s*[\"'][^\"']*[wax+])"
    r"|\b(?:writeFile(?:Sync)?|file_put_contents)\(\s*((?:[^,()]|\([^()]*\))+),"
    r"|\bopen\s*\(?[^,;]*,\s*[\"']\+?>+[\"']\s*,\s*([^;)]+)"
)
_PLAIN_PATH = re.compile(r"(?:\w+\()?[rub]?[\"']([^\"'${}%]*)[\"']\)?")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*")
_AT_RUN_TIME = re.compile(
    r"(?:^|[;&|({!]|\b(?:then|do|else|exec|sudo|nohup|setsid)\s)\s*(?:(?:/\S*/)?(?:(?:ba|da|a|z|k)?sh|python[0-9.]*|perl|ruby)\s+)?(?:-(?!c\b)\S+\s+)*"
    r"[\"']?(/(?:tmp|run|dev/shm|var/tmp|var/run)/[^\s;&|<>()\"'`]+)"
)
_UNKNOWN_SCRIPT = re.compile(
    r"(?:^|[;&|({!\s/])(?:(?:ba|da|a|z|k)?sh|python[0-9.]*|perl|ruby|source|\.)\s+(?:-(?!\w*c\b)\S+\s+)*[\"']?\$\{?([A-Za-z_]\w*)\}?[\"']?(?=\s|$|;)"
)
_FETCHES = re.compile(r"\bgit\b[^;|&\n]*\s(?:pull|clone|checkout|reset|submodule)\b|\b(?:curl|wget|scp|sftp|rsync|aws|rclone)\s")
_RUNS_FETCHED = re.compile(
    r"(?:^|[;&|({]|\b(?:then|do|else)\s)\s*(?:(?:/\S*/)?(?:(?:ba|da|a|z|k)?sh|python[0-9.]*|perl)\s+)?(?:\./|\.\./|[\w.-]+/|/(?:opt|srv|home|root|var)/)\S+|\bmake\b"
)
_UNKNOWN_COMMAND = re.compile(
    r"(?:^|[;&|]|(?<![=(])\((?!\()|\{\s|\b(?:then|do|else|exec|sudo)\s)\s*(?:!\s+)?\"?\$\{?([A-Za-z_]\w*)\}?\"?(?=\s|$|;)(?!\s*(?:[=!<>]=|-[a-z]{2}\s|\]\]))"
)
_IN_TEST = re.compile(r"\[\[(?:(?!\]\]).)*$")


def into_folders(text: str, variables: Variables) -> t.Iterator[WrittenAct]:
    """Files that a line of the shell copies into a folder whose attributes act."""
    for match in _COPIES.finditer(text):
        words = [word.strip("\"'(){}`") for word in match[1].split()]
        named = _INTO.search(match[1])
        target = named[1].strip("\"'") if named is not None else words[-1]
        values = variables.values(target) if len(words) > 2 else frozenset[str]()
        if any(_FOLDER.fullmatch(value) or _SLASH.fullmatch(value) for value in values or ()):
            yield WrittenAct(f"runs {words[0]} into {target}", _WRITING, match.start(1))


def only_reads(program: str) -> bool:
    """Whether nothing in a program of another language can write to a file or run another program."""
    return _CHANGES_ANYTHING.search(program) is None


def of_languages(text: str, program: str, in_shell: bool) -> t.Iterator[WrittenAct]:
    """Attributes whose names are strings of their own, and paths that are made while the program runs.  ``program`` is all of its text."""
    if in_shell and _OTHER_LANGUAGE.search(program) is None:
        return
    if not (_ABOUT_FUNCTIONS.search(program) and _PCI.search(program) and _WRITES_FILES.search(program)):
        return
    for match in _NAME.finditer(text):
        name = match[0].strip("\"'/")
        yield WrittenAct(name, _ACTS_OF.get(name, ("remove",)), match.start())
    for match in _OPENED.finditer(text):
        path = next(group for group in match.groups() if group).strip()
        if not _is_elsewhere(path, program):
            yield WrittenAct(path, _WRITING, match.start())


def named_in_data(text: str) -> t.Iterator[str]:
    """The attributes that act, of those whose paths a file has that a program reads."""
    for match in _IN_DATA.finditer(text):
        if any(True for _token in acting(f"> {match[0]}")):
            yield match[0]


def _is_elsewhere(path: str, program: str) -> bool:
    """Whether a path is written down and, if it is in sysfs, judged by what is written."""
    if _PLAIN_PATH.fullmatch(path) is not None:
        return True
    if _IDENTIFIER.fullmatch(path.lstrip("$")) is None:
        return False
    assigned = re.findall(rf"(?<![\w.])\$?{re.escape(path.lstrip('$'))}\s*=(?!=)\s*([^\n;]*)", program)
    return bool(assigned) and all(_PLAIN_PATH.fullmatch(value.strip()) for value in assigned)


def made_programs(text: str, program: str, variables: Variables) -> t.Iterator[WrittenAct]:
    """Programs of a line of the shell that are not there before the host runs, or whose names are found only then."""
    for match in _AT_RUN_TIME.finditer(text):
        # What the script itself writes there stands in its own text.
        if re.search(rf">\s*[\"']?{re.escape(match[1])}", program) is None:
            yield WrittenAct(f"runs {match[1]}, which is made while the host runs", ANYTHING, match.start(1))
    if _FETCHES.search(text) and re.search(r"\bgit\b", text) and any(map(_RUNS_FETCHED.search, program.split("\n"))):
        yield WrittenAct("runs a program that it fetches", ANYTHING, 0)
    for match in _UNKNOWN_SCRIPT.finditer(text):
        if variables.is_read(match[1]) and _FETCHES.search(program):
            yield WrittenAct(f"runs ${match[1]}, which it fetches", ANYTHING, match.start(1))
    for match in _UNKNOWN_COMMAND.finditer(text):
        if variables.is_read(match[1]) and _IN_TEST.search(text, 0, match.start(1)) is None:
            yield WrittenAct(f"runs ${match[1]}, which it reads from elsewhere", ANYTHING, match.start(1))
