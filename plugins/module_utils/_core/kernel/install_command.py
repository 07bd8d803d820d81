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
SEPARATORS = (";", "&&", "||")
GROUPS: t.Mapping[str, str] = {"{": "}", "(": ")"}
_OPERATORS = re.compile(r"&>>?|&&|\|\||;;|>>|>&|[;&|<>()]")
_EXPANDED = re.compile(r"[`$*?\[{]")
# A number is one of a redirection only where it stands alone and touches the sign; otherwise it is a word of the command.
_DESCRIPTOR = re.compile(r"(?<![^\s;&|()<>])(?=[12]>)")
_MARK = "\x02"
_WITHIN = re.compile(r"[^\s;&|()<>]#")
"""A sign that begins no comment, or may not: for shlex it always does."""
_SECONDS = re.compile(r"\d+(?:\.\d+)?[smhd]?")
# Options of modprobe(8), by their letters: `-X` alone, with what follows, and by their long names.
_LETTERS, _WITH_VALUE = "arRibfDcnsqvVh", "wCdS"
_LONG: t.Mapping[str, str] = dict(
    word.split("=")
    for word in (
        "all=a remove=r remove-holders=? remove-dependencies=? wait=w resolve-alias=R first-time=1 ignore-install=i ignore-remove=i "
        "use-blacklist=b force=f force-modversion=f force-vermagic=f show-depends=D showconfig=c show-config=c show-modversions=D "
        "dump-modversions=D show-exports=D dry-run=n show=n config=C dirname=d set-version=S syslog=s quiet=q verbose=v version=V help=h"
    ).split()
)
SHOWS = frozenset("nDRcVh")
"""With these modprobe loads nothing."""
BOTH_OUTPUTS = ["&>", "/dev/null"]
"""To bash a redirection; to dash a command that runs beside what follows, and one that empties the file (dash(1))."""
OPTIONS = "$CMDLINE_OPTS"
"""What modprobe's caller gave as options, and modprobe.d: kmod writes it into the command (command_do() in libkmod-module.c)."""
GIVEN = "\x01"
"""In its place."""
_GIVEN = re.compile(rf"{re.escape(OPTIONS)}|\$\{{CMDLINE_OPTS\}}")
# The module, in the environment of the command.
_ITSELF = re.compile(r"\$MODPROBE_MODULE(?!\w)|\$\{MODPROBE_MODULE\}")
DEEPEST = 3
"""How deep shells within shells are followed."""


class UnreadError(Exception):
    """What a command does cannot be determined, or whether it is run."""


@dataclasses.dataclass(frozen=True)
class SimpleCommand:
    """One simple command: it loads ``names``, removes some, or only ends well or not.  ``link`` is the separator before it."""

    link: str
    names: tuple[str, ...] = ()
    ignores_install: bool = False
    """Whether the install lines of these names do not count."""
    honours_blacklist: bool = False
    succeeds: bool | None = True
    """None where that depends on what is not known here."""
    is_known: bool = True
    """False if what it does cannot be determined."""
    ends: bool = False
    """Whether the shell ends with it."""
    removes: tuple[str, ...] = ()
    """Modules that it removes, if they are loaded and not in use; whether it ends well depends on that."""
    options: tuple[str, ...] = ()
    """Parameters that the module is given beside those of modprobe.d."""
    takes_given: bool = False
    """Whether it hands on the options of the module whose line it is."""
    inner: tuple[SimpleCommand, ...] = ()
    """The commands of a group or of another shell."""
    is_shell: bool = False
    """Whether what ends these does not end the others."""

    def runs(self, before: bool) -> bool:
        """Whether the shell comes to it, by how the command before it ended."""
        return before if self.link == "&&" else not before if self.link == "||" else True


InstallCommand = t.Optional[tuple[SimpleCommand, ...]]
"""What a command does, in order; None if that cannot be determined."""


def carry_out(steps: t.Iterable[SimpleCommand], run: t.Callable[[SimpleCommand], bool | None]) -> tuple[bool | None, bool]:
    """Have ``run`` carry out each command that the shell comes to; it returns whether that ends well, None if it may or may not.

    Returns how the last one ended, and whether the shell ended with it.  Raises UnreadError where it is not known which one is next.
    """
    status: bool | None = True
    for step in steps:
        if status is None and step.link in ("&&", "||"):
            raise UnreadError
        if not step.runs(status is not False):
            continue
        ends = step.ends
        if step.inner:
            status, ended = carry_out(step.inner, run)
            ends = ends or (ended and not step.is_shell)
        else:
            status = run(step)
        if ends:
            return status, True
    return status, False


def every(steps: t.Iterable[SimpleCommand]) -> t.Iterator[SimpleCommand]:
    """All commands, with those of groups."""
    for step in steps:
        yield from every(step.inner) if step.inner else (step,)


def loads_nothing(line: Directive, module: str) -> bool:
    """Whether all that an `install` line does is to keep the module out."""

    def run(step: SimpleCommand) -> bool | None:
        if step.names or step.removes or not step.is_known:
            raise UnreadError
        return step.succeeds

    steps = parse(line.arguments[1], module)
    try:
        carry_out(steps or (), run)
    except UnreadError:
        return False
    return steps is not None


def parse(text: str, module: str, depth: int = 0) -> InstallCommand:
    """What the command of an install line of ``module`` does."""
    if off_word.is_install_command(text, module):
        return (SimpleCommand("", (module,), ignores_install=True),)
    words = _words(_ITSELF.sub(module, _GIVEN.sub(GIVEN, text)))
    if words is None or depth > DEEPEST:
        return None
    if words[:1] == ["exit"] and (len(words) == 1 or words[1] in SEPARATORS):
        # Without a number it is the status of the command before.
        words.insert(1, "0")
    try:
        found = _sequence(words, "", module, depth)
    except UnreadError:
        return None
    except ValueError:
        # The shell carries out nothing of what it cannot read, and fails.
        return (SimpleCommand("", succeeds=False),)
    return found[0].inner if len(found) == 1 and found[0].inner and not found[0].ends else found


def _words(text: str) -> list[str] | None:
    """The words, with each separator as one; None where the shell would do more than split them."""
    if _WITHIN.search(text):
        return None
    lexer = shlex.shlex(_DESCRIPTOR.sub(_MARK, text), posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        found = list(lexer)
    except ValueError:
        return None
    words = [one for word in found for one in (_OPERATORS.findall(word) if re.fullmatch(r"[;&|<>()]+", word) else (word,))]
    silent = _without_silencing(words)
    if silent[-2:] == BOTH_OUTPUTS and NOTHING.fullmatch(silent[0]) and not any(word in SEPARATORS for word in silent):
        # Whether it is waited for or not, it does nothing.
        silent = silent[:-2]
    # The command of another shell is taken apart by itself; brackets and braces are words as well.
    inner = [place + 1 for place, word in enumerate(silent) if word == "-c" and place and SHELLS.fullmatch(silent[place - 1])]
    if any(_EXPANDED.search(word) for place, word in enumerate(silent) if place not in inner and word not in ("[", "{")):
        return None
    known = (*SEPARATORS, *GROUPS, *GROUPS.values())
    return None if any(_OPERATORS.fullmatch(word) and word not in known for word in silent) else silent


def _without_silencing(words: t.Sequence[str]) -> list[str]:
    """Without redirections to /dev/null, which change nothing."""
    found: list[str] = []
    place = 0
    while place < len(words):
        if words[place : place + 3] == [f"{_MARK}2", ">&", "1"] or (
            words[place] in (f"{_MARK}1", f"{_MARK}2") and words[place + 1 : place + 3] == [">", "/dev/null"]
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
    groups = (*GROUPS, *GROUPS.values())
    is_plain = words is not None and not any(word in groups or (_EXPANDED.search(word) and word != "[") for word in words)
    parts = tuple(_parts(words)) if is_plain and words is not None else ()
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


def _sequence(words: list[str], end: str, module: str, depth: int) -> tuple[SimpleCommand, ...]:
    """The commands up to the word ``end``, which are taken from the words.  Raises ValueError where the shell refuses them."""
    steps: list[SimpleCommand] = []
    link = ""
    while words and words[0] != end:
        steps.append(dataclasses.replace(_command(words, module, depth), link=link))
        link = words.pop(0) if words and words[0] in SEPARATORS else ""
        if not link:
            break
    if link in ("&&", "||"):
        raise ValueError
    if (words.pop(0) if words else "") != end or (end and not steps):
        raise UnreadError
    return tuple(steps)


def _command(words: list[str], module: str, depth: int) -> SimpleCommand:
    if words[0] in SEPARATORS:
        raise ValueError
    if words[0] in GROUPS:
        if depth >= DEEPEST:
            raise UnreadError
        first = words.pop(0)
        return SimpleCommand("", inner=_sequence(words, GROUPS[first], module, depth + 1), is_shell=first == "(")
    size = next((place for place, word in enumerate(words) if word in (*SEPARATORS, "(", ")")), len(words))
    part = words[:size]
    del words[:size]
    if not part:
        raise UnreadError
    runs = part[0] in ("exec", "command") and len(part) > 1
    ends = runs and part[0] == "exec"
    if ends and part[1] in (":", "exit"):
        # There are no programs of these names.
        return SimpleCommand("", succeeds=False, ends=True)
    found = _one(part[1:] if runs else part, module, depth)
    return dataclasses.replace(found, ends=found.ends or ends)


def _one(part: t.Sequence[str], module: str, depth: int) -> SimpleCommand:
    program, words = part[0], list(part[1:])
    if SHELLS.fullmatch(program) is not None and len(words) > 1 and words[0] == "-c":
        inner = parse(words[1], module, depth + 1)
        return SimpleCommand("", is_known=False) if inner is None else SimpleCommand("", inner=inner, is_shell=True)
    if program == "exit":
        return SimpleCommand("", succeeds=words[0] == "0" if words else None, ends=True)
    nothing = NOTHING.fullmatch(program)
    if nothing is not None:
        # Without a log logger fails, and sleep fails without a time; an initramfs may have neither.
        is_open = nothing[1] == "logger" or (nothing[1] == "sleep" and not (words and all(map(_SECONDS.fullmatch, words))))
        return SimpleCommand("", succeeds=None if is_open else nothing[1] not in ("false", None))
    return (_modprobe(words, module) if MODPROBE.fullmatch(program) else None) or SimpleCommand("", is_known=False)


def removed_by(steps: InstallCommand) -> tuple[str, ...]:
    """The modules that a command removes; none if it cannot be read in full."""
    found = tuple(every(steps or ()))
    return tuple(name for step in found for name in step.removes) if all(step.is_known for step in found) else ()


def _modprobe(words: t.Sequence[str], module: str) -> SimpleCommand | None:
    """What `modprobe` with these words does; None where that is not known."""
    found = _options(words)
    if found is None:
        return None
    letters, plain = found
    names = [word for word in plain if word != GIVEN]
    asked = tuple(map(normalize_module_name, names if letters & frozenset("ar") else names[:1]))
    if "r" in letters:
        # Dependencies that no one needs any more go as well.
        return SimpleCommand("", removes=asked) if asked and module not in asked else None
    if letters & SHOWS:
        return SimpleCommand("")
    # `--first-time` fails where the module is loaded: when its own install line is run, it is not (kmod_module_probe_insert_module()).
    if not asked or (module in asked and "i" not in letters) or ("1" in letters and asked != (module,)):
        return None
    options = () if "a" in letters else tuple(names[1:])
    return SimpleCommand("", asked, "i" in letters, "b" in letters, options=options, takes_given=GIVEN in plain)


def _options(words: t.Sequence[str]) -> tuple[frozenset[str], list[str]] | None:
    """The letters of modprobe's options, and the other words, as getopt_long() takes them apart; None for what changes more."""
    letters, plain = "", list[str]()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            plain += rest
            break
        if word.startswith("--"):
            name, equals, _value = word[2:].partition("=")
            names = [name] if name in _LONG else [one for one in _LONG if one.startswith(name)]
            found = {_LONG[one] for one in names}
            own = found.pop() if len(found) == 1 else "?"
            rest[:1] = [] if own in _WITH_VALUE and not equals else rest[:1]
        elif word.startswith("-") and len(word) > 1:
            valued = next((place for place, letter in enumerate(word) if letter in _WITH_VALUE), None)
            own = (word[1:] if valued is None else word[1 : valued + 1]).replace("1", "?")
            rest[:1] = [] if valued == len(word) - 1 else rest[:1]
        else:
            plain.append(word)
            continue
        letters += own
    return None if set(letters) - set(f"{_LETTERS}w1") or "f" in letters else (frozenset(letters), plain)
