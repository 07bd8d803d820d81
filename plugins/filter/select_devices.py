# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import cut
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import KNOWN_FIELDS

DOCUMENTATION = r"""
name: select_devices
short_description: Select devices with a JMESPath expression
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Applies a JMESPath expression to the devices that M(vfio.variants.device_info) returned.
  - Conditions on any field of a device can be combined with C(&&), C(||) and C(!).
  - Fails if the expression names a field of a device that these devices do not have, because they were asked for in brief.
positional: _input, expression
options:
  _input:
    description:
      - The devices, as in RV(vfio.variants.device_info#module:devices).
      - Conditions on fields that only O(vfio.variants.device_info#module:detail=full) returns need that option.
    type: list
    elements: dict
    required: true
  expression:
    description:
      - A JMESPath expression that yields a list, such as V([?driver=='nouveau']).
      - Strings are in single quotes; numbers, V(true), V(false) and V(null) are in backticks.
      - Quotes nest best if the expression is a variable, as in the examples.
    type: str
    required: true
requirements:
  - jmespath (on the controller)
seealso:
  - name: JMESPath
    description: The language of the expressions.
    link: https://jmespath.org/specification.html
  - module: vfio.variants.device_info
"""

EXAMPLES = r"""
- name: Read the devices once
  vfio.variants.device_info:
    detail: full
  register: info

- name: Show the devices of one IOMMU group that are bound to nouveau
  ansible.builtin.debug:
    msg: "{{ info.devices | vfio.variants.select_devices(in_group_15) }}"
  vars:
    in_group_15: "[?iommu_group==`15` && driver=='nouveau'].address"

- name: Claim every display controller except the boot display
  vfio.variants.device_claim:
    devices: "{{ info.devices | vfio.variants.select_devices(not_the_console) }}"
  vars:
    not_the_console: "[?starts_with(class, '03') && !boot_vga].address"
"""

RETURN = r"""
_value:
  description: The result of the expression, a list of devices or of their fields.
  type: list
  elements: raw
"""

OF_FORECAST = frozenset(("next_driver", "certainty", "because", "warnings"))
LONGEST = 1 << 16
"""Characters of an expression."""


def select_devices(devices: object, expression: object) -> list[t.Any]:
    """The list that the JMESPath expression yields for the devices."""
    try:
        import jmespath
        from jmespath.exceptions import JMESPathError
    except ImportError as error:
        raise AnsibleFilterError("select_devices needs the Python package jmespath on the controller.") from error
    if not isinstance(devices, Sequence) or isinstance(devices, (str, bytes)):
        raise AnsibleFilterError(
            f"select_devices expects a list of devices, not {_kind(devices)}: pass `devices` as device_info returns it."
        )
    if not isinstance(expression, str):
        raise AnsibleFilterError(f"select_devices expects a JMESPath expression, not {_kind(expression)}.")
    if len(expression) > LONGEST:
        raise AnsibleFilterError(
            f"select_devices: the JMESPath expression '{cut(expression)}' is too long. Allowed are {LONGEST} characters."
        )
    try:
        found = jmespath.search(str(expression), _plain(devices))
    # Not `from error`: Ansible would add the whole message of jmespath, which repeats the expression.
    except JMESPathError as error:
        raise AnsibleFilterError(f"select_devices cannot use the JMESPath expression '{cut(expression)}': {_one_line(error)}") from None
    except Exception as error:
        # Its parser and its functions raise whatever Python does: for parentheses in parentheses, a large number, a value of another type.
        why = "it is nested too deeply." if isinstance(error, RecursionError) else f"{type(error).__name__}: {_one_line(error)}"
        raise AnsibleFilterError(f"select_devices cannot use the JMESPath expression '{cut(expression)}': {why}") from None
    missing = _missing(devices, jmespath.compile(str(expression)).parsed)
    if missing is not None:
        raise AnsibleFilterError(
            f"select_devices: the expression '{cut(expression)}' names the field {missing}, which none of these devices has: "
            f"device_info returns {'it with a forecast' if missing in OF_FORECAST else 'it with `detail: full`'}."
        )
    if not isinstance(found, list):
        raise AnsibleFilterError(
            f"select_devices needs an expression that yields a list, such as [?driver=='nouveau']; "
            f"'{cut(expression)}' yields {_kind(found)}."
        )
    return found


def _missing(devices: Sequence[t.Any], parsed: Mapping[str, t.Any]) -> str | None:
    """A field that a device could have, which the expression names, and which no device here has: it would be null without a word."""
    if not any(isinstance(device, Mapping) and "address" in device for device in devices):
        return None
    names = {str(name) for device in devices if isinstance(device, Mapping) for name in device}
    pending, named = [parsed], set[str]()
    while pending:
        node = pending.pop()
        named |= {str(node["value"])} if node["type"] == "field" else set()
        # A slice has numbers and nothing for children.
        pending += [child for child in node["children"] if isinstance(child, Mapping)]
    return next(iter(sorted((named & KNOWN_FIELDS) - names)), None)


def _plain(value: object) -> t.Any:
    """The value in built-in types: jmespath's functions check the names of types and do not know Ansible's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(content) for key, content in value.items()}
    if isinstance(value, str) or not isinstance(value, (Sequence, bool, int, float, type(None))):
        return str(value)
    if isinstance(value, Sequence):
        return [_plain(content) for content in value]
    if isinstance(value, (bool, type(None))):
        return value
    return float(value) if isinstance(value, float) else int(value)


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return "a list"
    names = {"NoneType": "nothing", "dict": "a dictionary", "list": "a list", "str": "a string", "bool": "a boolean"}
    return names.get(type(_plain(value)).__name__, "a number")


def _one_line(error: Exception) -> str:
    # jmespath adds a second line with a caret below the expression.
    return cut(str(error).split("\n", maxsplit=1)[0].rstrip(":. ")) + "."


class FilterModule:
    """Registers the filter."""

    def filters(self) -> dict[str, t.Callable[..., list[t.Any]]]:
        return {"select_devices": select_devices}
