# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines of a script do to drivers, and to which devices, modules and drivers that is limited."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import EVENT_DEVICE, Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import (
    bounds,
    found_paths,
    guarded_loops,
    indirect_writes,
    kmod_commands,
    printed_text,
    spellings,
    tokens,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import SHELLS, SUBSTITUTION

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.guarded_loops import Guarded
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.kmod_commands import Load
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.loadable import Loadable
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line, Variables
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.tokens import WrittenAct

_EVENT = re.compile(r"%k|%p|%b|\$kernel|\$devpath|\$id\b")
# What finds devices while it runs.
_FINDS = re.compile(r"\blspci\b|\bxargs\b|\bfind\b|\{\}|nodedev-list|\blshw\b|\beval\b")
_ECHOED = re.compile(r"\b(?:echo|printf)\b((?:\s+-\w+)*\s*[^>|;&]*)")
_SET_OVERRIDE = re.compile(r"set-override\s+(\S+)\s+(\S+)")
_DEVBIND = re.compile(r"(?:-b|--bind)[=\s]+(\S+)")
# One path that is there before the host runs.
_LASTING = r"/(?!tmp/|run/|dev/|proc/|sys/|var/run/)[\w./+-]+\s*[)`]"
_PIPED = re.compile(
    rf"\|\s*(?:sudo\s+)?(?:/(?:usr/)?bin/)?{SHELLS}\b(?!\s*-c)|base64\s+(?:-d|--decode)"
    r"|(?:(?:^|[\s;&|])(?:\.|source)|sh)\s+<\(|\bsh\s+(?:-\w+\s+)*-\w*c\s+[\"']?(?:\$\(|`)"
    rf"(?!\s*(?:cat\s|<)\s*{_LASTING})"
)
# Text of a file that is not there before the host runs, or of which only a part is taken.
_EVALUATES_INPUT = re.compile(rf"\beval\s+[\"']?(?:\$\(|`)\s*(?:cat|<|head|tail|curl|wget)\s*(?![\w\s-]*{_LASTING})")
_SYSFS = re.compile(r"/sys/|\bsysfs\b|/sys[\"'\s]|/pci\b", re.IGNORECASE)
# The folders of a path that is put together, each a word of its own.
_SYSFS_IN_WORDS = tuple(re.compile(rf"(?<![\w./$-]){word}(?![\w./-])") for word in ("sys", "pci"))
# The folders of a driver, of a slot, and of a bus behind a bridge.
_OF_DRIVER = re.compile(r"/(?:drivers|slots|pci_bus)/[^/]+$")
_ENDS_FOR_OTHERS = re.compile(
    r"\s*\[\[?\s+[\"']?\$\{?(?:1|PCI_SLOT_NAME)\}?[\"']?\s+==?\s+[\"']?[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7][\"']?\s+\]\]?"
    r"\s*\|\|\s*exit(?:\s+\d+)?\s*;?\s*"
)
# What makes another device's path of the event's.
_ABOVE = re.compile(r"dirname|\.\.|%/|%%/|realpath|readlink|\bcut\b|\bsed\b|\bawk\b")
_WRITING_ACTS: t.Final[frozenset[Act]] = frozenset(("override", "unbind", "bind", "new_id", "remove"))


@dataclasses.dataclass(frozen=True)
class ScriptEffect:
    """What a program does, where it says so, and how that is bounded, as in `Influence`."""

    line: Line
    written: str
    acts: frozenset[Act]
    addresses: frozenset[str] | None = None
    modules: frozenset[str] | None = None
    drivers: frozenset[str] | None = None

    def influence(self, source: str) -> Influence:
        itself = self.line.shown == source
        place = "" if itself else f"runs {self.line}, which "
        return Influence(
            str(self.line) if itself and self.line.number else source,
            f"{place}{self.written}",
            self.acts,
            self.addresses,
            self.modules,
            self.drivers,
        )


def of(
    lines: t.Sequence[Line],
    variables: Variables,
    arguments: t.Sequence[str],
    environment: t.Mapping[str, str],
    loadable: t.Callable[[], Loadable],
    inventory: Inventory | None,
) -> list[ScriptEffect]:
    """The effects of all lines of a program together: those on attributes, on modules, and on virtual functions.

    ``variables`` are those of all lines, including those of which nothing else counts, and of what its scripts give to each other.
    """
    if not any(_may_act(line) for line in lines):
        return []
    script = _Script(lines, variables, arguments, environment, loadable, inventory)
    return [*script.on_attributes(), *script.on_modules()]


def _may_act(line: Line) -> bool:
    if _MAY_ACT.search(line.text):
        return True
    return line.in_shell and _SPELT.search(line.text) is not None and _MAY_ACT.search(spellings.read_by_shell(line.text)) is not None


# A word whose letters the shell has to join first.
_SPELT = re.compile(r"[a-z][\"'\\]+[a-z]|\$'|\{[^{}\s]*,")


_MAY_ACT = re.compile(
    r"driver_override|drivers_|sriov|new_id|remove_id|bind|/re|driverctl|devbind|nodedev|nodeDevice|virsh"
    r"|\b(?:qm|pvesh|xl|incus|lxc)\b|vgaswitcheroo|acpi|supergfxctl|optimus|prime-select|envycontrol|setpci|kexec|hotplugctl"
    r"|nvidia-smi|udevadm|modules_disabled|_module|rules\.d|docker|podman|nerdctl|ansible|puppet|salt-call|systemctl|modprobe|insmod|rmmod"
    r"|/sys|eval|\||>|kmod|\bsh\b|/(?:run|tmp|shm)/|\$|\bgit\b"
)


class _Script:
    def __init__(
        self,
        lines: t.Sequence[Line],
        variables: Variables,
        arguments: t.Sequence[str],
        environment: t.Mapping[str, str],
        loadable: t.Callable[[], Loadable],
        inventory: Inventory | None,
    ) -> None:
        self._variables = variables
        plain = [dataclasses.replace(line, text=spellings.with_plain_commands(line.text)) if line.in_shell else line for line in lines]
        self._lines = printed_text.without(kmod_commands.with_programs(plain, self._variables))
        self._inventory = inventory
        self._loadable = loadable
        self._text = "\n".join(line.text for line in lines)
        self._all = indirect_writes.WholeText(self._text)
        self._of_file: dict[str, indirect_writes.WholeText] = {}
        self._arguments = arguments
        self._environment = environment
        self._given = " ".join((*arguments, *environment.values()))

    # -- attributes

    def on_attributes(self) -> t.Iterator[ScriptEffect]:
        found = [(line, token) for line in self._lines for token in self._acting(line)]
        if not found:
            return
        for acts, only in (
            ({"lock"}, True),
            ({"replay"}, True),
            ({"rescan"}, True),
            ({"create"}, False),
            ({*_WRITING_ACTS, "load", "refuse"}, False),
        ):
            those = [(line, token) for line, token in found if acts.intersection(token.acts)]
            if those:
                line, token = those[0]
                union = frozenset(act for _line, one in those for act in one.acts if act in acts)
                places = None if only else self._addresses(those, union)
                yield ScriptEffect(line, _said(token), union, places, None, self._drivers(those))

    def _acting(self, line: Line) -> t.Iterator[WrittenAct]:
        if not line.in_shell and self._whole(line.shown).only_reads:
            return
        plain = [token for token in tokens.acting(line.text) if not self._is_elsewhere(line, token)]
        if not plain and line.in_shell:
            read = dataclasses.replace(line, text=spellings.read_by_shell(line.text))
            plain = [token for token in tokens.acting(read.text) if not self._is_elsewhere(read, token)] if read != line else []
        yield from plain
        if plain or line.is_trusted or len(line.text) > tokens.LONGEST_LINE:
            return
        yield from indirect_writes.of_languages(line.text, self._whole(line.shown), line.in_shell)
        if not line.in_shell:
            return
        yield from indirect_writes.into_folders(line.text, self._variables)
        yield from found_paths.written(line.text, self._names_sysfs)
        yield from indirect_writes.made_programs(line.text, self._all, self._variables)
        if _PIPED.search(line.text):
            yield tokens.WrittenAct("runs what it is given as a script", indirect_writes.ANYTHING, 0)
        elif self._evaluates(line.text):
            yield tokens.WrittenAct("evaluates text as a script", indirect_writes.ANYTHING, 0)
        for match in tokens.REDIRECTION.finditer(line.text):
            yield from self._written(match[1])

    @functools.cached_property
    def _is_about_drivers(self) -> bool:
        return re.search(r"/sys\b|modprobe|\bpci", f"{self._text}\n{self._given}") is not None

    @functools.cached_property
    def _names_sysfs(self) -> bool:
        return _SYSFS.search(self._text) is not None or all(one.search(self._text) for one in _SYSFS_IN_WORDS)

    def _whole(self, shown: str) -> indirect_writes.WholeText:
        """The text of one file."""
        if shown not in self._of_file:
            self._of_file[shown] = indirect_writes.WholeText("\n".join(line.text for line in self._lines if line.shown == shown))
        return self._of_file[shown]

    def _is_elsewhere(self, line: Line, token: WrittenAct) -> bool:
        """Whether the variables before a file's name all lead to other buses than PCI."""
        folder = tokens.folder_before(line.text, token.start)
        values = self._variables.values(folder) if line.in_shell and folder.startswith("$") else None
        return bool(values) and all(map(tokens.leads_elsewhere, values or ()))

    def _evaluates(self, text: str) -> bool:
        """Whether it makes a script of text that is not known, in a program that may be about devices."""
        if _EVALUATES_INPUT.search(text):
            return True
        if not re.search(r"\beval\b(?!\s+set\s)[^;]*[$`]", text) or self._variables.evaluates_known(text):
            return False
        return self._is_about_drivers

    def _written(self, target: str) -> t.Iterator[WrittenAct]:
        """A redirection into a path that variables make."""
        globbed = tokens.globbed(target)
        if globbed:
            yield tokens.WrittenAct(target.strip("\"'"), tuple(sorted(globbed)), 0)
        # Of what a command gives nothing is known, and blanks and slashes in it are no part of the path.
        plain = SUBSTITUTION.sub("$SUBSTITUTED", re.sub(r"\$\{[^{}]*\}", "$VARIABLE", target))
        folder, _slash, name = plain.strip("\"'").rstrip("/").rpartition("/")
        if "$" not in name and "`" not in name:
            return
        values = self._variables.values(target)
        if values is None:
            # The attributes that act are in the folders of devices, drivers and the bus.
            above = folder.rpartition("/")[2]
            there = not above or "$" in above or above in ("device", "driver", "pci") or tokens.ADDRESS.fullmatch(above)
            there = there or _OF_DRIVER.search(folder)
            from_elsewhere = self._variables.is_given_from_elsewhere(target)
            if there and (self._names_sysfs or from_elsewhere) and self._variables.may_lead_to(target, "/sys/"):
                yield tokens.WrittenAct(target.strip("\"'"), tuple(sorted(_WRITING_ACTS)), 0)
            return
        for value in sorted(values):
            yield from tokens.acting(f"> {value}")

    def _addresses(self, those: t.Sequence[tuple[Line, WrittenAct]], acts: frozenset[Act]) -> frozenset[str] | None:
        loops = guarded_loops.of(self._lines, self._inventory)
        if not all(self._is_bounded(line, loops.get(line)) for line, _token in those):
            return None
        text = f"{self._text}\n{self._given}"
        found = {address for line, _token in those if line in loops for address in loops[line].addresses}
        named = tokens.addresses(text.replace("\\", "")) | found
        event = frozenset((EVENT_DEVICE,)) if self._is_about_event(those) else frozenset[str]()
        if not named and any(line in loops for line, _token in those):
            # No function of the host has the IDs.
            return frozenset()
        ids = tokens.device_ids(text) if "new_id" in acts else frozenset()
        return bounds.reached(self._inventory, named, event, ids, acts)

    def _is_about_event(self, those: t.Sequence[tuple[Line, WrittenAct]]) -> bool:
        """Whether the device of an event, which the script is given, can be another one than those that it names."""
        used = (value for name, value in self._environment.items() if re.search(rf"\$\{{?{name}\b", self._text))
        if not _EVENT.search(" ".join((*self._arguments, *used))):
            return False
        return not all(self._ends_for_others(line) for line, _token in those)

    def _ends_for_others(self, line: Line) -> bool:
        """Whether a line before it ends the script unless the event's device is the one that is named there."""
        before = itertools.takewhile(lambda one: one != line, (one for one in self._lines if one.shown == line.shown))
        return any(_ENDS_FOR_OTHERS.fullmatch(one.text) for one in before) and not self._variables.functions

    def _is_bounded(self, line: Line, loop: Guarded | None = None) -> bool:
        if not line.in_shell:
            return not self._whole(line.shown).finds_devices
        text = line.text if loop is None else loop.plain(line.text)
        if "DEVPATH" in self._environment and _ABOVE.search(self._text) and "DEVPATH" in self._text:
            return False
        return self._variables.is_known(text) and not _FINDS.search(text)

    def _drivers(self, those: t.Sequence[tuple[Line, WrittenAct]]) -> frozenset[str] | None:
        found: set[str] = set()
        for line, token in those:
            names = self._named_drivers(line, token)
            if names is None:
                return None
            found |= names
        probes = any(token.written == "drivers_probe" for _line, token in those)
        return None if probes and not found else frozenset(found)

    def _named_drivers(self, line: Line, token: WrittenAct) -> frozenset[str] | None:
        """The drivers that a line names; None if they are not known."""
        if not line.in_shell:
            return None
        if token.written in (
            "drivers_probe",
            "remove",
            "rescan",
            "reset",
            "reset_subordinate",
            "unbind",
            "sriov_numvfs",
            "sriov_drivers_autoprobe",
            "drivers_autoprobe",
            "modules_disabled",
        ):
            return frozenset()
        override, bound = _SET_OVERRIDE.search(line.text), _DEVBIND.search(line.text)
        if override is not None or (bound is not None and "devbind" in token.written):
            return self._words_of(override[2] if override else bound[1] if bound else "")
        named = tokens.NAMED_DRIVER.search(line.text)
        if token.written in ("bind", "new_id", "remove_id"):
            return None if named is None else self._words_of(named[1])
        echoed = _ECHOED.search(line.text)
        return None if token.written != "driver_override" or echoed is None else self._words_of(echoed[1])

    def _words_of(self, text: str) -> frozenset[str] | None:
        found: set[str] = set()
        for raw in text.split():
            word = raw.strip("\"'")
            if word.startswith(("-", "%")) or word in ("", "\\n"):
                continue
            values = self._variables.values(word)
            if values is None:
                return None
            found |= {value.replace("\\n", "") for value in values if value and not tokens.ADDRESS.fullmatch(value)}
        return frozenset(found)

    # -- modules

    def on_modules(self) -> t.Iterator[ScriptEffect]:
        found = [(line, load) for line in self._lines for load in self._loads(line)]
        for removes, act in ((False, "load"), (True, "refuse")):
            yield from self._loading([(line, load) for line, load in found if load.removes == removes], t.cast("Act", act))
        yield from self._with_ids(found)

    def _loads(self, line: Line) -> t.Iterator[Load]:
        found = list(kmod_commands.loads(line.text, line.in_shell))
        yield from found or (kmod_commands.loads(spellings.read_by_shell(line.text)) if line.in_shell else ())

    def _loading(self, those: t.Sequence[tuple[Line, Load]], act: Act) -> t.Iterator[ScriptEffect]:
        verb = "loads" if act == "load" else "removes"
        first: tuple[Line, str] | None = None
        found: set[str] = set()
        for line, load in those:
            if (load.is_open or load.is_elsewhere) and not line.is_trusted:
                what = "other lines than those of modprobe.d" if load.is_elsewhere else "modules that are not written down there"
                yield ScriptEffect(line, f"{verb} modules by {what}" if load.is_elsewhere else f"{verb} {what}", frozenset((act,)))
                return
            for word in load.modules:
                values = self._variables.values(word) if line.in_shell else frozenset((word,))
                if values is None and line.is_trusted:
                    continue
                if values is None or any(re.search(r"[%{$@]", value) for value in values):
                    yield ScriptEffect(line, f"{verb} {word}", frozenset((act,)))
                    return
                names = [name for value in sorted(values) for name in self._loadable().acting(value, load.asks_blacklist)]
                if names and first is None:
                    first = (line, names[0])
                found.update(names)
        if first is not None:
            yield ScriptEffect(first[0], f"{verb} {first[1]}", frozenset((act,)), modules=frozenset(found))

    def _with_ids(self, loads: t.Sequence[tuple[Line, Load]]) -> t.Iterator[ScriptEffect]:
        """Modules that are given IDs of devices when they are loaded, which is as good as new_id."""
        for line, load in loads:
            given = [word for word in load.parameters if word.startswith("ids=")]
            names = [name for word in load.modules for name in self._loadable().acting(word)] if given or load.is_elsewhere else []
            for name in names:
                ids = tokens.device_ids(" ".join(given).replace("=", " ").replace(",", " , "))
                reached = bounds.reached(self._inventory, frozenset(), frozenset(), ids, frozenset(("new_id",))) if ids else None
                driver = KNOWN_DRIVERS.get(normalize_module_name(name), name)
                what = given[0] if given else "other lines than those of modprobe.d"
                yield ScriptEffect(line, f"loads {name} with {what}", frozenset(("new_id",)), reached, None, frozenset((driver,)))


def _said(token: WrittenAct) -> str:
    if token.written.startswith(("runs ", "evaluates ", "writes ")):
        return token.written
    is_command = " " in token.written or token.written.startswith(("nodedev-", "nodeDevice", "hotplugctl"))
    return f"{'runs' if is_command else 'writes to'} {token.written}"
