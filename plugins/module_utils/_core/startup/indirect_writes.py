# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes to attributes whose paths stand nowhere in one piece, and programs that are made while the host runs.

Files that are copied into a folder of sysfs; names and paths in strings of languages other than the shell; what is run from /tmp.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import SHELLS, Variables
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.tokens import LONGEST_LINE, WrittenAct, acting

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act

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
    r"|\bprintf?\s*[{$A-Z]|put_contents|\bspurt\b|open_out|output-file|\bcat\("
    r"|\bimport\s+(?!os\b|sys\b|re\b|glob\b|json\b|time\b|datetime\b|math\b|argparse\b|pathlib\b|collections\b)"
    r"|\bfrom\s+(?!pathlib\b|glob\b|collections\b|datetime\b|typing\b|__future__\b)\w|\brequire\b|\buse\s+(?!strict|warnings)",
    re.IGNORECASE,
)
_OTHER_LANGUAGE = re.compile(r"\b(?:python[0-9.]*|perl|ruby|[gmn]?awk|node|lua[0-9.]*|php|tclsh)\b")
# The path that is written to: open(PATH, "w"), File.write(PATH, …), PATH.write_text(…).
_OPENED = re.compile(
    r"(?<![\w.])(?:io\.|os\.|codecs\.|File\.)?open\(\s*((?:[^,()]|\([^()]*\))+),\s*(?:mode\s*=\s*)?(?:[\"'][^\"']*[wax+][^\"']*[\"']|os\.O_(?:WRONLY|RDWR))"
    r"|\bFile\.write\(\s*((?:[^,()]|\([^()]*\))+),|([\w.()\[\]/'\" +-]{1,200})\.(?:write_(?:text|bytes)\(|open\(\s*[\"'][^\"']*[wax+])"
    r"|\b(?:writeFile(?:Sync)?|file_put_contents)\(\s*((?:[^,()]|\([^()]*\))+),"
    r"|\bopen\s*\(?[^,;]{0,200},\s*[\"']\+?>+[\"']\s*,\s*([^;)]+)"
)
_PLAIN_PATH = re.compile(r"(?:\w+\()?[rub]?[\"']([^\"'${}%]*)[\"']\)?")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*")
_INTERPRETERS = rf"{SHELLS}|python[0-9.]*|perl"
_MADE_LATE = r"/(?:tmp|run|dev/shm|var/tmp|var/run)/[^\s;&|<>()\"'`]+"
_WRITTEN_AT_RUN_TIME = re.compile(rf">\s*[\"']?({_MADE_LATE})")
_ASSIGNED = re.compile(r"(?<![\w.])\$?([A-Za-z_][\w.]*)\s*=(?!=)\s*([^\n;]*)")
# Files of one name in many folders.
_EACH_OF = re.compile(r"\bfor\s+(\w+)\s+in\s+(?:sorted\()?(?:\w+\.)?i?glob\(\s*([rb]?[\"'][^\"'\n]*/[^/*?\[\]\"'\n]+[\"'])\s*\)")
# Without an interpreter, and a program that runs another one, what has an option before it is looked at by a test.
_AT_RUN_TIME = re.compile(
    r"(?:^|[;&|({]|\b(?:then|do|else|if|elif|while|until)\s)\s*(?:!\s+)?(?:(?:exec|sudo|nohup|setsid)\s+(?:-(?!c\b)\S+\s+)*)?"
    rf"(?:(?:/\S*/)?(?:{_INTERPRETERS}|ruby)\s+(?:-(?!c\b)\S+\s+)*)?[\"']?({_MADE_LATE})"
)
_UNKNOWN_SCRIPT = re.compile(
    rf"(?:^|[;&|({{!\s/])(?:{_INTERPRETERS}|ruby|source|\.)\s+(?:-(?!\w*c\b)\S+\s+)*"
    r"[\"']?\$\{?([A-Za-z_]\w*)\}?[\"']?(?=\s|$|;)"
)
_FINDS = re.compile(
    r"listdir|glob|scandir|os\.walk|lspci|argv|readlines|\binput\(|opendir|Dir\.|readdir|iterdir|environ"
    r"|\bopen\([^)\n]{0,200}(?:conf|json|yaml|txt)"
)
_FETCHES = re.compile(r"\bgit\b[^;|&\n]*\s(?:pull|clone|checkout|reset|submodule)\b|\b(?:curl|wget|scp|sftp|rsync|aws|rclone)\s")
_RUNS_FETCHED = re.compile(
    rf"(?:^|[;&|({{]|\b(?:then|do|else)\s)\s*(?:(?:/\S*/)?(?:{_INTERPRETERS})\s+)?"
    r"(?:\./|\.\./|[\w.-]+/|/(?:opt|srv|home|root|var)/)\S+|\bmake\b"
)
_UNKNOWN_COMMAND = re.compile(
    r"(?:^|[;&|]|(?<![=(])\((?!\()|\{\s|\b(?:then|do|else|exec|sudo)\s)\s*(?:!\s+)?\"?\$\{?([A-Za-z_]\w*)\}?\"?(?=\s|$|;)(?!\s*(?:[=!<>]=|-[a-z]{2}\s|\]\]))"
)
_IN_TEST = re.compile(r"\[\[(?:(?!\]\]).)*$")


@dataclasses.dataclass(frozen=True)
class WholeText:
    """A program's text, of which each question is asked once, however many lines it has."""

    text: str

    @functools.cached_property
    def may_write_attributes(self) -> bool:
        """Whether it is about PCI functions in sysfs, and can write to files."""
        return all(pattern.search(self.text) is not None for pattern in (_ABOUT_FUNCTIONS, _PCI, _WRITES_FILES))

    @functools.cached_property
    def has_other_language(self) -> bool:
        """Whether a script of the shell names an interpreter of another language."""
        return _OTHER_LANGUAGE.search(self.text) is not None

    @functools.cached_property
    def only_reads(self) -> bool:
        """Whether nothing in a program of another language can write to a file or run another program."""
        return _CHANGES_ANYTHING.search(self.text) is None

    @functools.cached_property
    def finds_devices(self) -> bool:
        """Whether a program of another language finds devices while it runs."""
        return _FINDS.search(self.text) is not None

    @functools.cached_property
    def fetches(self) -> bool:
        return any(_FETCHES.search(line) for line in self._lines)

    @functools.cached_property
    def runs_fetched(self) -> bool:
        """Whether it runs something that it can have fetched."""
        return any(_RUNS_FETCHED.search(line) for line in self._lines)

    @functools.cached_property
    def written(self) -> frozenset[str]:
        """The paths of /tmp and the like that its redirections write to."""
        return frozenset(_WRITTEN_AT_RUN_TIME.findall(self.text))

    @functools.cached_property
    def assigned(self) -> t.Mapping[str, t.Sequence[str]]:
        """By name, the texts that are assigned to it."""
        found: dict[str, list[str]] = {}
        for name, value in (*_ASSIGNED.findall(self.text), *_EACH_OF.findall(self.text)):
            found.setdefault(name, []).append(value.strip())
        return found

    @property
    def _lines(self) -> t.Iterator[str]:
        return (line for line in self.text.split("\n") if len(line) <= LONGEST_LINE)


def into_folders(text: str, variables: Variables) -> t.Iterator[WrittenAct]:
    """Files that a line of the shell copies into a folder whose attributes act."""
    for match in _COPIES.finditer(text):
        words = [word.strip("\"'(){}`") for word in match[1].split()]
        named = _INTO.search(match[1])
        target = named[1].strip("\"'") if named is not None else words[-1]
        values = variables.values(target) if len(words) > 2 else frozenset[str]()
        if any(_FOLDER.fullmatch(value) or _SLASH.fullmatch(value) for value in values or ()):
            yield WrittenAct(f"runs {words[0]} into {target}", _WRITING, match.start(1))


def of_languages(text: str, program: WholeText, in_shell: bool) -> t.Iterator[WrittenAct]:
    """Attributes whose names are strings of their own, and paths that are made while the program runs.  ``program`` is all of its text."""
    if (in_shell and not program.has_other_language) or not program.may_write_attributes:
        return
    for match in _NAME.finditer(text):
        name = match[0].strip("\"'/")
        yield WrittenAct(name, _ACTS_OF.get(name, ("remove",)), match.start())
    for match in _OPENED.finditer(text):
        path = next((group for group in match.groups() if group), "").strip()
        if not _is_elsewhere(path, program):
            yield WrittenAct(path, _WRITING, match.start())


def named_in_data(text: str) -> t.Iterator[str]:
    """The attributes that act, of those whose paths a file has that a program reads."""
    for match in _IN_DATA.finditer(text):
        if any(True for _token in acting(f"> {match[0]}")):
            yield match[0]


def _is_elsewhere(path: str, program: WholeText) -> bool:
    """Whether a path is written down and, if it is in sysfs, judged by what is written."""
    if _PLAIN_PATH.fullmatch(path) is not None:
        return True
    if _IDENTIFIER.fullmatch(path.lstrip("$")) is None:
        return False
    assigned = program.assigned.get(path.lstrip("$"), ())
    return bool(assigned) and all(_PLAIN_PATH.fullmatch(value) for value in assigned)


def made_programs(text: str, program: WholeText, variables: Variables) -> t.Iterator[WrittenAct]:
    """Programs of a line of the shell that are not there before the host runs, or whose names are found only then."""
    for match in _AT_RUN_TIME.finditer(text):
        # What the script itself writes there stands in its own text.
        if match[1] not in program.written:
            yield WrittenAct(f"runs {match[1]}, which is made while the host runs", ANYTHING, match.start(1))
    if "git" in text and re.search(r"\bgit\b", text) and _FETCHES.search(text) and program.runs_fetched:
        yield WrittenAct("runs a program that it fetches", ANYTHING, 0)
    for match in _UNKNOWN_SCRIPT.finditer(text):
        if program.fetches and variables.is_read(match[1]):
            yield WrittenAct(f"runs ${match[1]}, which it fetches", ANYTHING, match.start(1))
    for match in _UNKNOWN_COMMAND.finditer(text):
        if variables.is_read(match[1]) and _IN_TEST.search(text, 0, match.start(1)) is None:
            yield WrittenAct(f"runs ${match[1]}, which it reads from elsewhere", ANYTHING, match.start(1))
