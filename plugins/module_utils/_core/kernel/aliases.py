# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules say that they drive a PCI function: the `pci:` and `vfio_pci:` aliases of one kernel."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

# One pass of one expression finds what the index needs; whether an alias matches is only worked out for those asked for.
ALIAS = r"(vfio_pci|pci):(?:v([0-9A-F]{8}|\*)d([0-9A-F]{8}|\*)sv)?[^\s\0]*"
ALIAS_LINE = re.compile(rf"^alias ({ALIAS})[ \t]+(\S+)[ \t]*$", re.MULTILINE)
# The kernel's build joins "<module>.alias=<pattern>" with NUL; PCI aliases are among them from Linux 6.18 on.
BUILTIN_ALIAS = re.compile(rf"(?:\A|\0)([^\0.=]+)\.alias=({ALIAS})(?=\0|\Z)")
# modpost ends every PCI alias with a wildcard (add_wildcard() in scripts/mod/file2alias.c), hence "i30*".
FIELDS = re.compile(
    r"(?:vfio_pci|pci):v([0-9A-F]{8}|\*)d([0-9A-F]{8}|\*)sv([0-9A-F]{8}|\*)sd([0-9A-F]{8}|\*)"
    r"bc([0-9A-F]{2}|\*)sc([0-9A-F]{2}|\*)i(?:([0-9A-F]{2})\*?|\*)"
)
Fields = tuple[str, ...]
Entry = tuple[int, str, str]
"""Order, alias, module."""
Key = tuple[str, str, str]


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

    buckets: t.Mapping[Key, t.Sequence[Entry]]

    @classmethod
    def parse(cls, modules_alias: str, builtin_modinfo: str = "") -> AliasIndex:
        built_in = [(bus, vendor, device, alias, module) for module, alias, bus, vendor, device in BUILTIN_ALIAS.findall(builtin_modinfo)]
        loadable = [(bus, vendor, device, alias, module) for alias, bus, vendor, device, module in ALIAS_LINE.findall(modules_alias)]
        return cls(_buckets(built_in + loadable, -len(built_in)))

    def replaced(self, modules: t.Mapping[str, t.Sequence[str]]) -> AliasIndex:
        """The index with these modules' aliases in place of what it knew of them, after all others, as depmod puts DKMS modules."""
        kept: dict[Key, list[Entry]] = {}
        last = 0
        for key, entries in self.buckets.items():
            kept[key] = [entry for entry in entries if entry[2] not in modules]
            last = max([last, *(entry[0] + 1 for entry in kept[key])])
        lines = "".join(f"alias {alias} {module}\n" for module, aliases in modules.items() for alias in aliases)
        found = [(bus, vendor, device, alias, module) for alias, bus, vendor, device, module in ALIAS_LINE.findall(lines)]
        for key, entries in _buckets(found, last).items():
            kept.setdefault(key, []).extend(entries)
        return AliasIndex(kept)

    def is_variant(self, module: str) -> bool:
        """Whether a module has `vfio_pci:` aliases and no `pci:` one, so that it takes no device unless told to."""
        return module in self.modules("vfio_pci") and module not in self.modules("pci")

    def modules(self, bus: str) -> frozenset[str]:
        """The modules that have aliases of ``bus``."""
        return frozenset(module for key, entries in self.buckets.items() if key[0] == bus for _order, _alias, module in entries)

    def matches(self, bus: str, modalias: str) -> tuple[AliasMatch, ...]:
        """Aliases of ``bus`` (`pci` or `vfio_pci`) that match the device's modalias, in depmod's order."""
        wanted = f"{bus}:{modalias.split(':', 1)[-1]}"
        device = _fields(wanted)
        vendors, devices = ({device[0], "*"}, {device[1], "*"}) if device else ({"*"}, {"*"})
        entries = [entry for v in vendors for d in devices for entry in self.buckets.get((bus, v, d), ())]
        found = [_match(entry, device, wanted) for entry in sorted(entries)]
        return tuple(match for match in found if match is not None)


def _fields(alias: str) -> Fields | None:
    """The seven fields v, d, sv, sd, bc, sc, i; None for a pattern that nothing but a human writes."""
    match = FIELDS.fullmatch(alias)
    return None if match is None else tuple(field or "*" for field in match.groups())


def _match(entry: Entry, device: Fields | None, wanted: str) -> AliasMatch | None:
    order, alias, module = entry
    fields = _fields(alias)
    if fields is None or device is None:
        # A hand-written pattern counts as open wherever it has a wildcard.
        return AliasMatch(module, alias, alias.count("*"), order) if fnmatch.fnmatchcase(wanted, alias) else None
    if any(field not in ("*", value) for field, value in zip(fields, device)):
        return None
    return AliasMatch(module, alias, fields.count("*"), order)


def _buckets(found: t.Iterable[tuple[str, str, str, str, str]], first: int) -> dict[Key, list[Entry]]:
    """The index of bus, vendor, device, alias and module; ``first`` is the first one's order."""
    buckets: dict[Key, list[Entry]] = {}
    for order, (bus, vendor, device, alias, module) in enumerate(found, first):
        buckets.setdefault((bus, vendor or "*", device or "*"), []).append((order, alias, module.replace("-", "_")))
    return buckets
