# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share: the options that hold claims, and the one place where a host is made and an error told."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim import claims
from ansible_collections.vfio.variants.plugins.module_utils._core.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

SHORTHAND = ("devices", "driver", "expect", "allow_missing")
CLAIM_FIELDS: dict[str, dict[str, t.Any]] = {
    "devices": {"type": "raw", "required": True},
    "driver": {"type": "str", "default": claims.AUTO},
    "expect": {"type": "str"},
    "strategy": {"type": "str", "choices": list(claims.STRATEGIES)},
    "allow_missing": {"type": "bool", "default": False},
}
CLAIM_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "claims": {"type": "list", "elements": "dict", "options": CLAIM_FIELDS},
    "devices": {"type": "raw"},
    "driver": {"type": "str"},
    "expect": {"type": "str"},
    "allow_missing": {"type": "bool"},
    "pending_modules": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, "aliases": {"type": "list", "elements": "str", "default": []}},
    },
}
CLAIM_EXCLUSIVE = tuple(("claims", option) for option in SHORTHAND)
"""`mutually_exclusive` of a module that takes claims."""


def claims_of(params: t.Mapping[str, t.Any]) -> tuple[claims.Claim, ...]:
    """The claims in a module's options, from `claims` or from the shorthand; none when neither is given."""
    if params.get("claims") is not None:
        return claims.parse(params["claims"])
    if params.get("devices") is None:
        given = [option for option in SHORTHAND if params.get(option) is not None]
        if given:
            raise HostError(f"{given[0]}: this needs devices as well.", "Name the devices, or give a list of claims.")
        return ()
    return (claims.parse_one({option: params.get(option) for option in SHORTHAND}, claims.SHORTHAND),)


def pending_of(params: t.Mapping[str, t.Any]) -> tuple[PendingModule, ...]:
    """The modules that another task of the same play installs."""
    return tuple(PendingModule(module["name"], tuple(module.get("aliases") or ())) for module in params.get("pending_modules") or ())


def run_module(module: AnsibleModule, work: t.Callable[[Host], t.Mapping[str, t.Any]], root: str = "/") -> None:
    """Do a module's work on its host and exit with what it returns; every error becomes sentences, never a traceback.

    `warnings` in what it returns are shown as such.
    """
    try:
        result = dict(work(Host.from_module(module, root)))
    except HostError as error:
        hint = {} if error.hint is None else {"hint": error.hint}
        module.fail_json(msg=str(error), **{**error.facts, **hint})
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        module.fail_json(msg=f"{what}{error.strerror or os.strerror(error.errno or 0)}.")
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**result)
