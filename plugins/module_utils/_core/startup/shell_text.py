# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a script, as far as it can be understood without running it: its commands, and what its variables can be.

Made for the shell; for other languages the lines are the same and no variable is known.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup import here_documents
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.reached_lines import alive, reached

MOST_LINES = 20_000
MOST_VALUES = 64
DEEPEST = 6
LONGEST_COMMAND = 4096
"""Characters of a command line in which it is looked for whole words."""
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'"
ASSIGNMENT = re.compile(
    r"(?:^|(?<=[\s;&|({`]))([A-Za-z_]\w*)(?:\[[^\]]*\])?\+?="
    rf"(\([^()]*\)|(?:{_QUOTED}|\$\((?:[^()]|\([^()]*\))*\)|`[^`]*`|[^\s;&|\"'`])*)"
)
# The key of a list's element.
_KEY = re.compile(r"(?<!\S)\[[^\]\s]*\]=")
_FOR = re.compile(r"\bfor\s+([A-Za-z_]\w*)(?:\s+in\s+([^;\n]*))?")
_SET_AGAIN = re.compile(r"(?:^|[;&|({]|\b(?:then|do|else)\s)\s*set\s+--\s+([^;&|\n]*)")
_READ = re.compile(r"\b(?:read|mapfile|readarray|getopts)\b((?:[ \t]+[\w:<>-]+)*)")
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([\w.:-]+)\s*\(\s*\)|^\s*function\s+([\w.:-]+)")
VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*|[0-9@*#])|\{([!#]?)([A-Za-z_]\w*|[0-9@*]+)(?:\[[^\]]*\])?([^{}]*)\})")
SUBSTITUTION = re.compile(r"\$\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)|`([^`]*)`")
# Commands whose output says nothing but what their arguments do, and attributes that only describe a device.
_PLAIN = re.compile(r"\s*(?:basename|dirname|echo|printf|uname|date|hostname|nproc|id|pwd|tr|expr|seq|command\s+-v|which)\b")
_ABOUT_ITSELF = re.compile(
    r"\s*(?:<|(?:cat|head|readlink|realpath)\b).*/(?:vendor|device|subsystem_vendor|subsystem_device|class|modalias|numa_node|driver|driver/module)[\"']?\s*$"
)
_OF_ITSELF = re.compile(r"\s*(?:cd|readlink|realpath|dirname)\b.*(?:\$0|\$\{?BASH_SOURCE)")
_SHELL = re.compile(r"sh\b|openrc-run|runscript|make\b")
SHELLS = r"(?:ba|da|a|z|k)?sh"
_SCRIPT = re.compile(rf"#![^\n]*[/\s]{SHELLS}(?:\s|$)", re.MULTILINE)
POSITIONAL = re.compile(r"[0-9@*#]+")
# One variable whose text a shell reads as a script.
_EVALUATED = re.compile(rf"(?:\beval|\b{SHELLS}(?:\s+-[a-z]+)*\s+-[a-z]*c)\s+[\\\"']*\$(?:(\w+)|\{{(\w+)\}})[\\\"']*\s*(?=$|[;&|)}}])")
_NAMES_NO_COMMAND = re.compile(r"\$\(|`|(?:^|[;&|])\s*[\"']?\$")


@dataclasses.dataclass(frozen=True)
class Line:
    """A logical line, without its comment; ``shown`` is the file that it is in."""

    shown: str
    number: int
    text: str
    in_shell: bool = True
    only_assigns: bool = False
    """Whether nothing of it acts, as in a package's file that is sourced for its variables."""
    is_trusted: bool = False
    """Whether it is taken to be a distribution's, so that only what it names counts, and not what it leaves open."""

    def __str__(self) -> str:
        return f"{self.shown}:{self.number}"


def lines_of(text: str, shown: str, only_assigns: bool = False, is_trusted: bool = False, is_run: bool = False) -> tuple[Line, ...]:
    """The lines that can be run, without comments; joined where a line or a list in parentheses continues.

    ``is_run`` if the text is a program of its own, and no part of another one.
    """
    found = _all_lines(text, shown, only_assigns, is_trusted)
    if not _SCRIPT.match(text):
        return tuple(found)
    left = alive([line.text for line in found], is_run)
    pairs = ((line, rest) for line, rest in zip(found, left) if rest is not None)
    return tuple(line if rest == line.text else dataclasses.replace(line, text=rest) for line, rest in pairs)


def never_reached(text: str, shown: str) -> tuple[Line, ...]:
    """The `exit`, or `exec`, at which a script ends, and the lines that come after it; nothing if none do."""
    found = _all_lines(text, shown)
    end = _end(text, found)
    return tuple(found[end - 1 :]) if 0 < end < len(found) else ()


def _end(text: str, lines: t.Sequence[Line]) -> int:
    return reached([line.text for line in lines]) if _SCRIPT.match(text) else len(lines)


def _all_lines(text: str, shown: str, only_assigns: bool = False, is_trusted: bool = False) -> list[Line]:
    found: list[Line] = []
    first, joined, in_shell = 0, "", _is_shell(text, shown)
    all_raw = [raw.rstrip("\r") for raw in text.split("\n")[:MOST_LINES]]
    until: list[here_documents.HereDocument] = []
    ends = here_documents.TextEnds(enumerate(all_raw))
    for number, raw in enumerate(all_raw, 1):
        if until:
            # What looks like a comment there is text, of which the shell carries out what is in `$(…)`.
            found.append(Line(shown, number, raw, in_shell, only_assigns, is_trusted))
            del until[: int(until[0].ends(raw))]
            continue
        line = _without_comment(raw)
        first = first or number
        joined += line
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if _opens_list(joined) and number - first < 100:
            joined += " "
            continue
        if joined.strip():
            found.append(Line(shown, first, joined, in_shell, only_assigns, is_trusted))
            until = [one for one in here_documents.of(joined) if ends.has(one, number - 1)] if in_shell else []
        first, joined = 0, ""
    if joined.strip():
        found.append(Line(shown, first, joined, in_shell, only_assigns, is_trusted))
    return found


def _is_shell(text: str, shown: str) -> bool:
    first = text.partition("\n")[0]
    return _SHELL.search(first) is not None if first.startswith("#!") else not shown.endswith((".py", ".pl", ".rb", ".lua"))


def _opens_list(line: str) -> bool:
    start = re.search(r"[A-Za-z_]\w*\+?=\(", line)
    return start is not None and ")" not in line[start.end() :]


def _without_comment(line: str) -> str:
    if line.lstrip().startswith("#"):
        return ""
    at = line.find(" #")
    while at >= 0:
        before = line[:at]
        if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
            return before
        at = line.find(" #", at + 1)
    return line


def with_environment(command: str, environment: t.Mapping[str, str], is_open: bool = False) -> str:
    """A command line as systemd expands it: `${NAME}`, and `$NAME` where it is a whole word, while a shell's own text is left to it; a
    variable that neither sets is empty for both, unless it may be set from elsewhere, and `$$` is a `$` for the shell."""
    plain = _without_quotes_before_names(command)
    own = {match[1] for text, pattern in ((plain, ASSIGNMENT), (command, _FOR)) for match in pattern.finditer(text)}
    own |= {word for match in _READ.finditer(command) for word in match[1].split()}

    def expanded(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        if match[1] and name in environment and not _is_whole_word(match):
            return match[0]
        if match[2] or match[4] or name in own or POSITIONAL.fullmatch(name):
            return match[0]
        return environment.get(name, match[0] if is_open else "")

    parts = command.split("$$")
    return "$".join(VARIABLE.sub(expanded, part) for part in parts)


def _without_quotes_before_names(command: str) -> str:
    """A command line in which a shell's own text may begin with an assignment."""
    return re.sub(r"[\"'](?=[A-Za-z_]\w*=)", " ", command)


def _is_whole_word(match: re.Match[str]) -> bool:
    """Whether a variable is a word of a command line by itself, perhaps in quotes, and no part of one in quotes."""
    if match.start() > LONGEST_COMMAND:
        return False
    before, behind = match.string[: match.start()], match.string[match.end() :]
    quote = before[-1:] if before[-1:] in ("'", '"') else ""
    plain = re.sub(_QUOTED, "", before[: len(before) - len(quote)])
    return (not plain or plain[-1].isspace()) and not re.search(r"[\"']", plain) and re.match(rf"{quote}(?:\s|$)", behind) is not None


class Variables:
    """What the variables of some lines can be.  ``arguments`` are the positional parameters that are known from the outside,
    None if they are not; ``given`` are variables of the environment, which has others that are not known if ``is_open``."""

    def __init__(
        self, lines: t.Sequence[Line], arguments: t.Sequence[str] | None, given: t.Mapping[str, str], is_open: bool = False
    ) -> None:
        self._is_open = is_open
        self._set: dict[str, list[str]] = {name: [value] for name, value in given.items()}
        self._unknown: set[str] = set()
        self.functions = {name for line in lines for match in _FUNCTION.finditer(line.text) for name in match.groups() if name}
        for line in lines:
            self._collect(line.text if line.number else _without_quotes_before_names(line.text))
        self._set["0"] = [""]
        self._set["@"] = [*(arguments or ()), *self._set.get("@", ())]
        if arguments is None:
            self._unknown.add("@")
        for call in self._calls(lines):
            self._set["@"].append(call)

    def _collect(self, text: str) -> None:
        for match in ASSIGNMENT.finditer(text):
            value = _KEY.sub("", match[2].strip("()")) if match[2].startswith("(") else match[2]
            self._set.setdefault(match[1], []).append(value)
        for match in _FOR.finditer(text):
            self._set.setdefault(match[1], []).append(match[2] if match[2] is not None else "$@")
        for match in _SET_AGAIN.finditer(text):
            self._set.setdefault("@", []).append(match[1])
        for match in _READ.finditer(text):
            self._unknown.update(word for word in match[1].split() if word.isidentifier())

    def _calls(self, lines: t.Sequence[Line]) -> t.Iterator[str]:
        """The arguments that functions are called with."""
        if not self.functions:
            return
        names = "|".join(re.escape(name) for name in sorted(self.functions, key=len, reverse=True))
        call = re.compile(rf"(?:^|[;&|({{`]|\b(?:then|do|else|if|while)\b)\s*(?:{names})[ \t]+([^;|&\n]*)")
        for line in lines:
            yield from (match[1] for match in call.finditer(line.text) if not match[1].startswith("("))

    def is_read(self, name: str) -> bool:
        """Whether a variable's value is found while the script runs, in a file or in what a command writes."""
        inner = (match[1] or match[2] or "" for value in self._set.get(name, ()) for match in SUBSTITUTION.finditer(value))
        return name in self._unknown or not all(_PLAIN.match(text) or _OF_ITSELF.match(text) for text in inner)

    def is_given_from_elsewhere(self, word: str) -> bool:
        """Whether a word begins with a variable that nothing sets but an environment that is not known."""
        match = VARIABLE.match(word.strip("\"'"))
        return self._is_open and match is not None and _name(match) not in {*self._set, *self._unknown} and _name(match) != "#"

    def assigned(self) -> t.Iterator[tuple[str, t.Sequence[str]]]:
        """The variables that the lines set, each with its values as they are written."""
        yield from self._set.items()

    def written(self, name: str) -> tuple[str, ...]:
        """The values that are assigned to a variable, as they are written."""
        return tuple(self._set.get(name, ()))

    def is_known(self, text: str) -> bool:
        """Whether everything in a text comes from words that are written down, and not from what is found while it runs."""
        return self._is_known(text, frozenset())

    def _is_known(self, text: str, seen: frozenset[str]) -> bool:
        if len(seen) > 4 * DEEPEST:
            return False
        for match in SUBSTITUTION.finditer(text):
            inner = match[1] if match[1] is not None else match[2]
            if not (_PLAIN.match(inner) or _ABOUT_ITSELF.match(inner) or _OF_ITSELF.match(inner)):
                return False
        if re.search(r"/\S*[*?]", text):
            return False
        return all(self._variable_known(match, seen) for match in VARIABLE.finditer(text))

    def _variable_known(self, match: re.Match[str], seen: frozenset[str]) -> bool:
        if match[2] == "!":
            return False
        name = _name(match)
        if name in seen or match[2] == "#" or name == "#":
            return True
        known = self._knowledge.get(name)
        if known is None:
            values = [*self._set.get(name, ()), *_default(match)]
            known = bool(values) and name not in self._unknown and all(self._is_known(value, seen | {name}) for value in values)
            self._knowledge[name] = known
        return known

    @functools.cached_property
    def _knowledge(self) -> dict[str, bool]:
        return {}

    def evaluated(self, text: str) -> tuple[str, ...]:
        """The scripts that a text has a shell read from variables: `eval "$WHAT"`, `sh -c "$WHAT"`."""
        names = dict.fromkeys(name for match in _EVALUATED.finditer(text) for name in match.groups() if name)
        return tuple(value.strip("\"'") for name in names if name not in self._unknown for value in self._set.get(name, ()))

    def evaluates_known(self, text: str) -> bool:
        """Whether every `eval` of a text reads a variable whose text is written down."""
        rest = _EVALUATED.sub("", text)
        names = [name for match in _EVALUATED.finditer(text) for name in match.groups() if name]
        known = all(name not in self._unknown and self._set.get(name) for name in names)
        return known and not re.search(r"\beval\b", rest) and not any(_NAMES_NO_COMMAND.search(value) for value in self.evaluated(text))

    def may_lead_to(self, word: str, place: str) -> bool:
        """Whether a path whose words are not all known may begin with ``place``."""
        return self._may_lead_to(word, place, 0)

    def _may_lead_to(self, word: str, place: str, depth: int) -> bool:
        word = word.strip().strip("\"'")
        start = word.partition("$")[0].partition("`")[0]
        if start or not word:
            return start.startswith(place) or (place.startswith(start) and start != word)
        if word.startswith(("$(", "`")):
            return place in word.lower() or not re.match(r"(?:\$\(|`)\s*(?:mktemp|tempfile|basename|date|pwd)\b", word)
        match = VARIABLE.match(word)
        name = "" if match is None else _name(match)
        if match is None or depth > DEEPEST or name in self._unknown or name not in self._set:
            return True
        values = [piece for value in (*self._set[name], *_default(match)) for piece in (value.split() if name == "@" else [value])]
        return any(self._may_lead_to(value, place, depth + 1) for value in values)

    def values(self, word: str) -> frozenset[str] | None:
        """All words that a word can stand for; None if that is not known."""
        return self._values(word, 0)

    def _values(self, word: str, depth: int) -> frozenset[str] | None:
        word = word.strip("\"'")
        match = VARIABLE.search(word)
        if match is None:
            return None if "$(" in word or "`" in word else frozenset((word,))
        name = _name(match)
        values = [*self._set.get(name, ()), *_default(match)]
        changed = match[2] or (match[4] and not _default(match))
        # What stands between the words of a list is the shell's IFS.
        joined = "IFS" in self._set and ("*" in (match[1], match[3]) or "[*]" in match[0])
        if depth > DEEPEST or changed or joined or name in self._unknown or not values:
            return None
        found: set[str] = set()
        for value in values:
            for piece in value.replace('"', " ").replace("'", " ").split() or [""]:
                inner = self._values(piece, depth + 1)
                if inner is None or len(found) > MOST_VALUES:
                    return None
                found |= inner
        whole: set[str] = set()
        for one in found:
            outer = self._values(word[: match.start()] + one.replace("$", "") + word[match.end() :], depth + 1)
            if outer is None or len(whole) > MOST_VALUES:
                return None
            whole |= outer
        return frozenset(whole)


def _default(match: re.Match[str]) -> list[str]:
    """The word in `${NAME:-word}`."""
    found = re.fullmatch(r":?[-=](.*)", match[4] or "")
    return [found[1]] if found else []


def _name(match: re.Match[str]) -> str:
    name = match[1] or match[3]
    return "@" if POSITIONAL.fullmatch(name) and name not in "0#" else name
