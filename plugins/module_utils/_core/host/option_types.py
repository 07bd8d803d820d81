# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an argument spec does not allow is refused before Ansible converts it, in the same words by every module.

Ansible's own sentences name no entry of a list, some name no option, and of what is not a text it makes one: the driver `True` of a
boolean, the version 1.1 of an unquoted 1.10.
"""

from __future__ import annotations

import math
import typing as t

from ansible.module_utils.common import validation

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import NEAR, HostError, cut, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import INTERNAL, refuse_unusable
from ansible_collections.vfio.variants.plugins.module_utils._core.host.wording import listed

ArgumentSpec = t.Mapping[str, t.Mapping[str, t.Any]]
"""By option what it may be."""
MOST_NAMES = 40
_to_bool: t.Callable[[t.Any], t.Any] = validation.check_type_bool
_to_dict: t.Callable[[t.Any], t.Any] = validation.check_type_dict
_to_int: t.Callable[[t.Any], t.Any] = validation.check_type_int
CONVERSION = (TypeError, ValueError, ArithmeticError, RecursionError)
"""What Ansible's conversions raise."""


def refuse_wrong(options: t.Mapping[t.Any, t.Any], arguments: ArgumentSpec) -> None:
    """Raises HostError for the first option that is not as the spec has it, and for a value that no option can mean."""
    # First, because it does not go into options as deeply as Python calls functions.
    refuse_unusable(options)
    refuse_other_types(options, arguments)


def refuse_other_types(options: t.Mapping[t.Any, t.Any], arguments: ArgumentSpec, before: str = "") -> None:
    """Raises HostError for the first option that the spec does not have, that it asks for, or whose value is of another type."""
    names = [name for name in arguments if not name.startswith("_")]
    for name in options:
        if name not in arguments and not (str(name).startswith(INTERNAL) and not before):
            advice = f"{_meant(name, names)}Allowed are {listed(names, MOST_NAMES)}." if names else None
            raise HostError(f"{before}{cut(str(name))}: there is no such option.", advice)
    for name, said in arguments.items():
        value = options.get(name)
        if value is None and said.get("required"):
            raise HostError(f"{before}{name} is required, and has no value.")
        # Ansible takes null as not given only where there is no default.
        if name in options and (value is not None or said.get("default") is not None):
            _refuse(f"{before}{name}", value, said)


def _refuse(place: str, value: t.Any, said: t.Mapping[str, t.Any]) -> None:
    kind = said.get("type", "str")
    if kind == "list":
        _refuse_entries(place, value, said)
    elif kind == "dict":
        entries = _dictionary(place, value, said)
        if said.get("options"):
            refuse_other_types(entries, said["options"], f"{place}.")
    elif "choices" in said:
        if value not in said["choices"]:
            words = [str(word) for word in said["choices"]]
            allowed = f"Allowed {'is' if len(words) == 1 else 'are'} {listed(words, MOST_NAMES)}."
            raise HostError(f"{place}: {shown(value)} is not allowed.", f"{_meant(value, words)}{allowed}")
    elif kind in _KINDS:
        _KINDS[kind](place, value, said)


def _refuse_entries(place: str, value: t.Any, said: t.Mapping[str, t.Any]) -> None:
    of_entries = {**said, "type": said.get("elements", "raw")}
    kind = "a list of dictionaries" if of_entries["type"] == "dict" else "a list"
    if isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            _refuse(f"{place}[{number}]", one, of_entries)
    elif isinstance(value, t.Mapping):
        raise HostError(f"{place}: {shown(value)} is a dictionary, not {kind}.", "Write `- ` before each of them.")
    elif value is None or isinstance(value, bool) or (of_entries["type"] == "dict" and not isinstance(value, str)):
        raise HostError(f"{place}: {shown(value)} is not {kind}.", "Write `- ` before each of its entries.")
    elif of_entries["type"] == "dict":
        _refuse_text_of_dictionaries(place, value, of_entries)
    else:
        # Ansible takes a text with commas for a list, and a number for its one entry.
        for one in value.split(",") if isinstance(value, str) else [value]:
            _refuse(place, one, of_entries)


def _refuse_text_of_dictionaries(place: str, text: str, said: t.Mapping[str, t.Any]) -> None:
    """check_type_list() cuts it at its commas, those between braces included."""
    try:
        for part in text.split(","):
            _refuse(place, _to_dict(part), said)
    except CONVERSION:
        name = next(iter(said.get("options", ())), "NAME")
        ad_hoc = "" if "." in place else f"""; in an ad-hoc command, all options as JSON: -a '{{"{place}": [{{"{name}": "VALUE"}}]}}'"""
        raise HostError(f"{place}: {shown(text)} is a text, not a list of dictionaries.", f"Write a list{ad_hoc}.") from None


def _dictionary(place: str, value: t.Any, said: t.Mapping[str, t.Any]) -> dict[t.Any, t.Any]:
    try:
        return t.cast("dict[t.Any, t.Any]", _to_dict(value))
    except CONVERSION:
        names = listed([name for name in said.get("options", ()) if not name.startswith("_")], MOST_NAMES)
        advice = f"Write `name: value` for each of its options{f', which are {names}' if names else ''}."
        raise HostError(f"{place}: {shown(value)} is not a dictionary.", advice) from None


def _refuse_no_text(place: str, value: t.Any, _said: t.Mapping[str, t.Any]) -> None:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return
    if value is None:
        raise HostError(f"{place}: null is not a text.", "Write one, or leave it out.")
    kind = "a dictionary" if isinstance(value, t.Mapping) else "a list" if isinstance(value, (list, tuple)) else None
    if kind is not None:
        raise HostError(f"{place}: {shown(value)} is {kind}, not a text.", "Write one text.")
    # YAML has made 1.1 of 1.10, and True of yes.
    raise HostError(f"{place}: {shown(value)} is not a text.", "Write it in quotes.")


def _refuse_no_whole_number(place: str, value: t.Any, said: t.Mapping[str, t.Any]) -> None:
    try:
        # Of 1e999999999 check_type_int() would make a number that fills the memory.
        if not isinstance(value, bool) and math.isfinite(float(value)):
            _to_int(value)
            return
    except CONVERSION:
        pass
    example = said.get("default") or 8
    raise HostError(f"{place}: {shown(value)} is not a whole number.", f"Write digits without a unit, as in {example}.")


def _refuse_no_boolean(place: str, value: t.Any, _said: t.Mapping[str, t.Any]) -> None:
    try:
        _to_bool(value)
    except CONVERSION:
        raise HostError(f"{place}: {shown(value)} is not a boolean.", "Write true or false.") from None


_KINDS = {"str": _refuse_no_text, "path": _refuse_no_text, "int": _refuse_no_whole_number, "bool": _refuse_no_boolean}


def _meant(value: t.Any, words: t.Sequence[str]) -> str:
    # Not loaded by a run that is given what it may be given.
    import difflib

    near = difflib.get_close_matches(str(value)[:100].strip().lower(), words, 1, NEAR)
    return f"Did you mean {near[0]}? " if near else ""
