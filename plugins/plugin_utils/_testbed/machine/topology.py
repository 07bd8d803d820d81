# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI functions a user asks for, and where each sits in the machine."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import FunctionError, PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.presets import PRESETS, Member
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.quantity import parse_size

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_FIRST_PORT_SLOT = 0x10
_LAST_PORT_SLOT = 0x1E
_FIRST_DIRECT_SLOT = 5
_FUNCTIONS_PER_SLOT = 8

Scalar = str | int | bool


@dataclass(frozen=True)
class Function:
    """One function. Either `emulated` (by our own server) or `model`, a device of QEMU's own, with its `options`.

    `size` in bytes is that of the model's own disk, which begins empty; 0 if it has none.
    """

    id: str
    emulated: PciFunction | None
    model: str
    options: tuple[tuple[str, Scalar], ...]
    behind_root_port: bool
    slot: str
    size: int = 0

    @classmethod
    def from_mapping(cls, given: t.Mapping[str, t.Any]) -> Function:
        name = _checked_name(str(given["id"]))
        emulate, model = given.get("emulate"), given.get("qemu") or ""
        if (emulate is None) == (not model):
            raise HostError(f"functions: {name} needs either emulate or qemu, or preset.", "Give exactly one of them.")
        if emulate is not None and (given.get("options") or given.get("size")):
            raise HostError(f"functions: {name} has options or a size, which belong to qemu.", "Describe an emulated function in emulate.")
        try:
            emulated = PciFunction.from_options(_given(emulate)) if emulate is not None else None
        except FunctionError as error:
            raise HostError(f"functions: {name}: {error}") from error
        options = tuple(sorted((str(key), _scalar(name, key, value)) for key, value in (given.get("options") or {}).items()))
        size = parse_size("functions: size", given["size"]) if given.get("size") else 0
        return cls(name, emulated, model, options, bool(given.get("behind_root_port", True)), str(given.get("slot") or name), size)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise HostError(f"functions: the id {shown(name)} is not usable.", "Use lower-case letters, digits and hyphens, a letter first.")
    return name


def functions_of(given: t.Mapping[str, t.Any]) -> tuple[Function, ...]:
    """What one element of the option asks for: one function, or those of a preset, whose ids begin with the element's."""
    preset = given.get("preset")
    if preset is None:
        return (Function.from_mapping(given),)
    name = _checked_name(str(given["id"]))
    if any(given.get(other) for other in ("emulate", "qemu", "options", "size")):
        raise HostError(f"functions: {name} has a preset and emulate, qemu, options or size.", "A preset says all of these.")
    if preset not in PRESETS:
        raise HostError(f"functions: {name}: preset is {shown(preset)}; allowed are {', '.join(sorted(PRESETS))}.")
    slot = str(given.get("slot") or (name if PRESETS[preset].one_device else ""))
    behind = bool(given.get("behind_root_port", True))
    return tuple(_of_preset(name, member, behind, slot) for member in PRESETS[preset].members)


def _of_preset(name: str, member: Member, behind_root_port: bool, slot: str) -> Function:
    own = _checked_name(f"{name}-{member.suffix}" if member.suffix else name)
    return Function(own, None if member.model else member.emulated, member.model, (), behind_root_port, slot or own)


def _given(emulate: t.Any) -> t.Any:
    """Ansible's validation gives None for each suboption that the playbook leaves out."""
    return {name: value for name, value in emulate.items() if value is not None} if isinstance(emulate, dict) else emulate


@dataclass(frozen=True)
class Placement:
    """`port`: the root port's address on pcie.0, or empty; `address`: the function's own address on its bus."""

    function: Function
    bus: str
    port: str
    address: str
    shares_slot: bool


def place(functions: t.Sequence[Function]) -> tuple[Placement, ...]:
    """Give each function its address, in the order given; those of one `slot` become functions of one device."""
    slots: dict[str, list[Function]] = {}
    seen: set[str] = set()
    for function in functions:
        if function.id in seen:
            raise HostError(f"functions: the id {function.id} occurs twice.", "Give each function an id of its own.")
        seen.add(function.id)
        slots.setdefault(function.slot, []).append(function)
    placements: list[Placement] = []
    ports, direct = _port_addresses(), iter(range(_FIRST_DIRECT_SLOT, _FIRST_PORT_SLOT))
    for slot, members in slots.items():
        placements += _place_slot(slot, members, ports, direct)
    return tuple(placements)


def _place_slot(slot: str, members: list[Function], ports: t.Iterator[str], direct: t.Iterator[int]) -> list[Placement]:
    if len({member.behind_root_port for member in members}) > 1:
        raise HostError(f"functions: those of slot {slot} disagree about behind_root_port.", "Give all of them the same.")
    if len(members) > _FUNCTIONS_PER_SLOT:
        raise HostError(f"functions: slot {slot} has {len(members)}; a PCI device has at most {_FUNCTIONS_PER_SLOT} functions.")
    behind = members[0].behind_root_port
    port = next(ports, "") if behind else ""
    number = 0 if behind else next(direct, -1)
    if (behind and not port) or number < 0:
        raise HostError(f"functions: there is no free place for slot {slot}.", "Use fewer functions, or several of them in one slot.")
    bus = f"port-{slot}" if behind else "pcie.0"
    return [Placement(member, bus, port, f"{number:x}.{index}", len(members) > 1) for index, member in enumerate(members)]


def _port_addresses() -> t.Iterator[str]:
    return (f"{slot:x}.{number}" for slot in range(_FIRST_PORT_SLOT, _LAST_PORT_SLOT) for number in range(_FUNCTIONS_PER_SLOT))


def _scalar(name: str, key: t.Any, value: t.Any) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, str)):
        return int(value) if isinstance(value, int) else str(value)
    raise HostError(f"functions: {name}: the option {key} is {shown(value)}.", "Options of a QEMU device are strings, numbers or booleans.")
