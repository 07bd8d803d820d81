# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kmod loads for a module's name or an alias (libkmod/libkmod-module.c)."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.settings import Settings
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import install_command, off_word, parameters
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.install_command import SimpleCommand
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive


MODULES_ALIAS = "modules.alias"
NO_SUCH_MODULE = "there is no module"


class ResolvedModule(t.NamedTuple):
    """A module, the alias that leads to it with its source, and the alias alone; none of these if it was found by its name."""

    module: str
    why: Reason | None
    alias: str = ""


class Insertion(t.NamedTuple):
    """A module that is to be inserted, whether its install line is ignored, and the alias that it was found by."""

    module: str
    ignores_install: bool
    alias: str = ""
    through: tuple[Reason, ...] = ()
    """The softdeps without which it would not be inserted."""


class RefusedModule(t.NamedTuple):
    """A module that is not inserted, or registers no driver, and why."""

    module: str
    why: Reason

    def __str__(self) -> str:
        return str(self.why)


@dataclasses.dataclass(frozen=True)
class LoadRequest:
    """A module that kmod is asked to load, and what it inserts for that, in order; nothing if the module is already loaded.

    ``because`` says why it is requested, ``refused`` what is not inserted.
    ``failed`` is kmod's result for the caller: an `install` line may succeed without inserting anything.
    """

    module: str
    insertions: tuple[str, ...]
    because: tuple[Reason, ...]
    refused: tuple[RefusedModule, ...] = ()
    influences: tuple[Influence, ...] = ()
    """Commands of `install` lines that run, and that cannot be read."""
    failed: bool = False
    aliases: tuple[tuple[str, str], ...] = ()
    """Modules that were found by an alias that options are given to, each with it."""

    through: tuple[tuple[str, tuple[Reason, ...]], ...] = ()
    """The softdeps without which some of the insertions would not be, by module."""

    def why(self, module: str) -> tuple[Reason, ...]:
        """Why a module is inserted."""
        return (*self.because, *(one for name, reasons in self.through if name == module for one in reasons))

    def alias_of(self, module: str) -> str:
        return next((alias for name, alias in self.aliases if name == module), "")


@dataclasses.dataclass
class _Ran:
    """What the commands of `install` lines have done so far."""

    inserted: list[str] = dataclasses.field(default_factory=list)
    influences: list[Influence] = dataclasses.field(default_factory=list)
    aliases: dict[str, str] = dataclasses.field(default_factory=dict)


class Modprobe:
    """kmod in one stage.  ``loaded`` are the modules that earlier stages have loaded."""

    def __init__(self, boot: Boot, stage: Stage, loaded: frozenset[str], settings: Settings | None = None) -> None:
        self._boot = boot
        self._stage = stage
        self._settings = settings or Settings(boot)
        self._kernel = stage.kernel
        self._config = stage.config
        where = f"of {stage.kernel.release}" if stage.place == "/" else f"in {stage.place}"
        self._place, self._place_of_modules = f"{MODULES_ALIAS} {where}", f"modules.dep {where}"
        self._loaded = loaded
        self._asked: dict[tuple[str, bool], tuple[LoadRequest, ...]] = {}
        self._ignoring: dict[tuple[str, bool], tuple[LoadRequest, ...]] = {}
        self._loadable: dict[tuple[str, str], Reason | None] = {}

    def ask(self, text: str, honours_blacklist: bool, source: Reason | None = None) -> tuple[LoadRequest, ...]:
        """Ask for an alias or a name, as udev (`kmod load`), systemd-modules-load and `modprobe` do."""
        key = (text, honours_blacklist)
        if key not in self._asked:
            # Install lines that ask for each other would never end.
            self._asked[key] = ()
            self._asked[key] = tuple(self._request(found, honours_blacklist) for found in self.lookup(text))
        requests = self._asked[key]
        if source is None:
            return requests
        return tuple(dataclasses.replace(request, because=(source, *request.because)) for request in requests)

    @staticmethod
    def _known_by(found: ResolvedModule) -> tuple[Reason, ...]:
        """That a module exists decides nothing: only an alias does."""
        return () if found.why is None else (found.why,)

    def _led_to(self, found: ResolvedModule, refused: t.Sequence[RefusedModule]) -> tuple[RefusedModule, ...]:
        """What keeps a module out, and before it the line of modprobe.d that leads there, and to no native module."""
        is_line = found.why is not None and not found.why.source.startswith(MODULES_ALIAS)
        return (RefusedModule(found.module, found.why), *refused) if is_line and found.why is not None and refused else tuple(refused)

    # -- lookup

    def lookup(self, text: str) -> tuple[ResolvedModule, ...]:
        """As kmod_module_new_from_lookup(): only the first source that has the name or alias counts."""
        name = normalize_module_name(text) if "[" not in text else text
        for source in (self._from_config_alias, self._from_names, self._from_install, self._from_modules_alias, self._from_built_ins):
            found = source(name)
            if found:
                return tuple(found)
        return ()

    def _from_config_alias(self, name: str) -> list[ResolvedModule]:
        return [ResolvedModule(entry.arguments[1], said(entry), entry.arguments[0]) for entry in self._config.aliases(name)]

    def _from_names(self, name: str) -> list[ResolvedModule]:
        return [ResolvedModule(name, None)] if name in self._kernel.modules else []

    def _from_install(self, name: str) -> list[ResolvedModule]:
        lines = [line for line in self._config.directives if line.command == "install" and line.arguments[0] == name]
        return [ResolvedModule(name, None) for _line in lines[:1]]

    def _from_modules_alias(self, name: str) -> list[ResolvedModule]:
        """All modules whose alias matches, in depmod's order: DKMS's after the kernel's own."""
        found = self._kernel.aliased(name)
        return [ResolvedModule(module, Reason(self._place, f"{alias} {module}"), name) for alias, module in found]

    def _from_built_ins(self, name: str) -> list[ResolvedModule]:
        return [ResolvedModule(name, None)] if name in self._kernel.builtins else []

    # -- insertion

    def _request(self, found: ResolvedModule, honours_blacklist: bool) -> LoadRequest:
        """As kmod_module_probe_insert_module(): a blacklist applies to the requested module, not to its dependencies and softdeps.

        What is requested by an alias is always held against it.
        """
        return self._kept_out(found, honours_blacklist) or self._insert(found)

    def _kept_out(self, found: ResolvedModule, honours_blacklist: bool) -> LoadRequest | None:
        """The request if nothing is inserted for it: the module is there, or blacklisted."""
        if self._is_in_kernel(found.module):
            return LoadRequest(found.module, (), self._known_by(found))
        blacklisted = self._blacklist_of(found.module) if honours_blacklist or found.alias else None
        if blacklisted is None:
            return None
        return LoadRequest(found.module, (), self._known_by(found), self._led_to(found, [RefusedModule(found.module, blacklisted)]))

    def _blacklist_of(self, module: str) -> Reason | None:
        return next(map(said, self._config.blacklists(module)), None)

    def _insert(self, found: ResolvedModule, ignores_install: bool = False) -> LoadRequest:
        module, _why, alias = found
        ran = _Ran()
        refused: list[RefusedModule] = []
        required = {module, *self._kernel.dependencies(module)}
        through: dict[str, tuple[Reason, ...]] = {}
        failed = False
        for name, ignores, found_by, softdeps in self._probe_list(module, set(), alias, ignores_install):
            if self._is_in_kernel(name) or name in ran.inserted:
                continue
            line = None if ignores else self._install_of(name)
            known_as = found_by if found_by in self._config.modules_with_options else ""
            if line is None:
                failure, fails = self.unloadable(name, known_as), True
            else:
                before = len(ran.inserted)
                failure, fails = self._run_install(name, line, ran)
                others = (one for one in ran.inserted[before:] if one != name)
                through.update((one, (*softdeps, said(line))) for one in others)
            if failure is not None:
                refused.append(RefusedModule(module if name in required else name, failure))
                if name in required:
                    failed = fails or name != module
                    break
            elif line is None:
                ran.inserted.append(name)
                through.update({name: softdeps} if softdeps else {})
                ran.aliases.update({name: known_as} if known_as else {})
                refused += self._why_without_driver(name, known_as)
        return LoadRequest(
            module,
            tuple(ran.inserted),
            self._known_by(found),
            self._led_to(found, refused),
            tuple(ran.influences),
            failed,
            tuple(ran.aliases.items()),
            tuple(through.items()),
        )

    def _why_without_driver(self, module: str, alias: str) -> t.Iterator[RefusedModule]:
        """Why a module registers no driver although it is loaded."""
        found = self._settings.registration(self._stage, module, alias)
        if found is not None and found.certain:
            yield RefusedModule(module, Reason(found.source, found.fact))

    def _probe_list(
        self, module: str, visited: set[tuple[str, str]], alias: str = "", ignores_install: bool = False, through: tuple[Reason, ...] = ()
    ) -> t.Iterator[Insertion]:
        """As __kmod_module_get_probe_list(): dependencies, then the module, each with its softdeps before and after it.

        Where the install line is not to count (`modprobe -i`), the module has no softdeps.  What an alias finds is another object than the
        module of that name, so that softdeps in a circle name it once more (kmod_module_new_from_alias()).
        """
        if (module, alias) in visited:
            return
        visited.add((module, alias))
        for name in self._kernel.dependencies(module):
            yield from self._with_softdeps(name, visited, "", through)
        if ignores_install:
            yield Insertion(module, True, alias, through)
        else:
            yield from self._with_softdeps(module, visited, alias, through)

    def _with_softdeps(self, module: str, visited: set[tuple[str, str]], alias: str, through: tuple[Reason, ...]) -> t.Iterator[Insertion]:
        """As __kmod_module_fill_softdep(): only the first matching softdep line counts, and it makes kmod ignore `install`."""
        line = next(iter(self._config.softdeps(module)), None)
        before = [found for word in softdep_words(line, "pre:") for found in self.lookup(word)]
        after = [found for word in softdep_words(line, "post:") for found in self.lookup(word)]
        applies = line is not None and bool(before or after)
        further = (*through, said(line)) if line is not None and applies else through
        for found in before:
            yield from self._probe_list(found.module, visited, found.alias, through=further)
        # The module itself comes without the softdep as well, unless an install line would stand in its place.
        displaces = applies and self._install_of(module) is not None
        yield Insertion(module, applies, alias, further if displaces else through)
        for found in after:
            yield from self._probe_list(found.module, visited, found.alias, through=further)

    # -- refusal

    def unloadable(self, module: str, alias: str = "") -> Reason | None:
        """Why a module or one of its dependencies cannot be loaded; None if they can."""
        key = (module, alias)
        if key not in self._loadable:
            self._loadable[key] = None
            self._loadable[key] = self._why_unloadable(module, alias)
        return self._loadable[key]

    def _why_unloadable(self, module: str, alias: str) -> Reason | None:
        if self._is_in_kernel(module):
            return None
        return self._refused_by_kernel(module, alias) or self._missing_dependency(module)

    def _refused_by_kernel(self, module: str, alias: str) -> Reason | None:
        cmdline, source = self._boot.cmdline, self._boot.cmdline_source
        if cmdline.refuses_all is not None:
            return Reason(source, f"{cmdline.refuses_all}: the kernel loads no module")
        facts = self._boot.facts(module, self._stage)
        # The kernel compares the name inside the file (blacklisted() in kernel/module/main.c).
        if ((facts is not None and facts.name) or module) in cmdline.refused:
            return Reason(source, cmdline.last("module_blacklist") or "")
        if module not in self._kernel.modules:
            return Reason(self._place_of_modules, f"{NO_SUCH_MODULE} {module}")
        if facts is not None and facts.refused is not None:
            return Reason(f"{module} of {self._kernel.release}", facts.refused)
        found = self._settings.load(self._stage, module, alias)
        return Reason(found.source, found.fact) if found is not None and found.certain else None

    def _missing_dependency(self, module: str) -> Reason | None:
        for dependency in self._kernel.dependencies(module):
            line = self._install_of(dependency)
            stands_in = line is not None and not self._has_softdep(dependency) and dependency not in self._loaded
            missing = said(line) if line is not None and stands_in and install_command.loads_nothing(line, dependency) else None
            missing = missing or self.unloadable(dependency)
            if missing is not None:
                return missing
        return None

    def _is_in_kernel(self, module: str) -> bool:
        return module in self._loaded or (module in self._kernel.builtins and module not in self._kernel.modules)

    # -- install lines

    def _install_of(self, module: str) -> Directive | None:
        return next(iter(self._config.installs(module)), None)

    def _has_softdep(self, module: str) -> bool:
        line = next(iter(self._config.softdeps(module)), None)
        return any(self.lookup(word) for kind in ("pre:", "post:") for word in softdep_words(line, kind))

    def _run_install(self, module: str, line: Directive, ran: _Ran) -> tuple[Reason | None, bool]:
        """Run the `install` command: why the module is not loaded after it, and whether the command fails.

        Plain `modprobe` does not apply the blacklist to a module that is requested by name.
        """
        found = install_command.parse(line.arguments[1], module)
        unknown = (install_command.SimpleCommand("", is_known=False),)
        unread: list[bool] = []

        def run(step: SimpleCommand) -> bool | None:
            noticed = () if step.is_known and not step.removes else self._noticed(line, module)
            ran.influences += noticed
            if not step.is_known:
                unread.append(not noticed)
                raise install_command.UnreadError
            return (
                self._removes_well(step) if step.removes else self._run_modprobe(step, module, line, ran) if step.names else step.succeeds
            )

        try:
            status, _ends = install_command.carry_out(unknown if found is None else found, run)
        except install_command.UnreadError:
            ran.influences += () if unread else (_unread(line, module),)
            return said(line) if any(unread) else None, False
        if module not in ran.inserted:
            return said(line), status is False
        if off_word.is_install_command(line.arguments[1], module) and off_word.is_heard_by_shell(self._boot.cmdline):
            ran.aliases[module] = off_word.WITHOUT_IDS
        return None, status is False

    def _noticed(self, line: Directive, module: str) -> tuple[Influence, ...]:
        """What a command that cannot be read in full may do."""
        judged = self._stage.install_commands.get(str(line.source))
        return (_unread(line, module),) if judged is None else judged

    def _removes_well(self, step: SimpleCommand) -> bool | None:
        """A removal fails where there is no such module; else that depends on what is loaded by then, and in use."""
        return None if all(map(self.lookup, step.removes)) else False

    def _run_modprobe(self, step: SimpleCommand, module: str, line: Directive, ran: _Ran) -> bool:
        """Whether it succeeds."""
        given = self._given_by(step, module, line)
        status = True
        for name in step.names:
            if name == module:
                loads = self.unloadable(name, given) is None
                is_left_out = step.honours_blacklist and self._blacklist_of(name) is not None
                ran.inserted += [name] if loads and not is_left_out else []
                ran.aliases.update({name: given} if given else {})
                status = status and (loads or is_left_out)
                continue
            requests = self.ask_ignoring(name, step.honours_blacklist) if step.ignores_install else self.ask(name, step.honours_blacklist)
            for request in requests:
                refused = bool(given) and self.unloadable(request.module, given) is not None
                added = (other for other in request.insertions if not (refused and other == request.module))
                ran.inserted.extend(other for other in added if other not in ran.inserted)
                ran.influences += request.influences
                ran.aliases.update(request.aliases)
                ran.aliases.update({request.module: given} if given else {})
                status = status and not refused
            status = status and bool(requests) and not any(request.failed for request in requests)
        return status

    def _given_by(self, step: SimpleCommand, module: str, line: Directive) -> str:
        """The options that a command gives beside those of modprobe.d, in place of an alias."""
        handed = [word for one in self._config.options(module) for word in one.arguments[1:]] if step.takes_given else []
        options = " ".join((*(handed if step.names != (module,) else ()), *step.options))
        return parameters.by_command(line.source, options) if options else ""

    def ask_ignoring(self, name: str, honours_blacklist: bool = False) -> tuple[LoadRequest, ...]:
        """`modprobe -i`: the named module's own install line and softdeps do not count."""
        key = (name, honours_blacklist)
        if key not in self._ignoring:
            self._ignoring[key] = ()
            found = self.lookup(name)
            self._ignoring[key] = tuple(self._kept_out(one, honours_blacklist) or self._insert(one, True) for one in found)
        return self._ignoring[key]


def softdep_words(line: Directive | None, wanted: str) -> tuple[str, ...]:
    """The modules after `pre:` or `post:`; kmod ignores words before either (kmod_config_add_softdep())."""
    mode, found = "", []
    for word in () if line is None else line.arguments[1:]:
        if word in ("pre:", "post:"):
            mode = word
        elif mode == wanted:
            found.append(word)
    return tuple(found)


def _unread(line: Directive, module: str) -> Influence:
    return Influence(str(line.source), f"runs `{line.arguments[1].strip()}` in place of loading {module}")


def said(line: Directive) -> Reason:
    return Reason(str(line.source), str(line))
