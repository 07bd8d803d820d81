# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files and units that a script runs or reads as a part of itself."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import search_places
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.search_places import SearchPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import ASSIGNMENT, SHELLS, Line, Variables

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

# Their content is made while the host runs.
MADE_AT_RUN_TIME = ("/proc/", "/sys/", "/dev/", "/run/", "/tmp/", "/var/run/")  # noqa: S108 - nothing is written there
LONGEST_LINE = 2000
"""Characters of a line that is looked at with what stands around its words."""
OWN_UNITS = ("/etc/systemd/system", "/usr/local/lib/systemd/system")
"""Where a host's own units are."""
_LEADING = (
    r"then|do|else|elif|if|while|until|exec|sudo|doas|nohup|env|nice|ionice|setsid|command|time|xargs|systemd-run|unshare|stdbuf"
    r"|timeout\s+\S+|chroot\s+\S+|flock\s+\S+|nsenter|taskset\s+\S+"
)
_INTERPRETERS = rf"{SHELLS}|python[0-9.]*|perl|ruby|lua[0-9.]*|awk|gawk|node|php|tclsh|expect"
INTERPRETER = re.compile(rf"(?:{_INTERPRETERS}|env|busybox|nft|ip|make|openrc-run|runscript)")
_WORD = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s;&|()<>`\"'])+"
_COMMAND = re.compile(
    rf"(?:^|[;&|({{`!]|\$\()\s*(?:(?:{_LEADING})(?:\s+-\S+)*\s+)*(?:[A-Za-z_]\w*=\S*\s+)*(?:(?:{_LEADING})(?:\s+-\S+)*\s+)*({_WORD})"
)
_GIVEN = re.compile(rf"(?:(?:^|[;&|({{`\s\"'])(?:\.|source)|(?:^|[\s;&|({{`\"'/])(?:{_INTERPRETERS})(?:\s+-(?!c\b)\S+)*)\s+({_WORD})")
# Text that a loop reads, of which a line elsewhere makes a script.
_READ_IN_LOOP = re.compile(r"\bdone\b[^;|&\n<]*<|\|\s*while\b|\bwhile\b.*\bread\b|\b(?:mapfile|readarray)\b")
_MADE_OF_VARIABLE = re.compile(rf"\beval\b[^;|&]*\$|\b{SHELLS}\s+(?:-\w+\s+)*-\w*c\s+[\"']?\$")
# A script that is read from its input, and one that is made of what a command writes out.
_FED = re.compile(rf"(?:^|[\s;&|({{`\"'/])(?:{_INTERPRETERS})\b[^;|&\n<]*(?<!<)<(?![<(&])\s*({_WORD})")
_MADE_OF = re.compile(r"<\(|\beval\b|sh\s+(?:-\w+\s+)*-\w*c\s+[\"']?(?:\$\(|`)|\|\s*(?:sudo\s+)?(?:/(?:usr/)?bin/)?" + rf"{SHELLS}\b")
_WRITTEN_OUT = re.compile(rf"(?:\b(?:cat|head|tail|grep|egrep|cut|sort|sed|envsubst)\b|<)((?:\s*{_WORD})+)")
# Words of other languages that run a file of the same, or give one to an interpreter.
_RUNS_FILE = re.compile(
    rf"\b(?:exec|execfile|run_path|import_module|spec_from_file_location|do|require|dofile|loadfile|load|source)\b|[\"'/](?:{_INTERPRETERS})[\"']"
)
_SHELL_OF_LANGUAGE = re.compile(r"\bsystem\s*\(|\bpopen\b|\bgetoutput\b|shell\s*=\s*True|\bqx\b|%x|`|\bexecSync?\b|\bos\.exec[lv]p")
_WORDS = re.compile(r"(?:\$\([^()]*\)|`[^`]*`|[^\s])+")
_JOINED = re.compile(r"[\"']\s*,\s*[\"']")
_ASKED_OF_BUS = re.compile(r"\b(?:Re)?[sS]tart(?:Transient)?Unit\b[^;|&\n]*?([\w@.\\-]+\.(?:service|target|socket|timer|path|mount))\b")
_ABSOLUTE = re.compile(r"(?<![\w.$}/*?-])/(?:[\w.+:@%-]+/)*[\w.+:@%-]+(?![\w/*$?])")
_CHROOT = re.compile(r"\bchroot\s+(?:-\S+\s+)*(/[^\s\"']+)\s+(/[^\s\"';&|]+)")
_OWN_FOLDER = re.compile(
    r"\$\(\s*(?:cd\s+)?[\"']?\$?\(?(?:dirname|readlink\s+-\w+|realpath)[^()]*(?:\([^()]*\)[^()]*)?\)[^()/]*(?:&&\s*pwd\s*\))?"
    r"|`dirname[^`]*`|\$\{(?:0|BASH_SOURCE(?:\[0\])?)%/\*\}"
)
_ALL_GIVEN = re.compile(r"\"?\$\{?[@*]\}?\"?")
_FROM_OTHERS = re.compile(r"\b(?:xargs|parallel)\b|\s-(?:exec|execdir|ok|okdir)\s")
# By what a script names its own file, and variables that it gives this to.
_OF_ITSELF = re.compile(r"\$0|\$\{0|BASH_SOURCE")
_STARTED = re.compile(
    r"\bsystemctl\b((?:\s+-\S+)*)\s+(?:start|restart|reload-or-restart|isolate|try-restart|enable\s+--now|enable)\b((?:\$\([^()]*\)|`[^`]*`|[^;|&>\n`)])*)"
)
_SERVICE = re.compile(
    r"(?:\bservice\s+([\w@.-]+)\s+(?:re)?start\b|\binvoke-rc\.d\s+([\w@.-]+)\s+(?:re)?start\b|/etc/init\.d/([\w@.-]+)\s+(?:re)?start\b)"
)
_SOURCES_VARIABLE = re.compile(
    r"(?:^|[\s;&|({`])(?:\.|source|(?:ba|da|a|z|k)?sh)\s+[\"']?\$|\bxargs\b.*\bsh\b|-exec(?:dir)?\s+\S*sh\s+\{\}"
)
_SHELL_WORDS = frozenset(
    "if then else elif fi for in do done while until case esac function select time echo printf test true false cd exit return set unset"
    " export local declare readonly shift trap read wait kill sleep eval exec umask ulimit type hash getopts break continue cat grep sed"
    " awk cut tr sort uniq head tail ls mkdir rmdir rm cp mv ln touch chmod chown logger date id pwd basename dirname readlink realpath"
    " find xargs tee ps sync mount umount modprobe insmod rmmod lspci udevadm systemctl service env sudo nohup bash sh python python3"
    " perl".split()
)


@dataclasses.dataclass(frozen=True)
class Called:
    """A file that a line names.  ``as_text`` if it is read by an interpreter, so that it need not begin with `#!`; ``is_one_of_many``
    if it is a module or lies in a folder, of which a package's need not be read; ``by_shell`` if a shell runs it, which reads what the
    kernel refuses for want of a `#!` itself (ENOEXEC of execve(2); execvp(3) does the same)."""

    path: str
    line: Line
    as_text: bool = False
    is_one_of_many: bool = False
    by_shell: bool = False

    @property
    def depth(self) -> int:
        """How much of the file counts."""
        return 2 if self.as_text else int(self.by_shell)


def called(tree: FileTree, lines: t.Sequence[Line], everything: t.Sequence[Line], variables: Variables, folder: str) -> t.Iterator[Called]:
    """The files that the lines run or source, each once.  ``folder`` is that of the script; ``everything`` are all lines of the program."""
    found: dict[str, Called] = {}
    seen: set[tuple[str, bool, bool]] = set()
    places = SearchPaths.of(tree, everything, variables, folder)
    makes_scripts = any(line.in_shell and len(line.text) <= LONGEST_LINE and _MADE_OF_VARIABLE.search(line.text) for line in lines)
    for line in lines:
        for one in (*_named(tree, line, variables, places, makes_scripts, seen), *_among_many(tree, line, lines, variables, places)):
            before = found.get(one.path)
            # What is only named in one line can be given to an interpreter in another.
            if not one.path.startswith(MADE_AT_RUN_TIME) and (before is None or one.depth > before.depth):
                found[one.path] = one
    yield from found.values()


def _named(
    tree: FileTree, line: Line, variables: Variables, places: SearchPaths, makes_scripts: bool, seen: set[tuple[str, bool, bool]]
) -> t.Iterator[Called]:
    """What the words of a line name.  ``seen`` are words of lines before, each with how it was looked for."""
    commands = _COMMAND.finditer(line.text) if line.in_shell or _SHELL_OF_LANGUAGE.search(line.text) else ()
    named = [(word, as_text, False) for word, as_text in _words(line, makes_scripts)]
    for one in (*named, *((match[1], False, True) for match in commands)):
        if one not in seen:
            seen.add(one)
            word, as_text, by_shell = one
            for path in _places(tree, word, variables, places, as_text):
                yield Called(path, line, as_text, by_shell=by_shell)
    for path in search_places.makefiles(tree, line, places):
        yield Called(path, line, True)


def _among_many(tree: FileTree, line: Line, lines: t.Sequence[Line], variables: Variables, places: SearchPaths) -> t.Iterator[Called]:
    for path in search_places.files_of_python(tree, line, places):
        yield Called(path, line, True, True)
    found = list(search_places.files_of_folders(tree, line, variables, places)) if line.in_shell else []
    as_text = bool(found) and any(_SOURCES_VARIABLE.search(one.text) for one in lines)
    for path in found:
        yield Called(path, line, as_text, True)


def absent(tree: FileTree, line: Line, variables: Variables) -> t.Iterator[str]:
    """The whole paths of programs and scripts that a line runs and that are not there."""
    found = [match[1].strip("\"'") for pattern in (_COMMAND, _GIVEN) for match in pattern.finditer(line.text)]
    for word in found if line.in_shell else ():
        yield from (value for value in sorted(variables.values(word) or ()) if value.startswith("/") and not tree.exists(value))


def handed(line: Line) -> tuple[str, ...]:
    """What a line of the shell gives to the programs that it runs: the words behind its first one, and what others find for it."""
    rest = _ALL_GIVEN.sub(" ", line.text.partition(" ")[2]) if line.in_shell else ""
    return (f"{rest} $(xargs)" if _FROM_OTHERS.search(line.text) else rest,) if rest.strip() else ()


def with_folder(lines: t.Iterable[Line], folder: str) -> tuple[Line, ...]:
    """The lines, with the folder that they are in where they ask for it: `$(dirname "$0")` and the like."""
    lines = tuple(lines)
    if not any(_OWN_FOLDER.search(line.text) for line in lines):
        return lines
    of_itself = _OF_ITSELF
    for _time in range(2):
        names = "|".join(
            dict.fromkeys(match[1] for line in lines for match in ASSIGNMENT.finditer(line.text) if of_itself.search(match[2]))
        )
        of_itself = re.compile(rf"{_OF_ITSELF.pattern}|\$\{{?(?:{names})\b") if names else of_itself

    def plain(match: re.Match[str]) -> str:
        return folder if of_itself.search(match[0]) else match[0]

    return tuple(dataclasses.replace(line, text=_OWN_FOLDER.sub(plain, line.text)) for line in lines)


def started_units(tree: FileTree, line: Line, variables: Variables) -> t.Iterator[str]:
    """The units and services that a line starts through systemctl, service or the bus; of a name that is not known, all that it may be."""
    text = line.text if line.in_shell else _JOINED.sub(" ", line.text)
    if len(text) > LONGEST_LINE:
        return
    for match in _STARTED.finditer(text):
        for word in _WORDS.findall(match[2]):
            bare = word.strip("\"'") if "$(" in word else word.strip("\"'[](),")
            if bare and not bare.startswith("-"):
                yield from _units_of(tree, bare, variables if line.in_shell else None)
    for match in _SERVICE.finditer(text):
        yield from (name for name in match.groups() if name)
    for match in _ASKED_OF_BUS.finditer(text):
        yield match[1]


def _units_of(tree: FileTree, word: str, variables: Variables | None) -> t.Iterator[str]:
    values = None if variables is None and re.search(r"[${%]", word) else variables.values(word) if variables is not None else (word,)
    if values is None:
        values = (re.sub(r"\$\{[^{}]*\}|\$\w+|\$\([^()]*\)|`[^`]*`|\{[^{}]*\}|%s", "*", word),)
    for value in sorted(values):
        if re.search(r"[*?\[]", value) is None:
            yield value
            continue
        for folder in OWN_UNITS:
            names = tree.names(folder) if tree.is_dir(folder) else ()
            yield from (name for name in names if matches(name, value) or matches(name.rpartition(".")[0], value))


def _words(line: Line, makes_scripts: bool) -> t.Iterator[tuple[str, bool]]:
    """The words that can name files, and whether it is read as a script; ``makes_scripts`` if others make scripts of what is read."""
    text = line.text
    yield from ((match[1], True) for match in _GIVEN.finditer(text))
    if len(text) <= LONGEST_LINE:
        yield from ((match[1], True) for match in _FED.finditer(text))
    is_made_of = _MADE_OF.search(text) or (makes_scripts and _READ_IN_LOOP.search(text)) if len(text) <= LONGEST_LINE else None
    if line.in_shell and is_made_of:
        yield from ((word, True) for match in _WRITTEN_OUT.finditer(text) for word in match[1].split() if re.search(r"[/$]", word))
    yield from ((match[1], False) for match in _COMMAND.finditer(text))
    yield from ((f"{match[1].rstrip('/')}{match[2]}", False) for match in _CHROOT.finditer(text))
    as_text = not line.in_shell and _RUNS_FILE.search(text) is not None
    yield from ((match[0], as_text) for match in _ABSOLUTE.finditer(text))


def _places(tree: FileTree, word: str, variables: Variables, places: SearchPaths, as_text: bool) -> t.Iterator[str]:
    bare = word.strip("\"'")
    if "$" not in bare and "/" not in bare:
        values: t.Iterable[str] = (
            () if bare in _SHELL_WORDS or bare in variables.functions or not re.fullmatch(r"[\w.+-]+", bare) else (bare,)
        )
    else:
        values = variables.values(bare) or ()
    for value in values:
        if value.startswith("/"):
            candidates: t.Iterable[str] = (posixpath.normpath(value),)
        elif "/" in value:
            candidates = (posixpath.normpath(f"{folder}/{value}") for folder in places.folders)
        else:
            candidates = (f"{place}/{value}" for place in (*(places.folders if as_text else ()), *places.path))
        found = next((path for path in candidates if tree.is_file(path)), None)
        if found is not None:
            yield found
