# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How commands end that do nothing: true, false, sleep, test and exit, by themselves or in `sh -c`; what echo, printf and cat write."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import shlex
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.install_command import SHELLS, simple_commands
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.conditions import is_open
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.search_places import PATH

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

_FOLDERS = ("/bin", "/usr/bin")
_EXPANDED = re.compile(r"[$%\\`]")
DEEPEST = 3
# Words that neither a shell nor udev, which replaces what is not among UDEV_ALLOWED_CHARS_INPUT, changes.
_PLAIN = re.compile(r"[A-Za-z0-9.:=@+/,_-]+")
_SCRIPT = re.compile(rb"#! ?/(?:usr/)?bin/(?:ba|da)?sh *\n")
_LONGEST_SCRIPT = 4096
_LONGEST_TEXT = 512
_TIME = re.compile(r"[0-9]+(?:\.[0-9]+)?[smhd]?")


def succeeds(tree: FileTree, command: str, sees_tree: bool = True) -> bool | None:
    """Whether a command that systemd runs, without its prefixes, ends well; None if that cannot be determined.

    ``sees_tree`` says whether the files are those of the tree when the command is run.
    """
    words, path = _words(tree, command)
    if path is None or not _is_own(tree, path):
        return None
    asked = _Asked(tree, sees_tree)
    return asked.shell(words, 0) if SHELLS.fullmatch(path) is not None else asked.program([posixpath.basename(path), *words[1:]])


def writes(tree: FileTree, command: str) -> str | None:
    """What a command writes that does nothing else and ends well, by itself, in `sh -c` or as all that a script has; None if not known."""
    words, path = _words(tree, command)
    if path is not None and SHELLS.fullmatch(path) is not None:
        words = _only_command(words[2]) if len(words) == 3 and words[1] == "-c" and _is_own(tree, path) else []
    elif path is None:
        words = _of_script(tree, words[0]) if len(words) == 1 else []
    elif not _is_own(tree, path):
        return None
    if len(words) < 2 or not all(map(_PLAIN.fullmatch, words)):
        return None
    name, *arguments = (posixpath.basename(words[0]), *words[1:])
    if name == "echo":
        said = arguments[1:] if arguments[0] == "-n" else arguments
        return None if any(word.startswith("-") for word in said[:1]) else " ".join(said)
    if len(arguments) != 1 or arguments[0].startswith("-"):
        return None
    return arguments[0] if name == "printf" else _content(tree, arguments[0]) if name == "cat" else None


def _words(tree: FileTree, command: str) -> tuple[list[str], str | None]:
    """No words where they depend on anything, and the path as `_found()` gives it."""
    try:
        words = [] if _EXPANDED.search(command) else shlex.split(command)
    except ValueError:
        words = []
    return words, _found(tree, words[0]) if words else None


def _only_command(script: str) -> list[str]:
    """The words of a script that is one simple command; none of another."""
    parts = [] if _EXPANDED.search(script) else simple_commands(script)
    return list(parts[0][1]) if len(parts) == 1 else []


def _of_script(tree: FileTree, path: str) -> list[str]:
    content = (tree.head(path, _LONGEST_SCRIPT + 1) or b"") if path.startswith("/") and tree.is_file(path) else b""
    if len(content) > _LONGEST_SCRIPT or _SCRIPT.match(content) is None:
        return []
    lines = (line.strip() for line in content.decode("utf-8", "surrogateescape").split("\n"))
    code = [line for line in lines if line and not line.startswith("#")]
    return _only_command(code[0]) if len(code) == 1 else []


def _content(tree: FileTree, path: str) -> str | None:
    """The words of a file that has one line of them."""
    if is_open(tree, path) or not tree.is_file(path):
        return None
    text = (tree.head(path, _LONGEST_TEXT + 1) or b"").decode("utf-8", "surrogateescape").rstrip("\n")
    return text if len(text) < _LONGEST_TEXT and all(map(_PLAIN.fullmatch, text.split(" "))) else None


def _found(tree: FileTree, program: str) -> str | None:
    """The program's path where it is one of a distribution's own."""
    if "/" not in program:
        program = next((f"{folder}/{program}" for folder in PATH if tree.exists(f"{folder}/{program}")), f"/usr/bin/{program}")
    return program if posixpath.dirname(program) in _FOLDERS else None


def _is_own(tree: FileTree, path: str) -> bool:
    """Whether nobody has put another program there."""
    ownership = Ownership.of(tree)
    return not (tree.exists(path) and ownership.is_readable) or ownership.is_intact(ownership.resolved(path))


@dataclasses.dataclass(frozen=True)
class _Asked:
    """Commands of one tree."""

    tree: FileTree
    sees_tree: bool

    def shell(self, words: t.Sequence[str], depth: int) -> bool | None:
        """`sh -c SCRIPT`, without what -e does in a list of commands."""
        if len(words) < 3 or words[1] != "-c" or depth > DEEPEST:
            return None
        status: bool | None = None
        for link, part in simple_commands(words[2]):
            if (link == "&&" and not status) or (link == "||" and status):
                continue
            status = self._in_shell(part, depth)
            if status is None or part[0] == "exit":
                return status
        return status

    def _in_shell(self, part: t.Sequence[str], depth: int) -> bool | None:
        if part[0] == "!":
            inner = self._in_shell(part[1:], depth) if len(part) > 1 and part[1] != "exit" else None
            return None if inner is None else not inner
        if part[0] == ":":
            return True
        if part[0] == "exit":
            return _exits_well(part[1:])
        if SHELLS.fullmatch(part[0]) is not None:
            return self.shell(part, depth + 1)
        path = f"/bin/{part[0]}" if "/" not in part[0] else part[0]
        return self.program([posixpath.basename(path), *part[1:]]) if posixpath.dirname(path) in _FOLDERS else None

    def program(self, words: t.Sequence[str]) -> bool | None:
        name, arguments = words[0], list(words[1:])
        if name in ("true", "false"):
            # --help and --version end well in some, and not in others.
            return None if any(word.startswith("--") for word in arguments) else name == "true"
        if name == "sleep":
            return True if arguments and all(map(_TIME.fullmatch, arguments)) else None
        if name == "[":
            return self._test(arguments[:-1]) if arguments[-1:] == ["]"] else None
        return self._test(arguments) if name == "test" else None

    def _test(self, words: list[str]) -> bool | None:
        """test(1) with one test, which can be turned round."""
        if len(words) in (3, 4) and words[0] == "!" and words[1] not in ("=", "!="):
            inner = self._test(words[1:])
            return None if inner is None else not inner
        if len(words) == 3 and words[1] in ("=", "!="):
            return (words[0] == words[2]) == (words[1] == "=")
        if len(words) != 2:
            return None
        asked, operand = words
        if asked in ("-n", "-z"):
            return bool(operand) == (asked == "-n")
        tree = self.tree
        tests: t.Mapping[str, t.Callable[[str], bool]] = {"-e": tree.exists, "-f": tree.is_file, "-d": tree.is_dir}
        if asked not in tests or not self.sees_tree or is_open(tree, operand):
            return None
        return tests[asked](operand)


def _exits_well(words: t.Sequence[str]) -> bool | None:
    """`exit N`; without a number it is as the command before ended."""
    return int(words[0]) % 256 == 0 if len(words) == 1 and re.fullmatch(r"[0-9]{1,5}", words[0]) else None
