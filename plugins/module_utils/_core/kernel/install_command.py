# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the shell command of an `install` line loads and removes: as far as it is `modprobe` and commands that do neither."""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import off_word
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive

SHELLS = re.compile(r"(?:(?:/usr)?/bin/)?(?:ba|da)?sh")
# The shell cannot run a device node, and fails.
NOTHING = re.compile(r"(?:(?:/usr)?/bin/)?(true|false|:|echo|logger|sleep)|/dev/(?:null|zero)")
MODPROBE = re.compile(r"(?:(?:/usr)?/s?bin/)?modprobe")
LOADS_ALL = re.compile(r"-\w*a\w*|--all")
SEPARATORS = (";", "&&", "||")
REMOVES = re.compile(r"-[qv]*r[qv]*|--remove")
IGNORES_INSTALL = re.compile(r"--ignore-(?:install|remove)|-[qbavs]*i[qbavsi]*")
QUIET = re.compile(r"-[qbavs]+|--(?:quiet|use-blacklist|all|verbose|syslog|)")
# It fails where the module is loaded already: when its own install line is run, it is not (kmod_module_probe_insert_module()).
FIRST_TIME = "--first-time"
SHOWS = re.compile(r"-[qbavsi]*[nDRcVh][qbavsi]*|--(?:dry-run|show|show-?config|show-depends|resolve-alias|show-exports|version|help)")
"""Options with which modprobe loads nothing."""
HONOURS_BLACKLIST = re.compile(r"-\w*b\w*|--use-blacklist")
BOTH_OUTPUTS = ["&>", "/dev/null"]
"""To bash a redirection; to dash a command that runs beside what follows, and one that empties the file (dash(1))."""
CMDLINE_OPTIONS = ("$CMDLINE_OPTS", "${CMDLINE_OPTS}")
"""What modprobe's caller gave as options: kmod sets it for the command (command_do() in libkmod-module.c)."""
DEEPEST = 3
"""How deep shells within shells are followed."""


@dataclasses.dataclass(frozen=True)
class SimpleCommand:
    """One simple command: it loads ``names``, removes some, or only ends well or not.  ``link`` is the separator before it."""

    link: str
    names: tuple[str, ...] = ()
    ignores_install: bool = False
    """Whether the install lines of these names do not count."""
    honours_blacklist: bool = False
    succeeds: bool = True
    is_known: bool = True
    """False if what it does cannot be determined."""
    ends: bool = False
    """Whether the shell ends with it."""
    removes: tuple[str, ...] = ()
    """Modules that it removes, if they are loaded and not in use; whether it ends well depends on that."""

    def runs(self, before: bool) -> bool:
        """Whether the shell comes to it, by how the command before it ended."""
        return before if self.link == "&&" else not before if self.link == "||" else True


InstallCommand = t.Optional[tuple[SimpleCommand, ...]]
"""What a command does, in order; None if that cannot be determined."""


def loads_nothing(line: Directive, module: str) -> bool:
    """Whether all that an `install` line does is to keep the module out."""
    steps = parse(line.arguments[1], module)
    if steps is None:
        return False
    status = True
    for step in steps:
        if step.runs(status):
            if step.names or step.removes or not step.is_known:
                return False
            if step.ends:
                break
            status = step.succeeds
    return True


def parse(text: str, module: str, depth: int = 0) -> InstallCommand:
    """What the command of an install line of ``module`` does."""
    if off_word.is_install_command(text, module):
        return (SimpleCommand("", (module,), ignores_install=True),)
    words = _words(text)
    if words is None or depth > DEEPEST:
        return None
    steps: list[SimpleCommand] = []
    parts = [(link, part) for link, part in _parts(words) if part]
    for link, part in parts:
        found = _inner(part, module, depth) if _is_shell(part) else _one(link, part, module)
        if found is None or (len(found) > 1 and len(parts) > 1):
            found = (SimpleCommand(link, is_known=False),)
        # What ends a shell within this one does not end this one.
        steps += (
            dataclasses.replace(step, link=step.link or link, ends=step.ends and not (_is_shell(part) and parts[1:])) for step in found
        )
    return tuple(steps)


def _words(text: str) -> list[str] | None:
    """The words, with each separator as one; None where the shell would do more than split them."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        words = list(lexer)
    except ValueError:
        return None
    # A bracket by itself is a command.
    plain = (word for word in words if word not in (*CMDLINE_OPTIONS, "["))
    silent = _without_silencing(words)
    if silent[-2:] == BOTH_OUTPUTS and NOTHING.fullmatch(silent[0]) and not any(word in SEPARATORS for word in silent):
        # Whether it is waited for or not, it does nothing.
        silent = silent[:-2]
    if any(re.search(r"[`$*?\[{]", word) for word in plain):
        return None
    return None if any(re.fullmatch(r"[;&|<>()]+", word) and word not in SEPARATORS for word in silent) else silent


def _without_silencing(words: t.Sequence[str]) -> list[str]:
    """Without redirections to /dev/null, which change nothing."""
    found: list[str] = []
    place = 0
    while place < len(words):
        if words[place : place + 3] == ["2", ">&", "1"] or (
            words[place] in ("1", "2") and words[place + 1 : place + 3] == [">", "/dev/null"]
        ):
            place += 3
        elif words[place] in (">", ">>", "<") and words[place + 1 : place + 2] == ["/dev/null"]:
            place += 2
        else:
            found.append(words[place])
            place += 1
    return found


def simple_commands(text: str) -> tuple[tuple[str, list[str]], ...]:
    """The commands of a script of one line, each with the separator before it; empty where the shell would do more than split it."""
    words = _words(text)
    parts = () if words is None else tuple(_parts(words))
    return parts if all(part for _link, part in parts) else ()


def _parts(words: t.Sequence[str]) -> t.Iterator[tuple[str, list[str]]]:
    """Each simple command, with the separator before it."""
    link, part = "", list[str]()
    for word in words:
        if word in SEPARATORS:
            yield link, part
            link, part = word, []
        else:
            part.append(word)
    yield link, part


def _is_shell(part: t.Sequence[str]) -> bool:
    return SHELLS.fullmatch(part[0]) is not None and len(part) > 2 and part[1] == "-c"


def _inner(part: t.Sequence[str], module: str, depth: int) -> InstallCommand:
    return parse(part[2], module, depth + 1)


def _one(link: str, part: t.Sequence[str], module: str) -> InstallCommand:
    program, words = part[0], list(part[1:])
    if program == "exec" and words:
        found = _one(link, words, module)
        return None if found is None else tuple(dataclasses.replace(step, ends=True) for step in found)
    if program == "exit":
        return (SimpleCommand(link, succeeds=not words or words[0] == "0", ends=True),)
    nothing = NOTHING.fullmatch(program)
    if nothing is not None:
        return (SimpleCommand(link, succeeds=nothing[1] not in ("false", None)),)
    return _modprobe(link, words, module) if MODPROBE.fullmatch(program) else None


def removed_by(steps: InstallCommand) -> tuple[str, ...]:
    """The modules that a command removes; none if it cannot be read in full."""
    known = steps is not None and all(step.is_known for step in steps)
    return tuple(name for step in steps or () for name in step.removes) if known else ()


def _modprobe(link: str, words: t.Sequence[str], module: str) -> InstallCommand:
    if any(REMOVES.fullmatch(word) for word in words):
        return _removing(link, words, module)
    ignores = any(IGNORES_INSTALL.fullmatch(word) for word in words)
    if any(SHOWS.fullmatch(word) for word in words):
        return (SimpleCommand(link),)
    loads_all = any(LOADS_ALL.fullmatch(word) for word in words)
    plain = [word for word in words if not (IGNORES_INSTALL.fullmatch(word) or QUIET.fullmatch(word) or word in CMDLINE_OPTIONS)]
    # Without -a the first word is the module, and the others are its options.
    if plain[1:] == [module] or plain[:1] == [module]:
        plain = [word for word in plain if word != FIRST_TIME]
    asked = tuple(map(normalize_module_name, plain if loads_all else plain[:1]))
    if any(word.startswith("-") for word in plain) or len(plain) > len(asked) or not asked or (module in asked and not ignores):
        return None
    return (SimpleCommand(link, asked, ignores, any(HONOURS_BLACKLIST.fullmatch(word) for word in words)),)


def _removing(link: str, words: t.Sequence[str], module: str) -> InstallCommand:
    """`modprobe -r` of other modules, in which dependencies that no one needs any more go as well."""
    plain = [word for word in words if not (REMOVES.fullmatch(word) or QUIET.fullmatch(word))]
    asked = tuple(map(normalize_module_name, plain))
    if not asked or module in asked or any(word.startswith("-") for word in plain):
        return None
    return (SimpleCommand(link, removes=asked),)
