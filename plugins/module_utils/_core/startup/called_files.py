# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files and units that a script runs or reads as a part of itself."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line, Variables

PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/libexec")
# Their content is made while the host runs.
MADE_AT_RUN_TIME = ("/proc/", "/sys/", "/dev/", "/run/", "/tmp/", "/var/run/")  # noqa: S108 - nothing is written there
_LEADING = (
    r"then|do|else|elif|if|while|until|exec|sudo|doas|nohup|env|nice|ionice|setsid|command|time|xargs|systemd-run|unshare|stdbuf"
    r"|timeout\s+\S+|chroot\s+\S+|flock\s+\S+|nsenter|taskset\s+\S+"
)
_INTERPRETERS = r"(?:ba|da|a|z|k)?sh|python[0-9.]*|perl|ruby|lua[0-9.]*|awk|gawk|node|php|tclsh|expect"
_WORD = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s;&|()<>`\"'])+"
_COMMAND = re.compile(
    rf"(?:^|[;&|({{`!]|\$\()\s*(?:(?:{_LEADING})(?:\s+-\S+)*\s+)*(?:[A-Za-z_]\w*=\S*\s+)*(?:(?:{_LEADING})(?:\s+-\S+)*\s+)*({_WORD})"
)
_GIVEN = re.compile(rf"(?:(?:^|[;&|({{`\s])(?:\.|source)|(?:^|[\s;&|({{`\"'/])(?:{_INTERPRETERS})(?:\s+-(?!c\b)\S+)*)\s+({_WORD})")
_ABSOLUTE = re.compile(r"(?<![\w.$}/*?-])/(?:[\w.+:@%-]+/)*[\w.+:@%-]+(?![\w/*$?])")
_OWN_FOLDER = re.compile(
    r"\$\(\s*(?:cd\s+)?[\"']?\$?\(?(?:dirname|readlink\s+-\w+|realpath)[^()]*(?:\([^()]*\)[^()]*)?\)[^()/]*(?:&&\s*pwd\s*\))?"
    r"|`dirname[^`]*`|\$\{(?:0|BASH_SOURCE(?:\[0\])?)%/\*\}"
)
_STARTED = re.compile(
    r"\bsystemctl\b((?:\s+-\S+)*)\s+(?:start|restart|reload-or-restart|isolate|try-restart|enable\s+--now|enable)\b([^;|&>\n`)]*)"
)
_SERVICE = re.compile(
    r"(?:\bservice\s+([\w@.-]+)\s+(?:re)?start\b|\binvoke-rc\.d\s+([\w@.-]+)\s+(?:re)?start\b|/etc/init\.d/([\w@.-]+)\s+(?:re)?start\b)"
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
    """A file that a line names.  ``as_text`` if it is read by an interpreter, so that it need not begin with `#!`."""

    path: str
    line: Line
    as_text: bool = False


def called(tree: FileTree, lines: t.Sequence[Line], variables: Variables, folder: str) -> t.Iterator[Called]:
    """The files that the lines run or source, each once.  ``folder`` is that of the script."""
    seen: set[str] = set()
    for line in lines:
        for word, as_text in _words(line.text):
            for path in _places(tree, word, variables, folder, as_text):
                if path not in seen and not path.startswith(MADE_AT_RUN_TIME):
                    seen.add(path)
                    yield Called(path, line, as_text)


def with_folder(lines: t.Iterable[Line], folder: str) -> tuple[Line, ...]:
    """The lines, with the folder that they are in where they ask for it: `$(dirname "$0")` and the like."""
    return tuple(dataclasses.replace(line, text=_OWN_FOLDER.sub(lambda _match: folder, line.text)) for line in lines)


def started_units(text: str) -> t.Iterator[str]:
    """The units and services that a text starts through systemctl or service."""
    for match in _STARTED.finditer(text):
        yield from (word.strip("\"'") for word in match[2].split() if not word.startswith("-"))
    for match in _SERVICE.finditer(text):
        yield from (name for name in match.groups() if name)


def _words(text: str) -> t.Iterator[tuple[str, bool]]:
    yield from ((match[1], True) for match in _GIVEN.finditer(text))
    yield from ((match[1], False) for match in _COMMAND.finditer(text))
    yield from ((match[0], False) for match in _ABSOLUTE.finditer(text))


def _places(tree: FileTree, word: str, variables: Variables, folder: str, as_text: bool) -> t.Iterator[str]:
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
            candidates = (posixpath.normpath(f"{folder}/{value}"),)
        else:
            candidates = (f"{place}/{value}" for place in (*PATH[:6], *((folder,) if as_text else ())))
        found = next((path for path in candidates if tree.is_file(path)), None)
        if found is not None:
            yield found
