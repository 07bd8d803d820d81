# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kmod loads for a module's name or an alias (libkmod/libkmod-module.c)."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import every_ids, given_to, why_refused

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive

Found = tuple[str, Reason]
"""A module, and why it was found."""
_NOTHING = re.compile(r"(?:/usr)?(?:/bin/)?(true|false|:)")
_MODPROBE = re.compile(r"(?:(?:/usr)?/s?bin/)?modprobe")
_SEPARATOR = re.compile(r"\s*(;|&&)\s*")
_IGNORE_INSTALL = ("--ignore-install", "-i")
_QUIET = ("-q", "--quiet", "-b", "--use-blacklist", "-qb", "-a", "--all", "-v", "--verbose", "--")


@dataclasses.dataclass(frozen=True)
class LoadRequest:
    """A module that kmod is asked to load, and what it inserts for that, in order; nothing if the module is already loaded.

    ``because`` says why it is requested and what is inserted before it, ``refused`` why it is not inserted.
    ``failed`` is kmod's result for the caller: an `install` line may succeed without inserting anything.
    """

    module: str
    insertions: tuple[str, ...]
    because: tuple[Reason, ...]
    refused: tuple[Reason, ...] = ()
    doubts: tuple[str, ...] = ()
    failed: bool = False


@dataclasses.dataclass(frozen=True)
class _Command:
    """What an `install` line does: the modules that it loads by name; None if that cannot be determined."""

    names: tuple[str, ...] | None
    fails: bool = False


class Modprobe:
    """kmod in one stage.  ``loaded`` are the modules that earlier stages have loaded."""

    def __init__(self, boot: Boot, stage: Stage, loaded: frozenset[str]) -> None:
        self._boot = boot
        self._kernel = stage.kernel
        self._config = stage.config
        self._place = f"modules.alias of {stage.kernel.release}" if stage.place == "/" else f"modules.alias in {stage.place}"
        self._loaded = loaded
        self._asked: dict[tuple[str, bool], tuple[LoadRequest, ...]] = {}
        self._loadable: dict[str, Reason | None] = {}

    def ask(self, text: str, honours_blacklist: bool, source: Reason | None = None) -> tuple[LoadRequest, ...]:
        """Ask for an alias or a name, as udev (`kmod load`), systemd-modules-load and `modprobe` do."""
        key = (text, honours_blacklist)
        if key not in self._asked:
            self._asked[key] = tuple(self._request(module, why, honours_blacklist) for module, why in self.lookup(text))
        requests = self._asked[key]
        if source is None:
            return requests
        return tuple(dataclasses.replace(request, because=(source, *request.because)) for request in requests)

    # -- lookup

    def lookup(self, text: str) -> tuple[Found, ...]:
        """As kmod_module_new_from_lookup(): only the first source that has the name or alias counts."""
        name = normalize_module_name(text) if "[" not in text else text
        for source in (self._from_config_alias, self._from_names, self._from_install, self._from_modules_alias, self._from_built_ins):
            found = source(name)
            if found:
                return tuple(found)
        return ()

    def _from_config_alias(self, name: str) -> list[Found]:
        found = self._config.aliases(name)
        return [(entry.arguments[1], Reason(str(entry.source), f"alias {entry.arguments[0]} {entry.arguments[1]}")) for entry in found]

    def _from_names(self, name: str) -> list[Found]:
        return [(name, Reason(f"modules.dep of {self._kernel.release}", name))] if name in self._kernel.modules else []

    def _from_install(self, name: str) -> list[Found]:
        lines = [line for line in self._config.directives if line.command == "install" and line.arguments[0] == name]
        return [(name, _said(line)) for line in lines[:1]]

    def _from_modules_alias(self, name: str) -> list[Found]:
        """All modules whose alias matches, in depmod's order: DKMS's after the kernel's own."""
        if not name.startswith("pci:"):
            return []
        found = [match for match in self._kernel.natives(name) if match.order >= 0]
        return [(match.module, Reason(self._place, f"{match.alias} {match.module}")) for match in found]

    def _from_built_ins(self, name: str) -> list[Found]:
        return [(name, Reason(f"modules.builtin of {self._kernel.release}", name))] if name in self._kernel.builtins else []

    # -- insertion

    def _request(self, module: str, why: Reason, honours_blacklist: bool) -> LoadRequest:
        """As kmod_module_probe_insert_module(): a blacklist applies to the requested module, not to its dependencies and softdeps."""
        if self._is_in_kernel(module):
            return LoadRequest(module, (), (why,))
        blacklisted = self._blacklist_of(module) if honours_blacklist else None
        if blacklisted is not None:
            return LoadRequest(module, (), (why,), (blacklisted,))
        return self._insert(module, why)

    def _blacklist_of(self, module: str) -> Reason | None:
        sources = self._config.blacklisted(module)
        return Reason(str(sources[0]), f"blacklist {module}") if sources else None

    def _insert(self, module: str, why: Reason) -> LoadRequest:
        inserted: list[str] = []
        refused: list[Reason] = []
        doubts: list[str] = []
        required = {module, *self._kernel.dependencies(module)}
        because = [why]
        failed = False
        for name, ignores_install in self._probe_list(module, set(), because):
            if self._is_in_kernel(name) or name in inserted:
                continue
            line = None if ignores_install else self._install_of(name)
            failure = self.unloadable(name) if line is None else self._run_install(name, line, inserted, doubts)
            if failure is not None:
                refused.append(failure)
                if name in required:
                    failed = line is None or name != module or _command(line, name).fails
                    break
            elif line is None:
                inserted.append(name)
        return LoadRequest(module, tuple(inserted), tuple(because), tuple(refused), tuple(doubts), failed)

    def _probe_list(self, module: str, visited: set[str], because: list[Reason]) -> t.Iterator[tuple[str, bool]]:
        """As __kmod_module_get_probe_list(): dependencies, then the module, each with its softdeps before and after it.

        Yields each name and whether its install line is ignored.
        """
        if module in visited:
            return
        visited.add(module)
        for name in (*self._kernel.dependencies(module), module):
            yield from self._with_softdeps(name, visited, because)

    def _with_softdeps(self, module: str, visited: set[str], because: list[Reason]) -> t.Iterator[tuple[str, bool]]:
        """As __kmod_module_fill_softdep(): only the first matching softdep line counts, and it makes kmod ignore `install`."""
        line = next(iter(self._config.softdeps(module)), None)
        before = [found for word in softdep_words(line, "pre:") for found in self.lookup(word)]
        after = [found for word in softdep_words(line, "post:") for found in self.lookup(word)]
        if line is not None and (before or after):
            because.append(_said(line))
        for name, _why in before:
            yield from self._probe_list(name, visited, because)
        yield module, bool(before or after)
        for name, _why in after:
            yield from self._probe_list(name, visited, because)

    # -- refusal

    def unloadable(self, module: str) -> Reason | None:
        """Why a module or one of its dependencies cannot be loaded; None if they can."""
        if module not in self._loadable:
            self._loadable[module] = None
            self._loadable[module] = self._why_unloadable(module)
        return self._loadable[module]

    def _why_unloadable(self, module: str) -> Reason | None:
        if self._is_in_kernel(module):
            return None
        if module in self._boot.cmdline.refused:
            return Reason(self._boot.cmdline_source, f"module_blacklist={module}")
        if module not in self._kernel.modules:
            return Reason(f"modules.dep of {self._kernel.release}", f"there is no module {module}")
        facts = self._boot.modules.get(module)
        if facts is not None and facts.refused is not None:
            return Reason(f"{module} of {self._kernel.release}", facts.refused)
        refused = self._refused_ids(module) if facts is not None and facts.takes_ids else None
        if refused is not None:
            return refused
        for dependency in self._kernel.dependencies(module):
            line = self._install_of(dependency)
            stands_in = line is not None and not self._has_softdep(dependency) and dependency not in self._loaded
            missing = _said(line) if line is not None and stands_in and _command(line, dependency).names == () else None
            missing = missing or self.unloadable(dependency)
            if missing is not None:
                return missing
        return None

    def _refused_ids(self, module: str) -> Reason | None:
        """load_module() gives up where parse_args() finds any value that the parameter does not take."""
        for one in every_ids(given_to(self._config, module)):
            why = why_refused(one)
            if why is not None:
                return Reason(str(one.source), f"ids= of {module} {why}: the kernel does not load it with that")
        return None

    def _is_in_kernel(self, module: str) -> bool:
        return module in self._loaded or (module in self._kernel.builtins and module not in self._kernel.modules)

    # -- install lines

    def _install_of(self, module: str) -> Directive | None:
        return next(iter(self._config.installs(module)), None)

    def _has_softdep(self, module: str) -> bool:
        line = next(iter(self._config.softdeps(module)), None)
        return any(self.lookup(word) for kind in ("pre:", "post:") for word in softdep_words(line, kind))

    def _run_install(self, module: str, line: Directive, inserted: list[str], doubts: list[str]) -> Reason | None:
        """Run the `install` command.  Plain `modprobe` does not apply the blacklist to a module that is requested by name."""
        command = _command(line, module)
        if command.names is None:
            doubts.append(
                f"{line.source} runs a command in place of loading {module} ({line.arguments[1]}); what it loads cannot be determined."
            )
            return None
        for name in command.names:
            if name == module:
                if self.unloadable(name) is None:
                    inserted.append(name)
                continue
            for request in self.ask(name, honours_blacklist=False):
                inserted.extend(other for other in request.insertions if other not in inserted)
        return None if module in inserted else _said(line)


def softdep_words(line: Directive | None, wanted: str) -> tuple[str, ...]:
    """The modules after `pre:` or `post:`; kmod ignores words before either (kmod_config_add_softdep())."""
    mode, found = "", []
    for word in () if line is None else line.arguments[1:]:
        if word in ("pre:", "post:"):
            mode = word
        elif mode == wanted:
            found.append(word)
    return tuple(found)


def loads_nothing(line: Directive, module: str) -> bool:
    """Whether all that an `install` line does is to keep the module out."""
    return _command(line, module).names == ()


def _said(line: Directive) -> Reason:
    return Reason(str(line.source), " ".join((line.command, *(word.strip() for word in line.arguments))))


def _command(line: Directive, module: str) -> _Command:
    names: list[str] = []
    fails = False
    words_and_links = ["", *_SEPARATOR.split(line.arguments[1].strip())]
    for link, words in zip(words_and_links[::2], (part.split() for part in words_and_links[1::2])):
        if not words or (link == "&&" and fails):
            continue
        nothing = _NOTHING.fullmatch(words[0])
        fails = nothing is not None and nothing[1] == "false"
        if nothing:
            continue
        if not _MODPROBE.fullmatch(words[0]):
            return _Command(None)
        ignores = any(word in _IGNORE_INSTALL for word in words)
        asked = [normalize_module_name(word) for word in words[1:] if word not in _IGNORE_INSTALL and word not in _QUIET]
        if any(word.startswith(("-", "$")) or "=" in word for word in asked) or (module in asked and not ignores):
            return _Command(None)
        names += asked
    return _Command(tuple(names), fails)
