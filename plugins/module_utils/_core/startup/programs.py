# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program that starts by itself may do to PCI devices' drivers.

A script is read with everything that it runs and sources.  A compiled program tells nothing: if it is as its package brought it,
and not one of those that are known to act, it does nothing to drivers; if no package has it, it may do anything.
"""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import EVENT_DEVICE, Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import (
    actors,
    bounds,
    indirect_writes,
    made_at_boot,
    printed_text,
    script_effects,
    systemd_variables,
    tokens,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.called_files import (
    INTERPRETER,
    absent,
    called,
    handed,
    started_units,
    with_folder,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.changed_folders import with_folders
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.harmless_programs import only_writes_out
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.loadable import Loadable
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import PACKAGED, Ownership
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import is_executable
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line, Variables, lines_of, with_environment

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act, InfluencesOf
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.called_files import Called
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.services import UnitCommand
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.systemd_variables import SystemdVariables

DEEPEST = 32
MOST_FILES = 128
LARGEST = 512 << 10
LARGEST_SEARCHED = 16 << 20
LONGEST_ARGUMENT = 128 << 10
"""MAX_ARG_STRLEN on machines with pages of 4 KiB: what is longer is given to no shell."""
# The kernel's own variables of a PCI function's event (dev_uevent(), pci_uevent()).
OF_EVENT: t.Final[t.Mapping[str, str]] = {"DEVPATH": f"/devices/{EVENT_DEVICE}", "PCI_SLOT_NAME": EVENT_DEVICE}
NOTHING_GIVEN: t.Final[t.Mapping[str, str]] = {}
SYSFS = "/sys/"
WRITING: t.Final[frozenset[Act]] = frozenset(("override", "unbind", "bind", "new_id", "remove"))
ELF = b"\x7fELF"
# Where packages put programs: what lies elsewhere was built or copied by somebody.
_GOES = re.compile(r"\bcd\s+[\"']?(/[^\s\"';&|]+)")
_WRITES_TO_FOUND = re.compile(r"(?:>|\btee\b(?:\s+-a)?|\bof=)\s*[\"']?\$|\bopen\s*\(?|\.write_(?:text|bytes)\(|\bFile\b")
_WRITES = re.compile(rb"driver_override|drivers_probe|/new_id\b|/unbind\b|finit_module")


def judge(
    tree: FileTree,
    command: str,
    source: str,
    kernel: Kernel,
    inventory: Inventory | None = None,
    environment: t.Mapping[str, str] | None = None,
    unit: InfluencesOf | None = None,
) -> tuple[Influence, ...]:
    """What running a command may do to drivers; empty if nothing.

    ``command`` is a command line, with the quotes of a shell, udev or systemd; ``source`` says where it stands.  ``environment`` has all
    variables that are set for it; without it other variables can be set.  ``inventory`` bounds
    what depends on devices' IDs and classes.  An address `%k` in the result (`EVENT_DEVICE`) is that of the device whose event runs the
    command.  ``unit`` judges units that the command starts.
    """
    return ProgramAnalysis(tree, kernel, inventory, unit).of(command, source, environment)


def judge_file(tree: FileTree, path: str, source: str, kernel: Kernel, inventory: Inventory | None = None) -> tuple[Influence, ...]:
    """What a file that is run, or sourced, may do."""
    return ProgramAnalysis(tree, kernel, inventory).of_file(path, source)


@dataclasses.dataclass(frozen=True)
class ProgramAnalysis:
    """What is the same for every program of a tree."""

    tree: FileTree
    kernel: Kernel
    inventory: Inventory | None
    unit: InfluencesOf | None = None
    ownership: Ownership | None = None
    """Which files are as packages brought them; None for what the tree's own databases say."""
    manager: SystemdVariables = systemd_variables.NONE

    def of(
        self, command: str, source: str, environment: t.Mapping[str, str] | None = None, folder: str | None = None
    ) -> tuple[Influence, ...]:
        """As `judge()`; ``folder`` is the working directory, if it is known."""
        return _ProgramRun(self, source, environment).of(command, folder) if command.strip() else ()

    def of_unit(self, command: UnitCommand) -> tuple[Influence, ...]:
        """As `of()`, where systemd has the kernel run the command, and no shell stands by."""
        run = _ProgramRun(self, command.source, command.environment, is_direct=True, is_open=command.is_open)
        return run.of(command.text, command.folder) if command.text.strip() else ()

    def of_script(self, command: str, source: str) -> tuple[Influence, ...]:
        """What a script of sysvinit does that systemd starts."""
        run = _ProgramRun(self, source, None, self.manager.given, is_direct=True, is_open=self.manager.is_open)
        return run.of(command)

    def of_job(self, command: str, source: str, environment: t.Mapping[str, str]) -> tuple[Influence, ...]:
        """What a command does that a shell reads, with these variables and others that it sets."""
        home = environment.get("HOME")
        whole = command if home is None else re.sub(r"(?<![^\s\"'=:])~(?=/)", lambda _match: home, command)
        return _ProgramRun(self, source, None, environment).of(whole, home) if command.strip() else ()

    def of_event(self, command: str, source: str) -> tuple[Influence, ...]:
        """What a command does that a udev rule runs, with the variables that udev sets for it."""
        if not command.strip() or only_writes_out(command):
            return ()
        plain = re.sub(r"\$(?:kernel|name)\b", EVENT_DEVICE, command)
        plain = re.sub(r"\$devpath\b|%p", OF_EVENT["DEVPATH"], re.sub(r"\$sys\b|%S", "/sys", plain))
        return _ProgramRun(self, source, None, OF_EVENT, is_direct=True).of(plain)

    def of_file(self, path: str, source: str) -> tuple[Influence, ...]:
        """As `judge_file()`."""
        return _ProgramRun(self, source, None).of_file(path)

    def of_text(self, text: str, shown: str) -> tuple[Influence, ...]:
        """What the text of a script does that is not a file of its own."""
        return _ProgramRun(self, shown, None).of_text(text)

    @functools.cached_property
    def loadable(self) -> Loadable:
        return Loadable.of(self.tree, self.kernel)


class _ProgramRun:
    """One program, with all that it runs."""

    def __init__(
        self,
        judge_: ProgramAnalysis,
        source: str,
        environment: t.Mapping[str, str] | None,
        given: t.Mapping[str, str] | None = None,
        is_direct: bool = False,
        is_open: bool = False,
    ) -> None:
        """With ``is_open`` other variables than those of ``environment`` can be set when it begins."""
        self._judge = judge_
        self._tree = judge_.tree
        self._ownership = judge_.ownership or Ownership.of(judge_.tree)
        self._source = source
        self._is_direct = is_direct
        self._is_open = is_open
        self._closed = environment is not None
        self._environment = environment or given or NOTHING_GIVEN
        self._lines: list[Line] = []
        self._files: dict[str, int] = {}
        """Those that were read, and how: 2 as text, 1 as a command of a shell."""
        self._found: list[Influence] = []
        self._handed: list[str] = []
        """What its scripts give to each other as arguments."""

    def of(self, command: str, folder: str | None = None) -> tuple[Influence, ...]:
        if len(command) > LONGEST_ARGUMENT:
            self._unbounded(f"runs a command of more than {LONGEST_ARGUMENT >> 10} KiB")
            return tuple(self._found)
        if self._closed:
            command = with_environment(command, self._environment, self._is_open)
        line = Line(self._source, 0, command)
        arguments = [word.strip("\"'") for word in command.split()[1:]]
        self._add((line,), folder or posixpath.dirname(command.split(maxsplit=1)[0].strip("\"'-@:+!|")) or "/", 0, arguments)
        return self._result(arguments)

    def of_file(self, path: str) -> tuple[Influence, ...]:
        self._file(path, Line(self._source, 0, path), True, 0)
        return self._result([])

    def of_text(self, text: str) -> tuple[Influence, ...]:
        self._add(lines_of(text, self._source), "/", 0)
        return self._result([])

    def _result(self, arguments: t.Sequence[str]) -> tuple[Influence, ...]:
        judge_ = self._judge
        acting = [line for line in self._lines if not line.only_assigns]
        variables = Variables(self._lines, (*arguments, *self._handed), self._environment, self._is_open)
        effects = script_effects.of(acting, variables, arguments, self._environment, lambda: judge_.loadable, judge_.inventory)
        unit = self._judge.unit
        started = (
            [name for line in printed_text.without(acting) for name in started_units(judge_.tree, line, variables)]
            if unit is not None
            else []
        )
        for name in dict.fromkeys(started[:MOST_FILES]):
            self._found += unit(name, self._source) if unit is not None else ()
        return tuple(dict.fromkeys((*self._found, *(one.influence(self._source) for one in effects))))

    def _add(self, lines: t.Sequence[Line], folder: str, depth: int, arguments: t.Sequence[str] | None = None) -> None:
        lines = with_folders(with_folder(lines, folder), folder if folder.startswith(SYSFS) else "")
        self._lines += lines
        if depth >= DEEPEST:
            return
        variables = Variables(self._lines, (*(arguments or ()), *self._handed), self._environment, self._is_open)
        acting = [line for line in lines if not line.only_assigns]
        self._of_others(acting, variables, folder)
        for one in called(self._tree, acting, self._lines, variables, folder):
            self._call(one, depth)
        for line in acting:
            scripts = variables.evaluated(line.text) if line.in_shell else ()
            if scripts:
                self._add([dataclasses.replace(line, text=script) for script in scripts], folder, depth + 1)

    def _of_others(self, lines: t.Sequence[Line], variables: Variables, folder: str) -> None:
        """Programs that are not there yet, and containers."""
        for line in lines if len(self._files) < MOST_FILES else ():
            if len(line.text) > tokens.LONGEST_LINE:
                continue
            for path in absent(self._tree, line, variables):
                place = made_at_boot.not_mounted(self._tree, path)
                if place is not None:
                    self._unbounded(f"runs {path}, which is on a file system that is not mounted now ({place})")
            containers = made_at_boot.of_compose(self._tree, line.text, (folder, *_GOES.findall(line.text)))
            if containers is not None:
                self._unbounded(f"starts containers of {containers}, which can bind devices")

    def _call(self, one: Called, depth: int) -> None:
        if one.is_one_of_many and self._is_of_packages(self._ownership.resolved(one.path)):
            return
        word = one.line.text.split(maxsplit=1)[0].strip("\"'-@:+!|") if one.line.number == 0 and self._is_direct and depth == 0 else ""
        if word and self._ownership.resolved(word) == self._ownership.resolved(one.path) and not one.as_text:
            # The kernel runs nothing that has no `#!`, and neither systemd nor udev has a shell read it then.
            self._file(one.path, dataclasses.replace(one.line, number=1), False, depth)
            return
        self._handed += () if one.line.number == 0 else handed(one.line)
        self._file(one.path, one.line, one.as_text, depth, one.by_shell)

    def _is_of_packages(self, real: str) -> bool:
        if self._ownership.is_readable:
            return self._ownership.is_intact(real)
        return real.startswith(PACKAGED)

    def _file(self, path: str, line: Line, as_text: bool, depth: int, by_shell: bool = False) -> None:
        real = self._ownership.resolved(path)
        as_text = as_text or line.number == 0
        much = 2 if as_text else int(by_shell)
        if self._files.get(real, -1) >= much:
            return
        self._files[real] = much
        if len(self._files) > MOST_FILES:
            self._unbounded(f"runs more than {MOST_FILES} files")
            return
        known = actors.acts_of(self._judge.tree, real, self._ownership, self._source, line.text, self._judge.inventory, self._judge.kernel)
        if known is not None:
            self._found += known
            return
        self._read(path, real, as_text, depth, by_shell and self._may_be_run(real))

    def _may_be_run(self, real: str) -> bool:
        return not isinstance(self._tree, Host) or is_executable(self._tree, real)

    def _read(self, path: str, real: str, as_text: bool, depth: int, by_shell: bool) -> None:
        """A file whose content decides."""
        intact = self._ownership.is_intact(real)
        if intact and not as_text:
            return
        content = self._tree.head(real, LARGEST + 1)
        if content is None:
            # An image keeps no compiled program's content.
            if not (intact or real.startswith(PACKAGED)) and self._tree.exists(real) and not self._tree.is_dir(real):
                self._unbounded(f"runs {path}, whose content is not known")
        elif content.startswith(ELF) or b"\0" in content[:1024]:
            if not intact:
                self._compiled(path, real, content)
        elif as_text or by_shell or content.startswith(b"#!"):
            if len(content) > LARGEST:
                self._unbounded(f"runs {path}, which is too large to be read")
                return
            text = content.decode("utf-8", "surrogateescape")
            self._interpreter(text, depth)
            trusted = not self._ownership.is_readable and real.startswith(PACKAGED)
            self._add(lines_of(text, self._tree.shown(path), intact, trusted, not as_text), posixpath.dirname(real), depth + 1)
        elif not real.startswith(PACKAGED):
            self._data(path, content)

    def _data(self, path: str, content: bytes) -> None:
        """A file that a program only reads: where that writes to paths that it finds, it can write to those that are named there."""
        if not any(_WRITES_TO_FOUND.search(line.text) for line in self._lines):
            return
        text = content.decode("utf-8", "replace")
        names = list(indirect_writes.named_in_data(text))
        if names:
            named = tokens.addresses(text)
            reached = bounds.reached(self._judge.inventory, named, frozenset(), frozenset(), WRITING) if named else None
            self._found.append(Influence(self._source, f"reads {path}, which names {names[0]}", WRITING, reached))

    def _interpreter(self, text: str, depth: int) -> None:
        """A script is run by what its first line names; those that are known do what the script says."""
        first = text.partition("\n")[0]
        words = first[2:].split() if first.startswith("#!") else []
        if words and words[0].startswith("/") and INTERPRETER.fullmatch(posixpath.basename(words[0])) is None:
            self._file(words[0], Line(self._source, 0, first[2:]), False, depth)

    def _compiled(self, path: str, real: str, content: bytes) -> None:
        if not self._ownership.is_readable and real.startswith(PACKAGED):
            whole = self._tree.head(real, LARGEST_SEARCHED) or b"" if len(content) > LARGEST else content
            if not _WRITES.search(whole):
                return
        owner = "that is not as its package brought it" if self._ownership.has(real) else "that belongs to no package"
        self._unbounded(f"runs {path}, a compiled program {owner if self._ownership.is_readable else 'whose package is not known'}")

    def _unbounded(self, fact: str) -> None:
        self._found.append(Influence(self._source, fact, actors.UNBOUNDED))
