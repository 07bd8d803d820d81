# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of a module: their types from .modinfo, and from the table of parameters what that does not say.

The section __param is an array of `struct kernel_param` (include/linux/moduleparam.h): name, module, operations, permissions, level
and flags, and an argument.  Its relocations name the operations; the argument of an array begins with the number of its elements
(struct kparam_array), that of a string with its size (struct kparam_string).
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ARRAY, ParameterType

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import Elf, Place
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import Types

TABLE = "__param"
ENTRY = 40
OPERATIONS, ARGUMENT = 16, 32
"""Offsets in a 64-bit struct kernel_param."""
LARGEST = 1 << 16
"""No array of the kernel has more elements; what is larger was read wrongly."""
_KINDS = frozenset("byte short ushort int uint long ulong ullong hexint charp bool invbool bint".split())
_PREFIX = "param_ops_"
_ENABLE_ONLY = f"{_PREFIX}bool_enable_only"


def types_of(fields: t.Mapping[str, t.Sequence[str]]) -> dict[str, ParameterType]:
    """From `parmtype=NAME:TYPE` and, for what has a reader of its own, `parm=NAME:DESCRIPTION`."""
    described = {normalize_module_name(text.partition(":")[0]): ParameterType("") for text in fields.get("parm", ())}
    typed = (text.partition(":") for text in fields.get("parmtype", ()))
    return {**described, **{normalize_module_name(name): ParameterType(kind) for name, _colon, kind in typed}}


def read_types(elf: Elf, fields: t.Mapping[str, t.Sequence[str]]) -> Types:
    """The types of a module's parameters.  Raises NotElfError if the file is inconsistent."""
    found = types_of(fields)
    section = elf.index(TABLE)
    if section is None or not elf.wide:
        return found
    pointers, names = elf.pointers(section), elf.pointer_names(section)
    for start in range(0, elf.sections[section].size - ENTRY + 1, ENTRY):
        place = pointers.get(start)
        text = None if place is None else elf.string(place)
        if text:
            name = normalize_module_name(text.decode("utf-8", "replace"))
            kind = found.get(name, ParameterType("")).kind
            found[name] = _type(elf, kind, names.get(start + OPERATIONS), pointers.get(start + ARGUMENT))
    return found


def _type(elf: Elf, kind: str, operations: str | None, argument: Place | None) -> ParameterType:
    if operations == f"{_PREFIX}string":
        return ParameterType("string", _first_number(elf, argument))
    if operations == "param_array_ops":
        return ParameterType(kind if kind.startswith(ARRAY) else "", _first_number(elf, argument))
    if operations is not None and operations.startswith(_PREFIX) and operations[len(_PREFIX) :] in _KINDS:
        return ParameterType(operations[len(_PREFIX) :])
    if operations == _ENABLE_ONLY:
        return ParameterType("bool")
    # A parameter with a type may still have a reader of its own that is stricter (module_param() of a type that the module defines).
    return ParameterType("" if operations is not None else kind)


def _first_number(elf: Elf, place: Place | None) -> int | None:
    content = None if place is None else elf.section_view(place.section)[max(0, place.offset) : place.offset + 4]
    if content is None or len(content) < 4:
        return None
    number = int(struct.unpack(f"{elf.order}I", content)[0])
    return number if 0 < number <= LARGEST else None
