# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparisons of versions in units' conditions (ConditionKernelVersion= and ConditionOSRelease= in systemd.unit(5)).

Decided is what all versions of systemd take in the same way.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.os_release import OS_RELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.versions import uapi_compare

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

_EXPRESSION = re.compile(r"(!?\$=|[<>]=|<>|[=!]=|[<>=])?\s*([\w.*?+~^:-]+)(?:\s+|$)", re.ASCII)
_FIELD = re.compile(r"([A-Za-z_]\w*)(!?\$=|[<>]=|<>|[=!]=|[<>=])([\w.*?+~^:-]+)(?:\s+|$)", re.ASCII)
_ORDERS: t.Mapping[str, t.Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def holds(text: str, version: str) -> bool | None:
    """Whether all expressions agree with a version; None if that cannot be determined."""
    found, place = [], 0
    while place < len(text):
        match = _EXPRESSION.match(text, place)
        if match is None or (match[1] is None and (place or match.end() < len(text))):
            return None
        found.append(compared(match[1] or "$=", version, match[2]))
        place = match.end()
    return _all(found)


def release_agrees(tree: FileTree, text: str) -> bool | None:
    """Whether all expressions agree with os-release(5); a field that it does not have is empty."""
    content = next((content for content in map(tree.text_or_none, OS_RELEASE) if content is not None), None)
    if content is None:
        return None
    fields = Assignments.parse(content)
    found, place = [], 0
    while place < len(text):
        match = _FIELD.match(text, place)
        if match is None:
            return None
        found.append(compared(match[2], fields.get(match[1]) or "", match[3]))
        place = match.end()
    return _all(found)


def compared(operator: str, own: str, wanted: str) -> bool | None:
    """One comparison; None where versions of systemd differ."""
    is_pattern = "*" in wanted or "?" in wanted
    if operator in ("$=", "!$="):
        return matches(own, wanted) == (operator == "$=")
    if is_pattern:
        return None
    order = uapi_compare(own, wanted)
    if operator in _ORDERS:
        return _ORDERS[operator](order)
    # As strings, or as versions.
    return None if (own == wanted) != (order == 0) else (own == wanted) == (operator in ("=", "=="))


def _all(found: t.Sequence[bool | None]) -> bool | None:
    """Each has to hold: one that does not decides."""
    if False in found:
        return False
    return None if None in found or not found else True
