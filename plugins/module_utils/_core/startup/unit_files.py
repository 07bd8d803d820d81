# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's units as it loads them: folders, links, masks, templates, drop-ins and specifiers (systemd.unit(5))."""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import (
    first_of_name,
    head_text,
    leads_to_nothing,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

# By priority; /run is empty at the next boot.
FOLDERS = (
    "/etc/systemd/system.control",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
MANAGER_PLACES = ("/etc/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd")
KINDS = (".service", ".socket", ".target", ".timer", ".path", ".mount", ".automount", ".swap", ".device", ".slice", ".scope")
YES, NO = ("1", "yes", "y", "true", "t", "on"), ("0", "no", "n", "false", "f", "off")
"""parse_boolean() of systemd."""
LARGEST = 256 << 10
# Those of a user's own manager, by priority (systemd.unit(5), user units).
_OF_USER = (
    "{home}/.config/systemd/user.control",
    "{home}/.config/systemd/user",
    "/etc/xdg/systemd/user",
    "/etc/systemd/user",
    "{home}/.local/share/systemd/user",
    "/usr/local/share/systemd/user",
    "/usr/share/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
    "/lib/systemd/user",
)
IsStarted = t.Callable[[str], bool]
"""Whether a unit, by its name, is started at boot."""
MOST_DROP_INS = 64
MOST_NAMES = 4096
_FOLDERS_OF_UNIT = (".d", ".wants", ".requires", ".upholds")
_CONTINUED = re.compile(r"\\\n(?:[#;][^\n]*\n)*")
_SPECIFIER = re.compile(r"%([%a-zA-Z])")


def truth(word: str) -> bool | None:
    """What a word says where systemd, or what follows it, reads one of yes and no, in letters of either size; None for another word."""
    return True if word.lower() in YES else False if word.lower() in NO else None


def of_user(home: str) -> tuple[str, ...]:
    """The folders of a user's own manager."""
    return tuple(folder.replace("{home}", home) for folder in _OF_USER)


class UnitSetting(t.NamedTuple):
    """An assignment in a unit's files."""

    section: str
    key: str
    value: str
    source: str
    """The file and line."""


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit with its drop-ins.  ``names`` are all names that it goes by, the first being that of its file."""

    name: str
    names: tuple[str, ...]
    path: str
    settings: tuple[UnitSetting, ...]

    def all(self, section: str, key: str) -> tuple[UnitSetting, ...]:
        """The assignments that count: an empty one resets the list."""
        found: list[UnitSetting] = []
        for setting in self.settings:
            if (setting.section, setting.key) == (section, key):
                if setting.value:
                    found.append(setting)
                else:
                    found.clear()
        return tuple(found)

    def last(self, section: str, key: str) -> str | None:
        found = [setting.value for setting in self.settings if (setting.section, setting.key) == (section, key)]
        return found[-1] if found else None

    def words(self, section: str, *keys: str) -> tuple[str, ...]:
        return tuple(word for key in keys for setting in self.all(section, key) for word in setting.value.split())

    def is_true(self, key: str, section: str = "Service") -> bool:
        return truth(self.last(section, key) or "") is True

    def is_false(self, key: str, section: str = "Service") -> bool:
        return truth(self.last(section, key) or "") is False


class UnitFiles:
    """All unit files of a tree; ``despite_masks`` as they would be if nothing masked one; ``owner`` is the manager's user and home."""

    def __init__(
        self,
        tree: FileTree,
        masked: t.Iterable[str] = (),
        despite_masks: bool = False,
        folders: t.Sequence[str] = FOLDERS,
        owner: tuple[str, str] = ("root", "/root"),
    ) -> None:
        self._tree = tree
        self._owner = owner
        self._despite_masks = despite_masks
        merged = tree.link("/lib") is not None
        self.folders = tuple(folder for folder in folders if not (merged and folder.startswith("/lib/")))
        self._names = {folder: frozenset(tree.names(folder)) if tree.is_dir(folder) else frozenset() for folder in self.folders}
        self._masked = frozenset(masked)
        self._aliases = self._aliases_with_folders()
        self._loaded: dict[str, Unit | None] = {}

    def names(self) -> frozenset[str]:
        """All names in the folders."""
        return frozenset().union(*self._names.values())

    def wanted_by(self, *names: str) -> tuple[tuple[str, str], ...]:
        """Units that links in NAME.wants, NAME.requires and NAME.upholds start, each with the link's path; the names are one unit's."""
        found: dict[str, str] = {}
        for kind in (".wants", ".requires", ".upholds"):
            for unit, path in self._beside(names, kind):
                # What is not a link, and a link to nothing or to an empty file, starts nothing (process_deps() in load-dropin.c).
                is_link = self._tree.link(path) is not None or self._was_link(path, unit)
                if unit.endswith(KINDS) and is_link and not self.is_mask(path):
                    found.setdefault(in_place_of_template(unit, names[0]), path)
        return tuple(found.items())

    def _was_link(self, path: str, unit: str) -> bool:
        """Whether a copy of the tree, onto a file system without links, wrote a link out: editors end a file with a newline."""
        target = self._tree.head(path, LARGEST) or b""
        return b"\n" not in target and target.rpartition(b"/")[2].decode("utf-8", "surrogateescape") in (unit, _template(unit))

    def _beside(self, names: t.Sequence[str], suffix: str) -> tuple[tuple[str, str], ...]:
        """What is in the folders that belong to a unit, by file name; of the same names the first (unit_file_find_dropin_paths())."""
        places = [(folder, base) for name in dict.fromkeys(names) for folder in self.folders for base in drop_in_names(name)]
        # Those of all units of a type come last.
        places += [(folder, names[0].rpartition(".")[2]) for folder in self.folders]
        chosen: dict[str, str] = {}
        for folder, base in dict.fromkeys(places):
            if f"{base}{suffix}" in self._names[folder]:
                place = f"{folder}/{base}{suffix}"
                for file in self._tree.names(place):
                    if not file.startswith("."):
                        chosen.setdefault(file, f"{place}/{file}")
        return tuple(sorted(chosen.items()))

    def beside(self, name: str) -> tuple[UnitSetting, ...] | None:
        """What drop-ins say of a unit whose own file is not in the tree; None if it is masked."""
        if name in self._masked or any(map(self.is_mask, self.paths(name))):
            return None
        found = ((path, self._tree.head(path, LARGEST) or b"") for path in self._drop_ins((name,)))
        return tuple(one for path, text in found for one in self._parsed(text, path, name))

    def _parsed(self, content: bytes, path: str, name: str) -> t.Iterator[UnitSetting]:
        return parsed(content.decode("utf-8", "surrogateescape"), self._tree.shown(path), name, self._owner)

    def load(self, name: str) -> Unit | None:
        """A unit; None if there is no such unit, or if it is masked."""
        if name not in self._loaded:
            self._loaded[name] = None if name in self._masked else self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Unit | None:
        names = [name]
        base = name
        for _link in range(4):
            path = self._path(base)
            if path is None:
                return None
            target = self._tree.link(path)
            if is_mask(self._tree, path) or (target is not None and is_mask(self._tree, posixpath.join(posixpath.dirname(path), target))):
                return None
            alias = posixpath.basename(target) if target is not None else base
            if alias in (base, _template(base)) or not alias.endswith(KINDS) or not self._is_inside(path, target or ""):
                break
            if posixpath.splitext(alias)[1] != posixpath.splitext(base)[1] or ("@" in alias) != ("@" in base):
                return None
            # An instance of an alias of a template is an instance of that template.
            base = alias if "@." not in alias else alias.replace("@.", f"@{instance_of(name)}.")
            names.append(base)
        else:
            return None
        content = self._tree.head(path, LARGEST)
        if not content:
            return None
        names += [alias for known in tuple(names) for alias in self._aliases.get(known, ()) if alias not in names]
        settings = [*self._parsed(content, path, base)]
        if base in self._masked:
            return None
        for drop_in in self._drop_ins((base, *names)):
            settings += self._parsed(self._tree.head(drop_in, LARGEST) or b"", drop_in, base)
        return Unit(base, tuple(names), path, tuple(settings))

    def _is_inside(self, path: str, target: str) -> bool:
        """Whether a link leads to a unit's folder; elsewhere it is that unit's own file, by whatever name (unit_file_resolve_symlink())."""
        folder = posixpath.dirname(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))
        return any(f"{folder}/".startswith(f"{place}/") for place in (*self.folders, *FOLDERS))

    def _aliases_with_folders(self) -> dict[str, list[str]]:
        """By unit, its other names that have drop-ins or links of their own, which count however the unit is started."""
        found: dict[str, list[str]] = {}
        for base in dict.fromkeys(name.rpartition(".")[0] for name in sorted(self.names()) if name.endswith(_FOLDERS_OF_UNIT)):
            target = self.linked_name(base) if base.endswith(KINDS) else None
            if target is not None and target != base and target.endswith(KINDS):
                found.setdefault(target, []).append(base)
        return found

    def linked_name(self, name: str) -> str | None:
        """The unit that a unit's file is a link to, whether that exists or not; None if it is not a link."""
        path = self._path(name)
        target = None if path is None else self._tree.link(path)
        return None if target is None else posixpath.basename(target)

    def paths(self, name: str) -> tuple[str, ...]:
        """The unit's files by priority, of which the first counts; those of its template come last."""
        template = _template(name)
        names = (name,) if template is None else (name, template)
        found = (f"{folder}/{candidate}" for candidate in names for folder in self.folders if candidate in self._names[folder])
        return tuple(path for path in found if not self._despite_masks or not self.is_mask(path))

    def is_mask(self, path: str) -> bool:
        """Whether what is there masks a unit: a link to /dev/null, or an empty file."""
        return is_mask(self._tree, path)

    def _path(self, name: str) -> str | None:
        return next(iter(self.paths(name)), None)

    def _drop_ins(self, names: t.Sequence[str]) -> t.Iterator[str]:
        found = [path for file, path in self._beside(names, ".d") if file.endswith(".conf")]
        yield from (path for path in found[:MOST_DROP_INS] if not self.is_mask(path))


def is_mask(tree: FileTree, path: str) -> bool:
    """Whether a unit's file masks it: a link to /dev/null, in whatever words and over however many links, or an empty file."""
    return leads_to_nothing(tree, path) or (tree.is_file(path) and tree.head(path, 1) == b"")


def masked_want(tree: FileTree, target: str, name: str) -> str | None:
    """A link to /dev/null that takes a unit out of what a target pulls in; None if there is none."""
    places = (f"{folder}/{target}{kind}/{name}" for kind in (".wants", ".requires") for folder in FOLDERS)
    path = next((place for place in places if tree.link(place) is not None or tree.exists(place)), None)
    return path if path is not None and leads_to_nothing(tree, path) else None


def mask_of(tree: FileTree, unit: str, folders: t.Sequence[str]) -> str | None:
    """What masks a unit in these folders, of which the first that has the unit counts; None if nothing does."""
    path = next(
        (f"{folder}/{unit}" for folder in folders if tree.link(f"{folder}/{unit}") is not None or tree.exists(f"{folder}/{unit}")), None
    )
    return path if path is not None and is_mask(tree, path) else None


def parsed(text: str, shown: str, name: str, owner: tuple[str, str] = ("root", "/root")) -> t.Iterator[UnitSetting]:
    """The assignments of a unit file, with its specifiers replaced as far as they are known."""
    section = ""
    lines = _CONTINUED.sub(lambda match: " \0" + "\0" * (match[0].count("\n") - 1), text)
    number = 0
    for raw in lines.split("\n"):
        number += 1
        here = number
        number += raw.count("\0")
        line = raw.replace("\0", "").strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and line[0] not in "#;" and "=" in line:
            key, _equals, value = line.partition("=")
            yield UnitSetting(section, key.strip(), specified(value.strip(), name, owner), f"{shown}:{here}")


def manager_settings(tree: FileTree) -> t.Iterator[UnitSetting]:
    """What is set for the manager of the system (systemd-system.conf(5)).

    It takes the first of the main files, then drop-ins by name, of the same names the one in the first folder.
    """
    dropped = first_of_name(tree, tuple(f"{place}/system.conf.d" for place in MANAGER_PLACES), ".conf")
    main = [path for path in (f"{place}/system.conf" for place in MANAGER_PLACES) if tree.is_file(path)][:1]
    for path in (*main, *(dropped[name] for name in sorted(dropped) if tree.is_file(dropped[name]))):
        text = head_text(tree, path, LARGEST)
        yield from (one for one in parsed(text, tree.shown(path), "") if one.section == "Manager")


def specified(value: str, name: str, owner: tuple[str, str] = ("root", "/root")) -> str:
    """A value with the specifiers that a unit's name and the manager's user decide."""
    if "%" not in value:
        return value
    stem = name.rpartition(".")[0]
    instance = instance_of(name)
    known = {
        "%": "%",
        "n": name,
        "N": stem,
        "p": stem.partition("@")[0],
        "i": instance,
        "I": unescaped(instance),
        "j": stem.rpartition("-")[2],
    }
    known |= {
        "f": "/" + unescaped(instance or stem).lstrip("/"),
        "t": "/run",
        "S": "/var/lib",
        "E": "/etc",
        "h": owner[1],
        "u": owner[0],
        **({"U": "0"} if owner[0] == "root" else {"t": "%t", "S": f"{owner[1]}/.local/state", "E": f"{owner[1]}/.config"}),
    }
    return _SPECIFIER.sub(lambda match: known.get(match[1], match[0]), value)


def unescaped(text: str) -> str:
    """As systemd-escape --unescape."""
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text.replace("-", "/"))


def instance_of(name: str) -> str:
    return name.rpartition(".")[0].partition("@")[2]


def _template(name: str) -> str | None:
    """`foo@.service` for `foo@bar.service`."""
    stem, _dot, kind = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    return f"{prefix}@.{kind}" if at and instance else None


def in_place_of_template(wanted: str, by: str) -> str:
    """A template that a unit asks for is an instance for that unit's own, or by the unit's own name (resolve_template() in unit.c)."""
    stem, _dot, kind = wanted.rpartition(".")
    if not stem.endswith("@"):
        return wanted
    return f"{stem}{instance_of(by) or by.rpartition('.')[0].partition('@')[0]}.{kind}"


@functools.lru_cache(maxsize=MOST_NAMES)
def drop_in_names(name: str) -> tuple[str, ...]:
    """The names with a suffix such as `.d` of whose folders a unit has drop-ins or links (unit_file_find_dirs() in dropin.c)."""
    found = [name]
    template = _template(name)
    if template is not None:
        found += drop_in_names(template)
    stem, _dot, kind = name.rpartition(".")
    prefix, _at, instance = stem.partition("@")
    shorter = prefix[:-1] if prefix.endswith("-") else prefix
    dash = shorter.rfind("-")
    if dash > 0:
        found += drop_in_names(f"{shorter[: dash + 1]}{'@' if instance else ''}{instance}.{kind}")
    return tuple(dict.fromkeys(found))
