# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interprets GRUB's configuration: variables, conditions, functions, sourced files.

What depends on the running loader (whether a device is found, whether a key is pressed) is unknown, and so is everything that
depends on it: a variable that is set under such a condition, an entry that may or may not be in the menu.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import grub_condition, grub_environment
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_loading import Loading, load_alike
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_script import (
    Block,
    Condition,
    GrubCommand,
    GrubFunction,
    Loop,
    Statement,
    parse,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_words import expand

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_script import Script

MOST_COMMANDS = 20000
MOST_FILES = 100
DEEPEST = 20
LONGEST_VALUE = 16 * 1024
SHORT_FILE = re.compile(r"-s?f")
COUNT = re.compile(r"-?[0-9]{1,9}")
# The features that GRUB announces to every configuration.  (grub-core/normal/main.c)
FEATURES = (
    *("feature_chainloader_bpb", "feature_ntldr", "feature_platform_search_hint", "feature_default_font_path"),
    *("feature_all_video_module", "feature_menuentry_id", "feature_menuentry_options", "feature_200_final", "feature_nativedisk_cmd"),
    "feature_timeout_style",
)
# These are exported by GRUB itself.  (grub-core/kern/main.c, grub-core/normal/main.c)
EXPORTED = (*FEATURES, "root", "prefix", "config_file", "config_directory", "grub_cpu", "grub_platform", "lang", "locale_dir")
# Variables that GRUB, its core image, the firmware or the network sets.
OF_THE_LOADER = ("cmdpath", "grub_cpu", "grub_platform", "lockdown", "shim_lock", "fw_path", "fw_vendor", "biosnum", "chosen")
LEAVING = ("exit", "halt", "reboot", "normal_exit")
"""Commands that end GRUB.  (grub-core/commands/minicmd.c, halt.c, reboot.c)"""
DEFAULT = "default"
DEVICE = "device"
"""A placeholder for the device that `search` finds: files are looked up without it."""


@dataclasses.dataclass(frozen=True)
class MenuEntry:
    """The definition of a `menuentry` or `submenu`; its block runs when it is selected."""

    title: str
    id: str
    block: Block
    place: str
    is_submenu: bool
    certain: bool
    source: str | None = None
    """The file and line that name the kernel, if not the script's (a BLS entry)."""
    doubts: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    """What stands behind the title, which the block has as `$2` and so on."""


class Budget:
    """Limits what is run, so that no configuration can make this loop forever."""

    def __init__(self) -> None:
        self.commands = MOST_COMMANDS
        self.files = MOST_FILES
        self._known: dict[str, Script] = {}

    def parsed(self, place: str, text: str) -> Script:
        """A file's script, parsed once however often the file is run."""
        if place not in self._known:
            self._known[place] = parse(text)
        return self._known[place]


class Shell:
    """The state of a running configuration.  ``bls`` lists the entries that the commands blscfg and uki find."""

    def __init__(
        self,
        files: BootFiles,
        place: str,
        variables: t.Mapping[str, str | None],
        bls: t.Callable[[Shell, str], t.Iterable[MenuEntry]],
        functions: t.Mapping[str, Block] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.files = files
        self.place = place
        self.variables: dict[str, str | None] = dict(variables)
        self.entries: list[MenuEntry] = []
        self.doubts: list[str] = []
        self.loading = Loading()
        self.budget = budget or Budget()
        self.functions: dict[str, Block] = dict(functions or {})
        self.exported: set[str] = set(EXPORTED)
        self.assigned: set[str] = set()
        self._may_be_exported: set[str] = set()
        self._bls = bls
        self.left: str | None = None
        """The command by which GRUB is left, or goes on with another menu; with `boot` it starts what is loaded."""
        self._maybe = 0
        self._may_have_left = 0
        self._leaves: str | None = None
        self._depth = 0
        self._parameters: tuple[str, ...] = ()
        self._has_scope = False
        self._status: bool | None = True
        self._commands: dict[str, t.Callable[[tuple[str, ...], GrubCommand], bool | None]] = {
            "set": self._set,
            "load_env": self._load_env,
            "source": self._source,
            ".": self._source,
            "configfile": self._configfile,
            "normal": self._configfile,
            "search": self._search,
            "blscfg": self._blscfg,
            "uki": self._blscfg,
            "increment": self._count,
            "decrement": self._count,
            "eval": self._evaluate,
            "setparams": self._set_parameters,
            "shift": self._shift,
            "export": self._export,
            "unset": self._unset,
            "read": self._read,
            "break": self._leave_block,
            "continue": self._leave_block,
            "return": self._leave_block,
            "boot": self._boot,
            **dict.fromkeys(LEAVING, self._leave),
            "true": lambda _fields, _command: True,
            "false": lambda _fields, _command: False,
        }

    def inside(self, entry: MenuEntry) -> Shell:
        """A shell to run an entry's block in, with a copy of the current variables, for a submenu of those that are exported."""
        # In a submenu the default is what the path of the choice names next.
        variables = {**self._of_new_context(), DEFAULT: None} if entry.is_submenu else self.variables
        shell = Shell(self.files, entry.place, variables, self._bls, self.functions, self.budget)
        shell.exported = set(self.exported)
        shell._parameters = (entry.title, *entry.arguments)
        shell._has_scope = True
        return shell

    def _of_new_context(self) -> dict[str, str | None]:
        """The variables that a submenu and another configuration file begin with."""
        maybe = {name: None for name in self._may_be_exported if name in self.variables}
        return {**maybe, **{name: value for name, value in self.variables.items() if name in self.exported}}

    # -- running

    @property
    def is_certain(self) -> bool:
        """Whether the current statement is certain to be run."""
        return self._maybe == 0 and self._may_have_left == 0

    def run_file(self, place: str) -> bool:
        """Run a file, by the host's path; False if it cannot be read."""
        text = self.files.text(place)
        if text is None or self.budget.files <= 0 or self._depth >= DEEPEST:
            return False
        self.budget.files -= 1
        script = self.budget.parsed(place, text)
        if script.syntax_error is not None:
            line, error = script.syntax_error
            self.doubt(f"{place}:{line} {error}: what follows may be misread.")
        before, self.place = self.place, place
        self.run(script.block)
        self.place = before
        return True

    def run(self, block: Block) -> None:
        self._depth += 1
        if self._depth > 3 * DEEPEST:
            self.doubt(f"{self.place} is nested too deeply.")
        else:
            for statement in block:
                self.budget.commands -= 1
                if self.budget.commands < 0:
                    self.doubt(f"{self.place} has too many commands to be evaluated.")
                    break
                self._statement(statement)
                if self._leaves is not None:
                    break
        self._depth -= 1

    def doubt(self, sentence: str) -> None:
        if sentence not in self.doubts:
            self.doubts.append(sentence)

    def _statement(self, statement: Statement) -> None:
        if isinstance(statement, Condition):
            self._condition(statement)
        elif isinstance(statement, Loop):
            self._loop(statement)
        elif isinstance(statement, GrubFunction):
            self.functions[statement.name] = statement.body
        else:
            self._status = self._command(statement)
            if statement.negated and self._status is not None:
                self._status = not self._status

    def _condition(self, condition: Condition) -> None:
        entered = self._maybe
        for test, body in condition.branches:
            self.run(test)
            if self._leaves is not None:
                break
            holds = self._status
            if holds is not False:
                self._maybe += holds is None
                self.run(body)
            if holds is True:
                break
        else:
            self.run(condition.otherwise)
        self._maybe = entered

    def _loop(self, loop: Loop) -> None:
        before = self._may_have_left
        if loop.name:
            for value in expand(loop.words, self.value)[0]:
                self.assign(loop.name, value)
                self.run(loop.body)
                goes_on = self._leaves in (None, "continue")
                self._arrive("continue")
                if self.budget.commands < 0 or not goes_on:
                    break
        else:
            # The number of iterations is unknown.
            self._maybe += 1
            self.run(loop.body)
            self._maybe -= 1
        self._arrive("break", "continue")
        self._may_have_left = before

    def _command(self, command: GrubCommand) -> bool | None:
        fields, unknown = expand(command.words, self.value)
        name = fields[0] if fields else ""
        if name in ("menuentry", "submenu"):
            return self._define(fields, command)
        if name in ("[", "test"):
            return self._test(command)
        if name in self.functions:
            return self._call(name, fields)
        variable, equals, _value = name.partition("=")
        if equals and variable.isidentifier():
            return self._set(("set", *fields), command)
        if name in self._commands:
            return self._commands[name](fields, command)
        if not name or self.loading.take(fields, unknown, f"{self.place}:{command.line}", self.is_certain):
            return True
        self._set_by(fields)
        return None

    def _set_by(self, fields: tuple[str, ...]) -> None:
        """Variables that an unsupported command may set become unknown."""
        for before, field in zip(fields, fields[1:]):
            if field.startswith("--set="):
                self.variables[field[len("--set=") :].rpartition(":")[2]] = None
            elif before in ("--set", "-s") and field.rpartition(":")[2].isidentifier():
                self.variables[field.rpartition(":")[2]] = None
        if fields[0].startswith("search.") and len(fields) > 2:
            self.variables[fields[2]] = DEVICE

    # -- leaving

    def _arrive(self, *commands: str) -> None:
        if self._leaves in commands:
            self._leaves = None

    def _leave_block(self, fields: tuple[str, ...], _command: GrubCommand) -> bool:
        if fields[0] == "return" and not self._has_scope:
            # GRUB takes that for an error, and goes on.
            return False
        if self.is_certain:
            self._leaves = fields[0]
        else:
            self._may_have_left += 1
        return True

    def _leave(self, fields: tuple[str, ...], command: GrubCommand) -> bool:
        if not self.is_certain:
            self.doubt(f"{self.place}:{command.line}: whether this `{fields[0]}` is run cannot be determined without running GRUB.")
            return True
        self.left = self._leaves = fields[0]
        return True

    def _boot(self, fields: tuple[str, ...], command: GrubCommand) -> bool:
        return self._leave(fields, command) if self.loading.kernel is not None or self.loading.is_other else False

    # -- variables

    def value(self, name: str) -> str | None:
        """A variable's value; None if it is unknown, empty if it is not set."""
        if name.isdigit():
            return self._parameters[int(name) - 1] if len(name) < 4 and 0 < int(name) <= len(self._parameters) else ""
        if name == "?":
            return None if self._status is None else "0" if self._status else "1"
        if name in ("@", "*"):
            return " ".join(self._parameters)
        if name == "#":
            return str(len(self._parameters))
        unset = None if name in OF_THE_LOADER or name.startswith(("net_", "pxe_")) else ""
        return self.variables.get(name, unset)

    def assign(self, name: str, value: str | None) -> None:
        """Set a variable.  Under an unknown condition it becomes unknown, unless it already has that value."""
        if value is not None and len(value) > LONGEST_VALUE:
            self.doubt(f"{self.place}: the value of ${name} grows without limit.")
            value = None
        old = self.value(name)
        if not self.is_certain and old != value:
            value = old if load_alike(old or "", value or "") else None
        self.variables[name] = value
        self.assigned.add(name)

    def _set(self, fields: tuple[str, ...], command: GrubCommand) -> bool:
        if len(fields) < 2:
            return True
        name, equals, value = fields[1].partition("=")
        if equals:
            at = 1 if command.words[0].keyword == "set" else 0
            self.assign(name, None if expand(command.words[at : at + 1], self.value)[1] else value)
        return True

    def _export(self, fields: tuple[str, ...], _command: GrubCommand) -> bool:
        (self.exported if self.is_certain else self._may_be_exported).update(fields[1:])
        return True

    def _unset(self, fields: tuple[str, ...], _command: GrubCommand) -> bool:
        for name in fields[1:]:
            self.assign(name, "")
        return True

    def _read(self, fields: tuple[str, ...], _command: GrubCommand) -> bool | None:
        for name in fields[1:]:
            self.variables[name] = None
        return None

    def _set_parameters(self, fields: tuple[str, ...], _command: GrubCommand) -> bool:
        self._parameters = fields[1:]
        return True

    def _shift(self, fields: tuple[str, ...], _command: GrubCommand) -> bool:
        count = int(fields[1]) if len(fields) > 1 and COUNT.fullmatch(fields[1]) else 1
        self._parameters = self._parameters[max(count, 0) :]
        return True

    def _evaluate(self, fields: tuple[str, ...], command: GrubCommand) -> bool | None:
        if expand(command.words, self.value)[1]:
            self.doubt(f"{self.place}:{command.line}: what this `eval` runs cannot be determined without running GRUB.")
            return None
        self.run(parse(" ".join(fields[1:])).block)
        return self._status

    def _count(self, fields: tuple[str, ...], _command: GrubCommand) -> bool:
        if len(fields) > 1:
            old = self.value(fields[1])
            step = 1 if fields[0] == "increment" else -1
            self.assign(fields[1], str(int(old) + step) if old and COUNT.fullmatch(old) else None)
        return True

    def _load_env(self, fields: tuple[str, ...], _command: GrubCommand) -> bool | None:
        named, names = "", []
        pending = list(fields[1:])
        while pending:
            field = pending.pop(0)
            if (field == "--file" or SHORT_FILE.fullmatch(field)) and pending:
                named = pending.pop(0)
            elif field.startswith("--file="):
                named = field[len("--file=") :]
            elif not field.startswith("-"):
                names.append(field)
        place = self.files.find(named or f"{self.value('prefix') or ''}/grubenv")
        text = self.files.text(place) if place is not None else None
        if text is None:
            return False
        for name, value in grub_environment.parse(text).items():
            if not names or name in names:
                self.assign(name, value)
        return True

    def _search(self, fields: tuple[str, ...], _command: GrubCommand) -> bool | None:
        name = "root"
        for before, field in zip(fields, (*fields[1:], "")):
            if before == "--set" and field.isidentifier():
                name = field
            elif before.startswith("--set="):
                name = before[len("--set=") :]
        self.variables[name] = DEVICE
        return None

    # -- files, functions, entries

    def _source(self, fields: tuple[str, ...], _command: GrubCommand) -> bool | None:
        place = self.files.find(fields[1]) if len(fields) > 1 else None
        return self.run_file(place) if place is not None else False

    def _configfile(self, fields: tuple[str, ...], command: GrubCommand) -> bool | None:
        place = self.files.find(fields[1]) if len(fields) > 1 else None
        if place is None:
            if fields[0] == "configfile":
                named = fields[1] if len(fields) > 1 else "nothing"
                self.doubt(f"{self.place}:{command.line} continues with {named}, which does not exist.")
            return False
        # Another configuration file starts with an empty menu.
        self.entries.clear()
        if fields[0] == "configfile" and self.is_certain:
            self.variables = self._of_new_context()
            self.assign(DEFAULT, "")
        self.assign("config_directory", posixpath.dirname(place))
        found = self.run_file(place)
        if found and self.is_certain:
            self._leaves = fields[0]
        return found

    def _blscfg(self, fields: tuple[str, ...], _command: GrubCommand) -> bool:
        # Options name other folders, or choose among the entries.
        is_certain = self.is_certain and len(fields) == 1
        found = self._bls(self, fields[0])
        self.entries += [dataclasses.replace(entry, certain=entry.certain and is_certain) for entry in found]
        return True

    def _test(self, command: GrubCommand) -> bool | None:
        operands: list[str | None] = []
        for word in command.words[1:]:
            fields, unknown = expand((word,), self.value)
            operands += [None] if unknown else fields
        if command.words[0].keyword == "[" and operands[-1:] == ["]"]:
            operands.pop()
        return grub_condition.holds(operands, self)

    def has(self, path: str, kind: str) -> bool:
        """Evaluates `test -f`, `-s`, `-e`, `-d`."""
        place = self.files.find_any(path)
        if place is None:
            return False
        status = self.files.host.stat(place)
        if kind == "-d":
            return self.files.host.is_dir(place)
        return kind == "-e" or (self.files.host.is_file(place) and (kind == "-f" or (status is not None and status.st_size > 0)))

    def _call(self, name: str, fields: tuple[str, ...]) -> bool | None:
        if self._depth >= DEEPEST:
            self.doubt(f"{self.place}: the function {name} calls itself.")
            return None
        before = self._parameters, self._has_scope, self._may_have_left
        self._parameters, self._has_scope = fields[1:], True
        self.run(self.functions[name])
        self._arrive("return")
        self._parameters, self._has_scope = before[:2]
        self._may_have_left = before[2]
        return self._status

    def _define(self, fields: tuple[str, ...], command: GrubCommand) -> bool:
        if command.block is None:
            return False
        words: list[str] = []
        identity, pending = "", list(fields[1:])
        while pending:
            field = pending.pop(0)
            if field in ("--id", "--class", "--users", "--hotkey", "--source"):
                value = pending.pop(0) if pending else ""
                identity = value if field == "--id" else identity
            elif field.startswith("--id="):
                identity = field[len("--id=") :]
            elif not field.startswith("--"):
                words.append(field)
        if not words:
            return False
        title, arguments = words[0], tuple(words[1:])
        is_submenu = fields[0] == "submenu"
        entry = MenuEntry(title, identity or title, command.block, self.place, is_submenu, self.is_certain, arguments=arguments)
        self.entries.append(entry)
        return True
