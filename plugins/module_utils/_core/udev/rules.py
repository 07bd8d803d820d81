# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""udev rules: which files count, and the rules in them as udev keeps them.  Source of all: systemd's udev-rules.c and udev(7)."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import together
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name, leads_to_nothing
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import syntax
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.evaluation import Evaluation
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import ACCOUNTS, EventContext, Files
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key, attribute_of_another
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import Rule
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import (
    ADD,
    BIND,
    KERNEL_PROPERTIES,
    NO_DEVICES,
    PATH_PROPERTIES,
    UNBIND,
    Devices,
    Subject,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.syntax import Problem
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.values import substitutions, taken

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device

__all__ = ("ADD", "BIND", "UNBIND", "Key", "Problem", "Rule", "Rules", "attribute_of_another", "parse", "parse_file")

DIRECTORIES = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
SUFFIX = ".rules"
LARGEST = 4 << 20
"""Bytes of all files of rules together: distributions have a third of that."""
LARGEST_PARSED = 1 << 20
"""Bytes of those that are parsed, of which three hundred times as much is made."""
MOST_LINES = 4096
"""Parsed lines that are kept; all packages of a desktop together have a third of that."""
MOST_FILES, LARGEST_KEPT = 64, LARGEST_PARSED >> 6
"""Parsed files that are kept, and the bytes of one of them: a run of several steps reads most files more than once."""
# Words of keys that bring in properties whose names do not stand in the rule.
_BRINGS_ANY = (b"{program}", b"{file}", b"{db}", b"{parent}")
_TAG = "TAG"
FILES_ALONE = 258
"""Since this version of systemd a folder, or a link to what is not there, hides no file of its name (conf_files_list_strv_full())."""


@dataclasses.dataclass(frozen=True)
class Override:
    """A driver_override that a rule sets for a function.  ``driver`` is None if it depends on the event; ``certain`` is False then."""

    rule: Rule
    driver: str | None
    certain: bool


@dataclasses.dataclass(frozen=True)
class Rules:
    """Rules in the order in which udev evaluates them."""

    rules: tuple[Rule, ...]
    problems: tuple[Problem, ...] = ()
    """What udev drops, ignores or corrects in the files that were read."""
    files: Files = dataclasses.field(default_factory=Files)
    complete: bool = False
    """Whether these are all the rules that can set a property or tag that one of them asks for."""
    masked: tuple[str, ...] = ()
    """The files that are none, as a link to /dev/null: those of the same names in other folders do not count."""

    @classmethod
    def read(
        cls,
        tree: FileTree,
        mentioning: t.Sequence[bytes] = (b"",),
        directories: t.Sequence[str] = DIRECTORIES,
        version: int | None = None,
        made_on: FileTree | None = None,
    ) -> Rules:
        """The rules of a host, from files that contain one of the words ``mentioning``, and from those that decide whether these match.

        Of files with the same name, the one in the first directory counts; files are sorted by name, whatever their directory.
        ``version`` is systemd's, if it is known.
        """
        contents = dict(together.contents(tree, chosen_files(tree, directories, version), LARGEST, "rules of udev", is_kept=False))
        taken: dict[str, Parsed] = {}
        problems: list[Problem] = []
        words, allowance = tuple(mentioning), together.Allowance(LARGEST_PARSED)
        while True:
            more = [path for path, content in contents.items() if path not in taken and any(word in content for word in words)]
            for path in more:
                taken[path] = NOTHING_PARSED
                if not together.takes(tree, path, len(contents[path]), allowance, "rules that can matter"):
                    continue
                parse_content = _kept if len(contents[path]) <= LARGEST_KEPT else _parsed
                taken[path] = parsed = parse_content(contents[path], tree.shown(path), version)
                problems += parsed.problems
            asked = _asked_words(taken.values())
            if not more or not asked:
                break
            words = asked
        found = tuple(rule for path in contents for rule in taken.get(path, NOTHING_PARSED).rules)
        asking = (key for rule in found for key in rule.keys if key.is_match or key.is_run or key.name in ACCOUNTS)
        files = Files.read(tree, asking, version, made_on)
        masked = tuple(tree.shown(path) for path in masked_files(tree, directories, version))
        return cls(found, tuple(sorted(problems, key=lambda one: (one.path, one.line))), files, complete=True, masked=masked)

    def only(self, kept: t.Callable[[Rule], bool]) -> Rules:
        """Those of the rules that are kept."""
        return dataclasses.replace(self, rules=tuple(rule for rule in self.rules if kept(rule)))

    def overrides(self, device: Device, release: str | None = None, cmdline: Cmdline | None = None) -> tuple[Override, ...]:
        """The overrides that the rules set for a function, in order: the last certain one counts."""
        matching = self.matching(device, release, cmdline=cmdline)
        return tuple(override for rule, certain in matching for override in _overrides_of(rule, certain))

    def matching(
        self,
        device: Device,
        release: str | None = None,
        others: Devices = NO_DEVICES,
        action: str = ADD,
        cmdline: Cmdline | None = None,
    ) -> t.Iterator[tuple[Rule, bool]]:
        """The rules that are evaluated for a function's event, by default "add", and match it, in order, and whether that is certain.

        Without the kernel's ``cmdline`` it is not known which words it has.
        """
        around = EventContext(release, cmdline, self.files, others, complete=self.complete)
        return Evaluation(self.rules, around, Subject.of(device, others), action).matching()


def chosen_files(tree: FileTree, directories: t.Sequence[str] = DIRECTORIES, version: int | None = None) -> tuple[str, ...]:
    """The files of rules that udev reads, in its order.  One that is not a file, as a link to /dev/null, still hides its namesakes."""
    return tuple(path for path in _by_name(tree, directories, version) if tree.is_file(path))


def masked_files(tree: FileTree, directories: t.Sequence[str] = DIRECTORIES, version: int | None = None) -> tuple[str, ...]:
    """Those that hide their namesakes and are not files."""
    return tuple(path for path in _by_name(tree, directories, version) if not tree.is_file(path))


def hidden_by(tree: FileTree, path: str, directories: t.Sequence[str] = DIRECTORIES) -> tuple[str, ...]:
    """The files of the same name in later directories, which udev does not read."""
    folder, _slash, name = path.rpartition("/")
    later = directories[list(directories).index(folder) + 1 :] if folder in directories else ()
    return tuple(f"{directory}/{name}" for directory in later if tree.is_file(f"{directory}/{name}"))


def _by_name(tree: FileTree, directories: t.Sequence[str], version: int | None) -> tuple[str, ...]:
    """Of the files of a name the one in the first directory."""
    hides_all = version is not None and version < FILES_ALONE
    chosen = first_of_name(tree, directories, SUFFIX, lambda path: hides_all or tree.is_file(path) or leads_to_nothing(tree, path))
    return tuple(chosen[name] for name in sorted(chosen))


def _asked_words(files: t.Iterable[Parsed]) -> tuple[bytes, ...]:
    """What a file must contain to set a property or tag that one of the rules asks for."""
    found = dict.fromkeys(name for parsed in files for name in parsed.asked)
    words = tuple(_TAG.encode() if name == _TAG else f"{{{name}}}".encode("utf-8", "surrogateescape") for name in found)
    built_in = () if found.keys().isdisjoint(PATH_PROPERTIES) else (b"path_id",)
    return words if KERNEL_PROPERTIES.issuperset(found) else (*words, *_BRINGS_ANY, *built_in)


def _asked(rules: t.Sequence[Rule]) -> t.Iterator[str]:
    """The properties that one file's rules ask for, but for those that it has given a value itself for each event; `TAG` for any tag."""
    given: set[str] = set()
    for rule in rules:
        if rule.label is not None:
            # Not each event that comes by here has come by what is above.
            given.clear()
        for key in rule.keys:
            if key.is_match and key.name in ("TAG", "TAGS"):
                yield _TAG
            elif key.is_match and key.name == "ENV" and key.attribute not in given:
                yield key.attribute or ""
            elif (not key.is_match or key.is_run) and ("$env" in key.value or "%E" in key.value):
                yield from (
                    name for one in substitutions(key.value) if one.letter == "E" for name in (one.attribute or "",) if name not in given
                )
        if all(key.name == "ENV" and key.operator == "=" for key in rule.keys):
            given.update(key.attribute or "" for key in rule.keys)


def _overrides_of(rule: Rule, certain: bool) -> t.Iterator[Override]:
    if rule.override is not None:
        known = next(iter(substitutions(rule.override)), None) is None
        yield Override(rule, taken(rule.override) if known else None, certain and known)
    if rule.runs_override:
        yield Override(rule, None, False)


@dataclasses.dataclass(frozen=True)
class Parsed:
    """A file's rules, and what udev says about it."""

    rules: tuple[Rule, ...]
    problems: tuple[Problem, ...]

    @functools.cached_property
    def asked(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_asked(self.rules)))


NOTHING_PARSED = Parsed((), ())


def parse(text: str, path: str, version: int | None = None) -> list[Rule]:
    """The rules in a file's text, without the lines that udev drops."""
    return list(parse_file(text, path, version).rules)


def parse_file(text: str, path: str, version: int | None = None) -> Parsed:
    """The rules in a file's text, and its problems in order.  Without systemd's ``version`` it is taken to be a new one."""
    rules: list[Rule] = []
    problems: list[Problem] = []
    if syntax.has_too_long_line(text):
        return Parsed((), (Problem(path, 1, "dropped", f"stands in a file with a line of {syntax.LONGEST} characters or more"),))
    for number, line, ignored in syntax.logical_lines(text):
        if ignored is not None:
            problems.append(Problem(path, number, "dropped", ignored))
            continue
        try:
            keys, notes = _keys_of(line, version)
        except syntax.DroppedError as dropped:
            problems.append(Problem(path, number, "dropped", dropped.said, dropped.key))
            continue
        problems += (Problem(path, number, level, said, key) for level, said, key in notes)
        if keys is None:
            problems.append(Problem(path, number, "dropped", "assigns nothing, and so has no effect"))
        else:
            rules.append(Rule(path, number, keys))
    kept = tuple(_with_jumps(rules, problems))
    return Parsed(kept, tuple(sorted(problems, key=lambda one: one.line)))


def _parsed(content: bytes, path: str, version: int | None) -> Parsed:
    return parse_file(content.decode("utf-8", "surrogateescape"), path, version)


_kept = functools.lru_cache(MOST_FILES)(_parsed)


@functools.lru_cache(MOST_LINES)
def _keys_of(line: str, version: int | None) -> tuple[tuple[Key, ...] | None, tuple[syntax.Note, ...]]:
    """An initramfs has the lines of its host."""
    found = list(syntax.tokens(line, version))
    notes = [note for token in found for note in syntax.checked(token, version)]
    for name, what in (("GOTO", "goes on with the first"), ("LABEL", "has the last")):
        if sum(token.name == name for token in found) > 1:
            notes.append(("ignored", f"has {name} several times and {what}", name))
    if not found or not syntax.has_effect(found):
        return None, tuple(notes)
    return tuple(Key(*token) for token in found), tuple(notes)


def _with_jumps(rules: t.Sequence[Rule], problems: list[Problem]) -> t.Iterator[Rule]:
    """A GOTO without its label further down in the file is none (rule_resolve_goto())."""
    below: set[str] = set()
    kept: list[Rule] = []
    for rule in reversed(rules):
        if rule.target is not None and rule.target not in below:
            problems.append(Problem(rule.path, rule.line, "ignored", f'has GOTO="{rule.target}" without such a LABEL below it', "GOTO"))
            rule = Rule(rule.path, rule.line, tuple(key for key in rule.keys if key.name != "GOTO"))  # noqa: PLW2901
            if all(key.name == "LABEL" or (key.is_match and not key.is_run) for key in rule.keys):
                problems.append(Problem(rule.path, rule.line, "dropped", "assigns nothing without its GOTO, and so has no effect", "GOTO"))
        if rule.label is not None:
            below.add(rule.label)
        if any(not key.is_match or key.is_run for key in rule.keys):
            kept.append(rule)
    return reversed(kept)
