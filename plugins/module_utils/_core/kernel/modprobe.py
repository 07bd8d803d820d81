# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration in modprobe.d, parsed as kmod does (libkmod/libkmod-config.c), with the file and line of each directive."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import contents, made_once
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, WORD, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import is_pattern, matches

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

DIRECTORIES = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
LARGEST = 1 << 20
"""Bytes of all files together, of which a hundred times as much is made; distributions have a tenth of that."""
KIND = "files of modprobe.d"
SUFFIX, OLD_SUFFIX = ".conf", ".alias"
LIBRARY = re.compile(r"libkmod\.so\.2\.(\d+)\.\d+")
WITHOUT_OLD_SUFFIX = 5
"""Since kmod 33, whose library is libkmod.so.2.5.0, files that end in `.alias` are not read."""
MODULES_SOFTDEP = "modules.softdep"
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
AFTER_NAME = re.compile(r"[\t ]*\S+[\t ]+[^\t ]+[\t ]")
# kmod takes one blank away behind a module's name; from two on, what follows is a blank, and so not missing: a command that does nothing.
ENDS_IN_BLANKS = re.compile(r"[\t ][\t ]$")
BRACKETED = re.compile(r"(\[[^\]]*\])")
# The number of words after each command; None for any number, but at least one after the module.
WORDS: dict[str, int | None] = {
    "alias": 2,
    "blacklist": 1,
    "options": None,
    "install": None,
    "remove": None,
    "softdep": None,
    "weakdep": None,
}


@dataclasses.dataclass(frozen=True)
class SourceLine:
    """A file and the first line of a directive in it; line 0 for a file without lines, such as the command line."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclasses.dataclass(frozen=True)
class Directive:
    """A line that kmod applies.  ``arguments`` by command, with module names normalized, as kmod keeps them:

    `blacklist` (module), `alias` (pattern, module), `options` (module, option, …), `softdep` and `weakdep`
    (module, word, …), `install` and `remove` (module, shell command).
    """

    source: SourceLine
    command: str
    arguments: tuple[str, ...]
    written: str = dataclasses.field(default="", compare=False)
    """As the line, or the argument of the command line, has it."""

    def spelt(self, module: str) -> str:
        """A module's name as the line spells it."""
        wanted = normalize_module_name(module)
        words = re.split(r"[\s=,.\"]+", self.written)
        return next((word for word in words if normalize_module_name(word) == wanted), module)

    def __str__(self) -> str:
        return self.written or " ".join((self.command, *(word.strip() for word in self.arguments)))


@dataclasses.dataclass(frozen=True)
class ModprobeConfig:
    """All directives, in kmod's order."""

    directives: tuple[Directive, ...]

    @classmethod
    def read(
        cls,
        tree: FileTree,
        directories: t.Sequence[str] = DIRECTORIES,
        release: str | None = None,
        cmdline: Cmdline | None = None,
        cmdline_source: str = CMDLINE,
    ) -> ModprobeConfig:
        """The files of all directories, sorted by name; of files with the same name, the one in the first directory counts.

        The softdeps of the modules themselves, which depmod collects for ``release``, are treated as a file named
        `modules.softdep`.  The command line, by default the running kernel's, comes last, as in kmod_config_new().
        """
        files: dict[str, str] = {}
        for directory in directories:
            for name in tree.names(directory):
                path = f"{directory}/{name}"
                if is_configuration(name) and not tree.is_dir(path):
                    files.setdefault(name, path)
        if any(name.endswith(OLD_SUFFIX) for name in files) and not reads_old_suffix(tree):
            files = {name: path for name, path in files.items() if name.endswith(SUFFIX)}
        if release is not None:
            files.setdefault(MODULES_SOFTDEP, f"{MODULES}/{release}/{MODULES_SOFTDEP}")
        # Anything but a regular file still masks files of the same name: that is how a link to /dev/null disables one.
        chosen = [files[name] for name in sorted(files) if tree.is_file(files[name])]
        read = ((tree.shown(path), content.decode("utf-8", "surrogateescape")) for path, content in contents(tree, chosen, LARGEST, KIND))
        parsed = [made_once((KIND, *file), functools.partial(cls.parse, file[1], file[0])) for file in read]
        whole = cls(tuple(directive for config in parsed for directive in config.directives))
        return whole.with_cmdline(Cmdline.read(tree) if cmdline is None else cmdline, cmdline_source)

    @classmethod
    def parse(cls, text: str, path: str) -> ModprobeConfig:
        """The directives of one file, without lines that kmod ignores."""
        directives = (_directive(SourceLine(path, number), line) for number, line in _logical_lines(text))
        return cls(tuple(directive for directive in directives if directive is not None))

    def with_cmdline(self, cmdline: Cmdline, path: str = CMDLINE) -> ModprobeConfig:
        """The configuration with the directives of a command line: `modprobe.blacklist=` and `module.option=`."""
        source = SourceLine(path, 0)
        blacklists = [Directive(source, "blacklist", (name,), argument) for name, argument in cmdline.blacklisting]
        options = [
            Directive(source, "options", (module, option), argument)
            for module, option, argument in cmdline.written_options
            if not (module == "modprobe" and option.startswith("blacklist="))
        ]
        return ModprobeConfig((*self.directives, *blacklists, *options))

    def with_more(self, directives: t.Iterable[Directive]) -> ModprobeConfig:
        """The configuration with lines that a program of the initramfs adds."""
        return ModprobeConfig((*self.directives, *directives))

    def blacklists(self, module: str) -> tuple[Directive, ...]:
        """The lines that blacklist the module."""
        return self._about("blacklist", module)

    def blacklisted(self, module: str) -> tuple[SourceLine, ...]:
        """Where the module is blacklisted."""
        return tuple(directive.source for directive in self.blacklists(module))

    def options(self, module: str, alias: str = "") -> tuple[Directive, ...]:
        """The module's options; kmod passes them all, in this order.

        Those of the ``alias`` that it was found by are among them (kmod_module_get_options() in libkmod-module.c).
        """
        if not alias or alias == module or not self._about("options", alias):
            return self._about("options", module)
        names = (normalize_module_name(module), alias)
        return tuple(line for line in self._by_command.get("options", ()) if line.arguments[0] in names)

    @property
    def modules_with_options(self) -> t.Collection[str]:
        """Each module that some options are for, by its normalized name."""
        return dict.fromkeys(line.arguments[0] for line in self._by_command.get("options", ()))

    def softdeps(self, module: str) -> tuple[Directive, ...]:
        """The module's softdeps; kmod applies only the first.  Their module names are patterns, as in `installs()`."""
        return self._matching("softdep", module)

    def installs(self, module: str) -> tuple[Directive, ...]:
        """The commands that replace loading the module; kmod runs only the first, and none if a softdep matches too."""
        return self._matching("install", module)

    def aliases(self, name: str) -> tuple[Directive, ...]:
        """The aliases of a name or a modalias, all of which are loaded; where there are some, modules.alias is not asked.

        (kmod_lookup_alias_from_config() in libkmod-module.c, the first that kmod_module_new_from_lookup() asks)
        """
        known = self._aliases
        if name not in known:
            known[name] = self._that_match("alias", name)
        return known[name]

    def _about(self, command: str, module: str) -> tuple[Directive, ...]:
        return self._by_name.get((command, module if "[" in module else normalize_module_name(module)), ())

    def _matching(self, command: str, module: str) -> tuple[Directive, ...]:
        return self._that_match(command, normalize_module_name(module))

    def _that_match(self, command: str, name: str) -> tuple[Directive, ...]:
        found = self._places.get((command, name), ())
        patterns = self._patterns.get(command, ())
        matching = [place for place in patterns if matches(name, self.directives[place].arguments[0])] if patterns else []
        return tuple(self.directives[place] for place in (sorted((*found, *matching)) if matching else found))

    @functools.cached_property
    def _places(self) -> t.Mapping[tuple[str, str], t.Sequence[int]]:
        """Of the lines whose first name is not a pattern, by command and name."""
        found: dict[tuple[str, str], list[int]] = {}
        for place, entry in enumerate(self.directives):
            if not is_pattern(entry.arguments[0]):
                found.setdefault((entry.command, entry.arguments[0]), []).append(place)
        return found

    @functools.cached_property
    def _patterns(self) -> t.Mapping[str, t.Sequence[int]]:
        found: dict[str, list[int]] = {}
        for place, entry in enumerate(self.directives):
            if is_pattern(entry.arguments[0]):
                found.setdefault(entry.command, []).append(place)
        return found

    @functools.cached_property
    def _aliases(self) -> dict[str, tuple[Directive, ...]]:
        """What was asked already: a thousand devices have a few modaliases."""
        return {}

    @functools.cached_property
    def _by_command(self) -> t.Mapping[str, tuple[Directive, ...]]:
        found: dict[str, list[Directive]] = {}
        for entry in self.directives:
            found.setdefault(entry.command, []).append(entry)
        return {command: tuple(entries) for command, entries in found.items()}

    @functools.cached_property
    def _by_name(self) -> t.Mapping[tuple[str, str], tuple[Directive, ...]]:
        found: dict[tuple[str, str], list[Directive]] = {}
        for entry in self.directives:
            found.setdefault((entry.command, entry.arguments[0]), []).append(entry)
        return {about: tuple(entries) for about, entries in found.items()}


def blacklisting(name: str, source: SourceLine, written: str) -> Directive:
    """A blacklist that something else than a line of modprobe.d asks for, with its own words."""
    return Directive(source, "blacklist", (normalize_module_name(name),), written)


def is_configuration(name: str) -> bool:
    """Whether any version of kmod reads a file of that name."""
    return name.endswith((SUFFIX, OLD_SUFFIX)) and not name.startswith(".")


def reads_old_suffix(tree: FileTree) -> bool | None:
    """Whether the tree's kmod reads `.alias` files, by the version in its library's name; None if there is no such library."""
    folders = ["/usr/lib", "/usr/lib64", "/lib", "/lib64"]
    folders += [f"{folder}/{name}" for folder in ("/usr/lib", "/lib") for name in tree.names(folder) if "-linux-gnu" in name]
    found = (LIBRARY.fullmatch(name) for folder in folders for name in tree.names(folder))
    minor = max((int(match[1]) for match in found if match), default=None)
    return None if minor is None else minor < WITHOUT_OLD_SUFFIX


def ignored_lines(text: str, path: str) -> t.Iterator[tuple[SourceLine, str]]:
    """Lines that kmod ignores although they are neither empty nor comments.  An indented comment counts as a comment."""
    for number, line in _logical_lines(text):
        source = SourceLine(path, number)
        if line.strip("\t ") and not line.lstrip("\t ").startswith("#") and _directive(source, line) is None:
            yield source, line


def _logical_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """Lines joined with their continuations, and the number of the first.  As freadline_wrapped(): drops `\\`, keeps what follows it."""
    first, line = 0, ""
    for number, physical in enumerate(text.split("\n"), 1):
        first = first or number
        if "\\" not in physical:
            yield first, line + physical
            first, line = 0, ""
            continue
        backslashes = len(physical) - len(physical.rstrip("\\"))
        continues = backslashes % 2 == 1
        line += ESCAPED.sub(r"\1", physical[:-1] if continues else physical)
        if not continues:
            yield first, line
            first, line = 0, ""
    if line:
        yield first, line


def _directive(source: SourceLine, line: str) -> Directive | None:
    # A line is a string of C for kmod.
    line = line.partition("\0")[0]
    if line.startswith("#"):
        return None
    words = [word for word in re.split(r"[\t ]+", line) if word]
    if not words or words[0] not in WORDS:
        return None
    command, count = words[0], WORDS[words[0]]
    if len(words) - 1 < (2 if count is None else count) and not (count is None and len(words) > 1 and ENDS_IN_BLANKS.search(line)):
        return None
    if any(_underscores(word) is None for word in words[1 : (count or 1) + 1]):
        return None
    arguments = tuple(_underscores(word) or "" for word in words[1 : (count or 1) + 1])
    if count is not None:
        return Directive(source, command, arguments, line.strip())
    return Directive(source, command, (*arguments, *_rest(command, line)), line.strip())


def _rest(command: str, line: str) -> list[str]:
    """The words after the module's name."""
    rest = AFTER_NAME.sub("", line, count=1)
    if command in ("install", "remove"):
        return [rest.lstrip("\t ")]
    if command == "options":
        return WORD.findall(rest)
    words = rest.split()
    # With exactly two blanks before `pre:`, kmod takes the second as part of the word, and so ignores the softdep.
    if words and rest[:1].isspace() and not rest[1:2].isspace():
        words[0] = f" {words[0]}"
    return words


def _underscores(word: str) -> str | None:
    """A name as kmod keeps it: with `_` for `-` except between brackets.  None if brackets do not match: kmod drops such a line."""
    parts = BRACKETED.split(word)
    if any("[" in part or "]" in part for part in parts[::2]):
        return None
    return "".join(part if index % 2 else normalize_module_name(part) for index, part in enumerate(parts))
