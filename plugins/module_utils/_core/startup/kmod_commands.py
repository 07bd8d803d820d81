# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands by which a script has kmod load or remove modules: which modules that are, as far as they are written down."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import VARIABLE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line, Variables

_BEFORE = 400
"""Characters before a command in which it is looked for what gives it words."""
_PROGRAMS = r"modprobe|insmod|rmmod|kldload|kmod\s+(?:load|insert|remove)"
# What follows, up to the command's end, with the commands in it that are carried out first.
_COMMAND = re.compile(rf"(?:^|[\s\"'`;&|(/=!,\[{{@:+-])({_PROGRAMS})\b((?:\$\([^()]*\)|(?<=\s)`[^`]*`|[^;|&>\n)`])*)")
_METHOD = re.compile(r"\.(modprobe|insmod|rmmod)\(\s*([^)\n]*)")
_WORD = re.compile(r"(?:\$\([^()]*\)|`[^`]*`|[^\s])+")
_GIVEN_BY_OTHERS = re.compile(r"\b(?:xargs|parallel)\b[^;|&\n]*$")
# Options that make modprobe only show something.
_ASKS = re.compile(r"-[a-zA-Z]*[nDcRV]|--(?:dry-run|show.*|resolve-alias|version|help)")
_REMOVES = re.compile(r"-[a-qs-zA-Z]*r[a-zA-Z]*|--remove(?:-.*)?")
_ALL = re.compile(r"-[a-zA-Z]*a[a-zA-Z]*|--all")
_BLACKLIST = re.compile(r"-[a-zA-Z]*b[a-zA-Z]*|--use-blacklist")
_ELSEWHERE = re.compile(r"-[Cd]|--(?:config|dirname)(?:=.*)?")
_WITH_VALUE = re.compile(r"-[a-zA-Z]*[CdSw]|--(?:config|dirname|set-version|wait)")
_BRACES = re.compile(r"([\w-]*)\{([\w-]+(?:,[\w-]+)+)\}([\w-]*)")
_OF_LANGUAGE = re.compile(r"[\"'],|\s*[\"']\s*[+%]")
_LITERAL = re.compile(r"(?:[rub]?)([\"'])(.*)\1")
_MADE = re.compile(r"\s*(?:\]|\+|%|\.\s*(?:format|join|split)\b)")
_ASSIGNED = re.compile(r"=\s*\[?\s*(?:[rub]?)$")
# A variable that has the program, and a command that finds it.
_PROGRAM = re.compile(r"[\"']?(?:[\w./-]*/)?(modprobe|insmod|rmmod)((?:\s+-[\w-]+)*)[\"']?")
_FOUND = re.compile(
    r"[\"']?(?:\$\(|`)\s*(?:command\s+-v|which|type\s+-[pP])\s+[\"']?(?:[\w./-]*/)?(modprobe|insmod|rmmod)\b[^()`]*[)`][\"']?"
)


@dataclasses.dataclass(frozen=True)
class Load:
    """A command of kmod: the words that name modules, the parameters after them, and whether it removes the modules."""

    modules: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    removes: bool = False
    is_open: bool = False
    """Whether it can be about further modules, which are not written down."""
    is_elsewhere: bool = False
    """Whether it reads other lines than those of modprobe.d, or another tree of modules."""
    asks_blacklist: bool = False


def loads(line: str, in_shell: bool = True) -> t.Iterator[Load]:
    """The commands of kmod in a line of the shell, or of another language."""
    for match in _COMMAND.finditer(line):
        load = _of_shell(line, match) if in_shell else _of_language(line, match)
        if load is not None:
            yield load
    for match in () if in_shell else _METHOD.finditer(line):
        name = _LITERAL.fullmatch(match[2].split(",")[0].strip())
        yield Load((name[2],) if name else (), (), match[1] == "rmmod", name is None)


def with_programs(lines: t.Sequence[Line], variables: Variables) -> tuple[Line, ...]:
    """The lines with the programs' names in the place of variables that hold them, and of commands that find them."""
    held = dict(_held(variables))
    if not held and not any(_FOUND.search(line.text) for line in lines):
        return tuple(lines)
    return tuple(dataclasses.replace(line, text=_with_names(line.text, held)) if line.in_shell else line for line in lines)


def _held(variables: Variables) -> t.Iterator[tuple[str, str]]:
    for name, values in variables.assigned():
        for value in values:
            found = _FOUND.fullmatch(value) or _PROGRAM.fullmatch(value)
            if found is not None:
                yield name, f"{found[1]}{found[2] if found.re is _PROGRAM else ''}"


def _with_names(text: str, held: t.Mapping[str, str]) -> str:
    def named(match: re.Match[str]) -> str:
        return held.get(match[1] or match[3] or "", match[0])

    # Quotes around the variable alone would take what follows for another word.
    plain = re.sub(r"\"(\$(?:\w+|\{\w+\}))\"", r"\1", text) if held else text
    return VARIABLE.sub(named, _FOUND.sub(r"\1", plain))


# -- the shell


def _of_shell(line: str, match: re.Match[str]) -> Load | None:
    if _OF_LANGUAGE.match(match[2]) is not None:
        return _of_language(line, match)
    words = [word for raw in _WORD.findall(match[2]) for word in _words_of(raw) if word]
    is_open = _GIVEN_BY_OTHERS.search(line, max(0, match.start(1) - _BEFORE), match.start(1)) is not None
    return _load(match[1], words, is_open)


def _words_of(raw: str) -> t.Sequence[str]:
    """A word without its quotes, or the words that the shell makes of one with braces."""
    word = raw.strip("\"'()\\;")
    braces = _BRACES.fullmatch(word)
    if braces is not None:
        return [f"{braces[1]}{part}{braces[3]}" for part in braces[2].split(",")]
    return (word if "$" in word or word == "{}" else word.strip("{}"),)


def _load(program: str, words: t.Sequence[str], is_open: bool) -> Load | None:
    options = [word for word in words if word.startswith("-")]
    if program == "modprobe" and any(_ASKS.fullmatch(option) for option in options):
        return None
    names: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith("-") or re.match(r"\d?[<>]", word):
            skip = not skip and program == "modprobe" and _WITH_VALUE.fullmatch(word) is not None
            continue
        names.append(word)
    removes = program == "rmmod" or program.endswith("remove") or any(_REMOVES.fullmatch(option) for option in options)
    elsewhere = program == "modprobe" and any(_ELSEWHERE.fullmatch(option) for option in options)
    asks = program == "modprobe" and any(_BLACKLIST.fullmatch(option) for option in options)
    if not (names or is_open):
        return None
    several = removes or any(_ALL.fullmatch(option) for option in options)
    modules = tuple(names) if several else tuple(names[:1])
    return Load(modules, () if several else tuple(names[1:]), removes, is_open, elsewhere, asks and not removes)


# -- other languages


def _of_language(line: str, match: re.Match[str]) -> Load | None:
    """A command in a string, `"modprobe vfio-pci"`, or in a list of strings, `["modprobe", "vfio-pci"]`."""
    before = line[: match.start(1)]
    start = max(before.rfind(sign) for sign in "\"'`")
    end = line.find(line[start], match.end(1)) if start >= 0 else -1
    if end < 0:
        return _load(match[1], [word for raw in match[2].split() if (word := raw.strip("\"'(){}[],;\\"))], False)
    words = line[match.end(1) : end].split()
    rest = line[end + 1 :]
    named = _load(match[1], words, _MADE.match(rest) is not None and not rest.lstrip().startswith((".split", "]")))
    if named is not None and (named.modules or named.is_open):
        return named
    if rest.lstrip().startswith(","):
        return _of_list(match[1], words, rest.lstrip()[1:])
    is_made = _MADE.match(rest) is not None or _ASSIGNED.search(before[:start]) is not None
    return Load((), (), match[1] == "rmmod", True) if is_made else None


def _of_list(program: str, options: t.Sequence[str], rest: str) -> Load | None:
    closed = re.match(r"[^\])]*", rest)
    items = [item.strip() for item in (closed[0] if closed else rest).split(",")]
    items = [item for item in items if item and re.match(r"\w+\s*=(?!=)", item) is None]
    literals = [_LITERAL.fullmatch(item) for item in items]
    words = [*options, *(found[2] for found in literals if found is not None)]
    is_complete = closed is not None and closed.end() < len(rest)
    is_open = None in literals or not is_complete or re.match(r"[\])]\s*\+", rest[closed.end() :] if closed else "") is not None
    found = _load(program, words, is_open)
    return None if found is None else dataclasses.replace(found, is_open=is_open)
