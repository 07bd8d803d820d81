# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that hold claims, which several modules share, and the claims in them.

A module's own function `request()` makes a frozen dataclass from its options; what several modules have in common is made
here.  The rest of the core takes requests, never options.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim import claims
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import IGNORE, OPTIONAL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule

SHORTHAND = ("devices", "driver", "expect", "allow_missing", "guards", "node")
GUARD_FIELDS: dict[str, dict[str, t.Any]] = {name: {"type": "str", "choices": [IGNORE]} for name in OPTIONAL}
NODE_FIELDS: dict[str, dict[str, t.Any]] = {
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw"},
    "memlock": {"type": "str"},
}
CLAIM_FIELDS: dict[str, dict[str, t.Any]] = {
    "devices": {"type": "raw", "required": True},
    "driver": {"type": "str", "default": claims.AUTO},
    "expect": {"type": "str"},
    "strategy": {"type": "str", "choices": [*claims.STRATEGIES]},
    "allow_missing": {"type": "bool"},
    "guards": {"type": "dict", "options": GUARD_FIELDS},
    "vfs": {"type": "int"},
    "node": {"type": "dict", "options": NODE_FIELDS},
    "reload": {"type": "bool"},
}
CLAIM_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "claims": {"type": "list", "elements": "dict", "options": CLAIM_FIELDS},
    "devices": {"type": "raw"},
    "driver": {"type": "str"},
    "expect": {"type": "str"},
    "allow_missing": {"type": "bool"},
    "guards": {"type": "dict", "options": GUARD_FIELDS},
    "node": {"type": "dict", "options": NODE_FIELDS},
    "pending_modules": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "aliases": {"type": "list", "elements": "str", "default": []},
            "kernels": {"type": "list", "elements": "str"},
            "new_for": {"type": "list", "elements": "str", "default": []},
            "replaces_loaded": {"type": "bool", "default": False},
        },
    },
}
CLAIM_EXCLUSIVE = tuple(("claims", option) for option in SHORTHAND)
"""`mutually_exclusive` of a module with claims."""


def claims_of(options: t.Mapping[str, t.Any], missing_by_default: bool = False) -> tuple[claims.Claim, ...]:
    """The claims in a module's options, from `claims` or from the shorthand; none if neither is given.

    ``missing_by_default`` is `allow_missing` of a claim that does not have it.
    """
    default = {"allow_missing": missing_by_default}
    if options.get("claims") is not None:
        return claims.parse([{**claim, **_default(claim, default)} for claim in options["claims"]])
    if options.get("devices") is None:
        given = [option for option in SHORTHAND if options.get(option) is not None]
        if given:
            raise HostError(f"{given[0]}: this needs devices as well.", "Name the devices, or give a list of claims.")
        return ()
    claim = {option: options.get(option) for option in SHORTHAND}
    return (claims.parse_one({**claim, **_default(claim, default)}, claims.SHORTHAND),)


def _default(given: t.Mapping[str, t.Any], default: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: value for name, value in default.items() if given.get(name) is None}


def pending_of(options: t.Mapping[str, t.Any]) -> tuple[PendingModule, ...]:
    """The modules that another task of the play installs."""
    return tuple(
        PendingModule(
            name=module["name"],
            aliases=tuple(module.get("aliases") or ()),
            kernels=None if module.get("kernels") is None else tuple(module["kernels"]),
            new_for=tuple(module.get("new_for") or ()),
            replaces_loaded=bool(module.get("replaces_loaded")),
        )
        for module in options.get("pending_modules") or ()
    )
