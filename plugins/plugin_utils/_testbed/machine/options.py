# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test machine consists of, as its user asks for it."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import asdict, dataclass, fields

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.quantity import parse_size
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import firmware
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import Function, functions_of, place

_LEAST_MEMORY = 256 << 20


def machine_name(name: str) -> str:
    """The name, which is also a folder's; HostError when it cannot be one."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name):
        raise HostError(
            f"name: {shown(name)} is not usable.", "Use lower-case letters, digits, - and _, a letter first, 41 characters at most."
        )
    return name


@dataclass(frozen=True)
class MachineOptions:
    """`image`: the folder of its image; `memory` in bytes."""

    name: str
    image: str
    memory: int
    cpus: int
    iommu: str
    functions: tuple[Function, ...]
    arguments: tuple[str, ...]
    firmware: str = firmware.BIOS
    enrolled: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, options: t.Mapping[str, t.Any], image: str) -> MachineOptions:
        """From the options of `test_vm`; HostError names the option that is wrong."""
        memory = parse_size("memory", options["memory"])
        if memory < _LEAST_MEMORY:
            raise HostError(f"memory: {shown(options['memory'])} is too little for Linux.", f"Give at least {_LEAST_MEMORY >> 20}M.")
        if not 1 <= options["cpus"] <= 64:
            raise HostError(f"cpus: {shown(options['cpus'])} is not usable.", "Give 1 to 64.")
        functions = tuple(function for given in options["functions"] or () for function in functions_of(given))
        place(functions)
        name = machine_name(options["name"])
        arguments = tuple(str(word) for word in options["arguments"] or ())
        enrolled = tuple(str(path) for path in options["enrolled"] or ())
        if enrolled and options["firmware"] != firmware.SECURE_BOOT:
            raise HostError("enrolled: certificates are of use only with firmware=secure_boot.", "Leave it out, or ask for that firmware.")
        absent = next((path for path in enrolled if not os.path.isfile(path)), None)
        if absent is not None:
            raise HostError(f"enrolled: {shown(absent)} is not a file.", "Give the paths of certificates on the controller.")
        return cls(name, image, memory, options["cpus"], options["iommu"], functions, arguments, options["firmware"], enrolled)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True, default=str)

    def differences(self, description: str) -> list[str]:
        """Names of the options in which the machine of this description (`to_json`) differs."""
        theirs, ours = json.loads(description), json.loads(self.to_json())
        return [field.name for field in fields(self) if theirs.get(field.name) != ours[field.name]]
