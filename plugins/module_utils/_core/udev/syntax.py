# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of udev's rules: which lines udev takes, which it drops, and what it says about them.

As udev_rules_parse_file(), parse_line() and parse_token() in systemd's udev-rules.c, versions 252 to 262.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.values import (
    CASELESS_SINCE,
    InvalidValueError,
    parse_value,
    wrong_substitution,
)

ProblemLevel = t.Literal["dropped", "ignored", "corrected"]
"""What udev does with a line: drop it, use it without the key or jump that is wrong, or use it though it is written badly."""
LONGEST = 16384
"""UDEV_LINE_SIZE: udev drops what is continued to that many characters or more, and a whole file that has such a line."""
_END = re.compile(r"\r\n|\n\r|[\n\r\0]")
_BLANK = " \t\n\r"
_NAME = re.compile(r"[^ \t\n\r={]*?(?=[ \t\n\r={]|[-+!:]=)")
_ATTRIBUTE = re.compile(r"\{([^}]*)\}")
_OPERATOR = re.compile(r"[ \t\n\r]*(==|!=|\+=|-=|:=|=)[ \t\n\r]*")
_MATCHES = frozenset(("==", "!="))


@dataclasses.dataclass(frozen=True)
class Problem:
    """What udev objects to in a line.  ``said`` is a clause without its subject: "has the unknown key BUS"."""

    path: str
    line: int
    level: ProblemLevel
    said: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class WrittenKey(t.NamedTuple):
    """A key of a line as it is written."""

    name: str
    attribute: str | None
    operator: str
    value: str
    ignores_case: bool

    @property
    def is_match(self) -> bool:
        return self.operator in _MATCHES


class DroppedError(ValueError):
    """udev drops the whole line; the text says why."""

    def __init__(self, said: str, key: str = "") -> None:
        super().__init__(said)
        self.said = said
        self.key = key


def has_too_long_line(text: str) -> bool:
    """read_line() gives up there, and udev_rules_parse_file() with it."""
    return len(text) >= LONGEST and any(len(line) >= LONGEST for line in _END.split(text))


Note = tuple[ProblemLevel, str, str]
"""A level, what is said, and the key that it is about."""


def logical_lines(text: str) -> t.Iterator[tuple[int, str, str | None]]:
    """Lines with the number of their first part, joined where they are continued; with the third, udev ignores the line for that reason.

    A line that begins with `#` is none, even between the parts of another.
    """
    parts: list[str] = []
    start, length = 0, 0
    lines = _END.split(text)
    for number, raw in enumerate(lines[: None if lines[-1] else -1], 1):
        line = raw.lstrip(_BLANK)
        if line.startswith("#"):
            continue
        start = start if parts else number
        length += len(line)
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        whole, size, parts, length = "".join((*parts, line)), length, [], 0
        if size >= LONGEST:
            yield start, "", f"is longer than {LONGEST - 1} characters"
        elif whole:
            yield start, whole, None
    if parts:
        yield start, "", "ends with a backslash at the end of the file"


def tokens(line: str, version: int | None) -> t.Iterator[WrittenKey]:
    """The keys of a line; DroppedError where it has something else.  Commas and blanks between them do not matter."""
    position = 0
    while True:
        while position < len(line) and line[position] in " \t\n\r,":
            position += 1
        if position == len(line):
            return
        token, position = _token(line, position, version)
        yield token


def _token(line: str, start: int, version: int | None) -> tuple[WrittenKey, int]:
    rest = line[start : start + 40]
    name = _NAME.match(line, start)
    if name is None:
        raise DroppedError(f"has no key, operator and value in double quotes at {rest!r}")
    position, attribute = name.end(), None
    if line[position : position + 1] == "{":
        braces = _ATTRIBUTE.match(line, position)
        if braces is None:
            raise DroppedError(f"has a brace that is not closed at {rest!r}", name[0])
        attribute, position = braces[1], braces.end()
    operator = _OPERATOR.match(line, position)
    if operator is None:
        raise DroppedError(f"has no operator at {rest!r}", name[0])
    try:
        value, ignores_case, end = parse_value(line, operator.end(), version)
    except InvalidValueError:
        raise DroppedError(f"has no value in double quotes at {rest!r}", name[0]) from None
    return WrittenKey(name[0], attribute, operator[1], value, ignores_case), end


@dataclasses.dataclass(frozen=True)
class _Grammar:
    """What udev takes of one key."""

    attribute: t.Literal["none", "needed", "maybe"] = "none"
    match: bool = True
    assign: bool = True
    removes: bool = False
    corrected: frozenset[str] = frozenset()
    """Operators that udev reads as `=`, and says so."""
    checks: t.Literal["", "value", "filled"] = ""
    """Whether the assigned value's substitutions are checked, and whether it should not be empty."""
    caseless: bool = True


_ADDS, _FINAL = "+=", ":="
_ASKED = _Grammar(assign=False)
_OF_USER = _Grammar(match=False, corrected=frozenset((_ADDS,)), checks="filled")
_GRAMMAR: t.Mapping[str, _Grammar] = {
    **dict.fromkeys(("ACTION", "DEVPATH", "KERNEL", "SUBSYSTEM", "DRIVER", "KERNELS", "SUBSYSTEMS", "DRIVERS", "TAGS", "RESULT"), _ASKED),
    "ATTRS": _Grammar("needed", assign=False),
    "CONST": _Grammar("needed", assign=False),
    "TEST": _Grammar("maybe", assign=False, checks="filled", caseless=False),
    "SYMLINK": _Grammar(removes=True, checks="value"),
    "NAME": _Grammar(corrected=frozenset((_ADDS,)), checks="value"),
    "ENV": _Grammar("needed", corrected=frozenset((_FINAL,)), checks="value"),
    "TAG": _Grammar(removes=True, corrected=frozenset((_FINAL,)), checks="filled"),
    "ATTR": _Grammar("needed", corrected=frozenset((_ADDS, _FINAL)), checks="value"),
    "SYSCTL": _Grammar("needed", corrected=frozenset((_ADDS, _FINAL)), checks="value"),
    "PROGRAM": _Grammar(checks="filled", caseless=False),
    "IMPORT": _Grammar("needed", checks="filled", caseless=False),
    "OPTIONS": _Grammar(match=False),
    "OWNER": _OF_USER,
    "GROUP": _OF_USER,
    "MODE": _OF_USER,
    "SECLABEL": _Grammar("needed", match=False, corrected=frozenset((_FINAL,)), checks="filled"),
    "RUN": _Grammar("maybe", match=False, checks="filled"),
    "GOTO": _Grammar(match=False),
    "LABEL": _Grammar(match=False),
}
_CONSTANTS = ("arch", "virt")
CONFIDENTIAL_SINCE = 258
"""The first systemd whose udev knows CONST{cvm}."""
_IMPORTS = ("file", "program", "builtin", "db", "cmdline", "parent")
# udev_builtin_lookup() of 252, and what systemd has brought since.
BUILTINS = frozenset(
    "blkid btrfs hwdb input_id keyboard kmod net_driver net_id net_setup_link path_id uaccess usb_id".split()
    + "dissect_image factory_reset tpm2_id".split()
)
_BUILTINS_SINCE: t.Mapping[str, int] = {"net_driver": 257, "dissect_image": 258, "factory_reset": 258, "tpm2_id": 260}
# device_property_can_set()
_KERNEL_S = frozenset("ACTION DEVLINKS DEVNAME DEVPATH DEVTYPE DRIVER IFINDEX MAJOR MINOR SEQNUM SUBSYSTEM TAGS".split())
_KERNEL_S_LATER = frozenset(
    "SYNTH_UUID DEVPATH_OLD MODALIAS DEVMODE DEVUID DEVGID DISKSEQ PARTN INTERFACE INTERFACE_OLD CURRENT_TAGS".split()
    + "USEC_INITIALIZED UDEV_DATABASE_VERSION".split()
)
VERSIONS: t.Final = (252, 262)
"""The first and the last systemd whose grammar this is."""
PROTECTED_SINCE = 258
"""The first systemd whose udev lets no rule set MODALIAS and other properties of the kernel's."""
_OPTION = re.compile(
    r"string_escape=(?:none|replace)|db_persist|(?:no)?watch|dump(?:-json)?|static_node=.*|link_priority=.*|log_level=.*", re.DOTALL
)
_OPTIONS_SINCE: t.Mapping[str, int] = {"dump": 258, "dump-json": 259}
_PRIORITY = re.compile(r"link_priority=\s*[-+]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[0-9]+)")
_LOG_LEVEL = re.compile(r"log_level=(?:reset|emerg|alert|crit|err|error|warning|warn|notice|info|debug|null|[0-7])")
_MODE = re.compile(r"\s*0*[0-7]{1,4}")


def checked(token: WrittenKey, version: int | None) -> t.Iterator[Note]:
    """What udev says of a key that it takes; DroppedError where it drops the line for it."""
    grammar = _GRAMMAR.get(token.name)
    if token.ignores_case and not token.is_match:
        raise DroppedError(f"has the prefix i, which is for == and != alone, at {token.name}", token.name)
    if grammar is None:
        raise DroppedError(f"has the unknown key {token.name}", token.name)
    _check_attribute(token, grammar, version)
    _check_operator(token, grammar, version)
    if token.ignores_case and not grammar.caseless:
        raise DroppedError(f"has the prefix i, which {token.name} does not take", token.name)
    if token.operator in grammar.corrected:
        yield "corrected", f"has {token.name}{token.operator}, which udev takes for =", token.name
    yield from _of_value(token, grammar, version)


def _check_attribute(token: WrittenKey, grammar: _Grammar, version: int | None) -> None:
    name, attribute = token.name, token.attribute
    if grammar.attribute == "none" and attribute is not None:
        raise DroppedError(f"has {name}{{{attribute}}}, but {name} takes no braces", name)
    if grammar.attribute == "needed" and not attribute:
        raise DroppedError(f"has {name} without a name in braces", name)
    constants = (*_CONSTANTS, *(("cvm",) if version is None or version >= CONFIDENTIAL_SINCE else ()))
    known: t.Mapping[str, t.Sequence[str]] = {"CONST": constants, "IMPORT": _IMPORTS, "RUN": ("program", "builtin")}
    if name in known and attribute is not None and attribute not in known[name]:
        raise DroppedError(f"has the unknown {name}{{{attribute}}}", name)
    if name == "TEST" and attribute and _MODE.fullmatch(attribute) is None:
        raise DroppedError(f"has TEST{{{attribute}}}, which is not a file mode", name)


def _check_operator(token: WrittenKey, grammar: _Grammar, version: int | None) -> None:
    name, operator = token.name, token.operator
    removes = grammar.removes and (name != "SYMLINK" or version is None or version >= CASELESS_SINCE)
    taken = grammar.match if token.is_match else grammar.assign and (operator != "-=" or removes)
    if not taken or (name in ("GOTO", "LABEL") and operator != "="):
        what = "is compared only, with == or !=" if not grammar.assign else "is not used so"
        raise DroppedError(f"has {name}{operator}, but {name} {what}", name)


def _of_value(token: WrittenKey, grammar: _Grammar, version: int | None) -> t.Iterator[Note]:
    name, attribute, value = token.name, token.attribute or "", token.value
    _check_value(token, version)
    if name == "OPTIONS":
        yield from _of_options(value, version)
    if name in ("ATTR", "ATTRS", "SYSCTL"):
        yield from _of_substitutions(attribute, f"{name}{{{attribute}}}", name)
    if grammar.checks == "filled" and not (token.is_match and name == "TAG"):
        yield from _of_substitutions(value, name, name) if value else (("ignored", f"has {name} with an empty value", name),)
    elif grammar.checks == "value" and not token.is_match:
        yield from _of_substitutions(value, name, name)
    if name == "SUBSYSTEM" and value in ("bus", "class"):
        yield "corrected", f'has SUBSYSTEM=="{value}", which is written "subsystem"', name
    if name == "ATTRS" and attribute.startswith("device/"):
        yield "corrected", "follows the link device/, which may be gone in later kernels", name
    if name == "ATTRS" and "../" in attribute:
        yield "corrected", "names the parent's folder by ../, which may be wrong in later kernels", name


def _check_value(token: WrittenKey, version: int | None) -> None:
    name, attribute, value = token.name, token.attribute or "", token.value
    if name == "ENV" and not token.is_match and not may_be_set(attribute, version):
        raise DroppedError(f"sets ENV{{{attribute}}}, which no rule can set", name)
    if name == "NAME" and not token.is_match and value in ("", "%k"):
        raise DroppedError(f'has NAME="{value}", which has no effect', name)
    if name in ("IMPORT", "RUN") and attribute == "builtin" and not _is_builtin(value, version):
        raise DroppedError(f"has the unknown builtin command {value!r}", name)


def _of_substitutions(text: str, where: str, name: str) -> t.Iterator[Note]:
    wrong = wrong_substitution(text)
    if wrong is not None:
        yield "ignored", f"has {wrong!r} in {where}, which is not a substitution that udev knows", name


def may_be_set(name: str, version: int | None) -> bool:
    """Whether a rule can set this property (device_property_can_set())."""
    if name in _KERNEL_S:
        return False
    return (version is not None and version < PROTECTED_SINCE) or not (name in _KERNEL_S_LATER or name.startswith("SYNTH_ARG_"))


def _is_builtin(value: str, version: int | None) -> bool:
    name = next(iter(value.split()), "")
    if not value:
        return version is not None and version < PROTECTED_SINCE
    return name in BUILTINS and (version is None or version >= _BUILTINS_SINCE.get(name, 0))


def _of_options(value: str, version: int | None) -> t.Iterator[Note]:
    if _OPTION.fullmatch(value) is None or (version is not None and version < _OPTIONS_SINCE.get(value, 0)):
        yield "ignored", f"has the unknown OPTIONS={value!r}", "OPTIONS"
    elif value.startswith("link_priority=") and _PRIORITY.fullmatch(value) is None:
        raise DroppedError(f"has OPTIONS={value!r}, which is not a number", "OPTIONS")
    elif value.startswith("log_level=") and _LOG_LEVEL.fullmatch(value) is None:
        raise DroppedError(f"has OPTIONS={value!r}, which is not a log level", "OPTIONS")


def has_effect(found: t.Sequence[WrittenKey]) -> bool:
    """Whether udev keeps a line: one that only compares does nothing."""
    return any(
        (not token.is_match and not (token.name == "OPTIONS" and _OPTION.fullmatch(token.value) is None))
        or token.name in ("PROGRAM", "IMPORT")
        for token in found
    )
