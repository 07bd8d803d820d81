# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `pci:` and `vfio_pci:` aliases of one kernel: which modules match a PCI function; and other names of these modules.

A kernel has ten thousand of them, and a host needs a few.  So the lines are only sorted at first, which groups them by vendor and
device; a group is parsed when it is first needed; and within a group an alias is looked up by the fields that it fixes, in
constant time.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import operator
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches

BUSES = ("pci", "vfio_pci")
# modules.builtin.modinfo: "<module>.alias=<pattern>", separated by NUL; with PCI aliases since Linux 6.18.
_BUILTIN_ALIAS = re.compile(r"(?:\A|\0)([^\0.=]+)\.alias=(pci|vfio_pci):([^\s\0]*)(?=\0|\Z)")
# modpost ends every PCI alias with a wildcard (add_wildcard() in scripts/mod/file2alias.c), hence "i30*".
FIELDS = re.compile(
    r"v([0-9A-F]{8}|\*)d([0-9A-F]{8}|\*)sv([0-9A-F]{8}|\*)sd([0-9A-F]{8}|\*)"
    r"bc([0-9A-F]{2}|\*)sc([0-9A-F]{2}|\*)i(?:([0-9A-F]{2})\*?|\*)"
)
KEY = len("v000010DEd00001DB1")
# `alias mpt2sas mpt3sas`: a name without a bus, as renamed modules keep their old one.
_OTHER_NAME = re.compile(r"^alias ([^:\s]+) (\S+)$", re.MULTILINE)
_BUILTIN_OTHER_NAME = re.compile(r"(?:\A|\0)([^\0.=]+)\.alias=([^\0:]+)(?=\0|\Z)")
Values = tuple[str, ...]
Take = t.Callable[[Values], object]
Shape = tuple[int, ...]
"""The indices of the fields that an alias fixes, of the seven v, d, sv, sd, bc, sc and i."""


def normalize_module_name(name: str) -> str:
    """A module's name as kmod compares it: with `_` for `-` (underscores() in libkmod)."""
    return name.replace("-", "_")


@dataclasses.dataclass(frozen=True)
class AliasMatch:
    """A module whose alias matches a device.  ``wildcards`` is the number of fields, of seven, that are not fixed."""

    module: str
    alias: str
    wildcards: int
    order: int
    """The position in depmod's order; negative for built-in modules, which register first."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Aliases that may match the same devices.

    ``by_values`` has, for each shape, a function that selects the shape's fields, and the aliases by these fields' values.
    ``by_hand`` are patterns of a form that modpost does not write: each is compared with fnmatch.
    """

    by_values: t.Sequence[tuple[Take, t.Mapping[object, t.Sequence[AliasMatch]]]]
    by_hand: t.Sequence[AliasMatch]

    @classmethod
    def sort(cls, matches: t.Iterable[tuple[AliasMatch, Values | None]]) -> Group:
        by_values: dict[Shape, tuple[Take, dict[object, list[AliasMatch]]]] = {}
        by_hand: list[AliasMatch] = []
        for match, fields in matches:
            if fields is None:
                by_hand.append(match)
                continue
            shape = tuple([place for place, field in enumerate(fields) if field != "*"])
            if shape not in by_values:
                by_values[shape] = (operator.itemgetter(*shape) if shape else len, {})
            take, found = by_values[shape]
            found.setdefault(take(fields), []).append(match)
        return cls(tuple(by_values.values()), by_hand)

    def find(self, wanted: str, device: Values | None) -> t.Iterator[AliasMatch]:
        if device is not None:
            for take, found in self.by_values:
                yield from found.get(take(device), ())
        yield from (match for match in self.by_hand if matches(wanted, match.alias))


NOTHING = Group((), ())


@dataclasses.dataclass(frozen=True)
class BusAliases:
    """The aliases of one bus, each as `PATTERN MODULE ORDER` without the bus; see `AliasMatch.order`.

    ``named`` are those that fix vendor and device, sorted; ``open`` are all others.  ``modules`` are the modules of both;
    ``built_ins`` is the number of lines of built-in modules.
    """

    bus: str
    named: t.Sequence[str] = ()
    open: t.Sequence[str] = ()
    modules: frozenset[str] = frozenset()
    built_ins: int = 0

    @classmethod
    def sort(cls, bus: str, built_in: t.Sequence[str], loadable: t.Sequence[str]) -> BusAliases:
        """From lines `PATTERN MODULE` in depmod's order."""
        lines = (*built_in, *loadable)
        modules = frozenset(map(normalize_module_name, {line.rpartition(" ")[2] for line in lines}))
        named: list[str] = []
        others: list[str] = []
        first = -len(built_in)
        for order, line in enumerate(lines, first):
            # A wildcard is not alphanumeric.
            (named if line[:KEY].isalnum() else others).append(f"{line} {order}")
        return cls(bus, sorted(named), others, modules, len(built_in))

    @functools.cached_property
    def built_in(self) -> tuple[str, ...]:
        """The lines `PATTERN MODULE` of built-in modules."""
        return tuple(line for order, line in self._in_order if order < 0)

    @functools.cached_property
    def loadable(self) -> tuple[str, ...]:
        """The lines `PATTERN MODULE` of loadable modules, in depmod's order."""
        return tuple(line for order, line in self._in_order if order >= 0)

    @functools.cached_property
    def _in_order(self) -> t.Sequence[tuple[int, str]]:
        return sorted((int(order), line) for line, _blank, order in (entry.rpartition(" ") for entry in (*self.named, *self.open)))

    def replaced(self, modules: t.Container[str], lines: t.Iterable[str]) -> BusAliases:
        built_in, loadable = (
            tuple(line for line in known if normalize_module_name(line.rpartition(" ")[2]) not in modules)
            for known in (self.built_in, self.loadable)
        )
        return BusAliases.sort(self.bus, built_in, (*loadable, *lines))

    def only(self, modules: t.Container[str]) -> BusAliases:
        """Without the lines of other loadable modules; what is left keeps its order."""
        named, others = ([entry for entry in known if _is_of(entry, modules)] for known in (self.named, self.open))
        return BusAliases(self.bus, named, others, frozenset(map(_owner, (*named, *others))), self.built_ins)

    def matches(self, modalias: str) -> tuple[AliasMatch, ...]:
        known = self._matches
        if modalias not in known:
            known[modalias] = self._find(modalias)
        return known[modalias]

    @functools.cached_property
    def _matches(self) -> dict[str, tuple[AliasMatch, ...]]:
        """Results by modalias: kernels that differ only in their modules' files share an index."""
        return {}

    def _find(self, modalias: str) -> tuple[AliasMatch, ...]:
        wanted = modalias.partition(":")[2]
        device = _fields(wanted)
        text = f"{self.bus}:{wanted}"
        found = [*self._group(wanted[:KEY]).find(text, device), *self._open_group.find(text, device)]
        return tuple(sorted(found, key=operator.attrgetter("order"))) if len(found) > 1 else tuple(found)

    @functools.cached_property
    def _groups(self) -> dict[str, Group]:
        return {}

    @functools.cached_property
    def _open_group(self) -> Group:
        return Group.sort(map(self._match, self.open))

    def _group(self, key: str) -> Group:
        """The aliases of one vendor and device."""
        if key not in self._groups:
            first = last = bisect.bisect_left(self.named, key)
            while len(key) == KEY and last < len(self.named) and self.named[last].startswith(key):
                last += 1
            self._groups[key] = Group.sort(map(self._match, self.named[first:last])) if first < last else NOTHING
        return self._groups[key]

    def _match(self, entry: str) -> tuple[AliasMatch, Values | None]:
        line, _blank, order = entry.rpartition(" ")
        pattern, _blank, module = line.partition(" ")
        alias, fields = f"{self.bus}:{pattern}", _fields(pattern)
        # In a hand-written pattern each wildcard counts as one open field.
        wildcards = alias.count("*") if fields is None else fields.count("*")
        return AliasMatch(normalize_module_name(module), alias, wildcards, int(order)), fields


@dataclasses.dataclass(frozen=True)
class AliasIndex:
    """A kernel's aliases, by bus; and each `PATTERN MODULE` that names a module of these buses otherwise, in depmod's order."""

    buses: t.Mapping[str, BusAliases]
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, modules_alias: str, builtin_modinfo: str = "") -> AliasIndex:
        built_in = [(bus, f"{pattern} {module}") for module, bus, pattern in _BUILTIN_ALIAS.findall(builtin_modinfo)]
        text = f"\n{modules_alias}"
        buses = {bus: BusAliases.sort(bus, [line for its, line in built_in if its == bus], _lines_of(text, bus)) for bus in BUSES}
        drivers = frozenset[str]().union(*(known.modules for known in buses.values()))
        return cls(
            buses,
            tuple(f"{name} {module}" for name, module in other_names(modules_alias) if normalize_module_name(module) in drivers),
        )

    def replaced(self, modules: t.Mapping[str, t.Sequence[str]]) -> AliasIndex:
        """The index with these aliases of the given modules only, after all others, where depmod puts those of DKMS modules."""
        text = "".join(f"\nalias {alias} {module}" for module, aliases in modules.items() for alias in aliases)
        buses = {bus: known.replaced(modules, _lines_of(text, bus)) for bus, known in self.buses.items()}
        return AliasIndex(buses, tuple(line for line in self.names if _module_of(line) not in modules))

    def only(self, modules: t.AbstractSet[str]) -> AliasIndex:
        """The index that depmod makes where these are all loadable modules."""
        held = frozenset(modules)
        if held not in self._parts:
            names = tuple(line for line in self.names if _module_of(line) in held)
            self._parts[held] = AliasIndex({bus: known.only(held) for bus, known in self.buses.items()}, names)
        return self._parts[held]

    @functools.cached_property
    def _parts(self) -> dict[frozenset[str], AliasIndex]:
        """By the modules that each has: one image is looked at with many changes of other files."""
        return {}

    def is_variant(self, module: str) -> bool:
        """Whether a module has `vfio_pci:` aliases and no `pci:` ones, so that by itself it binds to no device."""
        return module in self.modules("vfio_pci") and module not in self.modules("pci")

    def modules(self, bus: str) -> frozenset[str]:
        """The modules that have aliases of ``bus``."""
        return self.buses[bus].modules

    def matches(self, bus: str, modalias: str) -> tuple[AliasMatch, ...]:
        """Aliases of ``bus`` (`pci` or `vfio_pci`) that match the device's modalias, in depmod's order."""
        return self.buses[bus].matches(modalias)

    def named(self, name: str) -> tuple[tuple[str, str], ...]:
        """The aliases that a name without a bus matches, each with its module, in depmod's order."""
        pairs = ((line.rpartition(" ")[0], _module_of(line)) for line in self.names)
        return tuple((alias, module) for alias, module in pairs if matches(name, normalize_module_name(alias)))


def other_names(modules_alias: str, builtin_modinfo: str = "") -> t.Iterator[tuple[str, str]]:
    """Each alias without a bus (a name with one is never meant for a module): its pattern and module, built-in ones at the end."""
    yield from _OTHER_NAME.findall(modules_alias)
    yield from ((pattern, module) for module, pattern in _BUILTIN_OTHER_NAME.findall(builtin_modinfo))


def _module_of(line: str) -> str:
    return normalize_module_name(line.rpartition(" ")[2])


def _owner(entry: str) -> str:
    return normalize_module_name(entry.rsplit(" ", 2)[1])


def _is_of(entry: str, modules: t.Container[str]) -> bool:
    return entry.rpartition(" ")[2].startswith("-") or _owner(entry) in modules


def _lines_of(text: str, bus: str) -> tuple[str, ...]:
    """Each `PATTERN MODULE` of a bus, as depmod writes it.  (Splitting at the prefix is faster than examining each line.)"""
    return tuple([line for piece in text.split(f"\nalias {bus}:")[1:] if " " in (line := piece.partition("\n")[0])])


@functools.lru_cache(maxsize=8192)
def _fields(pattern: str) -> Values | None:
    """The seven fields v, d, sv, sd, bc, sc, i; None for a pattern that modpost would not write."""
    match = FIELDS.fullmatch(pattern)
    return None if match is None else match.groups("*")
