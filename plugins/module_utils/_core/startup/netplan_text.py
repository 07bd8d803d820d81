# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces in a file of netplan, as far as it is written as people and installers write it: nested keys, one to a line."""

from __future__ import annotations

import re
import typing as t

_KEY = re.compile(r"( *)((?:- +)*)(?:\"([^\"]*)\"|'([^']*)'|([^\s:#\"'\[\]{}][^:#]*?))[ ]*:(?:[ ]+(.*))?$")
_ITEM = re.compile(r"( *)- +([^:]*)$")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
KINDS = ("ethernets", "wifis", "modems", "bridges", "bonds", "vlans", "vrfs")
YES = ("true", "yes", "on")
MOST_LINES = 20_000


class _Value(t.NamedTuple):
    keys: tuple[str, ...]
    """From the outermost."""
    value: str
    line: int


def interfaces(text: str, path: str) -> t.Iterator[dict[str, t.Any]]:
    """The fields of a setting for each interface."""
    by_owner: dict[tuple[str, str], list[_Value]] = {}
    for one in _values(text):
        if len(one.keys) > 2 and one.keys[0] == "network" and one.keys[1] in KINDS:
            by_owner.setdefault((one.keys[1], one.keys[2]), []).append(_Value(one.keys[3:], one.value, one.line))
    found = {owner: _interface(owner, values, path) for (_kind, owner), values in by_owner.items()}
    users: dict[str, list[str]] = {}
    for owner, setting in found.items():
        for lower in setting["lower"]:
            users.setdefault(lower, []).append(owner)
    for owner, setting in found.items():
        # Others name it by its key, which is none of its names where it is matched by something else.
        yield {**setting, "upper": () if owner in setting["names"] else tuple(users.get(owner, ()))}


def _interface(owner: str, values: t.Sequence[_Value], path: str) -> dict[str, t.Any]:
    def under(*keys: str) -> tuple[str, ...]:
        return tuple(one.value for one in values if one.keys[: len(keys)] == keys and one.value)

    dynamic = any(value in YES for key in ("dhcp4", "dhcp6", "accept-ra") for value in under(key))
    asks = dynamic and "false" not in (*under("dhcp4-overrides", "use-routes"), *under("dhcp6-overrides", "use-routes"))
    routes = any(one.keys[:1] == ("routes",) and one.keys[-1] == "to" and one.value in ("default", "0.0.0.0/0", "::/0") for one in values)
    matched = tuple(one.keys[1] for one in values if one.keys[0:1] == ("match",) and len(one.keys) > 1)
    renamed = under("set-name")
    optional = any(value in YES for value in under("optional"))
    return {
        "source": f"{path}:{min(one.line for one in values)}",
        "names": (under("match", "name") if matched else (owner,)) or (renamed if not under("match", "macaddress") else ()),
        "addresses": tuple(value.lower() for value in under("match", "macaddress")),
        "lower": (*under("interfaces"), *under("link")),
        "is_vague": optional or "driver" in matched,
        "comes_up": not any(value in ("manual", "off") for value in under("activation-mode")),
        "has_route": asks or routes or bool(under("gateway4") or under("gateway6")),
        "has_address": dynamic or bool(under("addresses")),
    }


def _values(text: str) -> t.Iterator[_Value]:
    above: list[tuple[int, str]] = []
    for number, raw in enumerate(text.split("\n")[:MOST_LINES], 1):
        line = _COMMENT.sub("", raw).rstrip()
        item, found = _ITEM.match(line), _KEY.match(line)
        if item is not None and found is None:
            while above and above[-1][0] > len(item[1]):
                above.pop()
            yield _Value(tuple(key for _depth, key in above), _plain(item[2]), number)
        elif found is not None:
            depth = len(found[1]) + len(found[2])
            while above and above[-1][0] >= depth:
                above.pop()
            above.append((depth, found[3] or found[4] or found[5] or ""))
            keys, value = tuple(key for _depth, key in above), (found[6] or "").strip()
            listed = value[1:-1].split(",") if value.startswith("[") and value.endswith("]") else [value]
            yield from (_Value(keys, _plain(one), number) for one in listed)


def _plain(text: str) -> str:
    return text.strip().strip("\"'").strip()
