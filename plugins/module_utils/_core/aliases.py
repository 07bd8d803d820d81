# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules say that they drive a PCI function: the `pci:` and `vfio_pci:` aliases of one kernel."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

# modules.alias is read as bytes in one pass: with tens of thousands of lines, decoding each would cost more than the rest.
ALIAS_LINE = re.compile(rb"^alias ((?:vfio_)?pci:\S+)[ \t]+(\S+)[ \t]*$", re.MULTILINE)
# The kernel's build joins "<module>.alias=<pattern>" with NUL; PCI aliases are among them from Linux 6.18 on.
BUILTIN_ALIAS = re.compile(rb"(?:\A|\0)([^\0.=]+)\.alias=((?:vfio_)?pci:[^\0]+)")
# modpost ends every PCI alias with a wildcard (add_wildcard() in scripts/mod/file2alias.c), hence "i30*".
FIELDS = re.compile(
    r"(vfio_pci|pci):v([0-9A-F]{8}|\*)d([0-9A-F]{8}|\*)sv([0-9A-F]{8}|\*)sd([0-9A-F]{8}|\*)"
    r"bc([0-9A-F]{2}|\*)sc([0-9A-F]{2}|\*)i(?:([0-9A-F]{2})\*?|\*)"
)
Fields = tuple[str, ...]


def comparable(name: str) -> str:
    """A module's name as kmod compares it: `-` is `_`."""
    return name.replace("-", "_")


@dataclasses.dataclass(frozen=True)
class AliasMatch:
    """A module whose alias matches a device.  ``wildcards`` counts the fields left open, of seven."""

    module: str
    alias: str
    wildcards: int
    order: int
    """The place in depmod's order; built-in modules, which register first, have negative ones."""


@dataclasses.dataclass(frozen=True)
class AliasIndex:
    """Aliases by bus, vendor and device; ``*`` where an alias leaves them open."""

    buckets: t.Mapping[tuple[str, str, str], t.Sequence[tuple[Fields | None, AliasMatch]]]

    @classmethod
    def parse(cls, modules_alias: bytes, builtin_modinfo: bytes = b"") -> AliasIndex:
        built_in = [(name, alias) for name, alias in BUILTIN_ALIAS.findall(builtin_modinfo)]
        loadable = [(name, alias) for alias, name in ALIAS_LINE.findall(modules_alias)]
        pairs = ((comparable(name.decode("ascii", "replace")), alias.decode("ascii", "replace")) for name, alias in built_in + loadable)
        return cls(_buckets(pairs, -len(built_in)))

    def replaced(self, modules: t.Mapping[str, t.Sequence[str]]) -> AliasIndex:
        """The index with these modules' aliases in place of what it knew of them, after all others, as depmod puts DKMS modules."""
        kept = sorted((match for entries in self.buckets.values() for _fields, match in entries), key=lambda match: match.order)
        pairs = [(match.module, match.alias) for match in kept if match.module not in modules]
        first = -sum(1 for match in kept if match.order < 0 and match.module not in modules)
        return AliasIndex(_buckets(pairs + [(module, alias) for module, aliases in modules.items() for alias in aliases], first))

    def is_variant(self, module: str) -> bool:
        """Whether a module has `vfio_pci:` aliases and no `pci:` one, so that it takes no device unless told to."""
        return module in self.modules("vfio_pci") and module not in self.modules("pci")

    def modules(self, bus: str) -> frozenset[str]:
        """The modules that have aliases of ``bus``."""
        return frozenset(
            match.module for (of, _vendor, _device), entries in self.buckets.items() if of == bus for _fields, match in entries
        )

    def matches(self, bus: str, modalias: str) -> tuple[AliasMatch, ...]:
        """Aliases of ``bus`` (`pci` or `vfio_pci`) that match the device's modalias, in depmod's order."""
        wanted = f"{bus}:{modalias.split(':', 1)[-1]}"
        parsed = _fields(wanted)
        vendor, device = (parsed[0], parsed[1]) if parsed else ("*", "*")
        found = [
            match
            for key in {(bus, v, d) for v in (vendor, "*") for d in (device, "*")}
            for fields, match in self.buckets.get(key, ())
            if _agrees(fields, match.alias, parsed, wanted)
        ]
        return tuple(sorted(found, key=lambda match: match.order))


def _fields(alias: str) -> Fields | None:
    """The seven fields v, d, sv, sd, bc, sc, i; None for a pattern that nothing but a human writes."""
    match = FIELDS.fullmatch(alias)
    return None if match is None else tuple(field or "*" for field in match.groups()[1:])


def _agrees(fields: Fields | None, alias: str, parsed: Fields | None, wanted: str) -> bool:
    if fields is None or parsed is None:
        return fnmatch.fnmatchcase(wanted, alias)
    return all(field in ("*", value) for field, value in zip(fields, parsed))


def _buckets(pairs: t.Iterable[tuple[str, str]], first: int) -> dict[tuple[str, str, str], list[tuple[Fields | None, AliasMatch]]]:
    buckets: dict[tuple[str, str, str], list[tuple[Fields | None, AliasMatch]]] = {}
    for order, (module, alias) in enumerate(pairs, first):
        fields = _fields(alias)
        key = (alias.split(":", 1)[0], "*", "*") if fields is None else (alias.split(":", 1)[0], fields[0], fields[1])
        # A hand-written pattern counts as open wherever it has a wildcard.
        wildcards = alias.count("*") if fields is None else fields.count("*")
        buckets.setdefault(key, []).append((fields, AliasMatch(module, alias, wildcards, order)))
    return buckets
