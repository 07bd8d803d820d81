# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces in files of netplan, as far as they are written as people and installers write them: nested keys, one to a line."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import truth

_KEY = re.compile(r"( *)((?:- +)*)(?:\"([^\"]*)\" *|'([^']*)' *|((?!- )[^\s:#\"'\[\]{}][^:#]*)):(?: +(.*))?$")
_ITEM = re.compile(r"( *)- +([^:]*)$")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_PIECE = re.compile(r"[{}\[\],]|(?:\"[^\"]*\"|'[^']*'|[^{}\[\],\"'])+")
KINDS = ("ethernets", "wifis", "modems", "bridges", "bonds", "vlans", "vrfs")
EVERYTHING = ("default", "0.0.0.0/0", "::/0")
MOST_LINES = 20_000
MOST_DEPTH = 16


class _Value(t.NamedTuple):
    keys: tuple[str, ...]
    """From the outermost."""
    value: str
    source: str
    """The file and line."""


class _Interface:
    """What all files say of an interface: the last one counts, lists are put together."""

    def __init__(self, kind: str, owner: str, renderer: str) -> None:
        self.kind, self.owner, self._of_kind = kind, owner, renderer
        self.values: list[_Value] = []

    def under(self, *keys: str) -> tuple[str, ...]:
        return tuple(one.value for one in self.values if one.keys[: len(keys)] == keys and one.value)

    def _last(self, *keys: str) -> str:
        return (self.under(*keys) or ("",))[-1]

    def _is_true(self, *keys: str) -> bool:
        return truth(self._last(*keys)) is True

    @property
    def is_of_manager(self) -> bool:
        return (self._last("renderer") or self._of_kind) == "NetworkManager"

    @property
    def names(self) -> tuple[str, ...]:
        if not any(one.keys[:1] == ("match",) for one in self.values):
            return (self.owner,)
        is_any = not (self.under("match", "name") or self.under("match", "macaddress"))
        return self.under("match", "name")[-1:] or self._renamed or (("*",) if is_any else ())

    @property
    def _renamed(self) -> tuple[str, ...]:
        return self.under("set-name")[-1:] if not self.under("match", "macaddress") else ()

    def fields(self) -> dict[str, t.Any]:
        """Those of a setting."""
        dynamic = any(map(self._is_true, ("dhcp4", "dhcp6", "accept-ra")))
        refuses = any(truth(self._last(f"{kind}-overrides", "use-routes")) is False for kind in ("dhcp4", "dhcp6"))
        routes = any(one.keys[:1] == ("routes",) and one.keys[-1] == "to" and one.value in EVERYTHING for one in self.values)
        return {
            "source": self.values[0].source,
            "names": self.names,
            "addresses": tuple(value.lower() for value in self.under("match", "macaddress")[-1:]),
            "lower": (*self.under("interfaces"), *self.under("link")),
            "is_vague": bool(self.under("match", "driver")),
            "is_optional": self._is_true("optional"),
            "comes_up": self._last("activation-mode") not in ("manual", "off"),
            "has_route": (dynamic and not refuses) or routes or bool(self.under("gateway4") or self.under("gateway6")),
            "has_address": dynamic or bool(self.under("addresses")),
            "rank": None if self.is_of_manager else f"10-netplan-{self.owner}.network",
        }


def interfaces(files: t.Iterable[tuple[str, str]]) -> t.Iterator[tuple[bool, dict[str, t.Any]]]:
    """Of files by their paths, in their order: whether NetworkManager cares for an interface, and the fields of its setting."""
    values = [one for path, text in files for one in _values(text, path) if one.keys[:1] == ("network",)]
    renderers = {one.keys[1:-1]: one.value for one in values if one.keys[-1] == "renderer" and len(one.keys) < 4}
    found: dict[tuple[str, str], _Interface] = {}
    for one in values:
        if len(one.keys) > 2 and one.keys[1] in KINDS and one.keys[2] != "renderer":
            kind, owner = one.keys[1:3]
            made = found.setdefault((kind, owner), _Interface(kind, owner, renderers.get((kind,)) or renderers.get((), "")))
            made.values.append(_Value(one.keys[3:], one.value, one.source))
    settings = [(one, one.fields()) for one in found.values()]
    users: dict[str, list[str]] = {}
    for interface, setting in settings:
        for lower in setting["lower"]:
            users.setdefault(lower, []).append(interface.owner)
    for interface, setting in settings:
        # Others name it by its key, which is none of its names where it is matched by something else.
        upper = () if interface.owner in setting["names"] else tuple(users.get(interface.owner, ()))
        yield interface.is_of_manager, {**setting, "upper": upper}


class Functions(t.NamedTuple):
    """A setting that makes netplan create virtual functions, or bind them again; ``owner`` is the physical one's key in the file."""

    owner: str
    key: str
    value: str
    source: str


def virtual_functions(text: str, path: str) -> t.Iterator[Functions]:
    """A number, or of those that are described each (get_vf_count_and_functions() in netplan_cli/cli/sriov.py)."""
    for keys, value, source in _values(text, path):
        if keys[:2] != ("network", "ethernets") or len(keys) != 4:
            continue
        if (keys[3] == "virtual-function-count" and value.strip("0")) or (keys[3] == "delay-virtual-functions-rebind" and truth(value)):
            yield Functions(keys[2], keys[3], value, source)
        elif keys[3] == "link" and value:
            yield Functions(value, keys[3], value, source)


def _values(text: str, path: str) -> t.Iterator[_Value]:
    above: list[tuple[int, str]] = []
    for number, raw in enumerate(text.split("\n")[:MOST_LINES], 1):
        line, source = _COMMENT.sub("", raw).rstrip(), f"{path}:{number}"
        item, found = _ITEM.match(line), _KEY.match(line)
        if item is not None and found is None:
            while above and above[-1][0] > len(item[1]):
                above.pop()
            yield from _flow(tuple(key for _depth, key in above), item[2], source)
        elif found is not None:
            depth = len(found[1]) + len(found[2])
            while above and above[-1][0] >= depth:
                above.pop()
            above.append((depth, found[3] or found[4] or (found[5] or "").rstrip()))
            yield from _flow(tuple(key for _depth, key in above), found[6] or "", source)


def _flow(keys: tuple[str, ...], text: str, source: str) -> t.Iterator[_Value]:
    """A value, or those of a list or a mapping that is written in one line."""
    if text.strip()[:1] not in ("[", "{"):
        yield _Value(keys, _plain(text), source)
        return
    # Of each bracket that is open the keys of its mapping, or of the list in it.
    within: list[tuple[str, ...]] = []
    last = keys
    for piece in _PIECE.findall(text):
        if piece in "[{":
            within.append(last)
            if len(within) > MOST_DEPTH:
                return
            yield _Value(last, "", source)
        elif piece in "]}":
            within = within[:-1]
        elif within and piece.strip() and piece != ",":
            key, colon, value = piece.partition(":")
            is_pair = bool(colon) and (value[:1] in (" ", "") or piece.startswith(("'", '"')))
            last = (*within[-1], _plain(key)) if is_pair else within[-1]
            if _plain(value if is_pair else piece):
                yield _Value(last, _plain(value if is_pair else piece), source)


def _plain(text: str) -> str:
    return text.strip().strip("\"'").strip()
